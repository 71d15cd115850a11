/*
 * Depth first, one directory at a step. What a directory holds goes in the order in which the server will number it:
 * all that is no directory, then the directories.
 *
 *      lists one by one:   each directory's entries are a list of their own, announced by the directory's number
 *      one list alone:     an entry of a directory comes when it is gone into, with all that is below it behind it
 *
 * Either way the order on the wire is that of the numbers, so that nothing has to be sorted here but the directories of
 * one directory.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "transfer/rsync/rsync_parts.h"

#include <errno.h>

/* The path as the source has it: "" for the root. */
static const char *here(const struct rsync_walk *w)
{
        return buf_text(&w->path);
}

/* ---- entries ---- */

static int append_name(struct buf *path, const char *name)
{
        if (path->size > 0 && buf_putc(path, '/') < 0)
                return -ENOMEM;
        return buf_puts(path, name);
}

/* The entry at `path`, which is complete, by the last part of that. Return as rsync_send_entry(). */
static int put(struct rsync_push *p, const struct entry *e, const char *name, unsigned flags, int32_t *ret_number,
               struct err *err)
{
        const struct rsync_place place = {
                .parent = p->walk.parent, .name = name, .path = here(&p->walk), .flags = flags
        };
        int r = rsync_send_entry(p, &place, e, ret_number, err);

        if (r <= 0)
                return r;
        report_add(p->config->report, REPORT_ENTRIES, 1);
        if (entry_is_file(e) && !rsync_encoder_has_repeated(p->encoder))
                report_add(p->config->report, REPORT_BYTES, e->size);
        return 1;
}

static unsigned flags_of(bool content_omitted)
{
        return content_omitted ? RSYNC_ENTRY_CONTENT_OMITTED : 0;
}

/* The same for an entry of the directory at `path`. */
static int put_below(struct rsync_push *p, const struct entry *e, struct err *err)
{
        struct rsync_walk *w = &p->walk;
        size_t size = w->path.size;
        int32_t number;
        int r;

        if (append_name(&w->path, e->name) < 0)
                return err_oom(err);
        r = put(p, e, e->name, flags_of(e->content_omitted), &number, err);
        buf_truncate(&w->path, size);
        return r < 0 ? r : 0;
}

/* What came of looking at @name: 0, SOURCE_VANISHED, or a negative errno with @err filled. Return 1 when it is there.
 */
static int settle(struct rsync_push *p, int r, const char *name, struct err *err)
{
        if (r == SOURCE_VANISHED) {
                rsync_push_vanish(p, here(&p->walk), name);
                return 0;
        }
        if (r == 0)
                return 1;
        if (err->kind != ERR_ITEM)
                return r;
        rsync_push_lose(p, err);
        return 0;
}

/* ---- one directory ---- */

/* A directory in it, as long as its entries are read; in the arena of the walk. */
struct found {
        const char *name;
        bool content_omitted, is_closed; /* see source_closed_mount() */
};

struct found_list {
        struct found *items; /* malloc'd */
        size_t count, capacity;
};

static void found_list_deinit(struct found_list *l)
{
        free(l->items);
}

static int keep_directory(struct rsync_walk *w, struct found_list *l, const struct entry *e)
{
        if (l->count == l->capacity) {
                size_t capacity = size_max(l->capacity * 2, 16);
                struct found *items = reallocarray(l->items, capacity, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                l->items = items;
                l->capacity = capacity;
        }
        l->items[l->count] = (struct found){ .name = arena_copy(&w->arena, e->name, strlen(e->name)),
                                             .content_omitted = e->content_omitted,
                                             .is_closed = !e->is_bare };
        return l->items[l->count++].name ? 0 : -ENOMEM;
}

static int compare_found(const void *a, const void *b)
{
        return rsync_compare_directories(((const struct found *)a)->name, ((const struct found *)b)->name);
}

/* All but the directories go at once. */
static int read_entries(struct rsync_push *p, struct source_dir *d, struct found_list *directories, struct err *err)
{
        struct entry e;
        int r;

        while ((r = source_next(d, &e, err)) != SOURCE_END) {
                if (r == 0 && entry_is_dir(&e)) {
                        if (keep_directory(&p->walk, directories, &e) < 0)
                                return err_oom(err);
                        continue;
                }
                if (r == 0)
                        r = source_load(d, &e, err);
                r = settle(p, r, e.name, err);
                if (r > 0)
                        r = put_below(p, &e, err);
                if (r == 0)
                        r = rsync_talk_breathe(&p->talk, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_child(struct rsync_walk *w, const struct found *f)
{
        const struct rsync_child child = { .content_omitted = f->content_omitted,
                                           .is_closed = f->is_closed,
                                           .name_size = strlen(f->name) + 1 };

        if (buf_append(&w->children, &child, sizeof(child)) < 0)
                return -ENOMEM;
        return buf_append(&w->children, f->name, child.name_size);
}

/* Of a directory that was found just before. Return as settle(). */
static int load_directory(struct rsync_push *p, struct source_dir *d, const struct found *f, struct entry *e,
                          struct err *err)
{
        int r = entry_stat(e, d->fd, f->name);

        e->name = f->name;
        e->content_omitted = f->content_omitted;
        if (r == -ENOENT || (r == 0 && !entry_is_dir(e)))
                r = SOURCE_VANISHED;
        else if (r < 0)
                r = err_item_at(err, r, "read the metadata of", d->path, f->name);
        else
                r = source_load(d, e, err);
        return settle(p, r, f->name, err);
}

static int put_found(struct rsync_push *p, struct source_dir *d, const struct found *f, struct err *err)
{
        struct entry e;
        int r;

        arena_release(d->arena, d->mark);
        if (f->is_closed) {
                e = source_closed_mount(f->name);
                return put_below(p, &e, err);
        }
        r = load_directory(p, d, f, &e, err);
        return r > 0 ? put_below(p, &e, err) : r;
}

/* Its directories: with lists that come one by one their entries stand here, else they are gone into later. */
static int read_directories(struct rsync_push *p, struct source_dir *d, struct found_list *l, struct err *err)
{
        int r = 0;

        if (l->count > 1)
                qsort(l->items, l->count, sizeof(*l->items), compare_found);
        for (size_t i = 0; i < l->count && r == 0; i++) {
                if (rsync_push_is_incremental(p))
                        r = put_found(p, d, &l->items[i], err);
                else if (add_child(&p->walk, &l->items[i]) < 0)
                        r = err_oom(err);
        }
        return r;
}

static int read_content(struct rsync_push *p, int fd, dev_t dev, struct err *err)
{
        _cleanup_(found_list_deinit) struct found_list directories = { .items = NULL };
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        struct rsync_walk *w = &p->walk;
        struct arena_mark mark = arena_mark(&w->arena);
        struct source_dir d = { .source = p->config->source, .fd = fd, .dev = dev, .path = here(w), .arena = &arena };
        _cleanup_(freep) char *path = strdup(d.path);
        int r;

        /* `path` moves while entries are appended to it. */
        if (!path)
                return err_oom(err);
        d.path = path;
        r = source_list(&d, err);
        if (r == -ENOENT && *path) {
                err_drop(err, "it went away after it was opened");
                r = settle(p, SOURCE_VANISHED, "", err);
        } else if (r < 0)
                r = settle(p, r, "", err);
        else
                r = read_entries(p, &d, &directories, err);
        if (r == 0)
                r = read_directories(p, &d, &directories, err);
        source_close(&d);
        arena_release(&w->arena, mark);
        return r;
}

/* Open the directory at `path`. Return a descriptor, or a negative errno with @err filled or, when it is gone, empty.
 */
static int open_here(struct rsync_push *p, struct entry *e, struct err *err)
{
        _cleanup_(fd_closep) int fd = fd_open_beneath(source_root_fd(p->config->source), here(&p->walk), 0);
        int r = fd < 0 ? fd : entry_stat_fd(e, fd);

        /* Something was mounted there since it was listed. */
        if (r == 0 && !source_takes_in(p->config->source, e->dev))
                r = -ENOENT;
        if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP) {
                rsync_push_vanish(p, here(&p->walk), "");
                return r;
        }
        if (r < 0) {
                (void)err_item_at(err, r, "read directory", here(&p->walk), "");
                rsync_push_lose(p, err);
                return r;
        }
        return TAKE_FD(fd);
}

static int read_here(struct rsync_push *p, struct err *err)
{
        struct entry e;
        _cleanup_(fd_closep) int fd = open_here(p, &e, err);

        return fd < 0 ? 0 : read_content(p, fd, e.dev, err);
}

/* ---- lists ---- */

/* For one list alone: a directory at `path`, with the number `parent`, whose own directories are found next. */
static int push_frame(struct rsync_walk *w)
{
        if (w->depth == w->capacity) {
                size_t capacity = size_max(w->capacity * 2, 64);
                struct rsync_frame *frames = reallocarray(w->frames, capacity, sizeof(*frames));

                if (!frames)
                        return -ENOMEM;
                w->frames = frames;
                w->capacity = capacity;
        }
        w->frames[w->depth++] = (struct rsync_frame){
                .path_size = w->path.size, .children = w->children.size, .next = w->children.size, .item = w->parent
        };
        return 0;
}

/* The root: its own entry, then what is in it. */
static int begin(struct rsync_push *p, struct err *err)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        int r, root = source_root_fd(p->config->source);
        const char *failed;
        struct entry e;

        r = entry_load_fd(&e, root, "", &arena, &failed);
        if (r < 0)
                return err_run(err, r, failed, "the source directory");
        r = rsync_send_begin(p, &p->walk.parent, err);
        if (r == 0)
                r = put(p, &e, ".", RSYNC_ENTRY_TOP, &p->walk.parent, err);
        if (r == 0)
                return err_runf(err, -EINVAL, "the metadata of the source directory cannot be sent");
        if (r > 0 && !rsync_push_is_incremental(p))
                r = push_frame(&p->walk) < 0 ? err_oom(err) : 1;
        return r < 0 ? r : read_content(p, root, e.dev, err);
}

/* ---- one list alone ---- */

/* The directory's own entry comes now. Return 1 when it was sent, 0 when it is not there any more. */
static int put_directory(struct rsync_push *p, const struct rsync_child *child, const char *name, struct err *err)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        struct rsync_walk *w = &p->walk;
        struct entry e = source_closed_mount(name);
        int r = child->is_closed ? 0 : rsync_file_load(p, here(w), &arena, &e, err);

        if (r == 0 && !entry_is_dir(&e))
                r = SOURCE_VANISHED;
        r = settle(p, r, "", err);
        return r > 0 ? put(p, &e, name, flags_of(child->content_omitted), &w->parent, err) : r;
}

/* The next one below the last frame. Its name is copied, since what is found in it moves the buffer. */
static int enter_next(struct rsync_push *p, struct err *err)
{
        struct rsync_walk *w = &p->walk;
        struct rsync_frame *f = &w->frames[w->depth - 1];
        _cleanup_(freep) char *name = NULL;
        struct rsync_child child;
        int r;

        memcpy(&child, w->children.data + f->next, sizeof(child));
        name = str_copy(w->children.data + f->next + sizeof(child), child.name_size);
        f->next += sizeof(child) + child.name_size;
        w->parent = f->item;
        buf_truncate(&w->path, f->path_size);
        if (!name || append_name(&w->path, name) < 0)
                return err_oom(err);
        r = put_directory(p, &child, name, err);
        if (r <= 0)
                return r;
        if (push_frame(w) < 0)
                return err_oom(err);
        return child.content_omitted ? 0 : read_here(p, err);
}

static int step_alone(struct rsync_push *p, struct err *err)
{
        struct rsync_walk *w = &p->walk;

        if (w->frames[w->depth - 1].next < w->children.size)
                return enter_next(p, err);
        w->depth--;
        buf_truncate(&w->children, w->frames[w->depth].children);
        p->is_told = w->depth == 0;
        return p->is_told ? rsync_send_end(p, err) : 0;
}

/* ---- lists one by one ---- */

static int step_incremental(struct rsync_push *p, struct err *err)
{
        struct rsync_walk *w = &p->walk;
        unsigned flags = 0;
        int r = rsync_send_next(p, &flags, &w->path, err);

        if (r <= 0)
                return r;
        r = rsync_send_begin(p, &w->parent, err);
        if (r == 0 && !(flags & RSYNC_ENTRY_CONTENT_OMITTED))
                r = read_here(p, err);
        return r == 0 ? rsync_send_end(p, err) : r;
}

static int step(struct rsync_push *p, struct err *err)
{
        int r;

        if (p->walk.has_begun)
                return rsync_push_is_incremental(p) ? step_incremental(p, err) : step_alone(p, err);
        p->walk.has_begun = true;
        r = begin(p, err);
        return r == 0 && rsync_push_is_incremental(p) ? rsync_send_end(p, err) : r;
}

static void deinit(struct rsync_push *p)
{
        struct rsync_walk *w = &p->walk;

        free(w->frames);
        buf_deinit(&w->children);
        buf_deinit(&w->path);
        arena_deinit(&w->arena);
}

const struct rsync_teller rsync_teller_walk = { .step = step, .deinit = deinit };
