/* Lists kept for another time: what comes out is what went in, whatever the sizes, and nothing of it is half. */
#include "base/err.h"
#include "scratch.h"
#include "transfer/rsync/rsync_session.h"
#include "transfer/rsync/rsync_spool.h"

enum { ENTRIES = 20000, LARGE = 700000 };

static const struct rsync_session session = { .protocol = 32, .compat = RSYNC_COMPAT_INCREMENTAL };

/* Every thousandth entry has more bytes than a buffer. */
static struct rsync_spooled example(int32_t i, char name[32], char *bytes)
{
        size_t size = i % 1000 == 999 ? LARGE : (size_t)i % 50;

        snprintf(name, 32, "name %d", i);
        memset(bytes, i, size);
        return (struct rsync_spooled){
                .parent = i / 2, .mode = 0100644, .flags = (unsigned)i % 3, .name = name, .bytes = bytes, .size = size
        };
}

static void fill(struct rsync_spool *s, char *bytes)
{
        char name[32];

        rsync_spool_begin(s, &session);
        for (int32_t i = 0; i < ENTRIES; i++) {
                const struct rsync_spooled e = example(i, name, bytes);

                rsync_spool_put(s, &e);
                if (i % 100 == 99)
                        rsync_spool_put_end(s, (unsigned)i);
        }
        rsync_spool_complete(s);
}

static void compare(struct rsync_spool *s, char *bytes)
{
        struct rsync_spooled e;
        char name[32];
        ERR_LOCAL(err);

        ck_assert_int_eq(rsync_spool_rewind(s, &session, "peer", &err), 0);
        for (int32_t i = 0; i < ENTRIES; i++) {
                const struct rsync_spooled wanted = example(i, name, bytes);

                ck_assert_int_eq(rsync_spool_next(s, &e, &err), 0);
                ck_assert_str_eq(e.name, name);
                ck_assert(e.parent == wanted.parent && e.mode == wanted.mode && e.flags == wanted.flags);
                ck_assert_uint_eq(e.size, wanted.size);
                ck_assert_int_eq(memcmp(e.bytes, bytes, e.size), 0);
                if (i % 100 == 99) {
                        ck_assert_int_eq(rsync_spool_next(s, &e, &err), 0);
                        ck_assert(!e.name && e.io_error == (unsigned)i);
                }
        }
        /* There is no more. */
        ck_assert_int_eq(rsync_spool_next(s, &e, &err), -EIO);
        err_clear(&err);
}

START_TEST(comes_out_as_it_went_in)
{
        _cleanup_(rsync_spool_freep) struct rsync_spool *s = NULL;
        _cleanup_(freep) char *bytes = malloc(LARGE);
        ERR_LOCAL(err);

        ck_assert_ptr_nonnull(bytes);
        ck_assert_int_eq(rsync_spool_new(&s, &err), 0);
        fill(s, bytes);
        ck_assert(rsync_spool_is_complete(s));
        compare(s, bytes);
        compare(s, bytes);
        /* A transfer that is begun anew. */
        fill(s, bytes);
        compare(s, bytes);
}
END_TEST

START_TEST(is_refused_unless_whole_and_of_the_same_form)
{
        static const struct rsync_session others[] = {
                { .protocol = 31, .compat = RSYNC_COMPAT_INCREMENTAL },
                { .protocol = 32, .compat = 0 },
                { .protocol = 32, .compat = RSYNC_COMPAT_INCREMENTAL | RSYNC_COMPAT_VARINT_FLAGS },
        };
        _cleanup_(rsync_spool_freep) struct rsync_spool *s = NULL;
        ERR_LOCAL(err);

        ck_assert_int_eq(rsync_spool_new(&s, &err), 0);
        ck_assert_int_eq(rsync_spool_rewind(s, &session, "peer", &err), -ENOTSUP);
        err_clear(&err);
        rsync_spool_begin(s, &session);
        rsync_spool_put_end(s, 0);
        ck_assert(!rsync_spool_is_complete(s));
        ck_assert_int_eq(rsync_spool_rewind(s, &session, "peer", &err), -ENOTSUP);
        err_clear(&err);
        rsync_spool_complete(s);
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                ck_assert_int_eq(rsync_spool_rewind(s, &others[i], "peer", &err), -ENOTSUP);
                err_clear(&err);
        }
        ck_assert_int_eq(rsync_spool_rewind(s, &session, "peer", &err), 0);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                comes_out_as_it_went_in,
                is_refused_unless_whole_and_of_the_same_form,
        };

        return scratch_run("rsync-spool", tests, ARRAY_SIZE(tests));
}
