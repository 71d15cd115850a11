/*
 * Seeds for fuzz-receiver: what a real sender says when it is to make the tree of tree.c equal to some source.
 *
 *      record-exchange DIRECTORY
 *
 * writes a file for each of some sources there. When the protocol has changed this is run again.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/message.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/receiver.h"
#include "transfer/exchange/sender.h"
#include "transfer/filter/filter.h"
#include "transfer/limits.h"
#include "transfer/links.h"
#include "transfer/source.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { BYE = MESSAGE_OK };

/* As in fuzz-receiver: the delta has to fit the signature. */
ssize_t getrandom(void *data, size_t size, unsigned flags)
{
        (void)flags;
        memset(data, 1, size);
        return (ssize_t)size;
}

static void must(int r, const char *what)
{
        if (r >= 0)
                return;
        fprintf(stderr, "cannot %s\n", what);
        exit(1);
}

static struct channel *open_channel(int in_fd, int out_fd)
{
        const struct channel_config config = { .in_fd = in_fd,
                                               .out_fd = out_fd,
                                               .peer = "other side",
                                               .timeout_s = 20,
                                               .never_compress = true,
                                               .wire = { .program = "record" } };
        struct channel *c;
        ERR_LOCAL(err);

        must(channel_new(&c, &config, &err), "open a channel");
        return c;
}

static int on_other(void *context, const struct wire_message *m, struct err *err)
{
        (void)context;
        return m->type == BYE ? SENDER_END : err_runf(err, -EPROTO, "message %u", m->type);
}

static void send_source(const char *path, bool has_reference, const struct limits *limits, int in_fd, int out_fd)
{
        struct sender_config config = { .channel = open_channel(in_fd, out_fd),
                                        .limits = limits,
                                        .has_reference = has_reference,
                                        .other = on_other };
        struct source_config source = { .path = path };
        struct filter *filter;
        struct source *s;
        ERR_LOCAL(err);

        must(report_new(&config.report, &(struct report_config){ .is_imagined = true }, &err), "report");
        must(filter_new(&filter, path, &err), "filter");
        source.filter = filter;
        source.report = config.report;
        must(source_new(&s, &source, &err), "open the source");
        config.source = s;
        must(sender_run(&config, &err), "send");
        exit(0);
}

static void pass_on(int from, int to, int copy)
{
        char data[65536];
        ssize_t n;

        while ((n = read(from, data, sizeof(data))) > 0) {
                must(fd_write_full(copy, data, (size_t)n), "record");
                must(fd_write_full(to, data, (size_t)n), "pass on");
        }
        exit(0);
}

static void receive(const struct tree *t, bool has_reference, const struct limits *limits, int in_fd, int out_fd)
{
        struct receiver_config config = { .channel = open_channel(in_fd, out_fd),
                                          .to_fd = t->to_fd,
                                          .partial_fd = -1,
                                          .limits = limits,
                                          .has_reference = has_reference,
                                          .other = on_other };
        ERR_LOCAL(err);

        must(report_new(&config.report, &(struct report_config){ .is_imagined = true }, &err), "report");
        must(links_new(&config.links, &err), "remember links");
        must(receiver_run(&config, &err), "receive");
        (void)wire_begin(channel_wire(config.channel), BYE);
        must(wire_end(channel_wire(config.channel), &err), "end");
        must(channel_send(config.channel, true, &err), "end");
        channel_free(config.channel);
        links_free(config.links);
        report_free(config.report);
}

/* What is in the packets, behind the byte that chooses the circumstances. */
static void save(int recorded, const char *path, uint8_t how)
{
        static char data[1 << 20];
        const struct wire_config config = { .program = "record" };
        struct buf out = { .data = NULL };
        struct wire_message m;
        struct wire *w;
        ssize_t n;
        int fd;
        ERR_LOCAL(err);

        must(wire_new(&w, &config, &err), "read the record");
        must((int)lseek(recorded, 0, SEEK_SET), "read the record");
        while ((n = read(recorded, data, sizeof(data))) > 0)
                must(wire_feed(w, data, (size_t)n, &err), "read the record");
        (void)pack_u8(&out, how);
        while (wire_next(w, &m, &err) == 1) {
                (void)pack_u8(&out, m.type);
                (void)pack_bytes(&out, m.data, m.size);
        }
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        must(fd, "write");
        must(fd_write_full(fd, out.data, out.size), "write");
        close(fd);
        buf_deinit(&out);
        wire_free(w);
}

static void record(const char *source, const char *directory, const char *name, uint8_t how)
{
        _cleanup_(freep) char *path = NULL;
        bool has_reference = how & 2;
        int recorded = memfd_create("record", MFD_CLOEXEC), up[2], passed[2], down[2];
        struct limits limits;
        pid_t children[2];
        struct tree t;
        ERR_LOCAL(err);

        tree_make(&t);
        must(limits_probe(&limits, t.partial_fd, true, true, &err), "find limits");
        must(pipe2(up, O_CLOEXEC) | pipe2(passed, O_CLOEXEC) | pipe2(down, O_CLOEXEC), "make pipes");
        children[0] = fork();
        if (children[0] == 0) {
                close(up[0]);
                send_source(source, has_reference, &limits, down[0], up[1]);
        }
        close(up[1]);
        children[1] = fork();
        if (children[1] == 0)
                pass_on(up[0], passed[1], recorded);
        close(passed[1]);
        close(down[0]);
        receive(&t, has_reference, &limits, passed[0], down[1]);
        close(down[1]);
        must(waitpid(children[0], NULL, 0) | waitpid(children[1], NULL, 0), "wait");
        if (asprintf(&path, "%s/recorded-%s", directory, name) < 0)
                exit(1);
        save(recorded, path, how);
        close(up[0]);
        close(passed[0]);
        close(recorded);
        tree_remove(&t);
}

/* The tree itself, changed by a shell. */
static void change(const struct tree *t, const char *source, const char *how)
{
        _cleanup_(freep) char *command = NULL;

        if (asprintf(&command, "set -e; rm -rf '%s'; mkdir '%s'; cp -a /proc/%d/fd/%d/. '%s'; cd '%s'; %s", source,
                     source, (int)getpid(), t->to_fd, source, source, how) < 0)
                exit(1);
        must(system(command) == 0 ? 0 : -1, "make the source");
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name, *change;
                uint8_t how;
        } cases[] = {
                { "equal", ":", 0 },
                { "new", "mkdir -p n/m; echo 1 > n/1; ln n/1 n/m/2; ln -s x n/l; mkfifo n/f; touch -d @9 n/m n", 0 },
                { "less", "rm -r dir big fifo; rmdir void", 0x80 },
                { "delta", "printf middle | dd of=big bs=1 seek=40000 conv=notrunc 2>&1; echo more >> file", 0 },
                { "moved", "{ printf head; cat big; } > b; mv b big; chmod 700 dir/a dir", 0 },
                { "types", "rm file; mkdir file; rm -r dir; echo f > dir; rm symlink; ln -s elsewhere symlink", 0x80 },
                { "links", "ln file power2; rm hard2; cp -a hard1 hard2; ln big dir/big; ln dir/a dir/sub/a", 0 },
                { "hashes", "printf new > file; touch -d @1000 file . ; printf z > dir/b; touch -d @1000 dir/b dir",
                  2 },
        };
        char source[] = "/tmp/rsync-system-backup-record/source";
        struct tree t;

        if (argc != 2) {
                fputs("usage: record-exchange DIRECTORY\n", stderr);
                return 2;
        }
        umask(0);
        tree_init();
        (void)mkdir("/tmp/rsync-system-backup-record", 0700);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                tree_make(&t);
                change(&t, source, cases[i].change);
                tree_remove(&t);
                record(source, argv[1], cases[i].name, cases[i].how);
        }
        return system("rm -r /tmp/rsync-system-backup-record");
}
