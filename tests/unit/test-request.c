/* What client and agent say around the exchange: it comes out as it went in, and what breaks a rule is refused. */
#include "base/buf.h"
#include "base/err.h"
#include "cases.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/request.h"
#include "transfer/exchange/wire.h"

#include <check.h>
#include <errno.h>

static char empty[] = "", path[] = "back\nups/latest", mount[] = "/mnt", crypto[] = "disk", machine[] = "m",
            source[] = "/so urce";

static struct wire_message message_of(const struct buf *b)
{
        return (struct wire_message){ .data = b->data, .size = b->size };
}

START_TEST(prepare_comes_out_as_it_went_in)
{
        const struct request_prepare p = {
                .path = path, .mount = mount, .crypto = crypto, .flags = REQUEST_FLAGS, .ionice = 3
        };
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        _cleanup_(request_prepare_deinit) struct request_prepare q = { .path = NULL };
        struct err err = { .kind = ERR_NONE };
        struct wire_message m;

        ck_assert_int_eq(request_put_prepare(&b, &p), 0);
        m = message_of(&b);
        ck_assert_int_eq(request_get_prepare(&m, &q, &err), 0);
        ck_assert_str_eq(q.path, path);
        ck_assert_str_eq(q.mount, mount);
        ck_assert_str_eq(q.crypto, crypto);
        ck_assert_uint_eq(q.flags, REQUEST_FLAGS);
        ck_assert_uint_eq(q.ionice, 3);
}
END_TEST

START_TEST(every_cut_of_prepare_is_refused)
{
        const struct request_prepare p = { .path = path, .mount = empty, .crypto = crypto, .flags = 300, .ionice = 1 };
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct request_prepare q = { .path = NULL };
        struct wire_message m;

        ck_assert_int_eq(request_put_prepare(&b, &p), 0);
        for (size_t size = 0; size < b.size; size++) {
                struct err err = { .kind = ERR_NONE };

                m = (struct wire_message){ .data = b.data, .size = size };
                ck_assert_int_eq(request_get_prepare(&m, &q, &err), -EPROTO);
                ck_assert_int_eq(err.kind, ERR_RUN);
                ck_assert_ptr_null(q.path);
        }
}
END_TEST

START_TEST(prepare_with_what_does_not_exist_is_refused)
{
        struct request_prepare p = { .path = path, .mount = empty, .crypto = empty, .ionice = 4 }, q;
        struct err err = { .kind = ERR_NONE };
        struct buf b = { .data = NULL };
        struct wire_message m;

        ck_assert_int_eq(request_put_prepare(&b, &p), 0);
        m = message_of(&b);
        ck_assert_int_eq(request_get_prepare(&m, &q, &err), -EPROTO);
        err_clear(&err);
        buf_truncate(&b, 0);
        p.ionice = 0;
        p.flags = REQUEST_FLAGS + 1;
        ck_assert_int_eq(request_put_prepare(&b, &p), 0);
        m = message_of(&b);
        ck_assert_int_eq(request_get_prepare(&m, &q, &err), -EPROTO);
        buf_deinit(&b);
}
END_TEST

START_TEST(a_place_has_its_inodes)
{
        struct request_avoided avoided[] = { { .dev = 7, .ino = UINT64_MAX }, { .dev = UINT64_C(1) << 40, .ino = 2 } };
        const struct request_place p = {
                .boot = machine, .parent = mount, .flags = REQUEST_KEEPS_ALL, .avoided = avoided, .count = 2
        };
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        _cleanup_(request_place_deinit) struct request_place q = { .boot = NULL };
        struct err err = { .kind = ERR_NONE };
        struct wire_message m;

        ck_assert_int_eq(request_put_place(&b, &p), 0);
        m = message_of(&b);
        ck_assert_int_eq(request_get_place(&m, &q, &err), 0);
        ck_assert_str_eq(q.boot, machine);
        ck_assert_str_eq(q.parent, mount);
        ck_assert_uint_eq(q.flags, REQUEST_KEEPS_ALL);
        ck_assert_uint_eq(q.count, 2);
        ck_assert_uint_eq(q.avoided[1].dev, UINT64_C(1) << 40);
        ck_assert_uint_eq(q.avoided[0].ino, UINT64_MAX);
}
END_TEST

START_TEST(a_place_does_not_promise_more_than_it_brings)
{
        struct err err = { .kind = ERR_NONE };
        struct request_place q;
        struct buf b = { .data = NULL };
        struct wire_message m;

        ck_assert_int_eq(pack_text(&b, "boot"), 0);
        ck_assert_int_eq(pack_text(&b, "/x"), 0);
        ck_assert_int_eq(pack_varint(&b, 0), 0);
        ck_assert_int_eq(pack_varint(&b, REQUEST_AVOIDED_MAX), 0);
        ck_assert_int_eq(pack_u16(&b, 0), 0);
        m = message_of(&b);
        ck_assert_int_eq(request_get_place(&m, &q, &err), -EPROTO);
        buf_deinit(&b);
}
END_TEST

START_TEST(an_update_names_its_source)
{
        const struct request_update u = { .machine = machine,
                                          .source = source,
                                          .filesystem = empty,
                                          .now = { .tv_sec = -5, .tv_nsec = 999999999 },
                                          .boot = crypto,
                                          .uptime = { .tv_sec = INT64_C(1) << 39, .tv_nsec = 7 },
                                          .flags = REQUEST_AGAIN };
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        _cleanup_(request_update_deinit) struct request_update v = { .machine = NULL };
        struct err err = { .kind = ERR_NONE };
        struct wire_message m;

        ck_assert_int_eq(request_put_update(&b, &u), 0);
        m = message_of(&b);
        ck_assert_int_eq(request_get_update(&m, &v, &err), 0);
        ck_assert_str_eq(v.source, source);
        ck_assert_str_eq(v.filesystem, "");
        ck_assert_int_eq(v.now.tv_sec, -5);
        ck_assert_int_eq(v.now.tv_nsec, 999999999);
        ck_assert_str_eq(v.boot, crypto);
        ck_assert_int_eq(v.uptime.tv_sec, INT64_C(1) << 39);
        ck_assert_int_eq(v.uptime.tv_nsec, 7);
        ck_assert_uint_eq(v.flags, REQUEST_AGAIN);
}
END_TEST

START_TEST(an_update_of_no_source_or_time_is_refused)
{
        static char relative[] = "source", lines[] = "a\nb";
        const struct request_update cases[] = {
                { .machine = machine, .source = relative, .filesystem = empty, .boot = empty },
                { .machine = machine, .source = empty, .filesystem = empty, .boot = empty },
                { .machine = lines, .source = source, .filesystem = empty, .boot = empty },
                { .machine = machine, .source = source, .filesystem = lines, .boot = empty },
                { .machine = machine, .source = source, .filesystem = empty, .boot = lines },
                { .machine = machine, .source = source, .boot = empty, .now = { .tv_sec = INT64_MIN } },
                { .machine = machine, .source = source, .boot = empty, .now = { .tv_sec = INT64_MAX } },
                { .machine = machine, .source = source, .boot = empty, .uptime = { .tv_sec = INT64_MAX } },
                { .machine = machine, .source = source, .boot = empty, .uptime = { .tv_sec = -1 } },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_(buf_deinit) struct buf b = { .data = NULL };
                struct err err = { .kind = ERR_NONE };
                struct request_update v;
                struct wire_message m;

                ck_assert_int_eq(request_put_update(&b, &cases[i]), 0);
                m = message_of(&b);
                ck_assert_int_eq(request_get_update(&m, &v, &err), -EPROTO);
        }
}
END_TEST

START_TEST(an_error_is_the_same_on_both_sides)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct err e = { .kind = ERR_NONE }, f = { .kind = ERR_NONE }, err = { .kind = ERR_NONE };
        char shown[ERR_PATH_MAX];
        struct wire_message m;

        err_item(&e, -ENOSPC, "write", "fi\x1ble");
        err_hint(&e, "remove\tsomething");
        ck_assert_int_eq(request_put_error(&b, &e), 0);
        m = message_of(&b);
        ck_assert_int_eq(request_get_error(&m, &f, &err), 0);
        ck_assert_int_eq(f.code, -ENOSPC);
        ck_assert_int_eq(f.kind, ERR_ITEM);
        ck_assert_str_eq(f.text, e.text);
        ck_assert_str_eq(f.hint, "remove?something");
        ck_assert_str_eq(err_path(&f, shown), "fi\\033le");
}
END_TEST

START_TEST(an_error_that_is_none_is_refused)
{
        static const unsigned char cases[][7] = {
                { 0, 5, 1, 'x', 0, 0, 0 }, /* of no kind */
                { 4, 5, 1, 'x', 0, 0, 0 }, /* of one that does not exist */
                { 2, 0, 1, 'x', 0, 0, 0 }, /* success */
                { 2, 5, 9, 'x', 0, 0, 0 }, /* cut off */
                { 2, 5, 1, 'x', 0, 1, 1 }, /* about a path behind the text */
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct wire_message m = { .data = cases[i], .size = sizeof(cases[i]) };
                struct err err = { .kind = ERR_NONE }, said = { .kind = ERR_NONE };

                ck_assert_int_eq(request_get_error(&m, &said, &err), -EPROTO);
                ck_assert_int_eq(err.kind, ERR_RUN);
                ck_assert_int_eq(said.kind, ERR_NONE);
        }
}
END_TEST

int main(void)
{
        TCase *all = tcase_create("all");

        tcase_add_test(all, prepare_comes_out_as_it_went_in);
        tcase_add_test(all, every_cut_of_prepare_is_refused);
        tcase_add_test(all, prepare_with_what_does_not_exist_is_refused);
        tcase_add_test(all, a_place_has_its_inodes);
        tcase_add_test(all, a_place_does_not_promise_more_than_it_brings);
        tcase_add_test(all, an_update_names_its_source);
        tcase_add_test(all, an_update_of_no_source_or_time_is_refused);
        tcase_add_test(all, an_error_is_the_same_on_both_sides);
        tcase_add_test(all, an_error_that_is_none_is_refused);
        return cases_run("request", all);
}
