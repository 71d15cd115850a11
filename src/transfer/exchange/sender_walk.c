/*
 * Depth first. A frame stands for a directory whose subdirectories are being gone through; what was found of those is
 * in one buffer for all frames, which grows at the end with each directory that is read, and shrinks when it is left:
 *
 *      children:  | of the root ... | of the second frame ... | of the last frame ... |
 *                      ^ next             ^ next                  ^ next
 *
 * A directory may be done with for the receiver while the walk is still in it.
 */
#include "base/err.h"
#include "transfer/exchange/sender.h"
#include "transfer/exchange/sender_parts.h"

#include <errno.h>

static int push(struct sender_walk *w, struct sender_node *n)
{
        if (w->depth == w->capacity) {
                size_t capacity = size_max(w->capacity * 2, 64);
                struct sender_frame *frames = reallocarray(w->frames, capacity, sizeof(*frames));

                if (!frames)
                        return -ENOMEM;
                w->frames = frames;
                w->capacity = capacity;
        }
        w->frames[w->depth++] = (struct sender_frame){ .node = sender_node_ref(n),
                                                       .children = w->children.size,
                                                       .next = w->children.size };
        return 0;
}

static void pop(struct sender *s)
{
        struct sender_walk *w = &s->walk;
        struct sender_frame *f = &w->frames[--w->depth];

        buf_truncate(&w->children, f->children);
        sender_tell_complete(s, f->node);
        sender_node_unref(s, f->node);
}

/* Go into a directory: its frame is there before it is read, to gather what is found. */
static int enter(struct sender *s, struct sender_node *parent, const struct sender_child *child, const char *name,
                 const char *entry, struct err *err)
{
        struct sender_node *n = sender_node_new(s, parent, name);

        if (!n)
                return err_oom(err);
        if (child) {
                n->dev = child->dev;
                n->ino = child->ino;
        } else
                n->fd = source_root_fd(s->config->source);
        if (push(&s->walk, n) < 0)
                return err_oom(err);
        return sender_read_begin(s, n, child, entry, err);
}

/* The next one below the last frame. What was found of it is copied: reading it moves the buffer. */
static int enter_next(struct sender *s, struct err *err)
{
        struct sender_walk *w = &s->walk;
        struct sender_frame *f = &w->frames[w->depth - 1];
        const char *at = w->children.data + f->next;
        struct sender_child child;
        size_t size;

        memcpy(&child, at, sizeof(child));
        at += sizeof(child);
        size = child.name_size + child.entry_size;
        f->next += sizeof(child) + size;
        buf_truncate(&w->next, 0);
        if (buf_append(&w->next, at, size) < 0)
                return err_oom(err);
        return enter(s, f->node, &child, w->next.data, w->next.data + child.name_size, err);
}

int sender_walk_step(struct sender *s, struct err *err)
{
        struct sender_walk *w = &s->walk;

        if (s->read.node)
                return sender_read_step(s, err);
        if (!w->has_begun) {
                w->has_begun = true;
                return enter(s, NULL, NULL, MESSAGE_ROOT_NAME, NULL, err);
        }
        if (w->frames[w->depth - 1].next < w->children.size)
                return enter_next(s, err);
        pop(s);
        return 0;
}

bool sender_walk_is_over(const struct sender *s)
{
        return s->walk.has_begun && s->walk.depth == 0;
}

void sender_walk_deinit(struct sender *s)
{
        struct sender_walk *w = &s->walk;

        while (w->depth > 0)
                sender_node_unref(s, w->frames[--w->depth].node);
        free(w->frames);
        buf_deinit(&w->children);
        buf_deinit(&w->next);
}
