/*
 * Runs that share a disk: the last to leave gives back what any of them opened; a run that was killed counts no more,
 * and what it left open is found to be ours. Each of several users is a process, or an open file of its own here.
 */
#include "base/err.h"
#include "scratch.h"
#include "storage/share.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static const char *key(void)
{
        static char text[300];

        snprintf(text, sizeof(text), "%s/a disk", scratch_path);
        if (geteuid() != 0)
                ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", scratch_path, 1), 0);
        return text;
}

static void join(struct share *s)
{
        struct err err = { .kind = ERR_NONE };

        share_init(s);
        ck_assert_int_eq(share_join(s, "test", key(), &err), 0);
        ck_assert_int_ge(s->users_fd, 0);
}

static void note(struct share *s, const char *text)
{
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(share_write_note(s, text, &err), 0);
}

static int leave(struct share *s)
{
        struct err err = { .kind = ERR_NONE };

        return share_leave(s, &err);
}

START_TEST(the_last_to_leave_is_told_so)
{
        struct share a, b, c;

        join(&a);
        ck_assert_str_eq(a.note, "");
        note(&a, "instance 1");
        share_open_gate(&a);
        join(&b);
        ck_assert_str_eq(b.note, "instance 1");
        share_open_gate(&b);
        /* The first goes first: not the last. */
        ck_assert_int_eq(leave(&a), 0);
        share_deinit(&a);
        join(&c);
        share_open_gate(&c);
        ck_assert_int_eq(leave(&c), 0);
        share_deinit(&c);
        ck_assert_int_eq(leave(&b), 1);
        ck_assert_str_eq(b.note, "instance 1");
        note(&b, "");
        share_deinit(&b);
        join(&a);
        ck_assert_str_eq(a.note, "");
        ck_assert_int_eq(leave(&a), 1);
        share_deinit(&a);
}
END_TEST

START_TEST(a_note_of_another_run_is_read_when_leaving)
{
        struct share a, b;

        join(&a);
        note(&a, "opened read-only");
        share_open_gate(&a);
        join(&b);
        note(&b, "opened");
        share_open_gate(&b);
        ck_assert_int_eq(leave(&b), 0);
        share_deinit(&b);
        ck_assert_int_eq(leave(&a), 1);
        ck_assert_str_eq(a.note, "opened");
        note(&a, "");
        share_deinit(&a);
}
END_TEST

/* A process that joins, writes a note, and is killed, at the gate or behind it. */
static void join_and_die(bool at_gate)
{
        int ready[2];
        char byte;
        pid_t child;

        ck_assert_int_eq(pipe(ready), 0);
        child = fork();
        if (child == 0) {
                struct share s;

                join(&s);
                note(&s, "left open");
                if (!at_gate)
                        share_open_gate(&s);
                if (write(ready[1], "x", 1) != 1)
                        _exit(1);
                pause();
                _exit(0);
        }
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        close(ready[0]);
        close(ready[1]);
}

START_TEST(what_a_killed_run_left_open_is_known)
{
        struct share s;

        for (int at_gate = 0; at_gate < 2; at_gate++) {
                join_and_die(at_gate);
                join(&s);
                ck_assert_str_eq(s.note, "left open");
                share_open_gate(&s);
                ck_assert_int_eq(leave(&s), 1);
                note(&s, "");
                share_deinit(&s);
        }
}
END_TEST

/* The second one passes only when the first has opened the gate, and finds what it wrote. */
START_TEST(the_gate_lets_one_in_at_a_time)
{
        struct share s;
        int status;
        pid_t child;

        join(&s);
        child = fork();
        if (child == 0) {
                struct share other;

                share_deinit(&s);
                join(&other);
                _exit(str_equal(other.note, "ready") ? 0 : 1);
        }
        usleep(150000);
        note(&s, "ready");
        share_open_gate(&s);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        ck_assert_int_eq(leave(&s), 1);
        note(&s, "");
        share_deinit(&s);
}
END_TEST

START_TEST(a_note_that_somebody_damaged_does_no_harm)
{
        char text[2 * SHARE_NOTE_SIZE];
        struct share a, b;

        memset(text, 'x', sizeof(text));
        join(&a);
        ck_assert_int_eq(pwrite(a.users_fd, text, sizeof(text), 0), (ssize_t)sizeof(text));
        share_open_gate(&a);
        join(&b);
        ck_assert_uint_eq(strlen(b.note), SHARE_NOTE_SIZE - 1);
        note(&b, "");
        share_deinit(&b);
        ck_assert_int_eq(leave(&a), 1);
        ck_assert_str_eq(a.note, "");
        share_deinit(&a);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                the_last_to_leave_is_told_so,
                a_note_of_another_run_is_read_when_leaving,
                what_a_killed_run_left_open_is_known,
                the_gate_lets_one_in_at_a_time,
                a_note_that_somebody_damaged_does_no_harm,
        };

        return scratch_run("share", tests, ARRAY_SIZE(tests));
}
