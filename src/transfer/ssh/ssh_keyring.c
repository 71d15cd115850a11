/*
 *      libssh <-> [ends] <-> relay thread <-> agent
 *
 * libssh asks for the list of keys again and again, and would offer all of them; the answer to that is made once, here.
 */
#include "transfer/ssh/ssh_keyring.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/stop.h"
#include "transfer/ssh/ssh_config.h"
#include "transfer/ssh/ssh_identity.h"

#include <endian.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { REQUEST_IDENTITIES = 11, IDENTITIES_ANSWER = 12 };

/* A list is made at once; a signature may wait for the user's consent. */
enum { LIST_TIMEOUT_MS = 20 * 1000, NO_TIMEOUT = -1 };

enum { MESSAGE_SIZE_MAX = 256 * 1024, KEYS_MAX = 256 };

struct identity {
        const unsigned char *blob;
        uint32_t size;
        ssh_key key;
        bool is_named; /* by the configuration */
};

struct ssh_keyring {
        int agent, near, far; /* our connection; our and libssh's end of the pair */
        pthread_t relay;
        bool is_running;
        unsigned all, shown;
        ssh_key keys[KEYS_MAX]; /* those that are shown */
        struct buf answer;      /* the list as it is shown, with its length in front */
};

/* ---- messages ---- */

static int read_message(int fd, struct buf *ret)
{
        uint32_t size;

        buf_truncate(ret, 0);
        if (fd_read_full(fd, &size, sizeof(size)) != (ssize_t)sizeof(size))
                return -EPIPE;
        size = be32toh(size);
        if (size == 0 || size > MESSAGE_SIZE_MAX)
                return -EPROTO;
        if (buf_reserve(ret, size) < 0)
                return -ENOMEM;
        if (fd_read_full(fd, ret->data, size) != (ssize_t)size)
                return -EPIPE;
        ret->size = size;
        return 0;
}

static int write_message(int fd, const void *data, size_t size)
{
        uint32_t length = htobe32((uint32_t)size);
        int r = fd_write_full(fd, &length, sizeof(length));

        return r < 0 ? r : fd_write_full(fd, data, size);
}

static int put_number(struct buf *b, uint32_t number)
{
        number = htobe32(number);
        return buf_append(b, &number, sizeof(number));
}

/* Take a string off the front of what is left. Return false when there is none. */
static bool take_string(const unsigned char **at, size_t *left, const unsigned char **ret, uint32_t *ret_size)
{
        uint32_t size;

        if (*left < sizeof(size))
                return false;
        memcpy(&size, *at, sizeof(size));
        size = be32toh(size);
        *left -= sizeof(size);
        *at += sizeof(size);
        if (size > *left)
                return false;
        *ret = *at;
        *ret_size = size;
        *at += size;
        *left -= size;
        return true;
}

/* ---- which keys are shown ---- */

struct wanted {
        ssh_key *keys;
        size_t count;
};

static void wanted_deinit(struct wanted *w)
{
        for (size_t i = 0; i < w->count; i++)
                ssh_key_free(w->keys[i]);
        free(w->keys);
}

static void add_wanted(struct wanted *w, ssh_key key)
{
        if (key)
                w->keys[w->count++] = key;
}

/* The public keys that the configuration names, and their certificates. */
static int wanted_init(struct wanted *w, const struct ssh_config *c)
{
        *w = (struct wanted){ .keys = calloc(2 * c->identity_files.count + c->certificate_files.count + 1,
                                             sizeof(ssh_key)) };
        if (!w->keys)
                return -ENOMEM;
        for (size_t i = 0; i < c->certificate_files.count; i++)
                add_wanted(w, ssh_identity_certificate(c->certificate_files.items[i]));
        for (size_t i = 0; i < c->identity_files.count; i++) {
                _cleanup_(freep) char *certificate = ssh_identity_certificate_path(c->identity_files.items[i]);

                add_wanted(w, certificate ? ssh_identity_certificate(certificate) : NULL);
                add_wanted(w, ssh_identity_public(c->identity_files.items[i]));
        }
        return 0;
}

static bool is_wanted(const struct wanted *w, ssh_key key)
{
        for (size_t i = 0; i < w->count; i++) {
                if (ssh_key_cmp(w->keys[i], key, SSH_KEY_CMP_PUBLIC) == 0)
                        return true;
        }
        return false;
}

/* RFC 4648; libssh imports keys in base64 only. */
static int append_base64(struct buf *out, const unsigned char *data, size_t size)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

        for (size_t i = 0; i < size; i += 3) {
                size_t left = size - i;
                uint32_t bits = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                                (left > 2 ? (uint32_t)data[i + 2] : 0);
                char group[4] = { digits[bits >> 18], digits[bits >> 12 & 63], digits[bits >> 6 & 63],
                                  digits[bits & 63] };

                if (left < 3)
                        group[3] = '=';
                if (left < 2)
                        group[2] = '=';
                if (buf_append(out, group, sizeof(group)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static ssh_key import_blob(const unsigned char *data, uint32_t size)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        const unsigned char *at = data, *name;
        _cleanup_(freep) char *type = NULL;
        uint32_t name_size;
        size_t left = size;
        ssh_key key = NULL;

        if (!take_string(&at, &left, &name, &name_size) || append_base64(&text, data, size) < 0)
                return NULL;
        type = str_copy(name, name_size);
        if (!type || ssh_pki_import_pubkey_base64(text.data, ssh_key_type_from_name(type), &key) != SSH_OK)
                return NULL;
        return key;
}

/* Of what cannot be read libssh would make the end of the list. */
static int parse_list(struct ssh_keyring *k, const struct buf *message, const struct wanted *w,
                      struct identity *identities, unsigned *ret_count)
{
        const unsigned char *at = (const unsigned char *)message->data + 1, *comment;
        size_t left = message->size - 1;
        uint32_t count, comment_size;

        if (message->data[0] != IDENTITIES_ANSWER || left < sizeof(count))
                return -EPROTO;
        memcpy(&count, at, sizeof(count));
        at += sizeof(count);
        left -= sizeof(count);
        k->all = be32toh(count);
        for (uint32_t i = 0; i < k->all && *ret_count < KEYS_MAX; i++) {
                struct identity *one = &identities[*ret_count];

                if (!take_string(&at, &left, &one->blob, &one->size) ||
                    !take_string(&at, &left, &comment, &comment_size))
                        return -EPROTO;
                one->key = import_blob(one->blob, one->size);
                if (!one->key)
                        continue;
                one->is_named = is_wanted(w, one->key);
                ++*ret_count;
        }
        return 0;
}

static int show(struct ssh_keyring *k, struct identity *one)
{
        if (put_number(&k->answer, one->size) < 0 || buf_append(&k->answer, one->blob, one->size) < 0 ||
            put_number(&k->answer, 0) < 0)
                return -ENOMEM;
        k->keys[k->shown++] = TAKE(one->key);
        return 0;
}

/* Those that the configuration names, then the others, unless it wants no others. */
static int make_answer(struct ssh_keyring *k, struct identity *identities, unsigned count, bool only_named)
{
        uint32_t number;
        int r = buf_putc(&k->answer, IDENTITIES_ANSWER);

        if (r == 0)
                r = put_number(&k->answer, 0);
        for (unsigned i = 0; i < count && r == 0; i++)
                r = identities[i].is_named ? show(k, &identities[i]) : 0;
        for (unsigned i = 0; i < count && r == 0 && !only_named; i++)
                r = !identities[i].is_named ? show(k, &identities[i]) : 0;
        if (r < 0)
                return r;
        number = htobe32(k->shown);
        memcpy(k->answer.data + 1, &number, sizeof(number));
        return 0;
}

/*
 * An agent may ask its user whether to sign. The thread that wants to log in cannot listen for signals meanwhile, so it
 * is done here.
 */
static int wait_for_agent(int agent, int timeout_ms)
{
        struct pollfd watched[] = { { .fd = agent, .events = POLLIN }, { .fd = stop_fd(), .events = POLLIN } };

        for (;;) {
                int n = poll(watched, ARRAY_SIZE(watched), timeout_ms);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        return -ETIMEDOUT;
                stop_poll();
                if (stop_requested())
                        return -ECANCELED;
                if (watched[0].revents)
                        return 0;
        }
}

static int fetch_keys(struct ssh_keyring *k, const struct ssh_config *c)
{
        static const char request = REQUEST_IDENTITIES;
        _cleanup_(wanted_deinit) struct wanted w = { .keys = NULL };
        _cleanup_(buf_deinit) struct buf list = { .data = NULL };
        _cleanup_(freep) struct identity *identities = calloc(KEYS_MAX, sizeof(*identities));
        unsigned count = 0;
        int r = identities ? wanted_init(&w, c) : -ENOMEM;

        if (r == 0)
                r = write_message(k->agent, &request, sizeof(request));
        if (r == 0)
                r = wait_for_agent(k->agent, LIST_TIMEOUT_MS);
        if (r == 0)
                r = read_message(k->agent, &list);
        if (r == 0)
                r = parse_list(k, &list, &w, identities, &count);
        if (r == 0)
                r = make_answer(k, identities, count, c->identities_only);
        for (unsigned i = 0; i < count; i++)
                ssh_key_free(identities[i].key);
        return r;
}

/* ---- the relay ---- */

static int relay_one(struct ssh_keyring *k, struct buf *message)
{
        int r = read_message(k->near, message);

        if (r < 0)
                return r;
        if (message->data[0] == REQUEST_IDENTITIES)
                return write_message(k->near, k->answer.data, k->answer.size);
        r = write_message(k->agent, message->data, message->size);
        if (r == 0)
                r = wait_for_agent(k->agent, NO_TIMEOUT);
        if (r == 0)
                r = read_message(k->agent, message);
        return r < 0 ? r : write_message(k->near, message->data, message->size);
}

static void *relay(void *context)
{
        struct ssh_keyring *k = context;
        _cleanup_(buf_deinit) struct buf message = { .data = NULL };

        while (relay_one(k, &message) == 0)
                ;
        (void)shutdown(k->near, SHUT_RDWR);
        return NULL;
}

/* ---- opening and closing ---- */

static int connect_agent(int *ret, const char *path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path));
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

static int start_relay(struct ssh_keyring *k)
{
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        k->near = ends[0];
        k->far = ends[1];
        if (pthread_create(&k->relay, NULL, relay, k) != 0)
                return -EAGAIN;
        k->is_running = true;
        return 0;
}

int ssh_keyring_open(struct ssh_keyring **ret, const struct ssh_config *config, struct err *err)
{
        _cleanup_(ssh_keyring_closep) struct ssh_keyring *k = calloc(1, sizeof(*k));
        int r;

        if (!k)
                return err_oom(err);
        k->agent = k->near = k->far = -1;
        if (!config->identity_agent)
                return err_runf(err, -ENOENT, "no agent");
        r = connect_agent(&k->agent, config->identity_agent);
        if (r < 0)
                return err_run(err, r, "connect to the agent", config->identity_agent);
        r = fetch_keys(k, config);
        if (r < 0)
                return err_run(err, r, "ask for the keys of the agent", config->identity_agent);
        r = start_relay(k);
        if (r < 0)
                return err_run(err, r, "start a thread", NULL);
        *ret = TAKE(k);
        return 0;
}

void ssh_keyring_count(const struct ssh_keyring *k, unsigned *ret_all, unsigned *ret_shown)
{
        *ret_all = k->all;
        *ret_shown = k->shown;
}

bool ssh_keyring_has(const struct ssh_keyring *k, ssh_key key)
{
        for (unsigned i = 0; i < k->shown; i++) {
                if (ssh_key_cmp(k->keys[i], key, SSH_KEY_CMP_PUBLIC) == 0)
                        return true;
        }
        return false;
}

int ssh_keyring_take_fd(struct ssh_keyring *k)
{
        return TAKE_FD(k->far);
}

struct ssh_keyring *ssh_keyring_close(struct ssh_keyring *k)
{
        if (!k)
                return NULL;
        if (k->is_running) {
                (void)shutdown(k->near, SHUT_RDWR);
                (void)shutdown(k->agent, SHUT_RDWR);
                (void)pthread_join(k->relay, NULL);
        }
        for (unsigned i = 0; i < k->shown; i++)
                ssh_key_free(k->keys[i]);
        buf_deinit(&k->answer);
        fd_close(k->agent);
        fd_close(k->near);
        fd_close(k->far);
        free(k);
        return NULL;
}
