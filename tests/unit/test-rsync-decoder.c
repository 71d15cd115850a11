/* File lists as a server sends them to who only wants to see its names, and what is not accepted of them. */
#include "scratch.h"
#include "transfer/rsync/rsync_decoder.h"
#include "transfer/rsync/rsync_number.h"

#include <sys/stat.h>

static struct rsync_decoder fresh(int protocol, unsigned compat)
{
        return (struct rsync_decoder){ .session = { .protocol = protocol, .compat = compat } };
}

#define GET(d, r, e, bytes) get(d, r, e, bytes, sizeof(bytes) - 1)

static int get(struct rsync_decoder *d, struct rsync_reader *r, struct rsync_decoded *e, const char *bytes, size_t size)
{
        *r = rsync_read_begin(bytes, size);
        return rsync_decoder_get(d, r, e);
}

START_TEST(takes_entries_and_the_end)
{
        struct rsync_decoder d = fresh(32, RSYNC_COMPAT_VARINT_FLAGS);
        struct rsync_reader r;
        struct rsync_decoded e;

        ck_assert(GET(&d, &r, &e, "\x19\x01.\x00\x00\x10\x65\x00\xf1\x53\xed\x41\x00\x00") == RSYNC_DECODER_ENTRY);
        ck_assert(str_equal(e.path, ".") && e.mode == (S_IFDIR | 0755) && e.size == 4096 && e.mtime == 1700000000);
        ck_assert(GET(&d, &r, &e,
                      "\x80\x98\x05"
                      "b.bin\x00\x7a\x05\xa4\x81\x00\x00") == RSYNC_DECODER_ENTRY);
        ck_assert(str_equal(e.path, "b.bin") && e.mode == (S_IFREG | 0644) && e.size == 1402 && e.mtime == 1700000000);
        /* The name begins like the one before; nanoseconds. */
        ck_assert(GET(&d, &r, &e,
                      "\xa0\x3a\x02\x03"
                      "old\x00\x00\x00\x65\x00\xf1\x53\xe7\x15\xcd\x5b") == RSYNC_DECODER_ENTRY);
        ck_assert(str_equal(e.path, "b.old") && e.mode == (S_IFREG | 0644) && e.size == 0);
        ck_assert(GET(&d, &r, &e, "\x00\x03") == RSYNC_DECODER_END && e.io_error == 3);
}
END_TEST

START_TEST(takes_flags_in_bytes)
{
        struct rsync_decoder d = fresh(30, 0);
        struct rsync_reader r;
        struct rsync_decoded e;

        ck_assert(GET(&d, &r, &e, "\x1c\x01\x01.\x00\x00\x10\x65\x00\xf1\x53\xed\x41\x00\x00") == RSYNC_DECODER_ENTRY);
        ck_assert(str_equal(e.path, "."));
        ck_assert(GET(&d, &r, &e, "\x04\x10\x02") == RSYNC_DECODER_END && e.io_error == 2);
        ck_assert(GET(&d, &r, &e, "\x00") == RSYNC_DECODER_END && e.io_error == 0);
        /* There are no nanoseconds yet. */
        ck_assert(GET(&d, &r, &e,
                      "\x9c\x20\x01"
                      "a\x00\x00\x00\x00\xa4\x81\x00\x00") == 0);
        ck_assert(r.is_broken);
}
END_TEST

START_TEST(is_short_until_all_is_there)
{
        static const char bytes[] = "\x80\x98\x05"
                                    "b.bin\x00\x7a\x05\xa4\x81\x00\x00";
        struct rsync_decoder d = fresh(32, RSYNC_COMPAT_VARINT_FLAGS);
        struct rsync_reader r;
        struct rsync_decoded e;

        for (size_t size = 0; size < sizeof(bytes) - 1; size++) {
                ck_assert(get(&d, &r, &e, bytes, size) == 0);
                ck_assert(r.is_short && !r.is_broken && d.path_size == 0);
        }
        ck_assert(get(&d, &r, &e, bytes, sizeof(bytes) - 1) == RSYNC_DECODER_ENTRY);
}
END_TEST

#define REFUSES(bytes) refuses(bytes, sizeof(bytes) - 1)

static void refuses(const char *bytes, size_t size)
{
        struct rsync_decoder d = fresh(32, RSYNC_COMPAT_VARINT_FLAGS);
        struct rsync_reader r;
        struct rsync_decoded e;

        ck_assert(get(&d, &r, &e, bytes, size) == 0);
        ck_assert(r.is_broken);
        ck_assert(d.path_size == 0);
}

#define FILE_FIELDS "\x00\x00\x00\x65\x00\xf1\x53\xa4\x81\x00\x00"

START_TEST(refuses_what_cannot_be)
{
        REFUSES("\x18\x02.." FILE_FIELDS);
        REFUSES("\x18\x04/abs" FILE_FIELDS);
        REFUSES("\x18\x04"
                "a//b" FILE_FIELDS);
        REFUSES("\x18\x04"
                "a/.." FILE_FIELDS);
        REFUSES("\x18\x02"
                "a/" FILE_FIELDS);
        REFUSES("\x18\x03"
                "a\0b" FILE_FIELDS);
        REFUSES("\x18\x00" FILE_FIELDS);
        /* As much of a name that there was not; a name that is too long; a negative size; no type; hard links. */
        REFUSES("\x38\x01\x01"
                "a" FILE_FIELDS);
        REFUSES("\x58\x90\x00"
                "a" FILE_FIELDS);
        REFUSES("\x18\x01"
                "a\xfc\xff\xff\xff\xff\xff\xff\xff\xff\x65\x00\xf1\x53\xa4\x81\x00\x00");
        REFUSES("\x18\x01"
                "a\x00\x00\x00\x65\x00\xf1\x53\xa4\x01\x00\x00");
        REFUSES("\x18\x01"
                "a\x00\x00\x00\x65\x00\xf1\x53\xa4\x81\x01\x00");
        REFUSES("\x82\x18\x01"
                "a" FILE_FIELDS);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                takes_entries_and_the_end,
                takes_flags_in_bytes,
                is_short_until_all_is_there,
                refuses_what_cannot_be,
        };

        return scratch_run("rsync-decoder", tests, ARRAY_SIZE(tests));
}
