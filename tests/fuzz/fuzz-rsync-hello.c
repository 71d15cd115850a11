/*
 * A hostile rsync daemon, or what is behind a remote shell, from its first byte on: little is answered and kept,
 * nothing is agreed on that was not offered, and all of it is the same however the bytes are cut. The first byte says
 * in what pieces they come the second time, the second one how the client is set up (see SETUP_*).
 */
#include "base/err.h"
#include "base/secret.h"
#include "transfer/rsync/rsync_hello.h"
#include "transfer/rsync/rsync_mux.h"

enum {
        SETUP_DAEMON = 1,
        SETUP_COMPRESS = 2,
        SETUP_INCREMENTAL = 4,
        SETUP_PROTOCOL = 8, /* times 0 to 2 below the latest */
        OUTPUT_MAX = 2048,
};

/* Numbers that stand for all that was said to us, and by us. */
struct outcome {
        uint64_t heard, said;
        int code;
};

static void add(uint64_t *sum, const void *data, size_t size)
{
        const unsigned char *at = data;

        for (size_t i = 0; i < size; i++)
                *sum = (*sum ^ at[i]) * 0x100000001b3ULL;
}

static void hear_line(void *context, const char *line)
{
        struct outcome *o = context;

        add(&o->heard, line, strlen(line) + 1);
}

static int hear(void *context, enum rsync_code code, const void *data, size_t size, struct err *err)
{
        struct outcome *o = context;

        if (size > RSYNC_MESSAGE_MAX || ((const char *)data)[size] != '\0')
                abort();
        add(&o->heard, &code, sizeof(code));
        add(&o->heard, data, size);
        return code == RSYNC_CODE_ERROR_EXIT ? err_runf(err, -ECANCELED, "it ends") : 0;
}

static int give_password(void *context, struct secret *ret, struct err *err)
{
        (void)context;
        if (secret_init(ret, 8) < 0)
                return err_oom(err);
        memcpy(ret->data, "password", 8);
        ret->size = 8;
        return 0;
}

static void check_session(const struct rsync_session *s, const struct rsync_hello_config *config)
{
        bool compresses = s->compression != RSYNC_COMPRESSION_NONE;

        if (s->protocol < RSYNC_PROTOCOL_MIN || s->protocol > config->protocol_max || s->checksum >= RSYNC_CHECKSUMS ||
            s->compression > RSYNC_COMPRESSION_ZSTD || compresses != config->arguments->compress ||
            (s->compat & RSYNC_COMPAT_INCREMENTAL && !config->arguments->incremental))
                abort();
}

/* Return what was taken of the input; the rest, if it is agreed on something, is in frames. */
static size_t begin(struct outcome *o, const struct rsync_hello_config *config, const uint8_t *data, size_t size,
                    size_t piece, struct err *err)
{
        struct rsync_hello *h;
        size_t at = 0, used;

        if (rsync_hello_new(&h, config, err) < 0)
                abort();
        while (at < size && o->code == 0) {
                o->code = rsync_hello_feed(h, data + at, size_min(piece, size - at), &used, err);
                at += used;
        }
        if (o->code == RSYNC_HELLO_DONE)
                check_session(rsync_hello_session(h), config);
        else if (o->code == 0)
                o->code = rsync_hello_end(h, err);
        if (rsync_hello_output(h)->size > OUTPUT_MAX)
                abort();
        add(&o->said, rsync_hello_output(h)->data, rsync_hello_output(h)->size);
        rsync_hello_free(h);
        return at;
}

static void go_on(struct outcome *o, const uint8_t *data, size_t size, size_t piece, struct err *err)
{
        struct rsync_mux m = { .hear = hear, .context = o };
        const void *stream;
        size_t waiting;

        o->code = 0;
        for (size_t at = 0, n; at < size && o->code == 0; at += n) {
                n = size_min(piece, size - at);
                o->code = rsync_mux_feed(&m, data + at, n, err);
                stream = rsync_mux_data(&m, &waiting);
                /* Half of it, so that something is left and moved. What it is may depend on the pieces. */
                if (waiting > size)
                        abort();
                if (waiting > 1) {
                        add(&o->said, stream, waiting / 2);
                        rsync_mux_used(&m, waiting / 2);
                }
        }
        stream = rsync_mux_data(&m, &waiting);
        add(&o->said, stream, waiting);
        rsync_mux_deinit(&m);
}

static struct outcome converse(const uint8_t *data, size_t size, size_t piece, unsigned setup)
{
        const struct rsync_arguments arguments = {
                .compress = setup & SETUP_COMPRESS,
                .incremental = setup & SETUP_INCREMENTAL,
                .destination = "module/",
        };
        struct outcome o = { .heard = 0xcbf29ce484222325ULL, .said = 1 };
        const struct rsync_hello_config config = {
                .is_daemon = setup & SETUP_DAEMON,
                .peer = "host::module",
                .module = "module",
                .user = "user",
                .arguments = &arguments,
                .protocol_max = RSYNC_PROTOCOL_MAX - (int)(setup / SETUP_PROTOCOL % 3),
                .password = give_password,
                .motd = hear_line,
                .context = &o,
        };
        struct err err = { .kind = ERR_NONE };
        size_t used = begin(&o, &config, data, size, piece, &err);

        if (o.code == RSYNC_HELLO_DONE)
                go_on(&o, data + used, size - used, piece, &err);
        if ((o.code < 0) != (err.kind != ERR_NONE) || (o.code < 0 && !*err.text))
                abort();
        err_drop(&err, "that it is one is what counts");
        return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct outcome whole, cut;

        if (size < 2)
                return 0;
        whole = converse(data + 2, size - 2, size, data[1]);
        cut = converse(data + 2, size - 2, data[0] + 1U, data[1]);
        if (whole.heard != cut.heard || whole.said != cut.said || whole.code != cut.code)
                abort();
        return 0;
}
