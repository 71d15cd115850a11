/* Requests and answers of a hostile peer: each is refused, or it is written again the same. */
#include "base/buf.h"
#include "base/err.h"
#include "transfer/exchange/request.h"
#include "transfer/exchange/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_again(const struct buf *b, struct wire_message *m)
{
        if (b->size > m->size)
                abort();
        *m = (struct wire_message){ .data = b->data, .size = b->size };
}

static void try_prepare(struct wire_message m)
{
        struct request_prepare p, again;
        struct buf b = { .data = NULL };
        struct err err = { .kind = ERR_NONE };

        if (request_get_prepare(&m, &p, &err) < 0)
                return;
        if (request_put_prepare(&b, &p) < 0)
                abort();
        same_again(&b, &m);
        if (request_get_prepare(&m, &again, &err) < 0 || !str_equal(p.path, again.path) || p.flags != again.flags)
                abort();
        request_prepare_deinit(&p);
        request_prepare_deinit(&again);
        buf_deinit(&b);
}

static void try_place(struct wire_message m)
{
        struct request_place p, again;
        struct buf b = { .data = NULL };
        struct err err = { .kind = ERR_NONE };

        if (request_get_place(&m, &p, &err) < 0)
                return;
        if (request_put_place(&b, &p) < 0)
                abort();
        same_again(&b, &m);
        if (request_get_place(&m, &again, &err) < 0 || p.count != again.count)
                abort();
        request_place_deinit(&p);
        request_place_deinit(&again);
        buf_deinit(&b);
}

static void try_update(struct wire_message m)
{
        struct err err = { .kind = ERR_NONE };
        struct request_update u;

        if (request_get_update(&m, &u, &err) < 0)
                return;
        if (u.source[0] != '/' || strchr(u.machine, '\n') || strchr(u.boot, '\n') || u.uptime.tv_sec < 0)
                abort();
        request_update_deinit(&u);
}

static void try_error(struct wire_message m)
{
        struct err err = { .kind = ERR_NONE }, said = { .kind = ERR_NONE };

        char path[ERR_PATH_MAX];

        if (request_get_error(&m, &said, &err) == 0 && (said.kind == ERR_NONE || strlen(said.text) >= ERR_TEXT_MAX ||
                                                        strlen(err_path(&said, path)) > strlen(said.text)))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct wire_message m;

        if (size == 0)
                return 0;
        m = (struct wire_message){ .data = data + 1, .size = size - 1 };
        switch (data[0] % 4) {
        case 0:
                try_prepare(m);
                break;
        case 1:
                try_place(m);
                break;
        case 2:
                try_update(m);
                break;
        default:
                try_error(m);
        }
        return 0;
}
