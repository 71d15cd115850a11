/* What is remembered comes back as it was; what makes no sense is refused as a whole. */
#include "base/err.h"
#include "scratch.h"
#include "storage/state.h"

#include <errno.h>
#include <sys/wait.h>

static const char hostile[] = " /sp ace\n%41\r\t\x01\x7f caf\xc3\xa9 \xff\xfe end\nversion 2 ";

static void set(char **field, const char *value)
{
        ck_assert_int_eq(state_set(field, value), 0);
}

/* All fields, with bytes that must not come through as they are. */
static struct state make(void)
{
        struct state s = { .has_reference = true,
                           .reference = { INT64_MIN, 999999999 },
                           .uptime = { INT64_MAX, 1 },
                           .running = true,
                           .running_since = { INT64_C(1) << 40, 1 },
                           .partial = true,
                           .entries = UINT64_MAX,
                           .bytes = 12345678901234 };

        set(&s.machine, "0123456789abcdef");
        set(&s.source, hostile);
        set(&s.source_filesystem, " ");
        set(&s.latest, "%");
        set(&s.boot, hostile);
        ck_assert_int_eq(state_add_filesystem(&s, "uuid-1"), 0);
        ck_assert_int_eq(state_add_filesystem(&s, "uuid-2"), 0);
        ck_assert_int_eq(state_add_filesystem(&s, "uuid-1"), 0);
        ck_assert_int_eq(state_add_outcome(&s, "2026-11-20 17:00:00", true), 0);
        ck_assert_int_eq(state_add_outcome(&s, "2026-11-21 17:00:00", false), 0);
        return s;
}

static void check_text(const char *a, const char *b)
{
        ck_assert_int_eq(!a, !b);
        if (a)
                ck_assert_str_eq(a, b);
}

static void check_equal(const struct state *a, const struct state *b)
{
        check_text(a->machine, b->machine);
        check_text(a->source, b->source);
        check_text(a->source_filesystem, b->source_filesystem);
        check_text(a->latest, b->latest);
        check_text(a->boot, b->boot);
        ck_assert(a->uptime.tv_sec == b->uptime.tv_sec && a->uptime.tv_nsec == b->uptime.tv_nsec);
        ck_assert(a->has_reference == b->has_reference);
        ck_assert(a->running == b->running && a->partial == b->partial);
        ck_assert(a->reference.tv_sec == b->reference.tv_sec && a->reference.tv_nsec == b->reference.tv_nsec);
        ck_assert(a->running_since.tv_sec == b->running_since.tv_sec);
        ck_assert(a->running_since.tv_nsec == b->running_since.tv_nsec);
        ck_assert(a->entries == b->entries && a->bytes == b->bytes);
        ck_assert_uint_eq(a->filesystem_count, b->filesystem_count);
        for (size_t i = 0; i < a->filesystem_count; i++)
                ck_assert_str_eq(a->filesystems[i], b->filesystems[i]);
        ck_assert_uint_eq(a->outcome_count, b->outcome_count);
        for (size_t i = 0; i < a->outcome_count; i++) {
                ck_assert_str_eq(a->outcomes[i].name, b->outcomes[i].name);
                ck_assert(a->outcomes[i].complete == b->outcomes[i].complete);
        }
}

static void save(const struct state *s, int dir)
{
        struct err err = { .kind = ERR_NONE };
        int r = state_save(s, dir, &err);

        ck_assert_msg(r == 0, "%s", err.text);
}

static size_t read_text(int dir, char *text, size_t size)
{
        int fd = openat(dir, "state", O_RDONLY);
        ssize_t n = read(fd, text, size - 1);

        ck_assert_int_ge(n, 0);
        text[n] = '\0';
        close(fd);
        return (size_t)n;
}

START_TEST(all_of_it_comes_back)
{
        struct state first = make(), empty = { .machine = NULL }, again;
        struct err err = { .kind = ERR_NONE };
        int dir = scratch_directory();
        char text[4096];

        ck_assert_int_eq(state_load(&again, dir, &err), 0);
        check_equal(&empty, &again);
        save(&first, dir);
        ck_assert_int_eq(state_load(&again, dir, &err), 0);
        check_equal(&first, &again);
        state_deinit(&again);
        /* What is shown of it upsets nobody. */
        for (size_t i = 0, n = read_text(dir, text, sizeof(text)); i < n; i++)
                ck_assert(text[i] == '\n' || ((unsigned char)text[i] >= 0x20 && text[i] != 0x7f));
        save(&empty, dir);
        ck_assert_int_eq(state_load(&again, dir, &err), 0);
        check_equal(&empty, &again);
        state_deinit(&first);
}
END_TEST

START_TEST(an_empty_text_is_none)
{
        struct state s = { .machine = NULL }, again;
        struct err err = { .kind = ERR_NONE };
        int dir = scratch_directory();

        set(&s.machine, "");
        save(&s, dir);
        ck_assert_int_eq(state_load(&again, dir, &err), 0);
        check_text(again.machine, NULL);
        state_deinit(&s);
}
END_TEST

START_TEST(every_byte_value_survives)
{
        struct state s = { .machine = NULL }, again;
        struct err err = { .kind = ERR_NONE };
        int dir = scratch_directory();
        char all[256];

        for (int i = 0; i < 255; i++)
                all[i] = (char)(i + 1);
        all[255] = '\0';
        set(&s.source, all);
        save(&s, dir);
        ck_assert_int_eq(state_load(&again, dir, &err), 0);
        ck_assert_str_eq(again.source, all);
        state_deinit(&again);
        state_deinit(&s);
}
END_TEST

static void refuse(const char *text, size_t size)
{
        struct err err = { .kind = ERR_NONE };
        struct state s;

        ck_assert_msg(state_parse(&s, text, size, &err) == -EBADMSG, "accepted: %s", text);
        ck_assert_int_eq(err.kind, ERR_RUN);
        ck_assert_ptr_nonnull(strstr(err.text, "is damaged at line"));
        ck_assert(!s.machine && !s.source && !s.outcomes && !s.filesystems && s.outcome_count == 0);
}

static void accept(const char *text)
{
        struct err err = { .kind = ERR_NONE };
        struct state s;

        ck_assert_msg(state_parse(&s, text, strlen(text), &err) == 0, "refused (%s): %s", err.text, text);
        state_deinit(&s);
}

START_TEST(damage_of_every_kind_is_refused)
{
        static const char *const bodies[] = {
                "nonsense",
                "nonsense x",
                "machine",
                "machine ",
                "machine a\nmachine b",
                "source %",
                "source %4",
                "source %4x",
                "source %4a",
                "source %00",
                "partial maybe",
                "partial YES",
                "partial no\npartial no",
                "reference 5",
                "reference 5.",
                "reference 5.12345678",
                "reference 5.1234567890",
                "reference 5.12345678x",
                "reference 5.-12345678",
                "reference .123456789",
                "reference -.123456789",
                "reference x.123456789",
                "reference  5.123456789",
                "reference +5.123456789",
                "reference 99999999999999999999.123456789",
                "reference 5.123456789\nreference 5.123456789",
                "reference-uptime 5",
                "reference-uptime -5.123456789",
                "reference-uptime 9223372036854775808.123456789",
                "reference-uptime 5.123456789\nreference-uptime 5.123456789",
                "reference-boot ",
                "reference-boot a\nreference-boot a",
                "running-since 5.1",
                "running-since 5.123456789\nrunning-since 5.123456789",
                "entries -1",
                "entries ",
                "entries 1x",
                "entries 18446744073709551616",
                "entries 1\nentries 2",
                "bytes 0x1",
                "bytes 1\nbytes 1",
                "complete a\nincomplete a",
                "complete a\ncomplete a",
                "complete ",
                "filesystem ",
                "filesystem a\nfilesystem a",
                "version 1",
                "",
                " ",
        };
        char text[300];

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
                snprintf(text, sizeof(text), "version 1\n%s\nend\n", bodies[i]);
                refuse(text, strlen(text));
        }
        accept("version 1\nend\n");
        accept("version 1\nmachine a\nreference -5.123456789\ncomplete a\nincomplete b\nfilesystem a\nend\n");
}
END_TEST

START_TEST(the_frame_is_checked)
{
        static const char *const texts[] = {
                "",
                "\n",
                "end\n",
                "version 1\n",
                "version 1\nend",
                "version 2\nend\n",
                "version\nend\n",
                "version 1\nend\n\n",
                "version 1\nend\nmachine a\n",
                "\nversion 1\nend\n",
                "machine a\nversion 1\nend\n",
                "version 1\r\nend\r\n",
                "version 1\nend x\n",
                "version 01\nend\n",
        };
        static const char with_nul[] = "version 1\nmachine a\0b\nend\n", nul_end[] = "version 1\nend\n\0",
                          nul_line[] = "version 1\n\0\nend\n";

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                refuse(texts[i], strlen(texts[i]));
        refuse(with_nul, sizeof(with_nul) - 1);
        refuse(nul_end, sizeof(nul_end) - 1);
        refuse(nul_line, sizeof(nul_line) - 1);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
        struct state s = make();
        int dir = scratch_directory();
        char text[4096], *part;
        size_t size;

        save(&s, dir);
        size = read_text(dir, text, sizeof(text));
        for (size_t i = 0; i < size; i++) {
                /* Of exactly this size, so that a byte read too far is seen by the address sanitizer. */
                part = malloc(i + 1);
                memcpy(part, text, i);
                refuse(part, i);
                free(part);
        }
        state_deinit(&s);
}
END_TEST

START_TEST(a_file_that_is_not_ours_is_not_believed)
{
        struct err err = { .kind = ERR_NONE };
        int dir = scratch_directory();
        struct state s;

        scratch_file(dir, "state", "version 1\nend\n", 14);
        ck_assert_int_eq(state_load(&s, dir, &err), 0);
        if (geteuid() == 0) {
                ck_assert_int_eq(fchownat(dir, "state", 12345, 0, 0), 0);
                ck_assert_int_eq(state_load(&s, dir, &err), -EBADMSG);
                ck_assert_ptr_nonnull(strstr(err.text, "somebody else"));
                err_clear(&err);
        }
        ck_assert_int_eq(unlinkat(dir, "state", 0), 0);
        ck_assert_int_eq(mkfifoat(dir, "state", 0600), 0);
        ck_assert_int_eq(state_load(&s, dir, &err), -EBADMSG);
        err_clear(&err);
        ck_assert_int_eq(unlinkat(dir, "state", 0), 0);
        scratch_file(dir, "elsewhere", "version 1\nend\n", 14);
        ck_assert_int_eq(symlinkat("elsewhere", dir, "state"), 0);
        ck_assert_int_eq(state_load(&s, dir, &err), -ELOOP);
        ck_assert_int_eq(err.kind, ERR_RUN);
}
END_TEST

START_TEST(saving_replaces_the_whole_file_and_nothing_else)
{
        struct state s = make();
        int dir = scratch_directory();
        struct err err = { .kind = ERR_NONE };
        struct stat st;
        char text[64];

        /* Somebody laid a trap where the new file is going to be written. */
        scratch_file(dir, "victim", "precious", 8);
        ck_assert_int_eq(symlinkat("victim", dir, "state.new"), 0);
        ck_assert_int_eq(symlinkat("victim", dir, "state"), 0);
        save(&s, dir);
        ck_assert_int_eq(fstatat(dir, "state", &st, AT_SYMLINK_NOFOLLOW), 0);
        ck_assert(S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0600);
        ck_assert_int_eq(faccessat(dir, "state.new", F_OK, AT_SYMLINK_NOFOLLOW), -1);
        ck_assert_int_eq(renameat(dir, "victim", dir, "state"), 0);
        read_text(dir, text, sizeof(text));
        ck_assert_str_eq(text, "precious");
        /* What cannot be written is an error of the run, and leaves the old one. */
        ck_assert_int_eq(mkdirat(dir, "state.new", 0700), 0);
        ck_assert_int_lt(state_save(&s, dir, &err), 0);
        ck_assert_int_eq(err.kind, ERR_RUN);
        read_text(dir, text, sizeof(text));
        ck_assert_str_eq(text, "precious");
        state_deinit(&s);
}
END_TEST

START_TEST(outcomes_are_added_changed_and_dropped)
{
        struct state s = { .machine = NULL };

        ck_assert(state_is_complete(&s, "never recorded"));
        ck_assert_int_eq(state_add_outcome(&s, "a", false), 0);
        ck_assert_int_eq(state_add_outcome(&s, "b", false), 0);
        ck_assert_int_eq(state_add_outcome(&s, "a", true), 0);
        ck_assert(state_is_complete(&s, "a") && !state_is_complete(&s, "b"));
        ck_assert_uint_eq(s.outcome_count, 2);
        ck_assert(state_drop_outcome(&s, "a"));
        ck_assert(!state_drop_outcome(&s, "never recorded"));
        ck_assert(s.outcome_count == 1 && !state_is_complete(&s, "b"));
        state_drop_outcome(&s, "b");
        ck_assert(s.outcome_count == 0 && state_is_complete(&s, "b"));
        ck_assert(!state_knows_filesystem(&s, "x"));
        ck_assert_int_eq(state_add_filesystem(&s, "x"), 0);
        ck_assert(state_knows_filesystem(&s, "x"));
        state_deinit(&s);
        ck_assert(!state_knows_filesystem(&s, "x"));
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                all_of_it_comes_back,
                an_empty_text_is_none,
                every_byte_value_survives,
                damage_of_every_kind_is_refused,
                the_frame_is_checked,
                a_file_cut_anywhere_is_refused,
                a_file_that_is_not_ours_is_not_believed,
                saving_replaces_the_whole_file_and_nothing_else,
                outcomes_are_added_changed_and_dropped,
        };

        return scratch_run("state", tests, ARRAY_SIZE(tests));
}
