/* local_fence: what an agent with --restrict refuses by names, whatever its client has checked. */
#include "base/err.h"
#include "base/path.h"
#include "local/local_fence.h"
#include "options/options.h"
#include "scratch.h"

#include <errno.h>

/* Return what becomes of PARENT/LATEST, both as they are asked for, PARENT below the fence. */
static int check(const char *parent, const char *latest, const char *mount)
{
        const struct local_fence fence = { .directory = scratch_path };
        _cleanup_(freep) char *above = path_join(scratch_path, parent), *asked = path_join(above, latest),
                              *plain = path_absolute(above), *point = mount ? path_join(scratch_path, mount) : NULL;
        struct options o = { .destination = { .path = asked }, .mount = point };
        ERR_LOCAL(err);
        int r = local_fence_check(&fence, &o, plain, latest, &err);

        if (r < 0)
                ck_assert_ptr_nonnull(strstr(err.text, scratch_path));
        err_drop(&err, "it is what was asked for");
        return r;
}

START_TEST(what_is_below_is_inside)
{
        ck_assert_int_eq(check("laptop", "latest", NULL), 0);
        ck_assert_int_eq(check("", "latest", NULL), 0);
        ck_assert_int_eq(check("laptop/and/deeper", "2026", NULL), 0);
        ck_assert_int_eq(check("laptop", "latest", "laptop"), 0);
}
END_TEST

START_TEST(nothing_leads_out)
{
        ck_assert_int_eq(check("..", "latest", NULL), -EPERM);
        ck_assert_int_eq(check("laptop/../..", "latest", NULL), -EPERM);
        ck_assert_int_eq(check("../beside", "latest", NULL), -EPERM);
        ck_assert_int_eq(check("laptop", "latest", "../beside"), -EPERM);
}
END_TEST

/* A client of ours refuses the first three by itself; this is for others. */
START_TEST(what_belongs_to_another_destination_is_none)
{
        ck_assert_int_eq(check("laptop", "2026-11-28 17:00:00", NULL), -EPERM);
        ck_assert_int_eq(check("laptop", ".rsync-system-backup", NULL), -EPERM);
        ck_assert_int_eq(check("laptop", ".rsync-system-backup.new", NULL), -EPERM);
        ck_assert_int_eq(check("laptop/2026-11-28 17:00:00", "latest", NULL), -EPERM);
        ck_assert_int_eq(check("laptop/.rsync-system-backup/x", "latest", NULL), -EPERM);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                what_is_below_is_inside,
                nothing_leads_out,
                what_belongs_to_another_destination_is_none,
        };

        return scratch_run("fence", tests, ARRAY_SIZE(tests));
}
