/*
 * A receiver, and messages of a sender that does not keep to the protocol, or of one that has bad luck. They are
 * written by hand and all there before it begins; what it says is read afterwards.
 */
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "base/temporary.h"
#include "scratch.h"
#include "transfer/delta/delta_format.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/message.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/receiver.h"
#include "transfer/exchange/sum.h"
#include "transfer/limits.h"
#include "transfer/links.h"

#include <dirent.h>
#include <errno.h>
#include <sys/mman.h>

enum { BIG = 256 * 1024, MANY = 150, DEEP = 3000, NOTHING = MESSAGE_CANCEL };

struct scene {
        int dirfd, to_fd; /* `latest` is "to" in dirfd, "outside" is beside it */
        int in_fd, out_fd;
        struct wire *wire; /* of the sender */
        struct buf *b;     /* the message that is being written */
        struct report *report;
        struct err err;
};

static int on_other(void *context, const struct wire_message *m, struct err *err)
{
        (void)context;
        (void)err;
        return m->type == NOTHING ? 0 : -EPROTO;
}

static void make_scene(struct scene *s)
{
        const struct wire_config config = { .program = "1" };

        *s = (struct scene){ .dirfd = scratch_directory() };
        s->to_fd = scratch_subdirectory(s->dirfd, "to");
        close(scratch_subdirectory(s->dirfd, "outside"));
        s->in_fd = memfd_create("in", MFD_CLOEXEC);
        s->out_fd = memfd_create("out", MFD_CLOEXEC);
        ck_assert_int_eq(wire_new(&s->wire, &config, &s->err), 0);
}

/* Return what receiver_run() does. */
static int receive(struct scene *s)
{
        const struct channel_config config = { .in_fd = s->in_fd,
                                               .out_fd = s->out_fd,
                                               .peer = "sender",
                                               .never_compress = true,
                                               .wire = { .program = "2" } };
        struct limits limits;
        struct channel *c;
        struct links *links;
        size_t size;
        const void *data;
        int r;

        ck_assert_int_eq(wire_flush(s->wire, &s->err), 0);
        data = wire_output(s->wire, &size);
        ck_assert_int_eq(fd_write_full(s->in_fd, data, size), 0);
        ck_assert_int_eq(lseek(s->in_fd, 0, SEEK_SET), 0);
        ck_assert_int_eq(channel_new(&c, &config, &s->err), 0);
        ck_assert_int_eq(report_new(&s->report, &(struct report_config){ .is_imagined = true }, &s->err), 0);
        ck_assert_int_eq(links_new(&links, &s->err), 0);
        ck_assert_int_eq(limits_probe(&limits, s->to_fd, true, true, &s->err), 0);
        r = receiver_run(&(struct receiver_config){ .channel = c,
                                                    .to_fd = s->to_fd,
                                                    .partial_fd = -1,
                                                    .limits = &limits,
                                                    .report = s->report,
                                                    .links = links,
                                                    .other = on_other },
                         &s->err);
        ck_assert_int_eq(r < 0, s->err.kind != ERR_NONE);
        if (r == 0)
                ck_assert_int_eq(channel_send(c, true, &s->err), 0);
        links_free(links);
        channel_free(c);
        return r;
}

/* Nothing of what was not finished is left. */
static void check_no_temporaries(int dirfd)
{
        DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

        for (struct dirent *d; (d = readdir(dir));)
                ck_assert(!temporary_is(d->d_name));
        closedir(dir);
}

static void end_scene(struct scene *s, int expected, const char *said)
{
        ck_assert_int_eq(receive(s), expected);
        if (said)
                ck_assert_ptr_nonnull(strstr(s->err.text, said));
        err_clear(&s->err);
        check_no_temporaries(s->to_fd);
}

static void clear_scene(struct scene *s)
{
        report_free(s->report);
        wire_free(s->wire);
        close(s->in_fd);
        close(s->out_fd);
        close(s->to_fd);
        close(s->dirfd);
}

/* How many messages of this kind for the directory @number the receiver has sent. */
static unsigned said(struct scene *s, uint8_t type, uint64_t number)
{
        static char data[1 << 20];
        const struct wire_config config = { .program = "1" };
        struct wire_message m;
        struct wire *wire;
        unsigned count = 0;
        ssize_t n;

        ck_assert_int_eq(wire_new(&wire, &config, &s->err), 0);
        ck_assert_int_eq(lseek(s->out_fd, 0, SEEK_SET), 0);
        while ((n = read(s->out_fd, data, sizeof(data))) > 0)
                ck_assert_int_eq(wire_feed(wire, data, (size_t)n, &s->err), 0);
        while (wire_next(wire, &m, &s->err) == 1) {
                struct unpack u = unpack_begin(m.data, m.size);

                count += m.type == type && unpack_varint(&u, UINT64_MAX) == number;
        }
        wire_free(wire);
        return count;
}

/* ---- messages ---- */

static void begin(struct scene *s, uint8_t type)
{
        s->b = wire_begin(s->wire, type);
}

static void number(struct scene *s, uint64_t n)
{
        ck_assert_int_eq(pack_varint(s->b, n), 0);
}

static void end(struct scene *s)
{
        ck_assert_int_eq(wire_end(s->wire, &s->err), 0);
}

static void entry(struct scene *s, const char *name, mode_t mode, uint64_t size, time_t mtime)
{
        struct entry e = { .name = name, .mode = mode, .uid = geteuid(), .gid = getegid(), .size = size };

        e.mtime.tv_sec = mtime;
        e.target = "../outside";
        ck_assert_int_eq(message_put_entry(s->b, &e, &(struct message_place){ .device = 1, .inode = 7 }), 0);
}

static void directory(struct scene *s, uint64_t own, uint64_t parent, const char *name, unsigned flags,
                      uint64_t children)
{
        static const char digest[MESSAGE_DIGEST_SIZE];

        begin(s, MESSAGE_DIRECTORY);
        number(s, own);
        number(s, parent);
        number(s, flags);
        entry(s, name, S_IFDIR | 0755, 0, 1000);
        ck_assert_int_eq(buf_append(s->b, digest, sizeof(digest)), 0);
        number(s, children);
        number(s, 0); /* links */
        end(s);
}

static void root(struct scene *s, uint64_t children)
{
        directory(s, 0, 0, MESSAGE_ROOT_NAME, MESSAGE_DIRECTORY_MUST_LIST, children);
}

static void begin_listing(struct scene *s, uint64_t own)
{
        begin(s, MESSAGE_LISTING);
        number(s, own);
        number(s, 0);
}

static void listing(struct scene *s, uint64_t own, const char *name, uint64_t size)
{
        begin_listing(s, own);
        if (name)
                entry(s, name, S_IFREG | 0644, size, 2000);
        end(s);
}

static void file(struct scene *s, uint64_t own, uint64_t index, unsigned flags, const char *name, uint64_t size)
{
        begin(s, MESSAGE_FILE);
        number(s, own);
        number(s, index);
        number(s, flags);
        entry(s, name, S_IFREG | 0644, size, 2000);
        end(s);
}

static void data(struct scene *s, const void *bytes, size_t size)
{
        begin(s, MESSAGE_DATA);
        ck_assert_int_eq(buf_append(s->b, bytes, size), 0);
        end(s);
}

static void file_end(struct scene *s, uint64_t own, uint64_t index, enum message_outcome outcome, const void *sum)
{
        begin(s, MESSAGE_FILE_END);
        number(s, own);
        number(s, index);
        number(s, outcome);
        if (sum)
                ck_assert_int_eq(buf_append(s->b, sum, SUM_SIZE), 0);
        end(s);
}

static void whole_file(struct scene *s, uint64_t own, uint64_t index, const char *name, const char *content)
{
        struct sum *sum = sum_new();
        uint8_t digest[SUM_SIZE];

        sum_data(sum, content, strlen(content));
        sum_end(sum, digest);
        sum_free(sum);
        file(s, own, index, 0, name, strlen(content));
        data(s, content, strlen(content));
        file_end(s, own, index, MESSAGE_WHOLE, digest);
}

static void the_end(struct scene *s)
{
        begin(s, MESSAGE_END);
        number(s, 0);
        end(s);
}

static void check_content(int dirfd, const char *name, const char *expected)
{
        char text[64] = "";
        int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
        ck_assert_str_eq(text, expected);
        close(fd);
}

/* ---- what is not in order ---- */

START_TEST(an_honest_one)
{
        struct scene s;

        make_scene(&s);
        root(&s, 1);
        listing(&s, 0, "file", 3);
        directory(&s, 1, 0, "dir", 0, 0);
        whole_file(&s, 0, 0, "file", "new");
        listing(&s, 1, NULL, 0);
        the_end(&s);
        end_scene(&s, 0, NULL);
        check_content(s.to_fd, "file", "new");
        clear_scene(&s);
}
END_TEST

/* While the content of a file comes its directory cannot be finished. */
START_TEST(nothing_comes_amid_a_content)
{
        static const uint8_t hash[SUM_SIZE];

        for (int i = 0; i < 4; i++) {
                struct scene s;

                make_scene(&s);
                root(&s, 2);
                directory(&s, 1, 0, "dir", MESSAGE_DIRECTORY_WHOLE, 1);
                file(&s, 1, 5, 0, "file", 3);
                if (i == 0)
                        listing(&s, 1, NULL, 0);
                else if (i == 1)
                        directory(&s, 2, 1, "dir", MESSAGE_DIRECTORY_VANISHED, 0);
                else if (i == 2)
                        file(&s, 1, 6, 0, "file", 3);
                else
                        the_end(&s);
                data(&s, "new", 3);
                file_end(&s, 1, 5, MESSAGE_WHOLE, hash);
                end_scene(&s, -EPROTO, NULL);
                clear_scene(&s);
        }
}
END_TEST

static void make_many_files(struct scene *s, const char *directory_name)
{
        static char content[BIG];
        int fd = scratch_subdirectory(s->to_fd, directory_name);
        char name[16];

        for (int i = 0; i < MANY; i++) {
                snprintf(name, sizeof(name), "%03d", i);
                memset(content, i + 1, sizeof(content));
                scratch_file(fd, name, content, sizeof(content));
        }
        close(fd);
}

static void list_many_files(struct scene *s, uint64_t own)
{
        char name[16];

        begin_listing(s, own);
        for (int i = 0; i < MANY; i++) {
                snprintf(name, sizeof(name), "%03d", i);
                entry(s, name, S_IFREG | 0644, BIG, 2000);
        }
        end(s);
}

/* A file vanishes before the signature of its old version was made; its directory is finished then. */
START_TEST(files_vanish_before_they_are_asked_for)
{
        struct scene s;

        make_scene(&s);
        make_many_files(&s, "dir");
        root(&s, 1);
        directory(&s, 1, 0, "dir", 0, 0);
        list_many_files(&s, 1);
        for (unsigned i = 0; i < MANY; i++)
                file_end(&s, 1, i, MESSAGE_VANISHED, NULL);
        listing(&s, 0, NULL, 0);
        for (unsigned i = 0; i < MANY; i++) {
                begin(&s, NOTHING);
                end(&s);
        }
        the_end(&s);
        end_scene(&s, 0, NULL);
        ck_assert_int_eq(said(&s, MESSAGE_DONE, 1), 1);
        clear_scene(&s);
}
END_TEST

/* What was asked for and vanished is no longer under way: there is room for other signatures. */
START_TEST(vanished_files_make_room_for_signatures)
{
        struct scene s;

        make_scene(&s);
        make_many_files(&s, "a");
        make_many_files(&s, "b");
        root(&s, 2);
        for (unsigned d = 1; d <= 2; d++) {
                directory(&s, d, 0, d == 1 ? "a" : "b", 0, 0);
                list_many_files(&s, d);
                for (unsigned i = 0; i < 10 * MANY; i++) {
                        begin(&s, NOTHING);
                        end(&s);
                }
                for (unsigned i = 0; i < MANY; i++)
                        file_end(&s, d, i, MESSAGE_VANISHED, NULL);
        }
        listing(&s, 0, NULL, 0);
        the_end(&s);
        end_scene(&s, 0, NULL);
        ck_assert_int_gt(said(&s, MESSAGE_WANT_DELTA, 1), MANY / 2);
        ck_assert_int_gt(said(&s, MESSAGE_WANT_DELTA, 2), MANY / 2);
        clear_scene(&s);
}
END_TEST

START_TEST(wrong_sums_are_never_in_place)
{
        static const uint8_t wrong[SUM_SIZE] = { 1 };
        struct scene s;

        make_scene(&s);
        scratch_file(s.to_fd, "file", "old", 3);
        root(&s, 0);
        listing(&s, 0, "file", 3);
        for (int i = 0; i < 3; i++) {
                file(&s, 0, 0, 0, "file", 3);
                data(&s, "new", 3);
                file_end(&s, 0, 0, MESSAGE_WHOLE, wrong);
        }
        the_end(&s);
        end_scene(&s, 0, NULL);
        check_content(s.to_fd, "file", "old");
        ck_assert_int_eq(said(&s, MESSAGE_WANT_FILES, 0), 3);
        ck_assert_int_eq(report_items(s.report), 1);
        ck_assert(report_is_partial(s.report));
        clear_scene(&s);
}
END_TEST

START_TEST(contents_of_another_size)
{
        static const char *const contents[] = { "longer", "s" };

        for (int i = 0; i < 2; i++) {
                struct scene s;

                make_scene(&s);
                scratch_file(s.to_fd, "file", "old", 3);
                root(&s, 0);
                listing(&s, 0, "file", 3);
                file(&s, 0, 0, 0, "file", 3);
                data(&s, contents[i], strlen(contents[i]));
                if (i == 1)
                        file_end(&s, 0, 0, MESSAGE_CHANGED, NULL);
                whole_file(&s, 0, 0, "file", "now");
                the_end(&s);
                end_scene(&s, i == 0 ? -EPROTO : 0, i == 0 ? "more of a file than was announced" : NULL);
                check_content(s.to_fd, "file", i == 0 ? "old" : "now");
                clear_scene(&s);
        }
}
END_TEST

START_TEST(listings_that_are_not_sorted)
{
        static const char *const names[][2] = { { "b", "a" }, { "a", "a" } };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct scene s;

                make_scene(&s);
                scratch_file(s.to_fd, "old", "old", 3);
                root(&s, 0);
                begin_listing(&s, 0);
                entry(&s, names[i][0], S_IFIFO | 0644, 0, 2000);
                entry(&s, names[i][1], S_IFIFO | 0644, 0, 2000);
                end(&s);
                end_scene(&s, -EPROTO, "not sorted");
                check_content(s.to_fd, "old", "old");
                clear_scene(&s);
        }
}
END_TEST

START_TEST(names_that_are_none)
{
        static const char *const names[] = { "..", ".", "", "a/b", "/etc", "../outside" };

        for (size_t i = 0; i < 3 * ARRAY_SIZE(names); i++) {
                const char *name = names[i / 3];
                struct scene s;

                make_scene(&s);
                root(&s, 1);
                if (i % 3 == 0) {
                        directory(&s, 1, 0, name, 0, 0);
                } else if (i % 3 == 1) {
                        listing(&s, 0, name, 3);
                } else {
                        listing(&s, 0, "file", 3);
                        whole_file(&s, 0, 0, name, "new");
                }
                end_scene(&s, -EPROTO, NULL);
                clear_scene(&s);
        }
}
END_TEST

START_TEST(answers_that_were_not_asked_for)
{
        for (int i = 0; i < 6; i++) {
                struct scene s;

                make_scene(&s);
                scratch_file(s.to_fd, "file", "old", 3);
                root(&s, 1);
                listing(&s, 0, "file", 3);
                if (i == 0)
                        listing(&s, 0, "file", 3);
                else if (i == 1)
                        file(&s, 0, 1, 0, "file", 3);
                else if (i == 2)
                        file(&s, 0, 0, MESSAGE_FILE_DELTA, "file", 3);
                else if (i == 3)
                        file(&s, 0, 0, 0, "other", 3);
                else if (i == 4)
                        file_end(&s, 0, 0, MESSAGE_CHANGED, NULL);
                else
                        data(&s, "new", 3);
                end_scene(&s, -EPROTO, "does not keep to the protocol");
                clear_scene(&s);
        }
}
END_TEST

START_TEST(directories_that_belong_nowhere)
{
        for (int i = 0; i < 4; i++) {
                struct scene s;

                make_scene(&s);
                root(&s, 1);
                if (i == 0)
                        directory(&s, 1, 9, "dir", 0, 0);
                else
                        directory(&s, 1, 0, "dir", 0, 0);
                if (i == 1)
                        directory(&s, 2, 0, "more", 0, 0);
                else if (i == 2)
                        directory(&s, 1, 0, "dir", 0, 0);
                else if (i == 3)
                        root(&s, 0);
                end_scene(&s, -EPROTO, NULL);
                clear_scene(&s);
        }
}
END_TEST

/* Where `latest` has a symlink, or is given one, a directory of that name is a directory, and nothing is outside. */
START_TEST(directories_in_the_place_of_symlinks)
{
        for (int i = 0; i < 3; i++) {
                struct scene s;

                make_scene(&s);
                ck_assert_int_eq(symlinkat("../outside", s.to_fd, "dir"), 0);
                root(&s, 1);
                directory(&s, 1, 0, "dir", 0, 1);
                if (i > 0) {
                        begin_listing(&s, 0);
                        entry(&s, "dir", (i == 1 ? S_IFLNK : S_IFREG) | 0777, 0, 2000);
                        end(&s);
                }
                listing(&s, 1, "file", 3);
                whole_file(&s, 1, 0, "file", "new");
                directory(&s, 2, 1, "deeper", 0, 0);
                listing(&s, 2, NULL, 0);
                if (i == 0)
                        listing(&s, 0, NULL, 0);
                the_end(&s);
                (void)receive(&s);
                err_clear(&s.err);
                ck_assert_int_eq(unlinkat(s.dirfd, "outside", AT_REMOVEDIR), 0);
                clear_scene(&s);
        }
}
END_TEST

/* A delta that wants a second signature and does not wait for it. */
START_TEST(search_ends_with_its_content)
{
        static const unsigned char delta[] = { DELTA_LATER, 0x80, 0x80, 16, DELTA_ASK, 0, 0x80, 0x80, 16 };
        struct scene s;

        make_scene(&s);
        make_many_files(&s, "dir");
        root(&s, 1);
        directory(&s, 1, 0, "dir", 0, 0);
        list_many_files(&s, 1);
        file(&s, 1, 0, MESSAGE_FILE_DELTA, "000", BIG);
        data(&s, delta, sizeof(delta));
        for (unsigned i = 0; i < MANY; i++)
                file_end(&s, 1, i, MESSAGE_LOST, NULL);
        listing(&s, 0, NULL, 0);
        the_end(&s);
        end_scene(&s, 0, NULL);
        clear_scene(&s);
}
END_TEST

/* Below each other, more than are kept open. */
START_TEST(deep_trees_are_finished)
{
        struct scene s;

        make_scene(&s);
        root(&s, 1);
        listing(&s, 0, NULL, 0);
        for (unsigned i = 1; i <= DEEP; i++)
                directory(&s, i, i - 1, "d", 0, i < DEEP);
        for (unsigned i = 1; i <= DEEP; i++)
                listing(&s, i, NULL, 0);
        the_end(&s);
        end_scene(&s, 0, NULL);
        ck_assert_int_eq(said(&s, MESSAGE_DONE, DEEP), 1);
        clear_scene(&s);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                an_honest_one,
                nothing_comes_amid_a_content,
                files_vanish_before_they_are_asked_for,
                vanished_files_make_room_for_signatures,
                wrong_sums_are_never_in_place,
                contents_of_another_size,
                listings_that_are_not_sorted,
                names_that_are_none,
                answers_that_were_not_asked_for,
                directories_that_belong_nowhere,
                directories_in_the_place_of_symlinks,
                search_ends_with_its_content,
                deep_trees_are_finished,
        };

        return scratch_run("receiver", tests, ARRAY_SIZE(tests));
}
