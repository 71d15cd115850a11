/* What the machine runs on, and what keeps a job from being run. The directories are what the kernel shows of machines.
 */
#include "scratch.h"

#include "base/err.h"
#include "system/conditions.h"
#include "system/power.h"

#include <fcntl.h>

struct value {
        const char *name, *text;
};

static void make_value(const char *directory, const char *name, const char *text)
{
        char path[400];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", directory, name);
        file = fopen(path, "w");
        ck_assert_ptr_nonnull(file);
        ck_assert_int_ge(fprintf(file, "%s\n", text), 0);
        ck_assert_int_eq(fclose(file), 0);
}

static void make_supply(const char *machine, const char *name, const struct value *values)
{
        char directory[380];

        snprintf(directory, sizeof(directory), "%s/%s", machine, name);
        ck_assert_int_eq(mkdir(directory, 0755), 0);
        for (; values->name; values++)
                make_value(directory, values->name, values->text);
}

/* A new machine; the path is static. */
static const char *machine(void)
{
        static char path[300];

        snprintf(path, sizeof(path), "%s/machine-XXXXXX", scratch_path);
        ck_assert_ptr_nonnull(mkdtemp(path));
        return path;
}

#define SUPPLY(machine, name, ...) make_supply(machine, name, (const struct value[]){ __VA_ARGS__, { NULL, NULL } })
#define BATTERY(machine, name, status, capacity) \
        SUPPLY(machine, name, { "type", "Battery" }, { "status", status }, { "capacity", capacity })
#define MAINS(machine, online) SUPPLY(machine, "AC", { "type", "Mains" }, { "online", online })

static struct power power_of(const char *machine)
{
        struct power p;

        power_read(&p, machine);
        return p;
}

START_TEST(a_machine_without_battery_is_not_on_battery)
{
        const char *m = machine();

        ck_assert(!power_of("/nonexistent").on_battery && !power_of("/nonexistent").has_battery);
        ck_assert(!power_of(m).on_battery && !power_of(m).has_battery);
        MAINS(m, "0");
        ck_assert(!power_of(m).on_battery);
        BATTERY(m, "BAT0", "Unknown", "77");
        ck_assert(power_of(m).on_battery);
}
END_TEST

START_TEST(what_is_plugged_in_counts)
{
        const char *m = machine();

        BATTERY(m, "BAT0", "Discharging", "63");
        ck_assert(power_of(m).on_battery && power_of(m).has_battery);
        ck_assert_uint_eq(power_of(m).percent, 63);
        SUPPLY(m, "usb", { "type", "USB" }, { "online", "0" });
        ck_assert(power_of(m).on_battery);
        /* A weak charger: the battery is emptied all the same. */
        MAINS(m, "1");
        ck_assert(!power_of(m).on_battery);
}
END_TEST

START_TEST(batteries_of_other_things_do_not_count)
{
        const char *m = machine();

        SUPPLY(m, "hidpp_battery_0", { "type", "Battery" }, { "scope", "Device" }, { "status", "Discharging" },
               { "capacity", "5" });
        SUPPLY(m, "BAT1", { "type", "Battery" }, { "present", "0" }, { "status", "Discharging" });
        ck_assert(!power_of(m).on_battery && !power_of(m).has_battery);
        BATTERY(m, "BAT0", "Full", "100");
        ck_assert(!power_of(m).on_battery && power_of(m).has_battery);
        ck_assert_uint_eq(power_of(m).percent, 100);
}
END_TEST

START_TEST(several_batteries_are_one)
{
        const char *m = machine();

        SUPPLY(m, "BAT0", { "type", "Battery" }, { "status", "Discharging" }, { "capacity", "5" },
               { "energy_full", "20000000" });
        ck_assert_uint_eq(power_of(m).percent, 5);
        SUPPLY(m, "BAT1", { "type", "Battery" }, { "status", "Unknown" }, { "capacity", "95" },
               { "energy_full", "60000000" });
        ck_assert_uint_eq(power_of(m).percent, 72);
        /* One that does not tell how much it holds. */
        BATTERY(m, "BAT2", "Unknown", "50");
        ck_assert_uint_eq(power_of(m).percent, 50);
        BATTERY(m, "BAT3", "Unknown", "nonsense");
        ck_assert_uint_eq(power_of(m).percent, 50);
}
END_TEST

static void check_met(const char *machine, struct conditions c, const char *unmet)
{
        char why[CONDITIONS_WHY_SIZE] = "";
        ERR_LOCAL(err);
        int r = conditions_check(&c, machine, why, &err);

        ck_assert_int_eq(r, unmet ? CONDITIONS_UNMET : 0);
        ck_assert_str_eq(why, unmet ? unmet : "");
}

START_TEST(conditions_are_about_a_machine_on_battery)
{
        const char *m = machine();

        check_met(m, (struct conditions){ .only_on_ac = true, .min_battery_percent = 100 }, NULL);
        BATTERY(m, "BAT0", "Discharging", "39");
        check_met(m, (struct conditions){ .min_battery_percent = 0 }, NULL);
        check_met(m, (struct conditions){ .min_battery_percent = 39 }, NULL);
        check_met(m, (struct conditions){ .min_battery_percent = 40 },
                  "the battery is down to 39 % (--min-battery=40)");
        check_met(m, (struct conditions){ .only_on_ac = true, .min_battery_percent = 40 },
                  "the machine runs on battery (--only-on-ac)");
        MAINS(m, "1");
        check_met(m, (struct conditions){ .only_on_ac = true, .min_battery_percent = 100 }, NULL);
}
END_TEST

int main(void)
{
        TCase *cases = tcase_create("power");

        tcase_add_unchecked_fixture(cases, scratch_set_up, scratch_tear_down);
        tcase_add_test(cases, a_machine_without_battery_is_not_on_battery);
        tcase_add_test(cases, what_is_plugged_in_counts);
        tcase_add_test(cases, batteries_of_other_things_do_not_count);
        tcase_add_test(cases, several_batteries_are_one);
        tcase_add_test(cases, conditions_are_about_a_machine_on_battery);
        return cases_run("power", cases);
}
