/* A question on the terminal: nothing that is typed is shown, and the terminal is given back as it was. */
#include "base/prompt.h"
#include "terminal.h"

static int ask(struct secret *ret, struct err *err)
{
        return prompt_secret(ret, "Really?", 0, err);
}

static int ask_for_a_second(struct secret *ret, struct err *err)
{
        return prompt_secret(ret, "Really?", 1, err);
}

/* Ask, type @keys, and see that they are not shown. */
static void answer(struct terminal *t, const char *keys, struct terminal_result *ret)
{
        terminal_start(t, ask);
        terminal_expect(t, "Really? ");
        ck_assert(!terminal_echoes(t));
        terminal_type(t, keys);
        terminal_finish(t, ret);
        ck_assert_str_eq(strstr(t->shown, "Really? "), "Really? \r\n");
}

static void expect_answer(const char *keys, const char *expected)
{
        struct terminal_result result;
        struct terminal t;

        terminal_open(&t);
        answer(&t, keys, &result);
        ck_assert_msg(result.outcome == PROMPT_ANSWERED, "%d: %s", result.outcome, result.error);
        ck_assert_uint_eq(result.size, strlen(expected));
        ck_assert_int_eq(memcmp(result.data, expected, result.size), 0);
        terminal_close(&t);
}

START_TEST(a_line_is_taken_as_it_was_typed)
{
        expect_answer("open sesame\n", "open sesame");
        expect_answer("by the enter key\r", "by the enter key");
        expect_answer(" \xff\xc3\xa4\t \n", " \xff\xc3\xa4\t ");
        expect_answer("\n", "");
}
END_TEST

static int ask_openly(struct secret *ret, struct err *err)
{
        return prompt_line(ret, "Really?", 0, err);
}

START_TEST(what_is_no_secret_is_shown)
{
        struct terminal_result result;
        struct terminal t;

        terminal_open(&t);
        terminal_start(&t, ask_openly);
        terminal_expect(&t, "Really? ");
        ck_assert(terminal_echoes(&t));
        terminal_type(&t, "yes\n");
        terminal_finish(&t, &result);
        ck_assert_int_eq(result.outcome, PROMPT_ANSWERED);
        ck_assert_uint_eq(result.size, 3);
        ck_assert_str_eq(strstr(t.shown, "Really? "), "Really? yes\r\n");
        terminal_close(&t);
}
END_TEST

START_TEST(keys_edit_the_line)
{
        expect_answer("wrong\x15rigth\x7f\x7fht\n", "right");
        expect_answer("two words\x17lines\n", "two lines");
        expect_answer("ended by ctrl-d\x04", "ended by ctrl-d");
}
END_TEST

START_TEST(keys_that_would_leave_the_terminal_without_echo_do_nothing)
{
        expect_answer("\x1a\x1c\x15still here\n", "still here");
}
END_TEST

START_TEST(ctrl_d_alone_cancels)
{
        struct terminal_result result;
        struct terminal t;

        terminal_open(&t);
        answer(&t, "\x04", &result);
        ck_assert_int_eq(result.outcome, PROMPT_CANCELLED);
        terminal_close(&t);
}
END_TEST

/* What can be read from the terminal now, after a newline was typed. */
static void expect_left_nothing(struct terminal *t)
{
        char left[64] = "";

        terminal_type(t, "\n");
        ck_assert_int_gt(read(t->slave, left, sizeof(left) - 1), 0);
        ck_assert_str_eq(left, "\n");
}

START_TEST(ctrl_c_stops_and_leaves_no_half_typed_line)
{
        struct terminal_result result;
        struct terminal t;

        terminal_open(&t);
        answer(&t, "half\x03", &result);
        ck_assert_int_eq(result.outcome, -ECANCELED);
        ck_assert_str_eq(result.error, "stopped by signal INT");
        expect_left_nothing(&t);
        terminal_close(&t);
}
END_TEST

START_TEST(signals_stop_and_leave_no_half_typed_line)
{
        static const int signals[] = { SIGTERM, SIGHUP, SIGINT };
        struct terminal_result result;
        struct terminal t;

        for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
                terminal_open(&t);
                terminal_start(&t, ask);
                terminal_expect(&t, "Really? ");
                terminal_type(&t, "half");
                ck_assert_int_eq(kill(t.child, signals[i]), 0);
                terminal_finish(&t, &result);
                ck_assert_int_eq(result.outcome, -ECANCELED);
                expect_left_nothing(&t);
                terminal_close(&t);
        }
}
END_TEST

START_TEST(nobody_types_for_too_long)
{
        struct terminal_result result;
        struct terminal t;

        terminal_open(&t);
        terminal_start(&t, ask_for_a_second);
        terminal_expect(&t, "Really? ");
        terminal_type(&t, "half");
        terminal_finish(&t, &result);
        ck_assert_int_eq(result.outcome, PROMPT_TIMED_OUT);
        expect_left_nothing(&t);
        terminal_close(&t);
}
END_TEST

START_TEST(what_was_pasted_behind_the_answer_is_thrown_away)
{
        struct terminal_result result;
        struct terminal t;

        terminal_open(&t);
        answer(&t, "answer\nrm -rf x\n", &result);
        ck_assert_int_eq(result.outcome, PROMPT_ANSWERED);
        ck_assert_uint_eq(result.size, 6);
        expect_left_nothing(&t);
        terminal_close(&t);
}
END_TEST

START_TEST(what_was_typed_before_the_question_is_no_answer)
{
        struct terminal_result result;
        struct terminal t;

        terminal_open(&t);
        terminal_type(&t, "early\n");
        answer(&t, "answer\n", &result);
        ck_assert_int_eq(result.outcome, PROMPT_ANSWERED);
        ck_assert_int_eq(memcmp(result.data, "answer", 7), 0);
        terminal_close(&t);
}
END_TEST

START_TEST(what_is_too_long_is_refused)
{
        static const struct {
                int size;
                int outcome;
        } cases[] = {
                { PROMPT_SIZE_MAX, PROMPT_ANSWERED },
                { PROMPT_SIZE_MAX + 1, -EMSGSIZE },
                { 4090, -EMSGSIZE },
        };
        struct terminal_result result;
        char keys[5000];
        struct terminal t;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                snprintf(keys, sizeof(keys), "%0*d\n", cases[i].size, 7);
                terminal_open(&t);
                answer(&t, keys, &result);
                ck_assert_int_eq(result.outcome, cases[i].outcome);
                ck_assert_uint_eq(result.size, cases[i].outcome == PROMPT_ANSWERED ? (size_t)cases[i].size : 0);
                ck_assert_ptr_null(strstr(result.error, "000"));
                terminal_close(&t);
        }
}
END_TEST

/* As a program that has crashed left it. */
static void make_raw(struct terminal *t)
{
        struct termios mode = t->before;

        cfmakeraw(&mode);
        mode.c_lflag |= ECHO;
        mode.c_iflag |= ISTRIP | INLCR;
        mode.c_oflag |= OPOST | ONLCR;
        terminal_set(t, &mode);
}

START_TEST(a_terminal_in_another_mode_is_given_back_in_it)
{
        struct terminal_result result;
        struct terminal t;

        terminal_open(&t);
        make_raw(&t);
        answer(&t, "wrong\x15\xc3\xa4\r", &result);
        ck_assert_int_eq(result.outcome, PROMPT_ANSWERED);
        ck_assert_int_eq(memcmp(result.data, "\xc3\xa4", 3), 0);
        terminal_close(&t);
        terminal_open(&t);
        make_raw(&t);
        answer(&t, "half\x03\r", &result);
        ck_assert_int_eq(result.outcome, -ECANCELED);
        terminal_close(&t);
}
END_TEST

START_TEST(the_status_line_makes_room)
{
        struct terminal_result result;
        struct terminal t;

        ck_assert_int_eq(setenv("TERM", "xterm", 1), 0);
        ck_assert_int_eq(unsetenv("JOURNAL_STREAM"), 0);
        terminal_open(&t);
        answer(&t, "answer\n", &result);
        ck_assert_ptr_nonnull(strstr(t.shown, "status line\r\033[KReally? \r\n"));
        terminal_close(&t);
}
END_TEST

START_TEST(a_terminal_that_goes_away_ends_the_question)
{
        struct terminal_result result;
        struct terminal t;

        terminal_open(&t);
        terminal_start(&t, ask);
        terminal_expect(&t, "Really? ");
        fd_close(t.master);
        ck_assert(terminal_wait(t.result, TERMINAL_WAIT_MS));
        ck_assert_int_eq(fd_read_full(t.result, &result, sizeof(result)), (ssize_t)sizeof(result));
        ck_assert_msg(result.outcome == -ECANCELED || result.outcome == PROMPT_CANCELLED || result.outcome == -EIO,
                      "%d", result.outcome);
        ck_assert_uint_eq(result.size, 0);
        t.master = -1;
        terminal_close(&t);
}
END_TEST

START_TEST(both_ends_must_be_the_terminal)
{
        int null = open("/dev/null", O_RDWR), slave, master;

        ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
        for (int i = 0; i < 4; i++) {
                ck_assert_int_eq(dup2(i & 1 ? slave : null, STDIN_FILENO), STDIN_FILENO);
                ck_assert_int_eq(dup2(i & 2 ? slave : null, STDERR_FILENO), STDERR_FILENO);
                ck_assert_int_eq(prompt_is_possible(), i == 3);
        }
        fd_close(master);
        fd_close(slave);
        fd_close(null);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                a_line_is_taken_as_it_was_typed,
                what_is_no_secret_is_shown,
                keys_edit_the_line,
                keys_that_would_leave_the_terminal_without_echo_do_nothing,
                ctrl_d_alone_cancels,
                ctrl_c_stops_and_leaves_no_half_typed_line,
                signals_stop_and_leave_no_half_typed_line,
                nobody_types_for_too_long,
                what_was_pasted_behind_the_answer_is_thrown_away,
                what_was_typed_before_the_question_is_no_answer,
                what_is_too_long_is_refused,
                a_terminal_in_another_mode_is_given_back_in_it,
                the_status_line_makes_room,
                a_terminal_that_goes_away_ends_the_question,
                both_ends_must_be_the_terminal,
        };

        return scratch_run("prompt", tests, ARRAY_SIZE(tests));
}
