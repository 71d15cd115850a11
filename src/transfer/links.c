/*
 * Two hash tables over one arena, behind one lock.
 *
 * Groups are chained nodes, found by (dev, ino) of the source. A group is BUSY while its leader is being worked on; who
 * wants to follow waits for that. The one who leads waits for nobody, so there is no deadlock.
 *
 * Claims are pairs (inode of `latest`, inode of the source) in open addressing: they tell when two files of the source
 * share one inode of the destination although they are no longer linked.
 */
#include "transfer/links.h"

#include "base/arena.h"
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

enum group_state { GROUP_OPEN, GROUP_BUSY, GROUP_SETTLED };

struct links_group {
        struct links_group *next;
        dev_t dev;
        ino_t ino;
        ino_t to_ino;
        const char *directory;
        const char *name;
        enum group_state state;
        bool moved;
};

struct claim {
        ino_t to_ino; /* 0: free */
        dev_t dev;
        ino_t ino;
};

enum { RECENT = 8 };

struct links {
        pthread_mutex_t lock; /* guards everything */
        pthread_cond_t settled;
        struct arena arena;
        struct links_group **buckets;
        size_t bucket_count, group_count;
        struct claim *claims;
        size_t claim_slots, claim_count;
        const char *recent[RECENT]; /* directories: each worker settles many groups of one */
        size_t recent_next;
        bool moved;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
        uint64_t h = (a ^ b * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;

        return h ^ h >> 32;
}

int links_new(struct links **ret, struct err *err)
{
        struct links *l = calloc(1, sizeof(*l));

        if (!l)
                return err_oom(err);
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
        free(l->buckets);
        free(l->claims);
        free(l);
        return NULL;
}

/* ---- groups; under the lock ---- */

static int grow_buckets(struct links *l)
{
        size_t count = size_max(l->bucket_count * 2, 1024);
        struct links_group **buckets = calloc(count, sizeof(struct links_group *));

        if (!buckets)
                return -ENOMEM;
        for (size_t i = 0; i < l->bucket_count; i++) {
                struct links_group *next;

                for (struct links_group *g = l->buckets[i]; g; g = next) {
                        struct links_group **to = &buckets[mix(g->dev, g->ino) & (count - 1)];

                        next = g->next;
                        g->next = *to;
                        *to = g;
                }
        }
        free(l->buckets);
        l->buckets = buckets;
        l->bucket_count = count;
        return 0;
}

static struct links_group *find_group(const struct links *l, dev_t dev, ino_t ino)
{
        struct links_group *g = l->bucket_count ? l->buckets[mix(dev, ino) & (l->bucket_count - 1)] : NULL;

        while (g && (g->dev != dev || g->ino != ino))
                g = g->next;
        return g;
}

static struct links_group *add_group(struct links *l, dev_t dev, ino_t ino)
{
        struct links_group *g, **bucket;

        if (l->group_count >= l->bucket_count && grow_buckets(l) < 0)
                return NULL;
        g = arena_alloc(&l->arena, sizeof(*g));
        if (!g)
                return NULL;
        bucket = &l->buckets[mix(dev, ino) & (l->bucket_count - 1)];
        *g = (struct links_group){ .next = *bucket, .dev = dev, .ino = ino };
        *bucket = g;
        l->group_count++;
        return g;
}

int links_enter(struct links *l, dev_t dev, ino_t ino, struct links_group **ret, struct links_home *ret_home,
                struct err *err)
{
        struct links_group *g;
        int role = LINKS_LEAD;

        pthread_mutex_lock(&l->lock);
        g = find_group(l, dev, ino);
        if (!g)
                g = add_group(l, dev, ino);
        while (g && g->state == GROUP_BUSY)
                pthread_cond_wait(&l->settled, &l->lock);
        if (g && g->state == GROUP_SETTLED) {
                *ret_home = (struct links_home){ .ino = g->to_ino, .directory = g->directory, .name = g->name };
                role = LINKS_FOLLOW;
        } else if (g) {
                g->state = GROUP_BUSY;
        }
        pthread_mutex_unlock(&l->lock);
        *ret = g;
        return g ? role : err_oom(err);
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
        g->state = g->directory && g->name ? GROUP_SETTLED : GROUP_OPEN;
        return g->state == GROUP_SETTLED ? 0 : err_oom(err);
}

int links_settle(struct links *l, struct links_group *g, ino_t to_ino, const char *directory, const char *name,
                 struct err *err)
{
        int r;

        pthread_mutex_lock(&l->lock);
        assert(g->state == GROUP_BUSY);
        r = set_home(l, g, to_ino, directory, name, err);
        pthread_cond_broadcast(&l->settled);
        pthread_mutex_unlock(&l->lock);
        return r;
}

void links_fail(struct links *l, struct links_group *g)
{
        pthread_mutex_lock(&l->lock);
        assert(g->state == GROUP_BUSY);
        g->state = GROUP_OPEN;
        pthread_cond_broadcast(&l->settled);
        pthread_mutex_unlock(&l->lock);
}

int links_move(struct links *l, struct links_group *g, ino_t to_ino, const char *directory, const char *name,
               struct err *err)
{
        int r;

        pthread_mutex_lock(&l->lock);
        r = set_home(l, g, to_ino, directory, name, err);
        if (r == 0 && g->moved)
                r = LINKS_SPLIT;
        /* A second time those that were visited earlier stay where they are: bringing them here would never end. */
        l->moved = l->moved || !g->moved;
        g->moved = true;
        pthread_mutex_unlock(&l->lock);
        return r;
}

bool links_take_moved(struct links *l)
{
        bool moved;

        pthread_mutex_lock(&l->lock);
        moved = l->moved;
        l->moved = false;
        pthread_mutex_unlock(&l->lock);
        return moved;
}

/* ---- claims; under the lock ---- */

/* The claim on @to_ino, or the free slot where it belongs. There always is a free one. */
static struct claim *find_claim(struct claim *claims, size_t slots, ino_t to_ino)
{
        size_t i = mix(to_ino, 0) & (slots - 1);

        while (claims[i].to_ino != 0 && claims[i].to_ino != to_ino)
                i = (i + 1) & (slots - 1);
        return &claims[i];
}

static int grow_claims(struct links *l)
{
        size_t slots = size_max(l->claim_slots * 2, 1024);
        struct claim *claims = calloc(slots, sizeof(*claims));

        if (!claims)
                return -ENOMEM;
        for (size_t i = 0; i < l->claim_slots; i++) {
                if (l->claims[i].to_ino != 0)
                        *find_claim(claims, slots, l->claims[i].to_ino) = l->claims[i];
        }
        free(l->claims);
        l->claims = claims;
        l->claim_slots = slots;
        return 0;
}

int links_claim(struct links *l, ino_t to_ino, dev_t dev, ino_t ino, struct err *err)
{
        struct claim *claim = NULL;
        int r = -ENOMEM;

        pthread_mutex_lock(&l->lock);
        if (l->claim_count * 4 < l->claim_slots * 3 || grow_claims(l) == 0)
                claim = find_claim(l->claims, l->claim_slots, to_ino);
        if (claim && claim->to_ino == 0) {
                *claim = (struct claim){ .to_ino = to_ino, .dev = dev, .ino = ino };
                l->claim_count++;
        }
        if (claim)
                r = claim->dev == dev && claim->ino == ino;
        pthread_mutex_unlock(&l->lock);
        return r < 0 ? err_oom(err) : r;
}
