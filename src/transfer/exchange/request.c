/* A payload is read to its end and judged once (transfer/pack.h); only then something is handed out. */
#include "transfer/exchange/request.h"

#include "base/buf.h"
#include "base/err.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/wire.h"

#include <linux/limits.h>
#include <stdio.h>

enum { IONICE_MAX = 3, MACHINE_MAX = 255, ERRNO_MAX = 4095 };

int request_refuse(const char *name, struct err *err)
{
        return err_runf(err, -EPROTO, "the other side breaks the protocol: %s makes no sense", name);
}

/* ---- PREPARE ---- */

int request_put_prepare(struct buf *b, const struct request_prepare *p)
{
        int r = pack_text(b, p->path);

        r = r < 0 ? r : pack_text(b, p->mount);
        r = r < 0 ? r : pack_text(b, p->crypto);
        r = r < 0 ? r : pack_varint(b, p->flags);
        return r < 0 ? r : pack_u8(b, (uint8_t)p->ionice);
}

int request_get_prepare(const struct wire_message *m, struct request_prepare *ret, struct err *err)
{
        struct unpack u = unpack_begin(m->data, m->size);
        struct request_prepare p;

        p.path = unpack_text(&u, PATH_MAX - 1);
        p.mount = unpack_text(&u, PATH_MAX - 1);
        p.crypto = unpack_text(&u, NAME_MAX);
        p.flags = (unsigned)unpack_varint(&u, REQUEST_FLAGS);
        p.ionice = unpack_u8(&u);
        if (!unpack_end(&u) || p.ionice > IONICE_MAX) {
                request_prepare_deinit(&p);
                return request_refuse("PREPARE", err);
        }
        *ret = p;
        return 0;
}

void request_prepare_deinit(struct request_prepare *p)
{
        free(p->path);
        free(p->mount);
        free(p->crypto);
        *p = (struct request_prepare){ .path = NULL };
}

int request_put_place(struct buf *b, const struct request_place *p)
{
        int r = pack_text(b, p->boot);

        r = r < 0 ? r : pack_text(b, p->parent);
        r = r < 0 ? r : pack_varint(b, p->flags);
        r = r < 0 ? r : pack_varint(b, p->count);
        for (size_t i = 0; i < p->count && r == 0; i++) {
                r = pack_varint(b, p->avoided[i].dev);
                r = r < 0 ? r : pack_varint(b, p->avoided[i].ino);
        }
        return r;
}

int request_get_place(const struct wire_message *m, struct request_place *ret, struct err *err)
{
        struct unpack u = unpack_begin(m->data, m->size);
        struct request_place p = { .boot = NULL };
        size_t count;

        p.boot = unpack_text(&u, MACHINE_MAX);
        p.parent = unpack_text(&u, PATH_MAX - 1);
        p.flags = (unsigned)unpack_varint(&u, UINT32_MAX);
        count = (size_t)unpack_varint(&u, REQUEST_AVOIDED_MAX);
        /* Each takes two bytes at least: nothing is allocated for what cannot be there. */
        if (count > (size_t)(u.end - u.data) / 2)
                u.broken = true;
        p.avoided = u.broken ? NULL : calloc(count + 1, sizeof(*p.avoided));
        for (; p.avoided && p.count < count; p.count++) {
                p.avoided[p.count].dev = (dev_t)unpack_varint(&u, UINT64_MAX);
                p.avoided[p.count].ino = (ino_t)unpack_varint(&u, UINT64_MAX);
        }
        if (!p.avoided || !unpack_end(&u)) {
                request_place_deinit(&p);
                return request_refuse("the answer to PREPARE", err);
        }
        *ret = p;
        return 0;
}

void request_place_deinit(struct request_place *p)
{
        free(p->boot);
        free(p->parent);
        free(p->avoided);
        *p = (struct request_place){ .boot = NULL };
}

/* ---- UPDATE ---- */

int request_put_update(struct buf *b, const struct request_update *u)
{
        int r = pack_text(b, u->machine);

        r = r < 0 ? r : pack_text(b, u->source);
        r = r < 0 ? r : pack_text(b, u->filesystem);
        r = r < 0 ? r : pack_time(b, u->now);
        r = r < 0 ? r : pack_text(b, u->boot);
        r = r < 0 ? r : pack_time(b, u->uptime);
        return r < 0 ? r : pack_varint(b, u->flags);
}

/* What goes into the state, line by line. */
static bool is_line(const char *text)
{
        return text && !strpbrk(text, "\r\n");
}

/* One with which can be calculated. */
static bool is_clock(struct timespec t)
{
        const int64_t end = INT64_C(1) << 40;

        return t.tv_sec > -end && t.tv_sec < end;
}

static bool makes_sense(const struct request_update *u)
{
        return is_line(u->machine) && is_line(u->filesystem) && is_line(u->boot) && u->source[0] == '/' &&
               is_clock(u->now) && is_clock(u->uptime) && u->uptime.tv_sec >= 0;
}

int request_get_update(const struct wire_message *m, struct request_update *ret, struct err *err)
{
        struct unpack u = unpack_begin(m->data, m->size);
        struct request_update update;

        update.machine = unpack_text(&u, MACHINE_MAX);
        update.source = unpack_text(&u, PATH_MAX - 1);
        update.filesystem = unpack_text(&u, MACHINE_MAX);
        update.now = unpack_time(&u);
        update.boot = unpack_text(&u, MACHINE_MAX);
        update.uptime = unpack_time(&u);
        update.flags = (unsigned)unpack_varint(&u, REQUEST_UPDATE_FLAGS);
        if (!unpack_end(&u) || !makes_sense(&update)) {
                request_update_deinit(&update);
                return request_refuse("UPDATE", err);
        }
        *ret = update;
        return 0;
}

void request_update_deinit(struct request_update *u)
{
        free(u->machine);
        free(u->source);
        free(u->filesystem);
        free(u->boot);
        *u = (struct request_update){ .machine = NULL };
}

/* ---- errors ---- */

int request_put_error(struct buf *b, const struct err *e)
{
        int r = pack_u8(b, (uint8_t)e->kind);

        r = r < 0 ? r : pack_varint(b, (uint64_t)-e->code);
        r = r < 0 ? r : pack_text(b, e->text);
        r = r < 0 ? r : pack_text(b, e->hint);
        r = r < 0 ? r : pack_varint(b, e->path_at);
        return r < 0 ? r : pack_varint(b, e->path_size);
}

static void copy_text(char *out, size_t size, const void *data, size_t length)
{
        size_t used = size_min(length, size - 1);

        memcpy(out, data, used);
        out[used] = '\0';
        for (size_t i = 0; i < used; i++) {
                if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
                        out[i] = '?';
        }
}

static int get_error(struct unpack u, const char *what, struct err *said, struct err *err)
{
        unsigned kind = unpack_u8(&u);
        unsigned code = (unsigned)unpack_varint(&u, ERRNO_MAX);
        size_t text_size, hint_size;
        const void *text = unpack_bytes(&u, ERR_TEXT_MAX, &text_size);
        const void *hint = unpack_bytes(&u, ERR_HINT_MAX, &hint_size);
        uint64_t path_at = unpack_varint(&u, ERR_TEXT_MAX), path_size = unpack_varint(&u, ERR_PATH_MAX - 1);

        if (!unpack_end(&u) || kind < ERR_ITEM || kind > ERR_USAGE || code == 0 || path_at + path_size > text_size)
                return request_refuse(what, err);
        said->kind = (enum err_kind)kind;
        said->code = -(int)code;
        copy_text(said->text, sizeof(said->text), text, text_size);
        copy_text(said->hint, sizeof(said->hint), hint, hint_size);
        said->path_at = (unsigned short)path_at;
        said->path_size = (unsigned short)path_size;
        return 0;
}

int request_get_error(const struct wire_message *m, struct err *said, struct err *err)
{
        return get_error(unpack_begin(m->data, m->size), "ERROR", said, err);
}

int request_put_item(struct buf *b, const struct err *e, bool remains)
{
        int r = pack_u8(b, remains);

        return r < 0 ? r : request_put_error(b, e);
}

int request_get_item(const struct wire_message *m, struct err *said, bool *ret_remains, struct err *err)
{
        struct unpack u = unpack_begin(m->data, m->size);
        unsigned remains = unpack_u8(&u);

        if (u.broken || remains > 1)
                return request_refuse("ITEM", err);
        *ret_remains = remains;
        return get_error(u, "ITEM", said, err);
}
