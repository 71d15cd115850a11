/*
 * A directory is here from when the walk meets it until the receiver has done with it, and with all below it. Its
 * descriptor stays open until too many others are: then the one is closed that was used longest ago, which is one
 * nearer to the root than those that are worked on. Opening it again goes down from the nearest that is open, one
 * component at a time, since paths may be too long for one call, and a directory that was moved must not be taken for
 * another.
 */
#include "base/err.h"
#include "base/fd.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/sender.h"
#include "transfer/exchange/sender_parts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

enum { OPEN_MAX = 256, OPEN_MIN = 8 };

void sender_node_init(struct sender *s)
{
        struct rlimit limit;

        s->nodes.open_max = OPEN_MAX;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < OPEN_MAX)
                s->nodes.open_max = (unsigned)size_max((size_t)limit.rlim_cur / 4, OPEN_MIN);
}

/* ---- those that are open ---- */

static void open_remove(struct sender_nodes *nodes, struct sender_node *n)
{
        if (n->older)
                n->older->newer = n->newer;
        else
                nodes->oldest = n->newer;
        if (n->newer)
                n->newer->older = n->older;
        else
                nodes->newest = n->older;
        n->older = n->newer = NULL;
        nodes->open_count--;
}

static void open_append(struct sender_nodes *nodes, struct sender_node *n)
{
        n->older = nodes->newest;
        n->newer = NULL;
        if (nodes->newest)
                nodes->newest->newer = n;
        else
                nodes->oldest = n;
        nodes->newest = n;
        nodes->open_count++;
}

static void close_node(struct sender_nodes *nodes, struct sender_node *n)
{
        open_remove(nodes, n);
        n->fd = fd_close(n->fd);
}

/* ---- their lives ---- */

static struct sender_node **slot(const struct sender *s, uint64_t number)
{
        return (struct sender_node **)&s->nodes.table[number % SENDER_TABLE_SIZE];
}

struct sender_node *sender_node_new(struct sender *s, struct sender_node *parent, const char *name)
{
        size_t length = strlen(name);
        struct sender_node *n = calloc(1, sizeof(*n) + length + 1);

        if (!n)
                return NULL;
        memcpy(n->name, name, length + 1);
        n->number = s->nodes.next_number++;
        n->parent = parent ? sender_node_ref(parent) : NULL;
        n->depth = parent ? parent->depth + 1 : 0;
        n->fd = -1;
        n->refs = n->holds = 1;
        n->next = *slot(s, n->number);
        *slot(s, n->number) = n;
        s->nodes.count++;
        return n;
}

struct sender_node *sender_node_find(const struct sender *s, uint64_t number)
{
        struct sender_node *n = *slot(s, number);

        while (n && n->number != number)
                n = n->next;
        return n;
}

struct sender_node *sender_node_ref(struct sender_node *n)
{
        n->refs++;
        return n;
}

/* Not by recursion: a tree can be deep. */
void sender_node_unref(struct sender *s, struct sender_node *n)
{
        while (n && --n->refs == 0) {
                struct sender_node *parent = n->parent;

                if (n->fd >= 0 && parent)
                        close_node(&s->nodes, n);
                free(n);
                n = parent;
        }
}

void sender_node_hold(struct sender_node *n)
{
        n->holds++;
}

static size_t bytes_of(const struct sender_node *n)
{
        return n->own.size + n->links.size + n->listing.size;
}

void sender_node_count(struct sender *s, struct sender_node *n)
{
        s->nodes.bytes += bytes_of(n);
        s->nodes.entries += n->entries;
}

static void forget_bytes(struct sender_bytes *b)
{
        free(b->data);
        *b = (struct sender_bytes){ .data = NULL };
}

static void forget(struct sender_node *n)
{
        forget_bytes(&n->own);
        forget_bytes(&n->links);
        forget_bytes(&n->listing);
        free(n->marks);
        n->marks = NULL;
}

void sender_node_release(struct sender *s, struct sender_node *n)
{
        struct sender_node **at = slot(s, n->number);

        if (--n->holds > 0)
                return;
        while (*at != n)
                at = &(*at)->next;
        *at = n->next;
        s->nodes.count--;
        s->nodes.bytes -= bytes_of(n);
        s->nodes.entries -= n->entries;
        forget(n);
        sender_node_unref(s, n);
}

void sender_node_deinit(struct sender *s)
{
        for (size_t i = 0; i < SENDER_TABLE_SIZE; i++) {
                while (s->nodes.table[i]) {
                        s->nodes.table[i]->holds = 1;
                        sender_node_release(s, s->nodes.table[i]);
                }
        }
}

/* ---- where they are ---- */

int sender_node_path(const struct sender_node *n, struct buf *ret)
{
        size_t length = 0, at;

        for (const struct sender_node *p = n; p->parent; p = p->parent)
                length += strlen(p->name) + (p->parent->parent ? 1 : 0);
        buf_truncate(ret, 0);
        if (buf_reserve(ret, length) < 0)
                return -ENOMEM;
        at = ret->size = length;
        ret->data[length] = '\0';
        for (const struct sender_node *p = n; p->parent; p = p->parent) {
                size_t size = strlen(p->name);

                memcpy(ret->data + (at -= size), p->name, size);
                if (p->parent->parent)
                        ret->data[--at] = '/';
        }
        return 0;
}

/* What is stale to the kernel may be there still: then it is one that cannot be read. */
static int judge(const struct sender_node *n, int parent, int code)
{
        struct entry now;
        int r;

        if (code == -ENOENT || code == -ENOTDIR || code == -ELOOP)
                return SENDER_GONE;
        if (code != -ESTALE)
                return code;
        r = entry_stat(&now, parent, n->name);
        return r == -ENOENT || (r == 0 && (now.ino != n->ino || now.dev != n->dev)) ? SENDER_GONE : code;
}

static int open_below(struct sender_nodes *nodes, struct sender_node *n, int parent)
{
        _cleanup_(fd_closep) int fd = fd_open_at(parent, n->name, O_DIRECTORY);
        struct stat st;

        if (fd < 0)
                return judge(n, parent, fd);
        if (fstat(fd, &st) < 0)
                return judge(n, parent, -errno);
        if (st.st_ino != n->ino || st.st_dev != n->dev)
                return SENDER_GONE;
        n->fd = TAKE_FD(fd);
        open_append(nodes, n);
        return 0;
}

static void touch(struct sender_nodes *nodes, struct sender_node *n)
{
        if (!n->parent || nodes->newest == n)
                return;
        open_remove(nodes, n);
        open_append(nodes, n);
}

/* But for the one that is being read. */
static void make_room(struct sender *s)
{
        while (s->nodes.open_count >= s->nodes.open_max && s->nodes.oldest) {
                if (s->nodes.oldest == s->read.node)
                        touch(&s->nodes, s->read.node);
                close_node(&s->nodes, s->nodes.oldest);
        }
}

/* From the nearest that is open down to @n. */
static int open_way(struct sender *s, struct sender_node *n, size_t length)
{
        struct sender_nodes *nodes = &s->nodes;
        _cleanup_(freep) struct sender_node **way = reallocarray(NULL, length, sizeof(struct sender_node *));
        size_t at = length;
        int r = 0;

        if (!way)
                return -ENOMEM;
        for (struct sender_node *p = n; at > 0; p = p->parent)
                way[--at] = p;
        for (; at < length && r == 0; at++) {
                struct sender_node *parent = way[at]->parent;

                assert(parent);
                touch(nodes, parent);
                make_room(s);
                r = open_below(nodes, way[at], parent->fd);
        }
        return r;
}

int sender_node_open(struct sender *s, struct sender_node *n, int *ret_fd)
{
        size_t length = 0;
        int r = 0;

        for (const struct sender_node *p = n; p->fd < 0; p = p->parent)
                length++;
        if (length > 0)
                r = open_way(s, n, length);
        else
                touch(&s->nodes, n);
        *ret_fd = n->fd;
        return r;
}

/* ---- whole trees ---- */

void sender_node_make_whole(struct sender *s, struct sender_node *n)
{
        n->is_whole = true;
        s->nodes.whole_asked++;
}

/* Up to where the answer is known; it becomes known for all on the way. */
bool sender_node_is_whole(struct sender *s, struct sender_node *n)
{
        const uint64_t asked = s->nodes.whole_asked;
        struct sender_node *p = n;
        bool is_whole;

        while (p && !p->is_whole && p->whole_checked != asked)
                p = p->parent;
        is_whole = p && p->is_whole;
        for (struct sender_node *q = n; q != p; q = q->parent) {
                q->is_whole = is_whole;
                q->whole_checked = asked;
        }
        return is_whole;
}

/* ---- what is in them ---- */

int sender_node_entry(const struct sender_node *n, size_t index, struct arena *arena, struct entry *ret,
                      struct message_place *ret_place, struct err *err)
{
        size_t mark = n->marks[index / SENDER_MARK_EVERY];
        struct unpack u = unpack_begin(n->listing.data + mark, n->listing.size - mark);

        for (size_t i = index % SENDER_MARK_EVERY; i > 0; i--)
                message_pass_entry(&u);
        if (message_get_entry(&u, ret, ret_place, arena) < 0)
                return err_oom(err);
        assert(!u.broken);
        return 0;
}
