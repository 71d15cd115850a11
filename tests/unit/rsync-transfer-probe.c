/*
 * Conversations with rsync daemons from beginning to end (src/transfer/rsync):
 *
 *      rsync-transfer-probe [OPTIONS] HOST PORT list MODULE/DIR            names, each "TYPE MODE SIZE MTIME NAME"
 *                                               push MODULE/DIR SOURCE
 *                                               mark|unmark|remove MODULE/DIR NAME
 *
 * Errors go to standard error, with the name of the number in front; the status of an error is 1, of one that concerns
 * single files 23, of usage 2. Options: -P PROTOCOL (at most), -i (incremental), -d (delete), -z (compress), -t
 * SECONDS, -r MODULE/DIR (behind a push: what was sent goes into that directory once more), and for that: -l DIR
 * (--link-dest), -R PROTOCOL, -I (the other way about incremental lists).
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/report.h"
#include "connect.h"
#include "transfer/filter/filter.h"
#include "transfer/rsync/rsync_chore.h"
#include "transfer/rsync/rsync_hello.h"
#include "transfer/rsync/rsync_listing.h"
#include "transfer/rsync/rsync_push.h"
#include "transfer/rsync/rsync_spool.h"
#include "transfer/source.h"

#include <stdio.h>
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

/* The module, and all of it as a destination. */
static int set_place(const char *place)
{
        static char module[300], destination[5000];

        snprintf(module, sizeof(module), "%.*s", (int)strcspn(place, "/"), place);
        snprintf(destination, sizeof(destination), "%s/", place);
        arguments.destination = destination;
        hello.module = module;
        hello.peer = module;
        return connect_to(host, port);
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

/* ---- pushes ---- */

static struct rsync_push_config push_config(int fd)
{
        return (struct rsync_push_config){ .in_fd = fd,
                                           .out_fd = fd,
                                           .peer = hello.peer,
                                           .timeout_s = arguments.timeout_s,
                                           .hello = &hello,
                                           .report = the_report };
}

static int chore(enum rsync_chore chore, const char *place, const char *name, struct err *err)
{
        _cleanup_(fd_closep) int fd = set_place(place);
        const struct rsync_push_config config = push_config(fd);

        if (fd < 0)
                return 1;
        return rsync_chore(chore, &config, name, err) < 0 ? show_error(err) : 0;
}

static int push_once(const char *place, const struct source *source, struct rsync_spool *spool,
                     struct rsync_spool *replay, struct err *err)
{
        _cleanup_(fd_closep) int fd = set_place(place);
        struct rsync_push_config config = push_config(fd);
        struct rsync_push_result result;
        int r;

        if (fd < 0)
                return 1;
        config.source = source;
        config.spool = spool;
        config.replay = replay;
        r = rsync_push(&config, &result, err);
        fprintf(stderr, "literal %llu matched %llu%s\n", (unsigned long long)result.literal_bytes,
                (unsigned long long)result.matched_bytes, result.is_partial ? " partial" : "");
        return r < 0 ? show_error(err) : 0;
}

static int push(const char *place, const char *path, struct err *err)
{
        struct source_config config = { .path = path, .report = the_report };
        _cleanup_(filter_freep) struct filter *filter = NULL;
        _cleanup_(rsync_spool_freep) struct rsync_spool *spool = NULL;
        _cleanup_(source_freep) struct source *source = NULL;
        int status;

        if (filter_new(&filter, path, err) < 0)
                return show_error(err);
        config.filter = filter;
        if (source_new(&source, &config, err) < 0 || (again && rsync_spool_new(&spool, err) < 0))
                return show_error(err);
        status = push_once(place, source, spool, NULL, err);
        if (status != 0 || !again)
                return status;
        arguments.link_destination = link_destination;
        arguments.incremental ^= again_other;
        hello.protocol_max = again_protocol ? again_protocol : hello.protocol_max;
        /* For who traces us. */
        (void)access("/again", F_OK);
        return push_once(again, source, NULL, spool, err);
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
        if (argc == 5 && str_equal(argv[2], "push"))
                return push(argv[3], argv[4], err);
        if (argc == 5 && str_equal(argv[2], "mark"))
                return chore(RSYNC_CHORE_MARK, argv[3], argv[4], err);
        if (argc == 5 && str_equal(argv[2], "unmark"))
                return chore(RSYNC_CHORE_UNMARK, argv[3], argv[4], err);
        if (argc == 5 && str_equal(argv[2], "remove"))
                return chore(RSYNC_CHORE_REMOVE, argv[3], argv[4], err);
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
