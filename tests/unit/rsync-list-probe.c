/*
 * File lists as rsync is sent them, without a conversation around them (tests/peers/rsync-list.py):
 *
 *      rsync-list-probe PROTOCOL COMPAT ROOT NUMBERS   the tree, its lists one after the other on standard output as
 * the compat flags say, and what each number leads to in the file NUMBERS: NUMBER TYPE PATH, with a NUL behind each
 *      rsync-list-probe PROTOCOL COMPAT ROOT           what standard input says, in orders that end in NUL: bSTART
 * begins a list, eFLAGS:PATH is an entry, zERROR ends the list
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/entry.h"
#include "base/fd.h"
#include "transfer/rsync/rsync_entry.h"
#include "transfer/rsync/rsync_lists.h"
#include "transfer/rsync/rsync_number.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

struct probe {
        int root;
        struct rsync_session session;
        struct rsync_encoder *encoder;
        struct rsync_lists *lists;
        struct rsync_index index;
        struct buf out, path;
        unsigned io_error;
        int32_t last; /* number that leads somewhere */
};

static void need(bool is_good, const char *what)
{
        if (!is_good) {
                fprintf(stderr, "rsync-list-probe: %s: %s\n", what, strerror(errno));
                exit(1);
        }
}

static void need_zero(int r, const char *what)
{
        errno = -r;
        need(r == 0, what);
}

/* The directory that @path is in, and its last component. */
static int open_parent(const struct probe *p, const char *path, const char **ret_name)
{
        const char *slash = strrchr(path, '/');
        char *parent = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
        int fd;

        need(parent, "memory");
        fd = openat(p->root, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        need(fd >= 0, parent);
        free(parent);
        *ret_name = slash ? slash + 1 : path;
        return fd;
}

/* Return false when the entry cannot be put. */
static bool put(struct probe *p, const char *path, unsigned flags)
{
        struct arena arena = { .chunk = NULL };
        struct entry entry;
        const char *name, *failed;
        int fd = open_parent(p, path, &name), r;

        r = entry_load(&entry, fd, name, &arena, &failed);
        need_zero(r, path);
        r = rsync_encoder_put(p->encoder, &p->out, path, &entry, flags);
        if (r < 0)
                fprintf(stderr, "rsync-list-probe: '%s' is left out: %s\n", path, strerror(-r));
        arena_deinit(&arena);
        close(fd);
        return r == 0;
}

static void flush(struct probe *p)
{
        need(fwrite(p->out.data, 1, p->out.size, stdout) == p->out.size, "standard output");
        buf_truncate(&p->out, 0);
}

/* ---- the tree ---- */

struct names {
        struct name {
                mode_t mode;
                char *name;
        } * items;
        size_t count;
};

static int compare(const void *a, const void *b)
{
        const struct name *x = a, *y = b;

        if (S_ISDIR(x->mode) != S_ISDIR(y->mode))
                return S_ISDIR(x->mode) ? 1 : -1;
        return S_ISDIR(x->mode) ? rsync_compare_directories(x->name, y->name) : strcmp(x->name, y->name);
}

static struct names list(const struct probe *p, const char *path)
{
        struct names n = { .items = NULL };
        int fd = openat(p->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fdopendir(fd);
        const struct dirent *d;
        struct stat st;

        need(dir, path);
        while ((d = readdir(dir))) {
                if (str_equal(d->d_name, ".") || str_equal(d->d_name, ".."))
                        continue;
                need(fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0, d->d_name);
                n.items = reallocarray(n.items, n.count + 1, sizeof(*n.items));
                need(n.items, "memory");
                n.items[n.count++] = (struct name){ .mode = st.st_mode, .name = strdup(d->d_name) };
        }
        closedir(dir);
        if (n.count > 0)
                qsort(n.items, n.count, sizeof(*n.items), compare);
        return n;
}

static void names_free(struct names n)
{
        for (size_t i = 0; i < n.count; i++)
                free(n.items[i].name);
        free(n.items);
}

static void put_directory(struct probe *p, const char *path, int32_t number)
{
        struct names names = list(p, path);

        for (size_t i = 0; i < names.count; i++) {
                const struct name *n = &names.items[i];
                struct buf below = { .data = NULL };
                int32_t child;

                if (!str_equal(path, "."))
                        need_zero(buf_printf(&below, "%s/", path), "memory");
                need_zero(buf_puts(&below, n->name), "memory");
                need_zero(rsync_lists_add(p->lists, number, n->name, n->mode, 0, &child), below.data);
                if (!put(p, below.data, 0))
                        rsync_lists_take_back(p->lists);
                else {
                        p->last = child;
                        if (S_ISDIR(n->mode) && !(p->session.compat & RSYNC_COMPAT_INCREMENTAL))
                                put_directory(p, below.data, child);
                }
                buf_deinit(&below);
        }
        names_free(names);
}

static void end(struct probe *p)
{
        need_zero(rsync_lists_end(p->lists), "the end of a list");
        need(rsync_encoder_end(p->encoder, &p->out, p->io_error) >= 0, "the end of a list");
        flush(p);
}

static void begin(struct probe *p, int32_t *ret_start)
{
        need_zero(rsync_lists_begin(p->lists, ret_start), "the beginning of a list");
        rsync_encoder_begin(p->encoder, *ret_start);
        p->last = *ret_start - 1;
}

static void put_tree(struct probe *p)
{
        int32_t start, root, directory;
        unsigned flags;

        begin(p, &start);
        need_zero(rsync_lists_add(p->lists, start - 1, ".", S_IFDIR | 0755, RSYNC_ENTRY_TOP, &root), ".");
        need(put(p, ".", RSYNC_ENTRY_TOP), ".");
        put_directory(p, ".", root);
        end(p);
        while (p->session.compat & RSYNC_COMPAT_INCREMENTAL &&
               rsync_lists_next(p->lists, &directory, &flags, &p->path) == 0) {
                need_zero(rsync_put_index(&p->out, &p->index, RSYNC_INDEX_LIST - directory), "memory");
                begin(p, &start);
                put_directory(p, p->path.data, start - 1);
                end(p);
        }
        if (p->session.compat & RSYNC_COMPAT_INCREMENTAL)
                need_zero(rsync_put_index(&p->out, &p->index, RSYNC_INDEX_LISTS_END), "memory");
        flush(p);
}

static void tell_numbers(struct probe *p, const char *to)
{
        FILE *file = fopen(to, "we");
        struct rsync_item item;

        need(file, to);
        for (int32_t number = 0; number <= p->last; number++) {
                if (rsync_lists_find(p->lists, number, &item, &p->path) < 0)
                        continue;
                fprintf(file, "%d %c %s%c", number,
                        S_ISREG(item.mode)   ? 'f'
                        : S_ISDIR(item.mode) ? 'd'
                                             : 'o',
                        p->path.data, '\0');
        }
        need(fclose(file) == 0, to);
}

/* ---- orders ---- */

static void obey(struct probe *p, const char *order)
{
        char *rest;
        unsigned long n = strtoul(order + 1, &rest, 10);

        if (order[0] == 'b')
                rsync_encoder_begin(p->encoder, (int32_t)n);
        else if (order[0] == 'e')
                need(put(p, rest + 1, (unsigned)n), rest + 1);
        else
                need(rsync_encoder_end(p->encoder, &p->out, (unsigned)n) >= 0, "the end of a list");
        flush(p);
}

static void obey_all(struct probe *p)
{
        char *order = NULL;
        size_t capacity = 0;

        while (getdelim(&order, &capacity, '\0', stdin) > 0)
                obey(p, order);
        free(order);
}

int main(int argc, char **argv)
{
        struct probe p = { .index = RSYNC_INDEX_FRESH };

        if (argc < 4 || argc > 5) {
                fputs("usage: rsync-list-probe PROTOCOL COMPAT ROOT [NUMBERS]\n", stderr);
                return 2;
        }
        p.session = (struct rsync_session){ .protocol = atoi(argv[1]), .compat = (unsigned)strtoul(argv[2], NULL, 0) };
        p.root = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        need(p.root >= 0, argv[3]);
        p.encoder = rsync_encoder_new(&p.session);
        p.lists = rsync_lists_new(p.session.compat & RSYNC_COMPAT_INCREMENTAL);
        need(p.encoder && p.lists, "memory");
        if (argc == 5) {
                put_tree(&p);
                tell_numbers(&p, argv[4]);
        } else
                obey_all(&p);
        need(fflush(stdout) == 0, "standard output");
        rsync_encoder_free(p.encoder);
        rsync_lists_free(p.lists);
        buf_deinit(&p.out);
        buf_deinit(&p.path);
        close(p.root);
        return 0;
}
