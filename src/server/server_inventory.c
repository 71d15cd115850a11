#include "server/server_inventory.h"

#include "base/err.h"
#include "base/path.h"
#include "local/local_marks.h"
#include "rotate/names.h"
#include "server/server.h"
#include "transfer/rsync/rsync_chore.h"

#include <errno.h>
#include <sys/stat.h>

struct server_inventory *server_inventory_free(struct server_inventory *v)
{
        if (!v)
                return NULL;
        for (size_t i = 0; i < v->count; i++)
                free(v->items[i].name);
        free(v->items);
        free(v);
        return NULL;
}

DEFINE_FREEP(struct server_inventory, server_inventory_free)

/* There are few of them. */
struct server_found *server_inventory_find(struct server_inventory *v, const char *name, int64_t time)
{
        for (size_t i = 0; i < v->count; i++) {
                if (str_equal(v->items[i].name, name))
                        return &v->items[i];
        }
        if (v->count == v->capacity) {
                size_t capacity = size_max(v->capacity * 2, 64);
                struct server_found *items = reallocarray(v->items, capacity, sizeof(*items));

                if (!items)
                        return NULL;
                v->items = items;
                v->capacity = capacity;
        }
        v->items[v->count] = (struct server_found){ .name = strdup(name), .time = time };
        return v->items[v->count].name ? &v->items[v->count++] : NULL;
}

static int note(struct server_inventory *v, const char *name, unsigned mark, struct err *err)
{
        struct server_found *f;
        int64_t time;

        if (!names_parse(name, &time) || str_equal(name, v->latest))
                return 0;
        f = server_inventory_find(v, name, time);
        if (!f)
                return err_oom(err);
        f->marks |= mark;
        return 0;
}

/* A parent serves one destination. */
static int take_owner(struct server_inventory *v, const char *owner, struct err *err)
{
        char shown[PATH_SHOWN];

        v->has_owner = true;
        if (str_equal(owner, v->latest))
                return 0;
        path_show(NULL, owner, shown, sizeof(shown));
        err_runf(err, -EEXIST, "the snapshots that lie beside the destination are of another one, '%s'", shown);
        return err_hint(err, "a directory of its own for each destination");
}

/* "NAME", "NAME.incomplete", "NAME.begun" */
static int take_mark(void *inventory, const char *mark, mode_t mode, uint64_t size, int64_t mtime, struct err *err)
{
        static const struct {
                const char *ending;
                unsigned mark;
        } endings[] = { { LOCAL_MARKS_INCOMPLETE, SERVER_MARK_INCOMPLETE },
                        { SERVER_MARK_BEGUN_ENDING, SERVER_MARK_BEGUN } };
        struct server_inventory *v = inventory;
        size_t length = strlen(mark);

        (void)mode, (void)size, (void)mtime;
        if (str_equal(mark, SERVER_MARK_ADOPTING)) {
                v->is_adopting = true;
                return 0;
        }
        if (str_starts(mark, SERVER_MARK_OF))
                return take_owner(v, mark + strlen(SERVER_MARK_OF), err);
        for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
                _cleanup_(freep) char *name = NULL;
                size_t ending = strlen(endings[i].ending);

                if (length <= ending || !str_equal(mark + length - ending, endings[i].ending))
                        continue;
                name = str_copy(mark, length - ending);
                return name ? note(inventory, name, endings[i].mark, err) : err_oom(err);
        }
        return note(inventory, mark, SERVER_MARK_COMPLETE, err);
}

static int take_name(void *inventory, const char *name, mode_t mode, uint64_t size, int64_t mtime, struct err *err)
{
        (void)size, (void)mtime;
        return S_ISDIR(mode) ? note(inventory, name, SERVER_MARK_IS_THERE, err) : 0;
}

/* Before the first backup nothing need be there; else a wrong name must not look like an empty destination. */
static int take_absence(const struct server *s, struct err *err)
{
        bool is_first = s->d.config->options->backup;

        err_drop(err, is_first ? "nothing is there yet" : "a better one follows");
        if (is_first)
                return 0;
        err_run(err, -ENOENT, "open directory", s->parent);
        return err_hint(err, "there is no backup yet, or a disk is missing there");
}

/* Marks first: what is made meanwhile by others has none of our names. */
static int look(struct server *s, struct server_inventory *v, struct err *err)
{
        _cleanup_(freep) char *marks = server_path(s, RSYNC_CHORE_MARKS), *parent = server_path(s, NULL);
        int r;

        if (!marks || !parent)
                return err_oom(err);
        r = server_list_directory(s, marks, take_mark, v, err);
        v->has_marks = r == 0;
        if (r == -ENOENT) {
                err_drop(err, "there are no marks yet");
                r = 0;
        }
        if (r == 0)
                r = server_list_directory(s, parent, take_name, v, err);
        return r == -ENOENT ? take_absence(s, err) : r;
}

int server_inventory_take(struct server *s, struct err *err)
{
        _cleanup_(server_inventory_freep) struct server_inventory *v = NULL;
        int r;

        if (s->inventory)
                return 0;
        v = calloc(1, sizeof(*v));
        if (!v)
                return err_oom(err);
        v->latest = path_base(s->d.config->options->destination.path);
        r = look(s, v, err);
        if (r == 0)
                s->inventory = TAKE(v);
        return r;
}
