/*
 * Signatures are made of one old version after the other. So many of them are under way that the sender is never
 * without work, and so few that its memory stays small. What came of a large file when a connection broke is kept under
 * a name made of its directory's path and its own; should it be a wrong one, the sums do not agree and nothing of it is
 * used.
 */
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "base/stop.h"
#include "transfer/delta/delta_format.h"
#include "transfer/exchange/receiver_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <xxhash.h>

#define PARTIAL_PREFIX "partial-"

enum { PIECE = 64 * 1024, PARTIAL_NAME_SIZE = 64, PARTIAL_MIN = 1024 * 1024 };

/* ---- what is left of a transfer that was cut off ---- */

static uint64_t hash(const char *text)
{
        return XXH3_64bits(text, strlen(text));
}

/* Of a file @name, or how those of all files in the directory begin. */
static void partial_name(const struct visit *v, const char *name, char ret[PARTIAL_NAME_SIZE])
{
        int used = snprintf(ret, PARTIAL_NAME_SIZE, PARTIAL_PREFIX "%016" PRIx64, hash(v->to.path));

        if (name)
                snprintf(ret + used, PARTIAL_NAME_SIZE - (size_t)used, "%016" PRIx64, hash(name));
}

static int open_partial(struct receiver *r, const struct visit *v, const struct entry *want, uint64_t *ret_size)
{
        char name[PARTIAL_NAME_SIZE];
        struct entry e;
        int fd;

        *ret_size = 0;
        if (!r->has_partials || want->size < PARTIAL_MIN)
                return -1;
        partial_name(v, want->name, name);
        fd = fd_open_file_at(r->config->partial_fd, name);
        if (fd < 0)
                return -1;
        if (entry_stat_fd(&e, fd) < 0)
                return fd_close(fd);
        *ret_size = e.size;
        return fd;
}

static bool is_same(int dirfd, const char *name, int fd)
{
        struct entry named, own;

        return entry_stat(&named, dirfd, name) == 0 && entry_stat_fd(&own, fd) == 0 &&
               entry_is_same_inode(&named, &own);
}

/* In the same filesystem a rename does it, out of a btrfs subvolume a clone. Who may write in the directory of the file
 * can have put something else there. */
static void move(int from_fd, const char *from, int fd, int to_fd, const char *to)
{
        int copy;

        if (renameat(from_fd, from, to_fd, to) == 0) {
                if (!is_same(to_fd, to, fd))
                        (void)unlinkat(to_fd, to, 0);
                return;
        }
        if (errno != EXDEV)
                return;
        (void)unlinkat(to_fd, to, 0);
        copy = openat(to_fd, to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (copy >= 0 && ioctl(copy, FICLONE, fd) < 0)
                (void)unlinkat(to_fd, to, 0);
        fd_close(copy);
}

/* Has the one that there is gone further, and been right so far, since little of what it has came anew? */
static bool is_better(const struct receiver_content *c, uint64_t size)
{
        return c->basis.partial >= 0 && c->basis.partial_size > size && c->came < size / 2;
}

void receiver_partial_keep(struct receiver *r)
{
        struct receiver_content *c = &r->content;
        char name[PARTIAL_NAME_SIZE];
        struct entry e;

        if (r->config->partial_fd < 0 || !c->is_active || c->is_dropped || !c->staged.exists || c->staged.fd < 0)
                return;
        if (c->is_sized && ftruncate(c->staged.fd, (off_t)c->at) < 0)
                return;
        if (entry_stat_fd(&e, c->staged.fd) < 0 || e.size < PARTIAL_MIN || is_better(c, e.size))
                return;
        partial_name(&c->visit, c->want->name, name);
        move(c->visit.to.fd, staged_name(&c->staged), c->staged.fd, r->config->partial_fd, name);
}

/* The names of all that were kept. Return 0 or -errno. */
static int list_partials(struct receiver *r, struct listing *ret)
{
        return r->config->partial_fd < 0 ? -ENOENT : listing_read_unsorted(ret, r->config->partial_fd, &r->arena);
}

static bool is_partial(const struct listing_name *n)
{
        return str_starts(n->name, PARTIAL_PREFIX);
}

bool receiver_partial_is_in(struct receiver *r, struct receiver_node *n)
{
        struct listing names = { .names = NULL };
        char begin[PARTIAL_NAME_SIZE];
        bool is_there = false;
        ERR_LOCAL(err);
        struct visit v;

        if (!r->has_partials)
                return false;
        if (receiver_visit_closed(r, n, &v, &err) < 0)
                err_drop(&err, "then it is asked for whole");
        else if (list_partials(r, &names) == 0)
                partial_name(&v, NULL, begin);
        for (size_t i = 0; i < names.count; i++)
                is_there = is_there || str_starts(names.names[i]->name, begin);
        listing_deinit(&names);
        visit_deinit(&v);
        return is_there;
}

void receiver_partials_find(struct receiver *r)
{
        struct listing names = { .names = NULL };

        if (list_partials(r, &names) == 0) {
                for (size_t i = 0; i < names.count; i++)
                        r->has_partials = r->has_partials || is_partial(names.names[i]);
        }
        listing_deinit(&names);
}

/* ---- what a delta is made against ---- */

void receiver_delta_open(struct receiver *r, const struct visit *v, const struct entry *want, struct delta_basis *ret)
{
        struct entry e;

        *ret = (struct delta_basis){ .old = fd_open_file_at(v->to.fd, want->name), .partial = -1 };
        if (ret->old >= 0 && entry_stat_fd(&e, ret->old) < 0)
                ret->old = fd_close(ret->old);
        if (ret->old < 0)
                ret->old = -1;
        else
                ret->old_size = e.size;
        ret->partial = open_partial(r, v, want, &ret->partial_size);
}

void receiver_delta_close(struct delta_basis *basis)
{
        basis->old = fd_close(basis->old);
        basis->partial = fd_close(basis->partial);
}

/* ---- the queue ---- */

/* How long its signature will be at most; one of a file with large holes is shorter. */
static uint32_t estimate(const struct delta_basis *basis)
{
        uint64_t size = delta_basis_size(basis), bytes = size / delta_block_size(size) * DELTA_SUM_SIZE;

        /* If every second block is zeros. */
        bytes += bytes / 2 + PIECE;
        return bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
}

static int push(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, struct err *err)
{
        struct receiver_delta_ask *ask = malloc(sizeof(*ask));

        if (!ask)
                return err_oom(err);
        *ask = (struct receiver_delta_ask){ .previous = r->delta_last, .node = n, .index = p->index };
        *(r->delta_last ? &r->delta_last->next : &r->delta_first) = ask;
        r->delta_last = ask;
        p->ask = ask;
        return 1;
}

void receiver_delta_forget(struct receiver *r, struct receiver_pending *p)
{
        struct receiver_delta_ask *ask = TAKE(p->ask);

        if (!ask)
                return;
        *(ask->previous ? &ask->previous->next : &r->delta_first) = ask->next;
        *(ask->next ? &ask->next->previous : &r->delta_last) = ask->previous;
        free(ask);
}

/* What cannot be opened now will be asked for whole, and fail when that comes. */
static int forgive(int code, struct err *err)
{
        if (err->kind != ERR_ITEM)
                return code;
        err_drop(err, "it shows again when the content has come");
        return 0;
}

int receiver_delta_queue(struct receiver *r, struct receiver_node *n, struct receiver_pending *p,
                         const struct entry *want, struct err *err)
{
        struct delta_basis basis;
        struct visit v;
        bool pays;
        int code;

        /* What has no old version can still have come in part. */
        if (p->tries > 0 || (p->decision.verdict == DECIDE_MAKE && !r->has_partials))
                return 0;
        code = receiver_visit(r, n, &v, err);
        basis = (struct delta_basis){ .old = -1, .partial = -1 };
        if (code == 0)
                receiver_delta_open(r, &v, want, &basis);
        pays = delta_pays(&basis, want->size);
        p->signature_bytes = pays ? estimate(&basis) : 0;
        receiver_delta_close(&basis);
        visit_deinit(&v);
        p->is_delta = pays;
        if (code < 0)
                return forgive(code, err);
        return pays ? push(r, n, p, err) : 0;
}

void receiver_delta_answered(struct receiver *r, struct receiver_pending *p)
{
        if (p->signature_bytes == 0 || p->seed == 0)
                return;
        r->signature_bytes -= p->signature_bytes;
        p->signature_bytes = 0;
}

/* ---- signing ---- */

static void stop_signing(struct receiver *r)
{
        struct receiver_signing *s = &r->signing;

        s->sign = delta_sign_free(s->sign);
        receiver_delta_close(&s->basis);
}

void receiver_delta_stop_search(struct receiver *r)
{
        if (r->signing.sign && r->signing.is_search)
                stop_signing(r);
}

static uint64_t new_seed(void)
{
        uint64_t seed = 0;

        while (seed == 0)
                (void)getrandom(&seed, sizeof(seed), 0);
        return seed;
}

/* Return 1 when it has begun; 0 when the file is asked for whole instead; or a negative errno with @err filled. */
static int begin(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, struct err *err)
{
        struct receiver_signing *s = &r->signing;
        struct delta_sign_config config;
        struct message_place place;
        struct entry want;
        struct visit v;
        size_t end;
        int code = receiver_entry_at(r, n, p->offset, &want, &place, &end, err);

        if (code < 0)
                return code;
        code = receiver_visit(r, n, &v, err);
        s->basis = (struct delta_basis){ .old = -1, .partial = -1 };
        if (code == 0)
                receiver_delta_open(r, &v, &want, &s->basis);
        visit_deinit(&v);
        if (code < 0 && forgive(code, err) < 0)
                return code;
        p->seed = new_seed();
        config = (struct delta_sign_config){ .basis = s->basis, .new_size = want.size, .seed = p->seed };
        s->number = n->number;
        s->index = p->index;
        s->is_search = false;
        code = delta_pays(&s->basis, want.size) ? delta_sign_new(&s->sign, &config) : DELTA_SHORT;
        if (code == -ENOMEM)
                return err_oom(err);
        if (code == 0) {
                r->signature_bytes += p->signature_bytes;
                return 1;
        }
        p->seed = 0;
        receiver_delta_close(&s->basis);
        return receiver_ask_whole(r, n, p, err);
}

/* Return 1 when one has begun or there is another to look at, 0 when there is nothing to do, or a negative errno. */
static int begin_next(struct receiver *r, struct err *err)
{
        struct receiver_delta_ask *ask = r->delta_first;
        struct receiver_node *n = ask ? ask->node : NULL;
        struct receiver_pending *p = ask ? receiver_pending_find(n, ask->index) : NULL;
        int code;

        if (!p)
                return 0;
        if (r->signature_bytes > 0 && r->signature_bytes + p->signature_bytes > MESSAGE_SIGNATURES_MAX)
                return 0;
        receiver_delta_forget(r, p);
        code = begin(r, n, p, err);
        return code < 0 ? code : 1;
}

static int send_piece_for(struct receiver *r, uint64_t number, uint32_t index, const void *data, size_t size,
                          struct err *err)
{
        struct wire *w = channel_wire(r->config->channel);
        struct buf *b = wire_begin(w, MESSAGE_WANT_DELTA);

        if (pack_varint(b, number) < 0 || pack_varint(b, index) < 0 || pack_u8(b, size > 0) < 0 ||
            buf_append(b, data, size) < 0)
                return err_oom(err);
        return wire_end(w, err);
}

static int send_piece(struct receiver *r, const void *data, size_t size, struct err *err)
{
        return send_piece_for(r, r->signing.number, r->signing.index, data, size, err);
}

int receiver_delta_decline(struct receiver *r, struct err *err)
{
        return send_piece_for(r, r->content.node->number, r->content.index, "", 0, err);
}

/* The old version cannot be read to its end: the signature ends here, and what comes of it will not be right. */
static int give_up(struct receiver *r, struct err *err)
{
        struct receiver_node *n = receiver_node_find(r, r->signing.number);
        struct receiver_pending *p = n ? receiver_pending_find(n, r->signing.index) : NULL;
        int code = send_piece(r, "", 0, err);

        if (p && !r->signing.is_search)
                p->is_cut_off = true;
        stop_signing(r);
        return code < 0 ? code : 1;
}

int receiver_delta_sign(struct receiver *r, struct err *err)
{
        struct receiver_signing *s = &r->signing;
        char data[PIECE];
        size_t size;
        int code;

        if (!s->sign)
                return begin_next(r, err);
        code = delta_sign_read(s->sign, data, sizeof(data), &size);
        if (code == -ENOMEM)
                return err_oom(err);
        if (code == -ECANCELED)
                return stop_check(err) < 0 ? err->code : 1;
        if (code != 0)
                return give_up(r, err);
        code = send_piece(r, data, size, err);
        if (size == 0)
                stop_signing(r);
        return code < 0 ? code : 1;
}

/* The sender waits for it: what else is being signed is finished first. */
int receiver_delta_search(struct receiver *r, const struct delta_range *range, struct err *err)
{
        struct receiver_signing *s = &r->signing;
        int code = 0;

        while (s->sign && code >= 0) {
                code = receiver_delta_sign(r, err);
                if (code >= 0)
                        code = receiver_breathe(r, err);
        }
        if (code < 0)
                return code;
        code = delta_sign_search_new(&s->sign, &r->content.basis, range);
        if (code < 0)
                return code == -ENOMEM ? err_oom(err) : receiver_refuse(err, "a search where there is nothing");
        s->basis = (struct delta_basis){ .old = -1, .partial = -1 };
        s->number = r->content.node->number;
        s->index = r->content.index;
        s->is_search = true;
        return 0;
}

void receiver_delta_deinit(struct receiver *r)
{
        stop_signing(r);
        for (struct receiver_delta_ask *ask = r->delta_first, *next; ask; ask = next) {
                next = ask->next;
                free(ask);
        }
}
