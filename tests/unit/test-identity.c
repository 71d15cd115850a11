/* The machine's name, filesystems' UUIDs, and the disks that this machine remembers. */
#include "base/err.h"
#include "base/fd.h"
#include "scratch.h"
#include "storage/identity.h"

#include <errno.h>
#include <sys/wait.h>

static char memory[512];

/* A memory of its own for one case, in a directory that does not exist yet. */
static void use_memory(void)
{
        char path[400];

        scratch_path_of(scratch_directory(), path, sizeof(path));
        snprintf(memory, sizeof(memory), "%s/not/yet", path);
        ck_assert_int_eq(setenv("STATE_DIRECTORY", memory, 1), 0);
}

static void remember(const char *destination, const char *uuid)
{
        struct err err = { .kind = ERR_NONE };
        int r = identity_remember(destination, uuid, &err);

        ck_assert_msg(r == 0, "%s", err.text);
}

START_TEST(a_destination_is_new_known_or_on_another_disk)
{
        struct stat st;

        use_memory();
        ck_assert_int_eq(identity_recall("/mnt/a", "uuid-1"), IDENTITY_NEW);
        remember("/mnt/a", "uuid-1");
        ck_assert_int_eq(identity_recall("/mnt/a", "uuid-1"), IDENTITY_KNOWN);
        ck_assert_int_eq(identity_recall("/mnt/a", "uuid-2"), IDENTITY_ANOTHER);
        ck_assert_int_eq(identity_recall("/mnt/a b", "uuid-1"), IDENTITY_NEW);
        ck_assert_int_eq(identity_recall("/mnt", "uuid-1"), IDENTITY_NEW);
        /* Two disks that take turns, and a name with a space. */
        remember("/mnt/a", "uuid-2");
        remember("/mnt/a b", "uuid-3");
        ck_assert_int_eq(identity_recall("/mnt/a", "uuid-1"), IDENTITY_KNOWN);
        ck_assert_int_eq(identity_recall("/mnt/a", "uuid-2"), IDENTITY_KNOWN);
        ck_assert_int_eq(identity_recall("/mnt/a b", "uuid-3"), IDENTITY_KNOWN);
        ck_assert_int_eq(identity_recall("/mnt/a b", "uuid-1"), IDENTITY_ANOTHER);
        ck_assert_int_eq(stat(memory, &st), 0);
        ck_assert_uint_eq(st.st_mode & 0777, 0700);
}
END_TEST

START_TEST(what_several_runs_remember_at_once_is_all_there)
{
        enum { RUNS = 4, EACH = 25 };
        char destination[40];

        use_memory();
        for (int run = 0; run < RUNS; run++) {
                pid_t child = fork();

                ck_assert_int_ge(child, 0);
                for (int i = 0; child == 0 && i < EACH; i++) {
                        snprintf(destination, sizeof(destination), "/mnt/%d/%d", run, i);
                        remember(destination, "uuid-1");
                }
                if (child == 0)
                        _exit(0);
        }
        for (int run = 0; run < RUNS; run++) {
                int status;

                ck_assert_int_gt(wait(&status), 0);
                ck_assert_int_eq(status, 0);
        }
        for (int i = 0; i < RUNS * EACH; i++) {
                snprintf(destination, sizeof(destination), "/mnt/%d/%d", i / EACH, i % EACH);
                ck_assert_int_eq(identity_recall(destination, "uuid-1"), IDENTITY_KNOWN);
        }
}
END_TEST

START_TEST(a_hostile_name_forges_no_line)
{
        use_memory();
        remember("/mnt/x\nuuid-9 /mnt/victim", "uuid-1");
        ck_assert_int_eq(identity_recall("/mnt/victim", "uuid-9"), IDENTITY_NEW);
        ck_assert_int_eq(identity_recall("/mnt/x", "uuid-1"), IDENTITY_NEW);
        remember("/mnt/\xff\r%", "uuid-1");
        ck_assert_int_eq(identity_recall("/mnt/\xff\r%", "uuid-1"), IDENTITY_KNOWN);
}
END_TEST

START_TEST(a_memory_that_people_edited_is_read_as_far_as_it_goes)
{
        char command[600];

        use_memory();
        remember("/mnt/a", "uuid-1");
        snprintf(command, sizeof(command), "printf '\\n\\nnonsense\\n /mnt/q\\nuuid-5 /mnt/b' >>'%s/disks'", memory);
        ck_assert_int_eq(system(command), 0);
        ck_assert_int_eq(identity_recall("/mnt/b", "uuid-5"), IDENTITY_KNOWN);
        /* Its last line lacks the newline. */
        remember("/mnt/c", "uuid-6");
        ck_assert_int_eq(identity_recall("/mnt/a", "uuid-1"), IDENTITY_KNOWN);
        ck_assert_int_eq(identity_recall("/mnt/b", "uuid-5"), IDENTITY_KNOWN);
        ck_assert_int_eq(identity_recall("/mnt/c", "uuid-6"), IDENTITY_KNOWN);
}
END_TEST

START_TEST(of_several_state_directories_the_first_is_used)
{
        char several[sizeof(memory) + 16];

        use_memory();
        remember("/mnt/a", "uuid-1");
        snprintf(several, sizeof(several), "%s:/dev/null/x", memory);
        ck_assert_int_eq(setenv("STATE_DIRECTORY", several, 1), 0);
        ck_assert_int_eq(identity_recall("/mnt/a", "uuid-1"), IDENTITY_KNOWN);
        remember("/mnt/a", "uuid-2");
}
END_TEST

START_TEST(where_nothing_can_be_remembered_is_told)
{
        struct err err = { .kind = ERR_NONE };

        use_memory();
        ck_assert_int_eq(setenv("STATE_DIRECTORY", "/dev/null/x", 1), 0);
        ck_assert_int_eq(identity_recall("/mnt/a", "uuid-1"), IDENTITY_NEW);
        ck_assert_int_lt(identity_remember("/mnt/a", "uuid-1", &err), 0);
        ck_assert_int_eq(err.kind, ERR_ITEM);
}
END_TEST

static void expect_memory(const char *directory)
{
        char path[600];

        ck_assert_int_eq(identity_recall("/mnt/a", "uuid-1"), IDENTITY_NEW);
        remember("/mnt/a", "uuid-1");
        snprintf(path, sizeof(path), "%s/disks", directory);
        ck_assert_msg(access(path, R_OK) == 0, "it is not in %s", path);
        ck_assert_int_eq(identity_recall("/mnt/a", "uuid-1"), IDENTITY_KNOWN);
        ck_assert_int_eq(unlink(path), 0);
}

START_TEST(an_ordinary_user_remembers_at_home)
{
        enum { SOMEBODY = 12345 };
        char home[512], place[700];

        use_memory();
        snprintf(home, sizeof(home), "%s", memory);
        *strrchr(home, '/') = '\0';
        *strrchr(home, '/') = '\0';
        if (geteuid() == 0) {
                ck_assert_int_eq(chmod(home, 0777), 0);
                ck_assert_int_eq(seteuid(SOMEBODY), 0);
        }
        ck_assert_int_eq(unsetenv("STATE_DIRECTORY"), 0);
        ck_assert_int_eq(setenv("HOME", home, 1), 0);
        ck_assert_int_eq(setenv("XDG_STATE_HOME", "not/absolute", 1), 0);
        snprintf(place, sizeof(place), "%s/.local/state/rsync-system-backup", home);
        expect_memory(place);
        snprintf(place, sizeof(place), "%s/x", home);
        ck_assert_int_eq(setenv("XDG_STATE_HOME", place, 1), 0);
        snprintf(place, sizeof(place), "%s/x/rsync-system-backup", home);
        expect_memory(place);
        ck_assert_int_eq(unsetenv("XDG_STATE_HOME"), 0);
        ck_assert_int_eq(unsetenv("HOME"), 0);
        remember("/mnt/a", "uuid-1");
        ck_assert_int_eq(identity_recall("/mnt/a", "uuid-1"), IDENTITY_NEW);
        /* The leak sanitizer has to be allowed to look at its own process at the end. */
        if (getuid() == 0)
                ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(machine_and_filesystem_have_plain_names)
{
        char machine[IDENTITY_SIZE], again[IDENTITY_SIZE], uuid[IDENTITY_SIZE];
        int dir = scratch_directory(), shm = open("/dev/shm", O_RDONLY | O_DIRECTORY);

        identity_machine(machine);
        identity_machine(again);
        ck_assert_str_eq(machine, again);
        ck_assert_uint_gt(strlen(machine), 0);
        ck_assert_uint_eq(strcspn(machine, " \n"), strlen(machine));
        identity_filesystem(dir, uuid);
        ck_assert_uint_eq(strspn(uuid, "0123456789abcdefABCDEF-"), strlen(uuid));
        identity_filesystem(-1, uuid);
        ck_assert_str_eq(uuid, "");
        fd_close(shm);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                a_destination_is_new_known_or_on_another_disk,
                what_several_runs_remember_at_once_is_all_there,
                a_hostile_name_forges_no_line,
                a_memory_that_people_edited_is_read_as_far_as_it_goes,
                of_several_state_directories_the_first_is_used,
                where_nothing_can_be_remembered_is_told,
                an_ordinary_user_remembers_at_home,
                machine_and_filesystem_have_plain_names,
        };

        return scratch_run("identity", tests, ARRAY_SIZE(tests));
}
