/*
 * Conversations with rsync daemons from beginning to end (src/transfer/rsync):
 *
 *      rsync-transfer-probe [OPTIONS] HOST PORT list MODULE/DIR              names, each "TYPE MODE SIZE MTIME NAME"
 *                                               push MODULE/DIR SOURCE       and, for each further -r DIR, the same
 *                                                                            lists once more, into that
 *                                               mark|unmark|remove MODULE/DIR NAME
 *
 * Errors go to standard error, with the name of the number in front; the status of an error is 1, of one that concerns
 * single files 23, of usage 2. Options: -P PROTOCOL (at most), -i (incremental), -d (delete), -z (compress), -t
 * SECONDS, -r MODULE/DIR (also send to that what was sent before), -l DIR (--link-dest for these), -R PROTOCOL, -I (the
 * other way about incremental lists: for these), -v (changes).
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/report.h"
#include "transfer/rsync/rsync_hello.h"
#include "transfer/rsync/rsync_listing.h"
#include "transfer/rsync/rsync_push.h"
#include "transfer/source.h"

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

static struct rsync_arguments arguments;
static struct rsync_hello_config hello = { .is_daemon = true, .arguments = &arguments };
static struct report *the_report;
static const char *host, *port, *again, *link_destination;
static int again_protocol;
static bool again_other;

static int show_error(struct err *err)
{
        int status = err->kind == ERR_USAGE ? 2 : 1;

        fprintf(stderr, "%s: %s (%s)\n", strerrorname_np(-err->code), err->text, err->hint);
        err_clear(err);
        return status;
}

static int connect_to(void)
{
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
        struct addrinfo *found = NULL;
        int fd = -1;

        if (getaddrinfo(host, port, &hints, &found) != 0)
                return -1;
        for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
                fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
                if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0)
                        fd = fd_close(fd);
        }
        freeaddrinfo(found);
        if (fd < 0)
                perror("connect");
        return fd;
}

/* The module, and all of it as a destination. */
static int set_place(const char *place)
{
        static char module[300], destination[5000];

        snprintf(module, sizeof(module), "%.*s", (int)strcspn(place, "/"), place);
        snprintf(destination, sizeof(destination), "%s/", place);
        arguments.destination = destination;
        hello.module = module;
        hello.peer = module;
        return connect_to();
}

/* ---- listing ---- */

static int show_entry(void *context, const char *name, mode_t mode, uint64_t size, int64_t mtime, struct err *err)
{
        char type = S_ISDIR(mode) ? 'd' : S_ISREG(mode) ? 'f' : S_ISLNK(mode) ? 'l' : 'o';

        (void)context;
        (void)err;
        printf("%c %o %llu %lld %s\n", type, mode & 07777, (unsigned long long)size, (long long)mtime, name);
        return 0;
}

static int list(const char *place, struct err *err)
{
        _cleanup_(fd_closep) int fd = set_place(place);
        const struct rsync_listing_config config = { .in_fd = fd,
                                                     .out_fd = fd,
                                                     .peer = hello.peer,
                                                     .timeout_s = arguments.timeout_s,
                                                     .hello = &hello,
                                                     .take = show_entry };

        if (fd < 0)
                return 1;
        return rsync_listing(&config, err) < 0 ? show_error(err) : 0;
}

/* ---- the command line ---- */

static int usage(void)
{
        fputs("usage: rsync-transfer-probe [OPTIONS] HOST PORT list|push|mark|unmark|remove MODULE/DIR [WHAT]\n",
              stderr);
        return 2;
}

static bool take_option(int option)
{
        switch (option) {
        case 'P':
                hello.protocol_max = atoi(optarg);
                return true;
        case 'i':
                return arguments.incremental = true;
        case 'd':
                return arguments.delete_missing = true;
        case 'z':
                return arguments.compress = true;
        case 't':
                arguments.timeout_s = (unsigned)atoi(optarg);
                return true;
        case 'r':
                again = optarg;
                return true;
        case 'l':
                link_destination = optarg;
                return true;
        case 'R':
                again_protocol = atoi(optarg);
                return true;
        case 'I':
                return again_other = true;
        default:
                return false;
        }
}

static int run(int argc, char **argv, struct err *err)
{
        host = argv[0];
        port = argv[1];
        if (argc == 4 && str_equal(argv[2], "list"))
                return list(argv[3], err);
        return usage();
}

int main(int argc, char **argv)
{
        const struct report_config config = { .list_changes = false };
        ERR_LOCAL(err);
        int option, status;

        log_init("rsync-transfer-probe", LOG_LEVEL_INFO);
        while ((option = getopt(argc, argv, "+P:idzt:r:l:R:I")) != -1) {
                if (!take_option(option))
                        return usage();
        }
        if (argc - optind < 4)
                return usage();
        if (report_new(&the_report, &config, &err) < 0)
                return show_error(&err);
        status = run(argc - optind, argv + optind, &err);
        if (status == 0)
                status = report_exit_status(the_report);
        report_free(the_report);
        return status;
}
