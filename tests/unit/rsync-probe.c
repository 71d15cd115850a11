/*
 * What the tests of src/transfer/rsync ask:
 *
 *      rsync-probe [OPTIONS] daemon HOST PORT MODULE[/DIR]     begin a conversation with a daemon
 *      rsync-probe [OPTIONS] shell PROGRAM DIR                 the same with `PROGRAM --server ...`, run by sh
 *
 * What was agreed on goes to standard output, errors and lines for people to standard error; the status of an error is
 * 1, of usage 2. Options: -u USER, -p PASSWORD, -P PROTOCOL (at most), -c, -z, -a NAME[,NAME...] (checksums,
 * compressions, digests of passwords that are permitted; "all"), -i (incremental), -d (delete), -n (dry run), -l DIR
 * (--link-dest), -t SECONDS (--timeout), -m (behind it, tell messages until the other side ends), -k SECONDS (stay that
 * long).
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/secret.h"
#include "connect.h"
#include "transfer/rsync/rsync_hello.h"
#include "transfer/rsync/rsync_mux.h"
#include "transfer/rsync/rsync_number.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct rsync_arguments arguments;
static struct rsync_hello_config config = { .arguments = &arguments };
static const char *password;
static bool tells_messages;
static unsigned stays_s;
static pid_t child = -1;

static int show_error(struct err *err)
{
        int status = err->kind == ERR_USAGE ? 2 : 1;

        fprintf(stderr, "%s: %s (%s)\n", strerrorname_np(-err->code), err->text, err->hint);
        err_clear(err);
        return status;
}

static void show_line(void *context, const char *line)
{
        (void)context;
        fprintf(stderr, "motd: %s\n", line);
}

static int give_password(void *context, struct secret *ret, struct err *err)
{
        (void)context;
        if (secret_init(ret, strlen(password)) < 0)
                return err_oom(err);
        memcpy(ret->data, password, strlen(password));
        ret->size = strlen(password);
        return 0;
}

/* ---- what is there ---- */

static int start_command(const char *command)
{
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return -1;
        child = fork();
        if (child == 0) {
                if (dup2(ends[1], STDIN_FILENO) >= 0 && dup2(ends[1], STDOUT_FILENO) >= 0)
                        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
                _exit(126);
        }
        fd_close(ends[1]);
        if (child < 0)
                return fd_close(ends[0]);
        return ends[0];
}

static int start_shell(const char *program)
{
        _cleanup_(buf_deinit) struct buf command = { .data = NULL }, input = { .data = NULL };
        int fd;

        if (rsync_arguments_command(&command, &input, program, &arguments) < 0)
                return -1;
        fprintf(stderr, "command: %s\n", buf_text(&command));
        fd = start_command(buf_text(&command));
        if (fd >= 0 && fd_write_full(fd, buf_text(&input), input.size) < 0)
                return fd_close(fd);
        return fd;
}

/* ---- the conversation ---- */

static int hear(void *context, enum rsync_code code, const void *data, size_t size, struct err *err)
{
        struct rsync_reader r = rsync_read_begin(data, size);

        (void)context;
        (void)err;
        if (code == RSYNC_CODE_ERROR_EXIT || code == RSYNC_CODE_IO_TIMEOUT)
                fprintf(stderr, "message %d: %d\n", (int)code, (int)rsync_get_int(&r));
        else
                fprintf(stderr, "message %d: %s\n", (int)code, (const char *)data);
        return 0;
}

static int tell_messages(struct rsync_mux *m, int fd, struct err *err)
{
        char data[65536];
        ssize_t n;
        int r = 0;

        while (r == 0 && (n = read(fd, data, sizeof(data))) > 0)
                r = rsync_mux_feed(m, data, (size_t)n, err);
        return r;
}

/* What it has said may still be there when it takes no more: the error is that of reading. */
static void send_output(struct buf *out, int fd)
{
        for (size_t at = 0; at < out->size;) {
                ssize_t n = send(fd, out->data + at, out->size - at, MSG_NOSIGNAL);

                if (n <= 0)
                        break;
                at += (size_t)n;
        }
        buf_truncate(out, 0);
}

static int begin(struct rsync_hello *h, struct rsync_mux *m, int fd, struct err *err)
{
        char data[4096];
        size_t used;
        ssize_t n;
        int r = 0;

        while (r == 0) {
                send_output(rsync_hello_output(h), fd);
                n = read(fd, data, sizeof(data));
                if (n <= 0)
                        return rsync_hello_end(h, err);
                r = rsync_hello_feed(h, data, (size_t)n, &used, err);
                if (r == RSYNC_HELLO_DONE)
                        return rsync_mux_feed(m, data + used, (size_t)n - used, err);
        }
        return r;
}

static void show_session(const struct rsync_session *s)
{
        printf("protocol %d compat %#x checksum %s compression %s seed %s\n", s->protocol, s->compat,
               rsync_checksum_name(s->checksum), rsync_compression_name(s->compression), s->seed ? "yes" : "no");
        (void)fflush(stdout);
}

static int converse(int fd, struct err *err)
{
        _cleanup_(rsync_hello_freep) struct rsync_hello *h = NULL;
        _cleanup_(rsync_mux_deinit) struct rsync_mux m = { .hear = hear };
        int r = rsync_hello_new(&h, &config, err);

        if (r == 0)
                r = begin(h, &m, fd, err);
        if (r == 0)
                show_session(rsync_hello_session(h));
        if (r == 0 && tells_messages)
                r = tell_messages(&m, fd, err);
        sleep(stays_s);
        return r < 0 ? show_error(err) : 0;
}

/* ---- the command line ---- */

static unsigned mask_of(const char *list, size_t count, const char *(*name)(unsigned value))
{
        char copy[200], *at = copy, *word;
        unsigned mask = 0;

        snprintf(copy, sizeof(copy), "%s", list);
        while ((word = strsep(&at, ","))) {
                for (unsigned i = 0; i < count; i++)
                        mask |= str_equal(name(i), word) ? 1u << i : 0;
        }
        return mask;
}

static const char *auth_name(unsigned value)
{
        return rsync_auth_name((enum rsync_auth)value);
}

static const char *checksum_name(unsigned value)
{
        return rsync_checksum_name((enum rsync_checksum)value);
}

static const char *compression_name(unsigned value)
{
        return rsync_compression_name((enum rsync_compression)value);
}

static int usage(void)
{
        fputs("usage: rsync-probe [OPTIONS] daemon HOST PORT MODULE[/DIR]|shell PROGRAM DIR\n", stderr);
        return 2;
}

static bool take_option(int option)
{
        switch (option) {
        case 'u':
                config.user = optarg;
                return true;
        case 'p':
                password = optarg;
                config.password = give_password;
                return true;
        case 'P':
                config.protocol_max = atoi(optarg);
                return true;
        case 'c':
                config.checksums = mask_of(optarg, RSYNC_CHECKSUMS, checksum_name);
                return true;
        case 'z':
                arguments.compress = true;
                config.compressions = mask_of(optarg, RSYNC_COMPRESSION_ZSTD + 1, compression_name);
                return true;
        case 'a':
                config.auths = mask_of(optarg, RSYNC_AUTHS, auth_name);
                return true;
        case 'i':
                return arguments.incremental = true;
        case 'd':
                return arguments.delete_missing = true;
        case 'n':
                return arguments.dry_run = true;
        case 'l':
                arguments.link_destination = optarg;
                return true;
        case 't':
                arguments.timeout_s = (unsigned)atoi(optarg);
                return true;
        case 'm':
                return tells_messages = true;
        case 'k':
                stays_s = (unsigned)atoi(optarg);
                return true;
        default:
                return false;
        }
}

static int run_daemon(char **argv, struct err *err)
{
        _cleanup_(freep) char *module = strndup(argv[3], strcspn(argv[3], "/"));
        _cleanup_(fd_closep) int fd = connect_to(argv[1], argv[2]);
        char destination[5000], peer[300];

        if (!module || fd < 0)
                return 1;
        snprintf(destination, sizeof(destination), "%s/", argv[3]);
        snprintf(peer, sizeof(peer), "%s::%s", argv[1], module);
        arguments.destination = destination;
        config.is_daemon = true;
        config.module = module;
        config.peer = peer;
        return converse(fd, err);
}

static int run_shell(char **argv, struct err *err)
{
        _cleanup_(fd_closep) int fd = -1;
        char destination[5000];
        int r, status;

        snprintf(destination, sizeof(destination), "%s/", argv[2]);
        arguments.destination = destination;
        config.peer = argv[1];
        fd = start_shell(argv[1]);
        if (fd < 0)
                return 1;
        r = converse(fd, err);
        fd = fd_close(fd);
        (void)waitpid(child, &status, 0);
        return r;
}

int main(int argc, char **argv)
{
        ERR_LOCAL(err);
        int option;

        config.motd = show_line;
        log_init("rsync-probe", LOG_LEVEL_DEBUG);
        while ((option = getopt(argc, argv, "+u:p:P:c:z:a:idnl:t:mk:")) != -1) {
                if (!take_option(option))
                        return usage();
        }
        argv += optind;
        argc -= optind;
        if (argc == 4 && str_equal(argv[0], "daemon"))
                return run_daemon(argv, &err);
        if (argc == 3 && str_equal(argv[0], "shell"))
                return run_shell(argv, &err);
        return usage();
}
