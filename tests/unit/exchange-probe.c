/*
 * Both ends of the exchange on one machine, without a program around them:
 *
 *      exchange-probe SOURCE TO [-v] [-n] [-r SECONDS] [-s SECONDS]
 *
 * -n a dry run; -r, -s: the reference time and the suspect time, in seconds since 1970. Prints what it came to in a
 * line of NAME=VALUE.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/report.h"
#include "base/stop.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/message.h"
#include "transfer/exchange/receiver.h"
#include "transfer/exchange/sender.h"
#include "transfer/filter/filter.h"
#include "transfer/limits.h"
#include "transfer/links.h"
#include "transfer/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { BYE = MESSAGE_OK };

struct probe {
        const char *source, *to;
        bool dry_run, verbose;
        struct timespec reference, suspect;
        struct limits limits;
};

static void fail(const char *who, struct err *err)
{
        fprintf(stderr, "%s: %s\n", who, err->text);
        err_clear(err);
        exit(1);
}

static struct channel *open_channel(int fd, const char *peer)
{
        struct channel *c;
        ERR_LOCAL(err);

        if (channel_new(&c,
                        &(struct channel_config){ .in_fd = fd,
                                                  .out_fd = fd,
                                                  .peer = peer,
                                                  .timeout_s = 60,
                                                  .never_compress = true,
                                                  .wire = { .program = "probe", .features = WIRE_FEATURE_ZSTD } },
                        &err) < 0)
                fail(peer, &err);
        return c;
}

static int on_other(void *context, const struct wire_message *m, struct err *err)
{
        (void)context;
        return m->type == BYE ? SENDER_END : err_runf(err, -EPROTO, "message %u", m->type);
}

static int send_source(const struct probe *p, int fd)
{
        _cleanup_(channel_freep) struct channel *c = open_channel(fd, "receiver");
        _cleanup_(report_freep) struct report *report = NULL;
        _cleanup_(source_freep) struct source *source = NULL;
        struct filter *filter = NULL;
        ERR_LOCAL(err);
        int r = report_new(&report, &(struct report_config){ .list_changes = false }, &err);

        r = r < 0 ? r : filter_new(&filter, p->source, &err);
        r = r < 0 ? r
                  : source_new(&source,
                               &(struct source_config){ .path = p->source, .filter = filter, .report = report }, &err);
        r = r < 0 ? r
                  : sender_run(&(struct sender_config){ .channel = c,
                                                        .source = source,
                                                        .limits = &p->limits,
                                                        .report = report,
                                                        .has_reference = p->reference.tv_sec > 0,
                                                        .reference = p->reference,
                                                        .other = on_other },
                               &err);
        if (r < 0)
                fail("sender", &err);
        filter_free(filter);
        return report_exit_status(report);
}

static int receive(const struct probe *p, int fd, int to_fd, bool is_new)
{
        _cleanup_(channel_freep) struct channel *c = open_channel(fd, "sender");
        _cleanup_(report_freep) struct report *report = NULL;
        _cleanup_(links_freep) struct links *links = NULL;
        struct rusage usage;
        ERR_LOCAL(err);
        int r = report_new(&report, &(struct report_config){ .list_changes = p->verbose, .list_reasons = p->verbose },
                           &err);

        r = r < 0 ? r : links_new(&links, &err);
        r = r < 0 ? r
                  : receiver_run(&(struct receiver_config){ .channel = c,
                                                            .to_fd = to_fd,
                                                            .to_is_new = is_new,
                                                            .partial_fd = -1,
                                                            .limits = &p->limits,
                                                            .report = report,
                                                            .dry_run = p->dry_run,
                                                            .has_reference = p->reference.tv_sec > 0,
                                                            .has_suspect = p->suspect.tv_sec > 0,
                                                            .suspect = p->suspect,
                                                            .links = links,
                                                            .other = on_other },
                                 &err);
        if (r < 0)
                fail("receiver", &err);
        wire_begin(channel_wire(c), BYE);
        r = wire_end(channel_wire(c), &err);
        r = r < 0 ? r : channel_send(c, true, &err);
        if (r < 0)
                fail("receiver", &err);
        (void)getrusage(RUSAGE_SELF, &usage);
        printf("entries=%" PRIu64 " new=%" PRIu64 " changed=%" PRIu64 " metadata=%" PRIu64 " linked=%" PRIu64
               " deleted=%" PRIu64 " copied=%" PRIu64 " received=%" PRIu64 " sent=%" PRIu64 " peak_kib=%ld\n",
               report_get(report, REPORT_ENTRIES), report_get(report, REPORT_NEW), report_get(report, REPORT_CHANGED),
               report_get(report, REPORT_METADATA), report_get(report, REPORT_LINKED),
               report_get(report, REPORT_DELETED), report_get(report, REPORT_COPIED_BYTES), channel_received_bytes(c),
               channel_sent_bytes(c), usage.ru_maxrss);
        return report_exit_status(report);
}

static int open_to(struct probe *p, bool *ret_is_new)
{
        ERR_LOCAL(err);
        int fd;

        *ret_is_new = mkdir(p->to, 0700) == 0;
        fd = fd_open_directory(p->to);
        if (fd < 0) {
                fprintf(stderr, "%s: %s\n", p->to, strerror(-fd));
                exit(2);
        }
        if (limits_probe(&p->limits, fd, true, true, &err) < 0)
                fail("limits", &err);
        return fd;
}

static void parse(struct probe *p, int argc, char **argv)
{
        int option;

        while ((option = getopt(argc, argv, "vnr:s:")) >= 0) {
                if (option == 'v')
                        p->verbose = true;
                else if (option == 'n')
                        p->dry_run = true;
                else if (option == 'r')
                        p->reference.tv_sec = atoll(optarg);
                else if (option == 's')
                        p->suspect.tv_sec = atoll(optarg);
                else
                        exit(2);
        }
        if (argc - optind != 2) {
                fputs("usage: exchange-probe [OPTIONS] SOURCE TO\n", stderr);
                exit(2);
        }
        p->source = argv[optind];
        p->to = argv[optind + 1];
}

int main(int argc, char **argv)
{
        struct probe p = { .source = NULL };
        int fds[2], to_fd, status = 0, mine;
        bool is_new;
        pid_t child;
        ERR_LOCAL(err);

        parse(&p, argc, argv);
        log_init("exchange-probe", LOG_LEVEL_DEBUG);
        umask(0);
        to_fd = open_to(&p, &is_new);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return 2;
        child = fork();
        if (child == 0) {
                close(fds[1]);
                return send_source(&p, fds[0]);
        }
        close(fds[0]);
        if (stop_init(&err) < 0)
                fail("stop", &err);
        mine = receive(&p, fds[1], to_fd, is_new);
        close(fds[1]);
        close(to_fd);
        if (waitpid(child, &status, 0) < 0)
                return 2;
        return mine ? mine : WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}
