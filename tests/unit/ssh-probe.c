/*
 * What the tests of src/transfer/ssh ask:
 *
 *      ssh-probe [OPTIONS] run TARGET COMMAND          standard input to COMMAND, its output to standard output
 *      ssh-probe [OPTIONS] forward TARGET HOST PORT    the same with a connection to HOST
 *      ssh-probe [OPTIONS] echo TARGET COUNT MIB       COUNT sessions at once; what `cat` echoes in each is compared
 *      ssh-probe [OPTIONS] slow TARGET MIB             `cat` echoes what is not read before all of it was written
 *
 * TARGET is [USER@]HOST[:PORT] or ssh://. Options: -F FILE, -t SECONDS (timeout), -w SECONDS (to wait for the end), -n
 * (no standard input), -r BYTES (read no more than that, and close). The end is told on standard error as KIND: TEXT;
 * its status is the command's, or 100 and the kind; of an error 1, of usage 2.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/stop.h"
#include "transfer/ssh/ssh.h"
#include "transfer/ssh/ssh_config.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

enum { MIB = 1024 * 1024, SESSIONS_MAX = 16, NOT_A_STATUS = 100 };

static struct ssh_wishes wishes;
static unsigned wait_s;
static bool has_no_input;
static uint64_t read_most = UINT64_MAX;

static int show_error(struct err *err)
{
        int status = err->kind == ERR_USAGE ? 2 : 1;

        fprintf(stderr, "%s: %s (%s)\n", strerrorname_np(-err->code), err->text, err->hint);
        err_clear(err);
        return status;
}

static void hear(void *context, const char *line)
{
        (void)context;
        fprintf(stderr, "heard: %s\n", line);
}

static int open_target(struct ssh **ret, const char *text, struct err *err)
{
        _cleanup_(freep) char *user = NULL, *host = NULL;
        struct ssh_target target = { .user = NULL };
        int r = ssh_config_split_jump(text, &user, &host, &target.port);

        if (r < 0)
                return err_usage(err, "%s: no target", text);
        target.user = user;
        target.host = host;
        return ssh_open(ret, &target, &wishes, err);
}

static int finish(struct ssh *s, struct err *err)
{
        static const char *const kinds[] = {
                "status", "no command", "no login", "signal", "closed", "lost", "running"
        };
        struct ssh_end end;

        if (ssh_finish(s, wait_s, &end, err) < 0)
                return show_error(err);
        fprintf(stderr, "%s: %s\n", kinds[end.kind], end.text);
        return end.status >= 0 && end.kind != SSH_END_LOST ? end.status : NOT_A_STATUS + (int)end.kind;
}

/* ---- standard input and output ---- */

static void *feed(void *context)
{
        static char data[256 * 1024];
        const int *fd = context;
        ssize_t n = 0;

        while (!has_no_input && (n = read(STDIN_FILENO, data, sizeof(data))) > 0) {
                if (fd_write_full(*fd, data, (size_t)n) < 0)
                        break;
        }
        (void)shutdown(*fd, SHUT_WR);
        return NULL;
}

static int carry(struct ssh *s, int fd, struct err *err)
{
        static char data[256 * 1024];
        static int feeds;
        pthread_t feeder;
        ssize_t n;
        int r;

        /* It may wait for input for ever. */
        feeds = fd;
        if (pthread_create(&feeder, NULL, feed, &feeds) != 0 || pthread_detach(feeder) != 0)
                return 1;
        while (read_most > 0) {
                /* The main thread is the one that notices signals. */
                r = stop_wait(fd, 0, err);
                if (r < 0)
                        break;
                n = read(fd, data, size_min(sizeof(data), (size_t)read_most));
                if (n <= 0)
                        break;
                read_most -= read_most == UINT64_MAX ? 0 : (uint64_t)n;
                if (fd_write_full(STDOUT_FILENO, data, (size_t)n) < 0)
                        break;
        }
        (void)shutdown(fd, SHUT_RDWR);
        if (err->kind == ERR_NONE)
                return finish(s, err);
        return show_error(err);
}

static int run(char **arguments, int count, struct err *err)
{
        _cleanup_(ssh_closep) struct ssh *s = NULL;
        bool forwards = count == 4;
        int fd, r = open_target(&s, arguments[1], err);

        if (r == 0)
                r = forwards ? ssh_forward(s, arguments[2], (unsigned)atoi(arguments[3]), &fd, err)
                             : ssh_execute(s, arguments[2], &fd, err);
        if (r < 0)
                return show_error(err);
        return carry(s, fd, err);
}

/* ---- echoes ---- */

struct echo {
        const char *target;
        uint64_t size;
        int fd, status;
        pthread_t thread;
};

/* The byte at @offset: of a period that no buffer has. */
static unsigned char byte_at(uint64_t offset)
{
        return (unsigned char)((offset * 2654435761U) >> 13 ^ offset / 8191);
}

static void fill(unsigned char *data, size_t size, uint64_t offset)
{
        for (size_t i = 0; i < size; i++)
                data[i] = byte_at(offset + i);
}

static void *write_all(void *context)
{
        const struct echo *e = context;
        unsigned char data[65536];

        for (uint64_t at = 0; at < e->size; at += sizeof(data)) {
                fill(data, sizeof(data), at);
                if (fd_write_full(e->fd, data, sizeof(data)) < 0)
                        break;
        }
        (void)shutdown(e->fd, SHUT_WR);
        return NULL;
}

static bool read_all(int fd, uint64_t size)
{
        unsigned char data[100000], expected[100000];
        uint64_t at = 0;

        for (;;) {
                ssize_t n = read(fd, data, sizeof(data));

                if (n <= 0)
                        return n == 0 && at == size;
                fill(expected, (size_t)n, at);
                if (memcmp(data, expected, (size_t)n) != 0)
                        return false;
                at += (uint64_t)n;
        }
}

static int echo_over(struct ssh *s, struct echo *e, struct err *err)
{
        pthread_t writer;
        bool is_same;

        if (ssh_execute(s, "cat", &e->fd, err) < 0)
                return show_error(err);
        if (pthread_create(&writer, NULL, write_all, e) != 0)
                return 1;
        is_same = read_all(e->fd, e->size);
        (void)pthread_join(writer, NULL);
        fd_close(e->fd);
        if (!is_same)
                fputs("the echo is another one\n", stderr);
        return finish(s, err) != 0 || !is_same;
}

static void *echo(void *context)
{
        struct echo *e = context;
        _cleanup_(ssh_closep) struct ssh *s = NULL;
        ERR_LOCAL(err);

        if (open_target(&s, e->target, &err) < 0)
                e->status = show_error(&err);
        else
                e->status = echo_over(s, e, &err);
        return NULL;
}

static int echo_many(const char *target, int count, int size_mib)
{
        struct echo echoes[SESSIONS_MAX];
        int status = 0;

        if (count > SESSIONS_MAX)
                return 2;
        for (int i = 0; i < count; i++) {
                echoes[i] = (struct echo){ .target = target, .size = (uint64_t)size_mib * MIB };
                if (pthread_create(&echoes[i].thread, NULL, echo, &echoes[i]) != 0)
                        return 1;
        }
        for (int i = 0; i < count; i++) {
                (void)pthread_join(echoes[i].thread, NULL);
                status |= echoes[i].status;
        }
        return status;
}

/* How much can be written, without waiting, before anything is read. */
static uint64_t fill_up(int fd, uint64_t most)
{
        struct pollfd watched = { .fd = fd, .events = POLLOUT };
        unsigned char data[65536];
        uint64_t at = 0;

        while (at < most && poll(&watched, 1, 1000) == 1) {
                ssize_t n;

                fill(data, sizeof(data), at);
                n = send(fd, data, sizeof(data), MSG_DONTWAIT);
                at += n > 0 ? (uint64_t)n : 0;
        }
        return at;
}

static int slow(const char *target, int size_mib, struct err *err)
{
        _cleanup_(ssh_closep) struct ssh *s = NULL;
        uint64_t size;
        bool is_same;
        int fd;

        if (open_target(&s, target, err) < 0 || ssh_execute(s, "cat", &fd, err) < 0)
                return show_error(err);
        size = fill_up(fd, (uint64_t)size_mib * MIB);
        printf("%llu\n", (unsigned long long)size);
        (void)shutdown(fd, SHUT_WR);
        is_same = read_all(fd, size);
        fd_close(fd);
        return finish(s, err) != 0 || !is_same;
}

static int usage(void)
{
        fputs("usage: ssh-probe [-n] [-F FILE] [-t SECONDS] [-w SECONDS] [-r BYTES] run|forward|echo|slow TARGET ...\n",
              stderr);
        return 2;
}

static bool take_option(int option)
{
        switch (option) {
        case 'F':
                wishes.config_file = optarg;
                return true;
        case 't':
                wishes.timeout_s = (unsigned)atoi(optarg);
                return true;
        case 'w':
                wait_s = (unsigned)atoi(optarg);
                return true;
        case 'r':
                read_most = (uint64_t)atoll(optarg);
                return true;
        case 'n':
                has_no_input = true;
                return true;
        default:
                return false;
        }
}

int main(int argc, char **argv)
{
        ERR_LOCAL(err);
        int option, count;

        wishes.hear = hear;
        log_init("ssh-probe", LOG_LEVEL_DEBUG);
        while ((option = getopt(argc, argv, "+F:t:w:r:n")) != -1) {
                if (!take_option(option))
                        return usage();
        }
        argv += optind;
        count = argc - optind;
        if (stop_init(&err) < 0)
                return show_error(&err);
        if ((count == 3 && str_equal(argv[0], "run")) || (count == 4 && str_equal(argv[0], "forward")))
                return run(argv, count, &err);
        if (count == 4 && str_equal(argv[0], "echo"))
                return echo_many(argv[1], atoi(argv[2]), atoi(argv[3]));
        if (count == 3 && str_equal(argv[0], "slow"))
                return slow(argv[1], atoi(argv[2]), &err);
        return usage();
}
