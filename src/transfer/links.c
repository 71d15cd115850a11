/*
 * Two hash tables, and an arena for names, behind one lock.
 *
 * Groups are found by (dev, ino, born) of the source. A group is BUSY while its leader is being worked on; who
 * wants to follow waits for that. The one who leads waits for nobody, so there is no deadlock.
 *
 * Claims are pairs (inode of `latest`, inode of the source): they tell when two files of the source share one inode of
 * the destination although they are no longer linked.
 */
#include "transfer/links.h"

#include "base/arena.h"
#include "base/entry.h"
#include "base/err.h"
#include "transfer/chains.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sys/sysmacros.h>

/*
 * The tag of a group is one of these, whether it was moved, and whether it was counted: of the latter, both values mean
 * yes and no by turns, so that a new pass over the tree need not go through all groups.
 */
enum group_state { GROUP_OPEN, GROUP_BUSY, GROUP_SETTLED };
enum { STATE_MASK = 3, MOVED = 4, COUNTED = 8, TAG_MASK = 15 };

struct links_group {
        struct chains_item item;
        uint32_t dev, born;
        ino_t ino;
        ino_t to_ino;
        const char *directory;
        const char *name;
};

struct claim {
        struct chains_item item;
        uint32_t dev;
        ino_t ino;
        ino_t to_ino;
};

enum { RECENT = 8 };

struct links {
        pthread_mutex_t lock; /* guards everything */
        pthread_cond_t settled;
        struct arena arena;
        struct chains groups, claims;
        const char *recent[RECENT]; /* directories: each worker settles many groups of one */
        size_t recent_next;
        bool moved;
        unsigned uncounted; /* COUNTED of the groups that were not counted in this pass */
};

static uint64_t mix(uint64_t a, uint64_t b)
{
        uint64_t h = (a ^ b * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;

        return h ^ h >> 32;
}

/* As the kernel has it, in 12 and 20 bits (linux/kdev_t.h); two tables of millions would be larger by a tenth. */
static uint32_t short_dev(dev_t dev)
{
        return major(dev) << 20 | minor(dev);
}

static uint64_t group_hash(const void *item)
{
        const struct links_group *g = item;

        return mix(g->dev, g->ino);
}

static uint64_t claim_hash(const void *item)
{
        return mix(((const struct claim *)item)->to_ino, 0);
}

int links_new(struct links **ret, struct err *err)
{
        struct links *l = calloc(1, sizeof(*l));

        if (!l)
                return err_oom(err);
        l->groups = (struct chains){ .item_size = sizeof(struct links_group), .hash = group_hash };
        l->claims = (struct chains){ .item_size = sizeof(struct claim), .hash = claim_hash };
        pthread_mutex_init(&l->lock, NULL);
        pthread_cond_init(&l->settled, NULL);
        *ret = l;
        return 0;
}

struct links *links_free(struct links *l)
{
        if (!l)
                return NULL;
        pthread_mutex_destroy(&l->lock);
        pthread_cond_destroy(&l->settled);
        arena_deinit(&l->arena);
        chains_deinit(&l->groups);
        chains_deinit(&l->claims);
        free(l);
        return NULL;
}

/* ---- groups; under the lock ---- */

static enum group_state state_of(const struct links_group *g)
{
        return g->item.tag & STATE_MASK;
}

static void set_state(struct links_group *g, enum group_state state)
{
        g->item.tag = ((unsigned)state | (g->item.tag & ~(unsigned)STATE_MASK)) & TAG_MASK;
}

/* Found or added; NULL when memory is short. */
static struct links_group *find_group(struct links *l, const struct links_file *file)
{
        const struct links_group wanted = {
                .item.tag = l->uncounted & TAG_MASK, .dev = short_dev(file->dev), .born = file->born, .ino = file->ino
        };
        struct links_group *g = chains_first(&l->groups, group_hash(&wanted));

        while (g && (g->dev != wanted.dev || g->ino != wanted.ino || !entry_born_together(g->born, wanted.born)))
                g = chains_next(&l->groups, g);
        return g ? g : chains_add(&l->groups, &wanted);
}

/* The role of who visits a member of @g now; who leads makes it busy. */
static enum links_role take_role(struct links_group *g, struct links_home *ret_home)
{
        if (state_of(g) == GROUP_BUSY)
                return LINKS_BUSY;
        if (state_of(g) == GROUP_OPEN) {
                set_state(g, GROUP_BUSY);
                return LINKS_LEAD;
        }
        *ret_home = (struct links_home){ .ino = g->to_ino, .directory = g->directory, .name = g->name };
        return LINKS_FOLLOW;
}

static int enter(struct links *l, const struct links_file *file, bool wait, struct links_group **ret,
                 struct links_home *ret_home, struct err *err)
{
        struct links_group *g;
        int role = -ENOMEM;

        pthread_mutex_lock(&l->lock);
        g = find_group(l, file);
        while (g && wait && state_of(g) == GROUP_BUSY)
                pthread_cond_wait(&l->settled, &l->lock);
        if (g)
                role = (int)take_role(g, ret_home);
        pthread_mutex_unlock(&l->lock);
        *ret = g;
        return g ? role : err_oom(err);
}

int links_enter(struct links *l, const struct links_file *file, struct links_group **ret, struct links_home *ret_home,
                struct err *err)
{
        return enter(l, file, true, ret, ret_home, err);
}

int links_try(struct links *l, const struct links_file *file, struct links_group **ret, struct links_home *ret_home,
              struct err *err)
{
        return enter(l, file, false, ret, ret_home, err);
}

static const char *intern_directory(struct links *l, const char *directory)
{
        const char *copy;

        for (size_t i = 0; i < RECENT; i++) {
                if (l->recent[i] && str_equal(l->recent[i], directory))
                        return l->recent[i];
        }
        copy = arena_copy(&l->arena, directory, strlen(directory));
        if (copy)
                l->recent[l->recent_next++ % RECENT] = copy;
        return copy;
}

/* Under the lock. On failure the group is open again. */
static int set_home(struct links *l, struct links_group *g, ino_t to_ino, const char *directory, const char *name,
                    struct err *err)
{
        g->to_ino = to_ino;
        g->directory = intern_directory(l, directory);
        g->name = arena_copy(&l->arena, name, strlen(name));
        set_state(g, g->directory && g->name ? GROUP_SETTLED : GROUP_OPEN);
        return state_of(g) == GROUP_SETTLED ? 0 : err_oom(err);
}

int links_settle(struct links *l, struct links_group *g, ino_t to_ino, const char *directory, const char *name,
                 struct err *err)
{
        int r;

        pthread_mutex_lock(&l->lock);
        assert(state_of(g) == GROUP_BUSY);
        r = set_home(l, g, to_ino, directory, name, err);
        pthread_cond_broadcast(&l->settled);
        pthread_mutex_unlock(&l->lock);
        return r;
}

bool links_is_counted(struct links *l, struct links_group *g)
{
        bool is_counted;

        pthread_mutex_lock(&l->lock);
        is_counted = (g->item.tag & COUNTED) != l->uncounted;
        g->item.tag = ((g->item.tag & ~(unsigned)COUNTED) | (l->uncounted ^ COUNTED)) & TAG_MASK;
        pthread_mutex_unlock(&l->lock);
        return is_counted;
}

void links_fail(struct links *l, struct links_group *g)
{
        pthread_mutex_lock(&l->lock);
        assert(state_of(g) == GROUP_BUSY);
        set_state(g, GROUP_OPEN);
        pthread_cond_broadcast(&l->settled);
        pthread_mutex_unlock(&l->lock);
}

int links_move(struct links *l, struct links_group *g, ino_t to_ino, const char *directory, const char *name,
               struct err *err)
{
        int r;

        pthread_mutex_lock(&l->lock);
        r = set_home(l, g, to_ino, directory, name, err);
        if (r == 0 && g->item.tag & MOVED)
                r = LINKS_SPLIT;
        /* A second time those that were visited earlier stay where they are: bringing them here would never end. */
        l->moved = l->moved || !(g->item.tag & MOVED);
        g->item.tag |= MOVED;
        pthread_mutex_unlock(&l->lock);
        return r;
}

bool links_take_moved(struct links *l)
{
        bool moved;

        pthread_mutex_lock(&l->lock);
        moved = l->moved;
        l->moved = false;
        if (moved)
                l->uncounted ^= COUNTED;
        pthread_mutex_unlock(&l->lock);
        return moved;
}

/* ---- claims; under the lock ---- */

/* The claim on @wanted's inode of `latest`, which becomes @wanted if there is none; NULL when memory is short. */
static const struct claim *find_claim(struct links *l, const struct claim *wanted)
{
        const struct claim *claim = chains_first(&l->claims, claim_hash(wanted));

        while (claim && claim->to_ino != wanted->to_ino)
                claim = chains_next(&l->claims, claim);
        return claim ? claim : chains_add(&l->claims, wanted);
}

int links_claim(struct links *l, ino_t to_ino, dev_t dev, ino_t ino, struct err *err)
{
        const struct claim wanted = { .dev = short_dev(dev), .ino = ino, .to_ino = to_ino };
        const struct claim *claim;
        int r = -ENOMEM;

        pthread_mutex_lock(&l->lock);
        claim = find_claim(l, &wanted);
        if (claim)
                r = claim->dev == wanted.dev && claim->ino == ino;
        pthread_mutex_unlock(&l->lock);
        return r < 0 ? err_oom(err) : r;
}
