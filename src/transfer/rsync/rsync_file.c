/*
 * The content of one file at a time, read once from its beginning to where its end was when it was opened: the matcher
 * makes literal bytes and blocks of it, these go as tokens, and the digest of all of it comes last.
 *
 * A file that is shorter than it was is sent as short as it is. One that cannot be read to its end gets a wrong digest,
 * so that the server throws away what it has got; it then asks once more, and is told that nothing comes.
 */
#include "base/content.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/report.h"
#include "transfer/rsync/rsync_parts.h"
#include "transfer/rsync/rsync_token.h"

#include <errno.h>
#include <fcntl.h>

int rsync_file_init(struct rsync_push *p)
{
        struct rsync_file *f = &p->file;

        f->fd = f->dir_fd = -1;
        f->token = rsync_token_new(p->talk.session.compression, p->config->compression_level);
        f->digest = rsync_digest_new(p->talk.session.checksum);
        return f->token && f->digest ? 0 : -ENOMEM;
}

/* ---- finding it ---- */

/* Where the last slash of @path is, or its beginning. */
static size_t directory_size(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? (size_t)(slash - path) : 0;
}

/* Have `dir` be that of @path, which is often that of the one before. Return 0 or -errno. */
static int find_directory(struct rsync_push *p, const char *path)
{
        struct rsync_file *f = &p->file;
        size_t size = directory_size(path);
        struct entry e;

        if (f->dir_fd >= 0 && f->path.size == size && memcmp(buf_text(&f->path), path, size) == 0)
                return 0;
        f->dir_fd = fd_close(f->dir_fd);
        buf_truncate(&f->path, 0);
        if (buf_append(&f->path, path, size) < 0)
                return -ENOMEM;
        f->dir_fd = fd_open_beneath(source_root_fd(p->config->source), buf_text(&f->path), O_PATH);
        if (f->dir_fd < 0 || entry_stat_fd(&e, f->dir_fd) < 0)
                return f->dir_fd < 0 ? f->dir_fd : -EIO;
        f->dir = (struct source_dir){ .source = p->config->source,
                                      .fd = f->dir_fd,
                                      .dev = e.dev,
                                      .path = buf_text(&f->path),
                                      .arena = &f->arena };
        return 0;
}

static bool is_gone(int r)
{
        return r == -ENOENT || r == -ENOTDIR || r == -ELOOP;
}

int rsync_file_load(struct rsync_push *p, const char *path, struct arena *arena, struct entry *ret, struct err *err)
{
        const char *name = *path ? path_base(path) : path, *failed = "open the directory of";
        int r;

        if (!p->config->source)
                return SOURCE_VANISHED;
        if (str_equal(path, "."))
                r = entry_load_fd(ret, source_root_fd(p->config->source), "", arena, &failed);
        else {
                r = find_directory(p, path);
                if (r == 0)
                        r = entry_load_held(ret, p->file.dir_fd, name, arena, &failed);
        }
        if (r == -ENOMEM)
                return err_oom(err);
        if (is_gone(r))
                return SOURCE_VANISHED;
        return r < 0 ? err_item_at(err, r, failed, buf_text(&p->file.path), name) : 0;
}

uint64_t rsync_file_size(struct rsync_push *p, const char *path)
{
        struct entry e;

        if (!p->config->source || find_directory(p, path) < 0 || entry_stat(&e, p->file.dir_fd, path_base(path)) < 0)
                return 0;
        return e.size;
}

/* What is made up is empty. */
static int open_nothing(struct rsync_push *p, struct err *err)
{
        struct rsync_file *f = &p->file;

        f->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (f->fd < 0 || entry_stat_fd(&f->entry, f->fd) < 0)
                return err_run(err, -errno, "open", "/dev/null");
        return 0;
}

/* Return 0, SOURCE_VANISHED, or a negative errno with @err filled. */
static int open_file(struct rsync_push *p, const char *path, struct err *err)
{
        struct rsync_file *f = &p->file;
        const char *name = path_base(path);
        int r;

        if (!p->config->source)
                return open_nothing(p, err);
        r = find_directory(p, path);
        if (r == -ENOMEM)
                return err_oom(err);
        if (r < 0)
                return is_gone(r) ? SOURCE_VANISHED : err_item_at(err, r, "open", buf_text(&f->path), name);
        f->entry = (struct entry){ .name = name, .is_bare = true };
        r = source_open(&f->dir, &f->entry, &f->fd, err);
        return r == SOURCE_RENEWED ? 0 : r;
}

/* ---- what could not be read ---- */

static bool is_lost(const struct rsync_file *f, int32_t number)
{
        for (size_t i = 0; i < f->lost_count; i++) {
                if (f->lost[i] == number)
                        return true;
        }
        return false;
}

static int remember_lost(struct rsync_file *f, int32_t number)
{
        if (f->lost_count == f->lost_capacity) {
                size_t capacity = size_max(f->lost_capacity * 2, 16);
                int32_t *lost = reallocarray(f->lost, capacity, sizeof(*lost));

                if (!lost)
                        return -ENOMEM;
                f->lost = lost;
                f->lost_capacity = capacity;
        }
        f->lost[f->lost_count++] = number;
        return 0;
}

/* There is no answer but that. */
static int send_nothing(struct rsync_push *p, int32_t number, struct err *err)
{
        return rsync_talk_tell(&p->talk, RSYNC_CODE_NO_SEND, number, err);
}

/* ---- beginning ---- */

static int on_literal(void *push, const void *data, size_t size)
{
        struct rsync_push *p = push;

        return rsync_token_literal(p->file.token, &p->talk.plain, data, size);
}

static int on_block(void *push, uint32_t index, const void *data, size_t size)
{
        struct rsync_push *p = push;

        (void)data;
        (void)size;
        return rsync_token_block(p->file.token, &p->talk.plain, index);
}

static int begin(struct rsync_push *p, const struct rsync_request *q, struct err *err)
{
        const struct rsync_match_target target = { .literal = on_literal, .block = on_block, .context = p };
        struct rsync_file *f = &p->file;
        struct rsync_sums sums = q->sums;
        int r = rsync_request_echo(p, q, &f->entry, err);

        if (r < 0)
                return r;
        buf_truncate(&f->sums, 0);
        if (sums.data && buf_append(&f->sums, sums.data, (size_t)rsync_sums_size(&sums)) < 0)
                return err_oom(err);
        if (sums.data)
                sums.data = (const unsigned char *)f->sums.data;
        else
                sums.count = 0;
        f->match = rsync_match_new(&p->talk.session, &sums, &target);
        if (!f->match)
                return err_oom(err);
        f->number = q->number;
        f->at = 0;
        f->is_broken = false;
        rsync_token_begin(f->token);
        rsync_digest_begin(f->digest);
        return 0;
}

static void let_go(struct rsync_push *p)
{
        struct rsync_file *f = &p->file;

        f->fd = fd_close(f->fd);
        f->match = rsync_match_free(f->match);
        arena_deinit(&f->arena);
        f->arena = (struct arena){ .chunk = NULL };
}

int rsync_file_begin(struct rsync_push *p, const struct rsync_request *q, const char *path, struct err *err)
{
        struct rsync_file *f = &p->file;
        int r;

        if (is_lost(f, q->number))
                return send_nothing(p, q->number, err);
        r = open_file(p, path, err);
        if (r == SOURCE_VANISHED) {
                rsync_push_vanish(p, NULL, path);
                return send_nothing(p, q->number, err);
        }
        if (r < 0 && err->kind == ERR_ITEM) {
                rsync_push_lose(p, err);
                return send_nothing(p, q->number, err);
        }
        return r < 0 ? r : begin(p, q, err);
}

/* ---- its content ---- */

/* Was it the same from before the reading until now? Each change moves the ctime. */
static bool is_steady(const struct rsync_file *f)
{
        struct entry now;

        return entry_stat_fd(&now, f->fd) == 0 && now.size == f->entry.size &&
               timespec_compare(now.ctime, f->entry.ctime) == 0;
}

static int end(struct rsync_push *p, struct err *err)
{
        struct rsync_file *f = &p->file;
        uint8_t digest[RSYNC_DIGEST_MAX];
        int r = rsync_match_end(f->match);

        if (r == 0)
                r = rsync_token_end(f->token, &p->talk.plain);
        rsync_digest_end(f->digest, digest);
        if (f->is_broken)
                digest[0] ^= 0xff;
        else if (!is_steady(f))
                report_unsteady(p->config->report, f->dir.path, f->entry.name);
        if (r == 0)
                r = buf_append(&p->talk.plain, digest, rsync_checksum_size(p->talk.session.checksum));
        p->result->literal_bytes += rsync_match_literal_bytes(f->match);
        p->result->matched_bytes += rsync_match_matched_bytes(f->match);
        let_go(p);
        return r < 0 ? err_oom(err) : 0;
}

static int fail(struct rsync_push *p, int code, struct err *err)
{
        struct rsync_file *f = &p->file;

        (void)err_item_at(err, code, "read", f->dir.path, f->entry.name);
        rsync_push_lose(p, err);
        f->is_broken = true;
        return remember_lost(f, f->number) < 0 ? err_oom(err) : end(p, err);
}

int rsync_file_step(struct rsync_push *p, struct err *err)
{
        struct rsync_file *f = &p->file;
        uint64_t left = f->entry.size - f->at;
        size_t room;
        void *data = rsync_match_room(f->match, &room);
        size_t want = left < room ? (size_t)left : room;
        ssize_t n = want > 0 ? fd_pread_full(f->fd, data, want, (off_t)f->at) : 0;

        if (n < 0)
                return fail(p, (int)n, err);
        if (n > 0) {
                rsync_digest_add(f->digest, data, (size_t)n);
                if (rsync_match_filled(f->match, (size_t)n) < 0)
                        return err_oom(err);
                f->at += (uint64_t)n;
                report_add(p->config->report, REPORT_COPIED_BYTES, (uint64_t)n);
        }
        return (size_t)n < want || f->at == f->entry.size ? end(p, err) : 0;
}

void rsync_file_deinit(struct rsync_push *p)
{
        struct rsync_file *f = &p->file;

        let_go(p);
        fd_close(f->dir_fd);
        rsync_token_free(f->token);
        rsync_digest_free(f->digest);
        buf_deinit(&f->sums);
        buf_deinit(&f->path);
        free(f->lost);
}
