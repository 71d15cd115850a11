/*
 * Entries are an array, with names in another, and know their parent by its number: paths are put together when they
 * are asked for. A list under way grows in two buffers; a complete one of a single directory moves to a block of the
 * right size, with the path of the directory. That of a whole tree stays where it is, since copying it would need it
 * twice.
 *
 * Directories whose lists are still to be sent are kept apart from the lists that they are in, which may be gone
 * before: level by level, as many as there are beside the way down to where the walk is.
 */
#include "transfer/rsync/rsync_lists.h"

#include "base/buf.h"
#include "transfer/rsync/rsync_entry.h"
#include "transfer/rsync/rsync_number.h"

#include <assert.h>
#include <sys/stat.h>

struct item {
        uint64_t name : 48; /* where it is among the names */
        uint64_t mode : 16;
        int32_t parent; /* a number; before the start of the list: the directory of the list */
        uint32_t flags;
};

_Static_assert(sizeof(struct item) == 16, "a tree of millions is held in memory");

struct list {
        int32_t start;
        uint32_t count;
        const struct item *items;
        const char *names;
        const char *directory; /* "" for the root */
        void *block;           /* what holds these three; NULL: they are still in the buffers */
};

/* Directories of one list; the names follow each other, each with its flags before it. */
struct level {
        char *block, *next; /* the path of the directory that they are in is at the beginning of the block */
        int32_t number;     /* of the next one */
        uint32_t left;
};

struct rsync_lists {
        bool is_incremental, is_open; /* a list is under way, the last one */
        struct list *lists;
        size_t first, count, capacity; /* those before the first are gone */
        int64_t next_start;
        int32_t directories; /* that have a number */
        uint64_t entries;    /* in lists that are there */

        struct item *items; /* of the list that is under way */
        size_t capacity_items;
        struct buf names;

        struct level *levels;
        size_t level_count, level_capacity;
        struct buf directory; /* of the next list */
};

struct rsync_lists *rsync_lists_new(bool is_incremental)
{
        struct rsync_lists *l = calloc(1, sizeof(*l));

        if (!l)
                return NULL;
        l->is_incremental = is_incremental;
        l->next_start = is_incremental ? 1 : 0;
        return l;
}

struct rsync_lists *rsync_lists_free(struct rsync_lists *l)
{
        if (!l)
                return NULL;
        for (size_t i = l->first; i < l->count; i++)
                free(l->lists[i].block);
        for (size_t i = 0; i < l->level_count; i++)
                free(l->levels[i].block);
        free(l->lists);
        free(l->levels);
        free(l->items);
        buf_deinit(&l->names);
        buf_deinit(&l->directory);
        free(l);
        return NULL;
}

/* Room for one more, at least twice as much as there was. */
static int grow(void **array, size_t *capacity, size_t count, size_t item_size)
{
        size_t wanted = size_max(16, *capacity * 2);
        void *larger;

        if (count < *capacity)
                return 0;
        larger = reallocarray(*array, wanted, item_size);
        if (!larger)
                return -ENOMEM;
        *array = larger;
        *capacity = wanted;
        return 0;
}

#define GROW(array, capacity, count)                                            \
        __extension__({                                                         \
                void *array_ = (array);                                         \
                int r_ = grow(&array_, &(capacity), (count), sizeof(*(array))); \
                (array) = array_;                                               \
                r_;                                                             \
        })

/* ---- adding ---- */

static struct list *last_list(const struct rsync_lists *l)
{
        return &l->lists[l->count - 1];
}

/* Forget where those have been that are gone. */
static void close_gap(struct rsync_lists *l)
{
        if (l->first == 0 || l->first < l->count / 2)
                return;
        memmove(l->lists, l->lists + l->first, (l->count - l->first) * sizeof(*l->lists));
        l->count -= l->first;
        l->first = 0;
}

int rsync_lists_begin(struct rsync_lists *l, int32_t *ret_start)
{
        int r;

        assert(!l->is_open && (l->is_incremental || l->count == 0));
        if (l->next_start > INT32_MAX)
                return -EOVERFLOW;
        close_gap(l);
        r = GROW(l->lists, l->capacity, l->count);
        if (r < 0)
                return r;
        l->lists[l->count++] = (struct list){ .start = (int32_t)l->next_start };
        buf_truncate(&l->names, 0);
        l->is_open = true;
        *ret_start = (int32_t)l->next_start;
        return 0;
}

/* What is no directory comes first. */
static bool is_behind(const char *before, mode_t before_mode, const char *name, mode_t mode)
{
        if (S_ISDIR(before_mode) != S_ISDIR(mode))
                return S_ISDIR(mode);
        if (S_ISDIR(mode))
                return rsync_compare_directories(before, name) < 0;
        return strcmp(before, name) < 0;
}

/* The peer sorts by itself: what we have in another order it would ask for by the numbers of other files. */
static bool is_in_order(const struct rsync_lists *l, int32_t parent, const char *name, mode_t mode)
{
        const struct list *list = last_list(l);
        int32_t at = (int32_t)((int64_t)list->start + list->count - 1);
        const struct item *before;

        if (list->count == 0 || parent == at)
                return parent == at;
        for (; at >= list->start; at = before->parent) {
                before = &l->items[at - list->start];
                if (before->parent == parent)
                        return is_behind(l->names.data + before->name, before->mode, name, mode);
        }
        return false;
}

static bool is_directory(const struct rsync_lists *l, int32_t number)
{
        const struct list *list = last_list(l);

        return number < list->start || S_ISDIR(l->items[number - list->start].mode);
}

int rsync_lists_add(struct rsync_lists *l, int32_t parent, const char *name, mode_t mode, unsigned flags,
                    int32_t *ret_number)
{
        struct list *list = last_list(l);
        int64_t number = (int64_t)list->start + list->count;
        struct item item = {
                .name = l->names.size & ((1ULL << 48) - 1), .mode = mode & 0xffff, .parent = parent, .flags = flags
        };
        int r;

        assert(l->is_open);
        if (!is_in_order(l, parent, name, mode) || !is_directory(l, parent))
                return -EINVAL;
        if (number >= INT32_MAX)
                return -EOVERFLOW;
        r = GROW(l->items, l->capacity_items, list->count);
        r = r < 0 ? r : buf_append(&l->names, name, strlen(name) + 1);
        if (r < 0)
                return r;
        l->items[list->count++] = item;
        l->entries++;
        *ret_number = (int32_t)number;
        return 0;
}

void rsync_lists_take_back(struct rsync_lists *l)
{
        struct list *list = last_list(l);

        assert(l->is_open && list->count > 0);
        buf_truncate(&l->names, l->items[--list->count].name);
        l->entries--;
}

/* ---- directories to come ---- */

static bool is_pending(const struct rsync_lists *l, const struct item *item)
{
        /* The root has its list already. */
        return S_ISDIR(item->mode) && !str_equal(l->names.data + item->name, ".");
}

static int gather_names(const struct rsync_lists *l, const struct list *list, struct buf *ret, uint32_t *ret_count)
{
        int r = buf_append(ret, buf_text(&l->directory), l->directory.size + 1);

        *ret_count = 0;
        for (uint32_t i = 0; i < list->count && r == 0; i++) {
                const struct item *item = &l->items[i];
                const char *name = l->names.data + item->name;

                if (!is_pending(l, item))
                        continue;
                r = buf_putc(ret, (char)item->flags);
                r = r < 0 ? r : buf_append(ret, name, strlen(name) + 1);
                ++*ret_count;
        }
        return r;
}

/* The directories of the list that is complete get their numbers. */
static int push_level(struct rsync_lists *l, const struct list *list)
{
        _cleanup_(buf_deinit) struct buf names = { .data = NULL };
        struct level level;
        int r = gather_names(l, list, &names, &level.left);

        r = r < 0 ? r : GROW(l->levels, l->level_capacity, l->level_count);
        if (r < 0)
                return r;
        /* The root is number 0. */
        level.number = l->directories + (l->directories == 0);
        if (level.left > (uint32_t)(INT32_MAX + RSYNC_INDEX_LIST - level.number))
                return -EOVERFLOW;
        l->directories = level.number + (int32_t)level.left;
        if (level.left == 0)
                return 0;
        level.next = names.data + l->directory.size + 1;
        level.block = TAKE(names.data);
        l->levels[l->level_count++] = level;
        return 0;
}

static int join(struct buf *path, const char *directory, const char *name)
{
        int r;

        buf_truncate(path, 0);
        r = buf_puts(path, directory);
        if (r == 0 && path->size > 0)
                r = buf_putc(path, '/');
        return r < 0 ? r : buf_puts(path, name);
}

int rsync_lists_next(struct rsync_lists *l, int32_t *ret_directory, unsigned *ret_flags, struct buf *path)
{
        struct level *level;
        unsigned flags;
        int r;

        assert(!l->is_open);
        if (l->level_count == 0)
                return RSYNC_LISTS_END;
        level = &l->levels[l->level_count - 1];
        flags = (unsigned char)*level->next++;
        r = join(&l->directory, level->block, level->next);
        if (r == 0) {
                buf_truncate(path, 0);
                r = buf_append(path, l->directory.data, l->directory.size);
        }
        if (r < 0)
                return r;
        *ret_flags = flags;
        *ret_directory = level->number++;
        level->next += strlen(level->next) + 1;
        if (--level->left == 0) {
                free(level->block);
                l->level_count--;
        }
        return 0;
}

/* ---- complete lists ---- */

/* Items, names and the path of the directory in one block. */
static int pack(struct rsync_lists *l, struct list *list)
{
        size_t items_size = list->count * sizeof(struct item), names_size = l->names.size;
        char *block = malloc(items_size + names_size + l->directory.size + 1);

        if (!block)
                return -ENOMEM;
        if (list->count > 0) {
                memcpy(block, l->items, items_size);
                memcpy(block + items_size, l->names.data, names_size);
        }
        memcpy(block + items_size + names_size, buf_text(&l->directory), l->directory.size + 1);
        list->items = (const struct item *)(void *)block;
        list->names = block + items_size;
        list->directory = list->names + names_size;
        list->block = block;
        return 0;
}

int rsync_lists_end(struct rsync_lists *l)
{
        struct list *list = last_list(l);
        int r = 0;

        assert(l->is_open);
        if (l->is_incremental) {
                r = push_level(l, list);
                r = r < 0 ? r : pack(l, list);
        } else {
                list->items = l->items;
                list->names = l->names.data;
                list->directory = "";
        }
        if (r < 0)
                return r;
        l->next_start = (int64_t)list->start + list->count + 1;
        l->is_open = false;
        return 0;
}

/* ---- asking ---- */

/* The complete list that has @number, or stands behind it; NULL: none. */
static const struct list *find_list(const struct rsync_lists *l, int32_t number)
{
        size_t low = l->first, high = l->count - l->is_open;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const struct list *list = &l->lists[middle];

                if (number < list->start - l->is_incremental)
                        high = middle;
                else if (number - list->start >= (int64_t)list->count)
                        low = middle + 1;
                else
                        return list;
        }
        return NULL;
}

static const struct item *item_of(const struct list *list, int32_t number)
{
        return number < list->start ? NULL : &list->items[number - list->start];
}

/* The way up is turned round: first its length, then from the end. The root has no part in a path. */
static int make_path(const struct list *list, const struct item *item, struct buf *path)
{
        size_t size = strlen(list->directory);
        char *end;

        buf_truncate(path, 0);
        if (str_equal(list->names + item->name, "."))
                return buf_puts(path, ".");
        for (const struct item *i = item; i && !str_equal(list->names + i->name, "."); i = item_of(list, i->parent))
                size += strlen(list->names + i->name) + (size > 0);
        if (buf_reserve(path, size) < 0)
                return -ENOMEM;
        path->size = size;
        end = path->data + size;
        *end = '\0';
        for (const struct item *i = item; i && !str_equal(list->names + i->name, "."); i = item_of(list, i->parent)) {
                size_t length = strlen(list->names + i->name);

                end -= length;
                memcpy(end, list->names + i->name, length);
                if (end > path->data)
                        *--end = '/';
        }
        memcpy(path->data, list->directory, (size_t)(end - path->data));
        return 0;
}

int rsync_lists_find(const struct rsync_lists *l, int32_t number, struct rsync_item *ret, struct buf *path)
{
        const struct list *list = find_list(l, number);
        const struct item *item = list ? item_of(list, number) : NULL;
        int r;

        if (!list)
                return -ENOENT;
        if (item)
                r = make_path(list, item, path);
        else {
                buf_truncate(path, 0);
                r = buf_puts(path, list->directory[0] ? list->directory : ".");
        }
        if (r < 0)
                return r;
        *ret = (struct rsync_item){
                .mode = item ? item->mode : S_IFDIR,
                .flags = item ? item->flags : 0,
                .start = list->start,
                .is_between = !item,
        };
        return 0;
}

bool rsync_lists_has_told(const struct rsync_lists *l, int32_t number)
{
        /* Between two lists there is a number that stands for nothing before the second one is told of. */
        return number >= 0 && number < l->next_start - 1;
}

int rsync_lists_done(struct rsync_lists *l)
{
        size_t complete = l->count - l->first - l->is_open;

        assert(l->is_incremental);
        if (complete == 0)
                return -EPROTO;
        if (complete == 1 && !l->is_open && l->level_count == 0)
                return RSYNC_LISTS_END;
        l->entries -= l->lists[l->first].count;
        free(l->lists[l->first++].block);
        return 0;
}

uint64_t rsync_lists_count(const struct rsync_lists *l)
{
        return l->entries;
}
