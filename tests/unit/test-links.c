/* Hard links: who leads, who follows, who waits; claims on inodes; all of it by many threads at once. */
#include "base/err.h"
#include "cases.h"
#include "transfer/links.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define OF(d, i) (&(const struct links_file){ .dev = (d), .ino = (i), .born = 2 })

static struct links *make(void)
{
        struct err err = { .kind = ERR_NONE };
        struct links *l;

        ck_assert_int_eq(links_new(&l, &err), 0);
        return l;
}

START_TEST(the_first_leads_and_the_others_follow)
{
        struct err err = { .kind = ERR_NONE };
        struct links *l = make();
        struct links_group *g, *h;
        struct links_home home;
        char directory[] = "dir", name[] = "name";

        ck_assert_int_eq(links_enter(l, OF(1, 2), &g, &home, &err), LINKS_LEAD);
        ck_assert_int_eq(links_settle(l, g, 77, directory, name, &err), 0);
        directory[0] = name[0] = '!';
        for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(links_enter(l, OF(1, 2), &h, &home, &err), LINKS_FOLLOW);
                ck_assert_ptr_eq(g, h);
                ck_assert_uint_eq(home.ino, 77);
                ck_assert_str_eq(home.directory, "dir");
                ck_assert_str_eq(home.name, "name");
        }
        /* Another inode, the same number on another device, and of a file that was made later. */
        ck_assert_int_eq(links_enter(l, OF(1, 3), &h, &home, &err), LINKS_LEAD);
        links_fail(l, h);
        ck_assert_int_eq(links_enter(l, OF(2, 2), &h, &home, &err), LINKS_LEAD);
        links_fail(l, h);
        ck_assert_int_eq(links_enter(l, &(struct links_file){ .dev = 1, .ino = 2, .born = 1 }, &h, &home, &err),
                         LINKS_LEAD);
        links_fail(l, h);
        links_free(l);
}
END_TEST

START_TEST(who_fails_leaves_the_lead_to_the_next)
{
        struct err err = { .kind = ERR_NONE };
        struct links *l = make();
        struct links_group *g;
        struct links_home home;

        for (int i = 0; i < 3; i++) {
                ck_assert_int_eq(links_enter(l, OF(1, 2), &g, &home, &err), LINKS_LEAD);
                links_fail(l, g);
        }
        ck_assert_int_eq(links_enter(l, OF(1, 2), &g, &home, &err), LINKS_LEAD);
        ck_assert_int_eq(links_settle(l, g, 5, "", "x", &err), 0);
        ck_assert_int_eq(links_enter(l, OF(1, 2), &g, &home, &err), LINKS_FOLLOW);
        links_free(l);
}
END_TEST

START_TEST(a_group_counts_once_in_each_pass)
{
        struct err err = { .kind = ERR_NONE };
        struct links *l = make();
        struct links_group *old, *new;
        struct links_home home;

        ck_assert_int_eq(links_enter(l, OF(1, 2), &old, &home, &err), LINKS_LEAD);
        ck_assert(!links_is_counted(l, old));
        ck_assert_int_eq(links_settle(l, old, 5, "", "x", &err), 0);
        for (int pass = 0; pass < 4; pass++) {
                ck_assert_int_eq(links_enter(l, OF(1, 2), &old, &home, &err), LINKS_FOLLOW);
                ck_assert_int_eq(links_is_counted(l, old), pass == 0);
                ck_assert(links_is_counted(l, old));
                /* One that is met in this pass for the first time, whether its leader fails or not. */
                ck_assert_int_eq(links_enter(l, OF(3, (ino_t)pass), &new, &home, &err), LINKS_LEAD);
                ck_assert(!links_is_counted(l, new));
                links_fail(l, new);
                ck_assert_int_eq(links_enter(l, OF(3, (ino_t)pass), &new, &home, &err), LINKS_LEAD);
                ck_assert(links_is_counted(l, new));
                ck_assert_int_eq(links_settle(l, new, 9, "", "y", &err), 0);
                ck_assert_int_ge(links_move(l, new, 10, "", "y", &err), 0);
                ck_assert(links_is_counted(l, new));
                ck_assert(links_take_moved(l));
        }
        links_free(l);
}
END_TEST

START_TEST(a_group_that_moved_is_told_once)
{
        struct err err = { .kind = ERR_NONE };
        struct links *l = make();
        struct links_group *g;
        struct links_home home;

        ck_assert_int_eq(links_enter(l, OF(1, 2), &g, &home, &err), LINKS_LEAD);
        ck_assert_int_eq(links_settle(l, g, 5, "a", "x", &err), 0);
        ck_assert(!links_take_moved(l));
        ck_assert_int_eq(links_move(l, g, 6, "b", "y", &err), 0);
        ck_assert(links_take_moved(l));
        ck_assert(!links_take_moved(l));
        /* More names than an inode takes links: the rest goes elsewhere, and it ends there. */
        ck_assert_int_eq(links_move(l, g, 6, "b", "y", &err), LINKS_SPLIT);
        ck_assert(!links_take_moved(l));
        ck_assert_int_eq(links_enter(l, OF(1, 2), &g, &home, &err), LINKS_FOLLOW);
        ck_assert_uint_eq(home.ino, 6);
        ck_assert_str_eq(home.directory, "b");
        ck_assert_str_eq(home.name, "y");
        links_free(l);
}
END_TEST

START_TEST(an_inode_stands_for_the_first_that_claims_it)
{
        struct err err = { .kind = ERR_NONE };
        struct links *l = make();

        for (ino_t i = 1; i <= 5000; i++)
                ck_assert_int_eq(links_claim(l, i, 1, i * 3, &err), 1);
        for (ino_t i = 1; i <= 5000; i++) {
                ck_assert_int_eq(links_claim(l, i, 1, i * 3, &err), 1);
                ck_assert_int_eq(links_claim(l, i, 1, i * 3 + 1, &err), 0);
                ck_assert_int_eq(links_claim(l, i, 2, i * 3, &err), 0);
        }
        links_free(l);
}
END_TEST

START_TEST(many_groups_in_many_directories_are_found_again)
{
        enum { COUNT = 20000 };
        struct err err = { .kind = ERR_NONE };
        struct links *l = make();
        struct links_group *g;
        struct links_home home;
        char directory[32], name[32];

        for (ino_t i = 1; i <= COUNT; i++) {
                snprintf(directory, sizeof(directory), "d%d", (int)(i % 20));
                snprintf(name, sizeof(name), "n%d", (int)i);
                ck_assert_int_eq(links_enter(l, OF(i % 3, i), &g, &home, &err), LINKS_LEAD);
                ck_assert_int_eq(links_settle(l, g, i + 1, directory, name, &err), 0);
        }
        for (ino_t i = 1; i <= COUNT; i++) {
                snprintf(directory, sizeof(directory), "d%d", (int)(i % 20));
                snprintf(name, sizeof(name), "n%d", (int)i);
                ck_assert_int_eq(links_enter(l, OF(i % 3, i), &g, &home, &err), LINKS_FOLLOW);
                ck_assert_uint_eq(home.ino, i + 1);
                ck_assert_str_eq(home.directory, directory);
                ck_assert_str_eq(home.name, name);
        }
        links_free(l);
}
END_TEST

/* ---- many threads ---- */

enum { THREADS = 8, GROUPS = 300 };

struct contest {
        struct links *links;
        atomic_uint leaders[GROUPS], settled[GROUPS], followers[GROUPS], claimants[GROUPS];
};

struct contestant {
        struct contest *contest;
        unsigned index;
};

/* Each thread enters every group; who leads fails now and then. */
static void *compete(void *argument)
{
        const struct contestant *me = argument;
        struct contest *c = me->contest;

        for (unsigned i = 0; i < GROUPS; i++) {
                unsigned n = (i * 7 + me->index * 13) % GROUPS;
                struct err err = { .kind = ERR_NONE };
                struct links_group *g;
                struct links_home home;
                int role = links_enter(c->links, OF(1, n + 1), &g, &home, &err);

                if (role == LINKS_LEAD) {
                        /* Nobody else is between entering and settling. */
                        ck_assert_uint_eq(atomic_fetch_add(&c->leaders[n], 1), 0);
                        nanosleep(&(struct timespec){ .tv_nsec = 10000 }, NULL);
                        atomic_fetch_sub(&c->leaders[n], 1);
                        if (me->index % 3 == 0) {
                                links_fail(c->links, g);
                        } else {
                                atomic_fetch_add(&c->settled[n], 1);
                                ck_assert_int_eq(links_settle(c->links, g, n + 1000, "d", "n", &err), 0);
                        }
                } else {
                        ck_assert_int_eq(role, LINKS_FOLLOW);
                        ck_assert_uint_eq(home.ino, n + 1000);
                        ck_assert_str_eq(home.name, "n");
                        atomic_fetch_add(&c->followers[n], 1);
                }
                if (links_claim(c->links, n + 1, 1, me->index, &err) == 1)
                        atomic_fetch_add(&c->claimants[n], 1);
        }
        return NULL;
}

START_TEST(one_leader_at_a_time_and_one_in_the_end)
{
        static struct contest contest;
        struct contestant contestants[THREADS];
        pthread_t threads[THREADS];

        contest.links = make();
        for (unsigned i = 0; i < THREADS; i++) {
                contestants[i] = (struct contestant){ &contest, i };
                ck_assert_int_eq(pthread_create(&threads[i], NULL, compete, &contestants[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        for (unsigned i = 0; i < GROUPS; i++) {
                ck_assert_uint_eq(contest.settled[i], 1);
                ck_assert_uint_ge(contest.followers[i], 1);
                ck_assert_uint_eq(contest.claimants[i], 1);
        }
        links_free(contest.links);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                the_first_leads_and_the_others_follow,
                who_fails_leaves_the_lead_to_the_next,
                a_group_counts_once_in_each_pass,
                a_group_that_moved_is_told_once,
                an_inode_stands_for_the_first_that_claims_it,
                many_groups_in_many_directories_are_found_again,
                one_leader_at_a_time_and_one_in_the_end,
        };
        TCase *cases = tcase_create("links");

        tcase_set_timeout(cases, 60);
        for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
                tcase_add_test(cases, tests[i]);
        return cases_run("links", cases);
}
