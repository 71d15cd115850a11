/* The crew on real directories: who is visited, finished and forgotten when, with how many descriptors. */
#include "base/buf.h"
#include "base/crew.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/listing.h"
#include "base/stop.h"
#include "quick.h"
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>

enum { THREADS = 4, RECORDS_MAX = 16384, DESCRIPTORS_MAX = 512, BUDGET_MIN = 8, PINS_PER_WORKER = 2 * CREW_TREES };

/* What happened to one directory. */
struct record {
        struct record *parent;
        struct job *job;
        atomic_uint visits, finishes, forgets;
        unsigned visited_at, finished_at; /* on the job's clock */
        ino_t ino[CREW_TREES];            /* when it was visited */
        unsigned depth;
};

struct job {
        struct record *records;
        atomic_uint count, clock;
        bool sides[CREW_TREES];
        const char *fail_visit, *fail_finish, *skip; /* names */
        atomic_uint failures;
        atomic_uint most_descriptors;
        bool count_descriptors;
        void (*at_depth)(struct job *job); /* called at the end of a chain of this depth */
        unsigned depth;
        int root;
};

static struct record *record_new(struct job *job, struct record *parent)
{
        unsigned i = atomic_fetch_add(&job->count, 1);
        struct record *r = &job->records[i];

        quick_assert(i < RECORDS_MAX);
        r->job = job;
        r->parent = parent;
        r->depth = parent ? parent->depth + 1 : 0;
        return r;
}

static struct job *job_new(void)
{
        struct job *job = calloc(1, sizeof(*job));

        job->records = calloc(RECORDS_MAX, sizeof(*job->records));
        job->root = -1;
        return job;
}

static void job_free(struct job *job)
{
        free(job->records);
        free(job);
}

/* At each step of a walk: poll() tells at once which of the first ones are open, and new ones are the lowest there are.
 */
static void count_descriptors(struct job *job)
{
        struct pollfd all[DESCRIPTORS_MAX];
        unsigned n = 0, most = atomic_load(&job->most_descriptors);

        for (int i = 0; i < DESCRIPTORS_MAX; i++)
                all[i] = (struct pollfd){ .fd = i };
        quick_assert(poll(all, DESCRIPTORS_MAX, 0) >= 0);
        for (int i = 0; i < DESCRIPTORS_MAX; i++)
                n += all[i].revents != POLLNVAL;
        while (n > most && !atomic_compare_exchange_weak(&job->most_descriptors, &most, n))
                continue;
}

/* Have each side open, the same at each asking; the inodes are remembered at the first. */
static int look(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct record *r = d->data;
        struct job *job = crew_context(w);

        for (int i = 0; i < CREW_TREES; i++) {
                int fd = job->sides[i] ? crew_fd(w, d, (enum crew_tree)i) : 0;
                struct stat st;

                if (fd < 0)
                        return err_runf(err, fd, "open %s", d->name);
                if (!job->sides[i])
                        continue;
                if (d->parent) {
                        int parent = crew_fd(w, d->parent, (enum crew_tree)i);

                        if (parent < 0)
                                return err_runf(err, parent, "open the parent of %s", d->name);
                }
                if (fstat(fd, &st) < 0 || (r->ino[i] && r->ino[i] != st.st_ino))
                        return err_runf(err, -ENOTRECOVERABLE, "another directory at %s", d->name);
                r->ino[i] = st.st_ino;
        }
        if (job->count_descriptors)
                count_descriptors(job);
        return 0;
}

static int add_children(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct job *job = crew_context(w);
        enum crew_tree side = job->sides[CREW_FROM] ? CREW_FROM : CREW_TO;
        struct listing names;
        int r = listing_read_unsorted(&names, crew_fd(w, d, side), &w->arena);

        for (size_t i = 0; r == 0 && i < names.count; i++) {
                struct crew_child child = { .name = names.names[i]->name };

                if (names.names[i]->type != DT_DIR)
                        continue;
                child.data = record_new(job, d->data);
                r = crew_add(w, d, &child, err);
        }
        listing_deinit(&names);
        return r;
}

static int visit(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct job *job = crew_context(w);
        struct record *r = d->data;
        int result = look(w, d, err);

        r->visited_at = atomic_fetch_add(&job->clock, 1);
        atomic_fetch_add(&r->visits, 1);
        if (result == 0)
                result = add_children(w, d, err);
        if (result == 0 && job->at_depth && r->depth == job->depth && str_equal(d->name, "chain"))
                job->at_depth(job);
        if (result == 0 && job->fail_visit && str_equal(d->name, job->fail_visit)) {
                atomic_fetch_add(&job->failures, 1);
                return err_runf(err, -EL2HLT, "as told");
        }
        if (result == 0 && job->skip && str_equal(d->name, job->skip))
                return CREW_SKIP_FINISH;
        return result;
}

static int finish(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct job *job = crew_context(w);
        struct record *r = d->data;
        int result = look(w, d, err);

        if (result < 0)
                return result;
        r->finished_at = atomic_fetch_add(&job->clock, 1);
        atomic_fetch_add(&r->finishes, 1);
        if (job->fail_finish && str_equal(d->name, job->fail_finish)) {
                atomic_fetch_add(&job->failures, 1);
                return err_runf(err, -EL3HLT, "as told");
        }
        return 0;
}

static void forget(void *data)
{
        struct record *r = data;

        atomic_fetch_add(&r->forgets, 1);
}

static const struct crew_ops ops = { .visit = visit, .finish = finish, .forget = forget };

static int run(struct job *job, int from, int to, unsigned threads, unsigned descriptors, struct err *err)
{
        job->sides[CREW_FROM] = from >= 0;
        job->sides[CREW_TO] = to >= 0;
        return crew_run(&(struct crew_config){ .ops = &ops,
                                               .context = job,
                                               .root_fds = { from, to },
                                               .root_data = record_new(job, NULL),
                                               .threads = threads,
                                               .descriptors = descriptors },
                        err);
}

/* Return how many directories were finished; each was visited once at most, and forgotten once. */
static unsigned check_records(const struct job *job)
{
        unsigned finished = 0;

        for (unsigned i = 0; i < job->count; i++) {
                const struct record *r = &job->records[i];

                quick_assert(r->forgets == 1);
                quick_assert(r->visits <= 1);
                quick_assert(r->finishes <= r->visits);
                finished += r->finishes;
                if (r->finishes)
                        quick_assert(r->finished_at > r->visited_at);
                if (r->parent && r->visits)
                        quick_assert(r->visited_at > r->parent->visited_at);
                if (r->parent && r->parent->finishes && r->finishes)
                        quick_assert(r->finished_at < r->parent->finished_at);
        }
        return finished;
}

static unsigned make_tree(int dirfd, unsigned width, unsigned depth)
{
        unsigned made = 1;
        char name[16];

        for (unsigned i = 0; depth > 0 && i < width; i++) {
                int fd;

                snprintf(name, sizeof(name), "d%u-%u", depth, i);
                fd = scratch_subdirectory(dirfd, name);
                made += make_tree(fd, width, depth - 1);
                close(fd);
        }
        scratch_file(dirfd, "file", "x", 1);
        return made;
}

START_TEST(each_directory_once_and_children_before_their_parents)
{
        int root = scratch_directory();
        unsigned made = make_tree(root, 5, 4);

        for (unsigned threads = 1; threads <= THREADS; threads++) {
                struct err err = { .kind = ERR_NONE };
                struct job *job = job_new();

                ck_assert_int_eq(run(job, -1, root, threads, 0, &err), 0);
                ck_assert_uint_eq(job->count, made);
                ck_assert_uint_eq(check_records(job), made);
                job_free(job);
        }
}
END_TEST

START_TEST(an_error_of_visit_ends_the_job_and_is_returned)
{
        int root = scratch_directory();
        unsigned made = make_tree(root, 5, 4);

        for (unsigned threads = 1; threads <= THREADS; threads++) {
                struct err err = { .kind = ERR_NONE };
                struct job *job = job_new();

                job->fail_visit = "d2-3";
                ck_assert_int_eq(run(job, -1, root, threads, 0, &err), -EL2HLT);
                ck_assert_str_eq(err.text, "as told");
                ck_assert_uint_ge(job->failures, 1);
                ck_assert_uint_le(job->failures, threads);
                ck_assert_uint_lt(check_records(job), made);
                ck_assert_uint_eq(job->records[0].finishes, 0);
                job_free(job);
        }
}
END_TEST

START_TEST(an_error_of_finish_ends_the_job_and_is_returned)
{
        int root = scratch_directory();
        unsigned made = make_tree(root, 5, 3);

        for (unsigned threads = 1; threads <= THREADS; threads++) {
                struct err err = { .kind = ERR_NONE };
                struct job *job = job_new();

                job->fail_finish = "d3-2";
                ck_assert_int_eq(run(job, -1, root, threads, 0, &err), -EL3HLT);
                ck_assert_uint_eq(job->failures, 1);
                ck_assert_uint_le(check_records(job), made);
                ck_assert_uint_eq(job->records[0].finishes, 0);
                job_free(job);
        }
}
END_TEST

START_TEST(a_skipped_finish_skips_no_other)
{
        int root = scratch_directory();
        unsigned made = make_tree(root, 4, 3);

        for (unsigned threads = 1; threads <= THREADS; threads++) {
                struct err err = { .kind = ERR_NONE };
                struct job *job = job_new();

                job->skip = "d2-1";
                ck_assert_int_eq(run(job, -1, root, threads, 0, &err), 0);
                ck_assert_uint_eq(check_records(job), made - 4);
                ck_assert_uint_eq(job->records[0].finishes, 1);
                job_free(job);
        }
}
END_TEST

START_TEST(two_trees_are_walked_side_by_side)
{
        int from = scratch_directory(), to = scratch_directory();
        unsigned made = make_tree(from, 4, 4);

        make_tree(to, 4, 4);
        for (unsigned threads = 1; threads <= THREADS; threads++) {
                struct err err = { .kind = ERR_NONE };
                struct job *job = job_new();

                ck_assert_int_eq(run(job, from, to, threads, 12, &err), 0);
                ck_assert_uint_eq(check_records(job), made);
                for (unsigned i = 0; i < job->count; i++)
                        quick_assert(job->records[i].ino[CREW_FROM] != job->records[i].ino[CREW_TO]);
                job_free(job);
        }
}
END_TEST

/* A chain of directories, each with two more beside the next; its path is longer than PATH_MAX. */
static void make_chain(int root, unsigned depth)
{
        int fd = dup(root);

        for (unsigned i = 0; i < depth; i++) {
                int next;

                ck_assert_int_eq(mkdirat(fd, "a", 0755), 0);
                ck_assert_int_eq(mkdirat(fd, "z", 0755), 0);
                next = scratch_subdirectory(fd, "chain");
                close(fd);
                fd = next;
        }
        close(fd);
}

static void walk_chain(int from, int to, unsigned depth, unsigned threads, unsigned descriptors)
{
        struct err err = { .kind = ERR_NONE };
        struct job *job = job_new();
        unsigned before;

        count_descriptors(job);
        before = job->most_descriptors;
        job->count_descriptors = true;
        ck_assert_int_eq(run(job, from, to, threads, descriptors, &err), 0);
        ck_assert_str_eq(err.text, "");
        ck_assert_uint_eq(check_records(job), 3 * depth + 1);
        /* And one for the crew's eventfd, one for each who counts, one for each who is just opening. */
        ck_assert_uint_le(job->most_descriptors,
                          before + size_max(descriptors, BUDGET_MIN) + threads * (PINS_PER_WORKER + 2) + 1);
        job_free(job);
}

START_TEST(deep_trees_need_few_descriptors)
{
        enum { DEPTH = 1500, SHORTER = 400 };
        int from = scratch_directory(), to = scratch_directory();
        int short_from = scratch_directory(), short_to = scratch_directory();

        make_chain(from, DEPTH);
        make_chain(to, DEPTH);
        make_chain(short_from, SHORTER);
        make_chain(short_to, SHORTER);
        for (unsigned threads = 1; threads <= THREADS; threads += THREADS - 1) {
                walk_chain(from, to, DEPTH, threads, 64);
                walk_chain(short_from, short_to, SHORTER, threads, 1);
        }
}
END_TEST

static void swap_first(struct job *job)
{
        int fd;

        ck_assert_int_eq(renameat(job->root, "chain", job->root, "gone"), 0);
        fd = scratch_subdirectory(job->root, "chain");
        make_chain(fd, 40);
        close(fd);
}

START_TEST(a_directory_that_was_swapped_is_noticed_when_it_is_opened_again)
{
        struct err err = { .kind = ERR_NONE };
        struct job *job = job_new();

        job->root = scratch_directory();
        make_chain(job->root, 30);
        job->at_depth = swap_first;
        job->depth = 30;
        ck_assert_int_eq(run(job, -1, job->root, 1, 1, &err), -ESTALE);
        check_records(job);
        job_free(job);
}
END_TEST

static int visit_impostor(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct crew_child child = { .name = "x", .dev[CREW_TO] = 1, .ino[CREW_TO] = 1 };
        int fd = crew_fd(w, d, CREW_TO);

        if (d->parent)
                return fd == -ESTALE ? CREW_SKIP_FINISH : err_runf(err, -EINVAL, "opened");
        return crew_add(w, d, &child, err);
}

START_TEST(a_directory_that_is_not_the_announced_one_is_not_opened)
{
        static const struct crew_ops impostor = { .visit = visit_impostor };
        struct err err = { .kind = ERR_NONE };
        int root = scratch_directory();

        close(scratch_subdirectory(root, "x"));
        ck_assert_int_eq(crew_run(&(struct crew_config){ .ops = &impostor, .root_fds = { -1, root } }, &err), 0);
}
END_TEST

enum { CLOSED_DEPTH = 40 };

/* A chain of directories, each with another mode and all of them closed, that belong to us, an ordinary user. */
static int make_closed_chain(mode_t modes[CLOSED_DEPTH])
{
        int root = scratch_directory(), fd = dup(root);

        if (geteuid() == 0) {
                ck_assert_int_eq(fchown(root, 65534, 65534), 0);
                ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
        }
        for (int i = 0; i < CLOSED_DEPTH; i++) {
                int below = scratch_subdirectory(fd, "chain");

                close(fd);
                fd = below;
        }
        for (int i = CLOSED_DEPTH - 1; i >= 0; i--) {
                modes[i] = (mode_t)(i % 7) << 6 | (mode_t)(i % 8);
                ck_assert_int_eq(fchmod(fd, modes[i]), 0);
                if (i == 0)
                        break;
                int above = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                /* The one above is open yet, but through a closed one no way leads. */
                if (above < 0) {
                        ck_assert_int_eq(fchmod(fd, 0700), 0);
                        above = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                        ck_assert_int_eq(fchmod(fd, modes[i]), 0);
                }
                ck_assert_int_ge(above, 0);
                close(fd);
                fd = above;
        }
        close(fd);
        return root;
}

/* The modes of the chain from above, opening it up on the way. */
static void check_chain(int root, const mode_t modes[CLOSED_DEPTH], mode_t added)
{
        int fd = dup(root);

        for (int i = 0; i < CLOSED_DEPTH; i++) {
                struct stat st;
                int below;

                ck_assert_int_eq(fstatat(fd, "chain", &st, AT_SYMLINK_NOFOLLOW), 0);
                ck_assert_uint_eq(st.st_mode & 07777, modes[i] | added);
                ck_assert_int_eq(fchmodat(fd, "chain", 0700, 0), 0);
                below = openat(fd, "chain", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                ck_assert_int_ge(below, 0);
                close(fd);
                fd = below;
        }
        close(fd);
}

static int run_closed(struct job *job, int root, enum crew_access access, struct err *err)
{
        job->sides[CREW_FROM] = true;
        return crew_run(&(struct crew_config){ .ops = &ops,
                                               .context = job,
                                               .root_fds = { root, -1 },
                                               .root_data = record_new(job, NULL),
                                               .access[CREW_FROM] = access,
                                               .descriptors = BUDGET_MIN },
                        err);
}

START_TEST(closed_directories_are_opened_up_for_a_while)
{
        struct err err = { .kind = ERR_NONE };
        struct job *job = job_new();
        mode_t modes[CLOSED_DEPTH];
        int root = make_closed_chain(modes);

        ck_assert_int_eq(run_closed(job, root, CREW_ACCESS_LENT, &err), 0);
        ck_assert_uint_eq(check_records(job), CLOSED_DEPTH + 1);
        check_chain(root, modes, 0);
        job_free(job);
}
END_TEST

START_TEST(an_early_end_closes_directories_again)
{
        struct err err = { .kind = ERR_NONE };
        struct job *job = job_new();
        mode_t modes[CLOSED_DEPTH];
        int root = make_closed_chain(modes);

        job->fail_finish = "chain";
        ck_assert_int_eq(run_closed(job, root, CREW_ACCESS_LENT, &err), -EL3HLT);
        ck_assert_uint_lt(check_records(job), CLOSED_DEPTH);
        check_chain(root, modes, 0);
        job_free(job);
}
END_TEST

START_TEST(closed_directories_are_opened_up_for_good)
{
        struct err err = { .kind = ERR_NONE };
        struct job *job = job_new();
        mode_t modes[CLOSED_DEPTH];
        int root = make_closed_chain(modes);

        ck_assert_int_eq(run_closed(job, root, CREW_ACCESS_TAKEN, &err), 0);
        check_chain(root, modes, S_IRWXU);
        job_free(job);
}
END_TEST

START_TEST(closed_directories_stay_closed)
{
        struct err err = { .kind = ERR_NONE };
        struct job *job = job_new();
        mode_t modes[CLOSED_DEPTH];
        int root = make_closed_chain(modes);

        ck_assert_int_eq(run_closed(job, root, CREW_ACCESS_AS_IT_IS, &err), -EACCES);
        check_chain(root, modes, 0);
        job_free(job);
}
END_TEST

static int visit_symlink(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        int fd = crew_fd(w, d, CREW_TO);

        if (d->parent)
                return fd == -ELOOP || fd == -ENOTDIR ? CREW_SKIP_FINISH : err_runf(err, -EINVAL, "followed");
        return crew_add(w, d, &(struct crew_child){ .name = "x" }, err);
}

START_TEST(symlinks_are_not_followed)
{
        static const struct crew_ops follow = { .visit = visit_symlink };
        struct err err = { .kind = ERR_NONE };
        int root = scratch_directory();

        ck_assert_int_eq(symlinkat("/", root, "x"), 0);
        ck_assert_int_eq(crew_run(&(struct crew_config){ .ops = &follow, .root_fds = { -1, root } }, &err), 0);
}
END_TEST

/* One fails when another is in the middle of its visit, and that one ends because of it. */
struct pair {
        atomic_bool waiting;
};

static int visit_pair(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct pair *pair = crew_context(w);
        int r = 0;

        if (!d->parent) {
                r = crew_add(w, d, &(struct crew_child){ .name = "bad" }, err);
                return r < 0 ? r : crew_add(w, d, &(struct crew_child){ .name = "long" }, err);
        }
        if (str_equal(d->name, "bad")) {
                while (!atomic_load(&pair->waiting))
                        sched_yield();
                return err_runf(err, -EIO, "the first");
        }
        atomic_store(&pair->waiting, true);
        while (r == 0)
                r = crew_check(w, err);
        return r;
}

START_TEST(the_first_error_wins_over_its_echoes)
{
        static const struct crew_ops pair_ops = { .visit = visit_pair };
        struct err err = { .kind = ERR_NONE };
        struct pair pair = { .waiting = false };

        ck_assert_int_eq(crew_run(
                                 &(struct crew_config){
                                         .ops = &pair_ops, .context = &pair, .root_fds = { -1, -1 }, .threads = 2 },
                                 &err),
                         -EIO);
        ck_assert_str_eq(err.text, "the first");
}
END_TEST

/* An endless tree: each directory has two more. */
static int visit_endless(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        atomic_uint *visits = crew_context(w);
        const struct timespec moment = { .tv_nsec = 1000 * 1000 };
        int r = 0;

        if (atomic_fetch_add(visits, 1) == 50)
                kill(getpid(), SIGTERM);
        nanosleep(&moment, NULL);
        for (int i = 0; i < 2 && r == 0; i++)
                r = crew_add(w, d, &(struct crew_child){ .name = "x", .data = malloc(1) }, err);
        return r;
}

static void count_tick(void *context)
{
        (*(unsigned *)context)++;
}

START_TEST(a_stop_request_ends_it_quickly)
{
        static const struct crew_ops endless = { .visit = visit_endless, .forget = free };
        struct err err = { .kind = ERR_NONE };
        struct timespec began, ended;
        atomic_uint visits = 0;
        unsigned ticks = 0;

        ck_assert_int_eq(stop_init(&err), 0);
        clock_gettime(CLOCK_MONOTONIC, &began);
        ck_assert_int_eq(crew_run(&(struct crew_config){ .ops = &endless,
                                                         .context = &visits,
                                                         .root_fds = { -1, -1 },
                                                         .threads = THREADS,
                                                         .tick = count_tick,
                                                         .tick_context = &ticks },
                                  &err),
                         -ECANCELED);
        clock_gettime(CLOCK_MONOTONIC, &ended);
        ck_assert_int_le(ended.tv_sec - began.tv_sec, 2);
        ck_assert_str_eq(err.text, "stopped by signal TERM");
        ck_assert_int_eq(stop_signal(), SIGTERM);
        ck_assert_uint_ge(ticks, 1);
}
END_TEST

static atomic_bool loses_wake_ups;

int __real_eventfd_write(int fd, eventfd_t value);
int __wrap_eventfd_write(int fd, eventfd_t value);

int __wrap_eventfd_write(int fd, eventfd_t value)
{
        return loses_wake_ups ? -1 : __real_eventfd_write(fd, value);
}

static int visit_nothing(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        (void)w;
        (void)d;
        (void)err;
        return 0;
}

START_TEST(a_wake_up_that_is_lost_is_not_waited_for)
{
        static const struct crew_ops nothing = { .visit = visit_nothing };
        struct err err = { .kind = ERR_NONE };

        loses_wake_ups = true;
        ck_assert_int_eq(crew_run(&(struct crew_config){ .ops = &nothing, .root_fds = { -1, -1 } }, &err), 0);
        loses_wake_ups = false;
}
END_TEST

START_TEST(paths_are_built_from_the_chain)
{
        _cleanup_(buf_deinit) struct buf path = { .data = NULL };
        struct crew_dir *root = calloc(1, sizeof(*root) + 8), *a = calloc(1, sizeof(*a) + 8),
                        *b = calloc(1, sizeof(*b) + 8);

        a->parent = root;
        b->parent = a;
        memcpy(a->name, "a", 2);
        memcpy(b->name, "bc", 3);
        ck_assert_int_eq(crew_path(b, &path), 0);
        ck_assert_str_eq(path.data, "a/bc");
        ck_assert_uint_eq(path.size, 4);
        ck_assert_int_eq(crew_path(a, &path), 0);
        ck_assert_str_eq(path.data, "a");
        ck_assert_int_eq(crew_path(root, &path), 0);
        ck_assert_str_eq(path.data, "");
        free(root);
        free(a);
        free(b);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                each_directory_once_and_children_before_their_parents,
                an_error_of_visit_ends_the_job_and_is_returned,
                an_error_of_finish_ends_the_job_and_is_returned,
                a_skipped_finish_skips_no_other,
                two_trees_are_walked_side_by_side,
                deep_trees_need_few_descriptors,
                a_directory_that_was_swapped_is_noticed_when_it_is_opened_again,
                a_directory_that_is_not_the_announced_one_is_not_opened,
                closed_directories_are_opened_up_for_a_while,
                an_early_end_closes_directories_again,
                closed_directories_are_opened_up_for_good,
                closed_directories_stay_closed,
                symlinks_are_not_followed,
                the_first_error_wins_over_its_echoes,
                a_stop_request_ends_it_quickly,
                a_wake_up_that_is_lost_is_not_waited_for,
                paths_are_built_from_the_chain,
        };

        return scratch_run("crew", tests, ARRAY_SIZE(tests));
}
