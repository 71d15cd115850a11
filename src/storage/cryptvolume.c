/*
 * Plain volumes: what crypttab does not say is as cryptsetup up to 2.6 documented it, and as systemd and Debian's
 * scripts still have it for entries that were written then: aes-cbc-essiv:sha256, 256 bits, ripemd160. 2.7 has others
 * for its command line. A key file is not hashed, whatever hash= says, as cryptsetup has it.
 */
#include "storage/cryptvolume.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/secret.h"
#include "storage/cryptdisk.h"
#include "storage/cryptlog.h"
#include "storage/crypttab.h"
#include "storage/holders.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libcryptsetup.h>
#include <poll.h>
#include <sys/stat.h>

#define PLAIN_CIPHER "aes-cbc-essiv:sha256"
#define PLAIN_HASH "ripemd160"
enum {
        PLAIN_KEY_BITS = 256,
        KEY_SIZE_MAX = 512, /* bytes; 64 are what the largest of today's ciphers take, with integrity 128 */
        SHOWN_SIZE = 256,
        MAKING_TRIES = 20,
        MAKING_PAUSE_MS = 100,
        LUKS1_DIGEST_ITERATIONS = 164, /* where in the header, 32 bits, big end first */
};

/*
 * The work that a header may ask for, since it cannot be interrupted: ten minutes for one key are no protection but a
 * mistake or malice.
 */
#define PBKDF2_ITERATIONS_MAX UINT64_C(1000000000)
#define ARGON2_KIB_MAX (UINT64_C(1) << 30) /* of memory, all passes */

struct cryptvolume {
        struct crypt_device *device;
        const struct crypttab_entry *entry;
        char *path;
        char shown[SHOWN_SIZE]; /* the path, for messages */
        bool is_set_up;         /* plain: the parameters were told */
};

static uint32_t activation_flags(const struct crypttab_entry *e)
{
        return (e->read_only ? CRYPT_ACTIVATE_READONLY : 0) | (e->discard ? CRYPT_ACTIVATE_ALLOW_DISCARDS : 0) |
               (e->same_cpu_crypt ? CRYPT_ACTIVATE_SAME_CPU_CRYPT : 0) |
               (e->submit_from_crypt_cpus ? CRYPT_ACTIVATE_SUBMIT_FROM_CRYPT_CPUS : 0) |
               (e->no_read_workqueue ? CRYPT_ACTIVATE_NO_READ_WORKQUEUE : 0) |
               (e->no_write_workqueue ? CRYPT_ACTIVATE_NO_WRITE_WORKQUEUE : 0);
}

/* ---- key derivation ---- */

static bool is_believable(const struct crypt_pbkdf_type *pbkdf)
{
        if (pbkdf->max_memory_kb == 0)
                return pbkdf->iterations <= PBKDF2_ITERATIONS_MAX;
        return (uint64_t)pbkdf->iterations * pbkdf->max_memory_kb <= ARGON2_KIB_MAX;
}

static bool has_believable_keys(struct crypt_device *device, int slot)
{
        size_t area_key_size = 0;

        /* The one that the slot is encrypted with, as long as it says, is derived from the passphrase piece by piece.
         */
        if (!crypt_keyslot_get_encryption(device, slot, &area_key_size))
                return false;
        return area_key_size <= KEY_SIZE_MAX && crypt_keyslot_get_key_size(device, slot) <= KEY_SIZE_MAX;
}

/* The most memory that a key slot wants, in MiB; -1 when one of them asks for more work than is believable. */
static int64_t survey_slots(const struct cryptvolume *v)
{
        int slots = crypt_keyslot_max(crypt_get_type(v->device));
        int64_t most_kib = 0;

        for (int i = 0; i < slots; i++) {
                struct crypt_pbkdf_type pbkdf = { .type = NULL };

                if (v->entry->key_slot >= 0 && v->entry->key_slot != i)
                        continue;
                if (crypt_keyslot_status(v->device, i) < CRYPT_SLOT_ACTIVE ||
                    crypt_keyslot_get_pbkdf(v->device, i, &pbkdf) < 0)
                        continue;
                if (!is_believable(&pbkdf) || !has_believable_keys(v->device, i))
                        return -1;
                most_kib = pbkdf.max_memory_kb > most_kib ? pbkdf.max_memory_kb : most_kib;
        }
        return most_kib / 1024;
}

/* Every key that comes out of a slot is checked by a digest, which has a number of its own, and the library no call. */
static uint64_t digest_iterations(const struct cryptvolume *v, const char *header)
{
        static const char wanted[] = "\"iterations\":";
        const char *json = NULL;
        unsigned char number[4] = { 0 };
        uint64_t most = 0;

        if (str_equal(crypt_get_type(v->device), CRYPT_LUKS1)) {
                _cleanup_(fd_closep) int fd = open(header, O_RDONLY | O_CLOEXEC);

                if (fd < 0 || fd_pread_full(fd, number, sizeof(number), LUKS1_DIGEST_ITERATIONS) != sizeof(number))
                        return UINT64_MAX;
                return (uint64_t)number[0] << 24 | (uint64_t)number[1] << 16 | (uint64_t)number[2] << 8 | number[3];
        }
        if (crypt_dump_json(v->device, &json, 0) < 0)
                return UINT64_MAX;
        while ((json = strstr(json, wanted))) {
                uint64_t next = strtoull(json += sizeof(wanted) - 1, NULL, 10);

                most = next > most ? next : most;
        }
        return most;
}

/* ---- opening ---- */

static int load_luks(struct cryptvolume *v, const char *header, struct err *err)
{
        int r = crypt_load(v->device, CRYPT_LUKS, NULL);

        if (r < 0) {
                cryptlog_fail(err, r, "read the LUKS header of", header);
                return err_hint(err, "is it another disk, or was its header overwritten?");
        }
        if (survey_slots(v) < 0 || digest_iterations(v, header) > PBKDF2_ITERATIONS_MAX)
                return err_runf(err, -EINVAL, "the LUKS header of '%s' asks for more work than is believable",
                                v->shown);
        return 0;
}

int cryptvolume_open(struct cryptvolume **ret, const struct crypttab_entry *entry, const char *device,
                     const char *header, struct err *err)
{
        _cleanup_(cryptvolume_freep) struct cryptvolume *v = calloc(1, sizeof(*v));
        int r;

        if (!v || !(v->path = strdup(device)))
                return err_oom(err);
        v->entry = entry;
        path_show(NULL, device, v->shown, sizeof(v->shown));
        cryptlog_begin();
        if (header)
                r = crypt_init_data_device(&v->device, header, device);
        else
                r = crypt_init(&v->device, device);
        if (r < 0)
                return cryptlog_fail(err, r, "open", header ? header : device);
        if (entry->type == CRYPTTAB_LUKS)
                r = load_luks(v, header ? header : device, err);
        if (r == 0)
                *ret = TAKE(v);
        return r;
}

struct cryptvolume *cryptvolume_free(struct cryptvolume *v)
{
        if (v) {
                crypt_free(v->device);
                free(v->path);
                free(v);
        }
        return NULL;
}

/* ---- what came of it ---- */

static void hint_at_holders(const struct cryptvolume *v, struct err *err)
{
        _cleanup_(buf_deinit) struct buf holders = { .data = NULL };
        struct stat st;

        if (stat(v->path, &st) == 0 && S_ISBLK(st.st_mode) && holders_describe(&holders, 0, st.st_rdev) == 0 &&
            holders.size > 0)
                err_hint(err, "it is used by %s", holders.data);
}

static int fail(const struct cryptvolume *v, int code, struct err *err)
{
        int64_t memory_mib;

        cryptlog_fail(err, code, "unlock", v->path);
        switch (code) {
        case -ENOMEM:
                memory_mib = survey_slots(v);
                err_hint(err, "its key slots need up to %" PRId64 " MiB of memory for a moment", memory_mib);
                break;
        case -EBUSY:
                hint_at_holders(v, err);
                break;
        case -ENOENT:
                if (v->entry->key_slot >= 0)
                        err_hint(err, "key-slot=%d in crypttab names one that its header does not have",
                                 v->entry->key_slot);
                else
                        err_hint(err, "no key slot of its header can be used");
                break;
        default:
                break;
        }
        return code;
}

/*
 * Has somebody else made the mapping? While he does, its name is taken, and nothing is seen of it yet but that: of what
 * the library tells then (@code), -ENODEV is meant for the mapping.
 */
static bool is_made_by_others(const char *name, int code)
{
        int tries = code == -EEXIST || code == -EBUSY || code == -ENODEV ? MAKING_TRIES : 1;

        while (!cryptdisk_is_unlocked(name)) {
                if (--tries == 0)
                        return false;
                (void)poll(NULL, 0, MAKING_PAUSE_MS);
        }
        return true;
}

/* @r is what an activation of the library returned, a key slot or a negative errno. */
static int judge(const struct cryptvolume *v, const char *name, int r, struct err *err)
{
        if (r >= 0)
                return CRYPTVOLUME_FITS;
        if (r == -EPERM)
                return CRYPTVOLUME_WRONG;
        fail(v, r, err);
        if (!name || !is_made_by_others(name, r))
                return r;
        err_drop(err, "what was wanted is there");
        return CRYPTVOLUME_ALREADY;
}

/* ---- plain ---- */

size_t cryptvolume_key_size(const struct crypttab_entry *entry)
{
        if (entry->type != CRYPTTAB_PLAIN)
                return 0;
        return (entry->key_bits > 0 ? entry->key_bits : PLAIN_KEY_BITS) / 8;
}

static void warn_of_defaults(const struct crypttab_entry *e, bool is_file)
{
        char name[SHOWN_SIZE];

        path_show(NULL, e->name, name, sizeof(name));
        if (!e->cipher)
                log_warning("crypttab does not say cipher= for the plain disk '%s': " PLAIN_CIPHER " is taken", name);
        if (!e->hash && !is_file)
                log_warning("crypttab does not say hash= for the plain disk '%s': " PLAIN_HASH " is taken", name);
        if (e->hash && is_file && !str_equal(e->hash, "plain"))
                log_warning("the key file of the plain disk '%s' is not hashed, hash= is for passphrases", name);
}

static int set_up_plain(struct cryptvolume *v, bool is_file, struct err *err)
{
        const struct crypttab_entry *e = v->entry;
        const char *hash = e->hash ? e->hash : PLAIN_HASH;
        struct crypt_params_plain parameters = {
                .hash = is_file || str_equal(hash, "plain") ? NULL : hash,
                .offset = e->offset,
                .skip = e->skip,
                .sector_size = e->sector_size,
        };
        _cleanup_(freep) char *cipher = strdup(e->cipher ? e->cipher : PLAIN_CIPHER);
        const char *mode = "cbc-plain";
        char *dash = cipher ? strchr(cipher, '-') : NULL;
        int r;

        if (!cipher)
                return err_oom(err);
        if (dash) {
                *dash = '\0';
                mode = dash + 1;
        }
        warn_of_defaults(e, is_file);
        r = crypt_format(v->device, CRYPT_PLAIN, cipher, mode, NULL, NULL, cryptvolume_key_size(e), &parameters);
        v->is_set_up = r == 0;
        return r < 0 ? cryptlog_fail(err, r, "use as a plain volume", v->path) : 0;
}

/* ---- TrueCrypt and VeraCrypt ---- */

static int try_tcrypt(struct cryptvolume *v, const char *name, const struct secret *key, bool is_file)
{
        const struct crypttab_entry *e = v->entry;
        const char *line_end = is_file ? memchr(key->data, '\n', key->size) : NULL;
        struct crypt_params_tcrypt parameters = {
                .passphrase = key->data,
                .passphrase_size = line_end ? (size_t)(line_end - key->data) : key->size,
                .keyfiles = (const char **)e->tcrypt_keyfiles,
                .keyfiles_count = (unsigned)e->tcrypt_keyfile_count,
                .flags = CRYPT_TCRYPT_LEGACY_MODES | (e->tcrypt_hidden ? CRYPT_TCRYPT_HIDDEN_HEADER : 0) |
                         (e->tcrypt_system ? CRYPT_TCRYPT_SYSTEM_HEADER : 0) |
                         (e->tcrypt_veracrypt ? CRYPT_TCRYPT_VERA_MODES : 0),
                .veracrypt_pim = e->veracrypt_pim,
        };
        int r = crypt_load(v->device, CRYPT_TCRYPT, &parameters);

        return r == 0 && name ? crypt_activate_by_volume_key(v->device, name, NULL, 0, activation_flags(e)) : r;
}

/* ---- trying ---- */

int cryptvolume_try(struct cryptvolume *v, const char *name, const struct secret *key, bool is_file, struct err *err)
{
        const struct crypttab_entry *e = v->entry;
        int slot = e->type == CRYPTTAB_LUKS && e->key_slot >= 0 ? e->key_slot : CRYPT_ANY_SLOT, r;

        cryptlog_begin();
        if (e->type == CRYPTTAB_PLAIN && !v->is_set_up) {
                r = set_up_plain(v, is_file, err);
                if (r < 0)
                        return r;
        }
        if (e->type == CRYPTTAB_TCRYPT)
                r = try_tcrypt(v, name, key, is_file);
        else
                r = crypt_activate_by_passphrase(v->device, name, slot, key->data, key->size, activation_flags(e));
        return judge(v, name, r, err);
}

int cryptvolume_try_token(struct cryptvolume *v, const char *name, const char *type, const struct secret *pin,
                          struct err *err)
{
        int r;

        cryptlog_begin();
        r = crypt_activate_by_token_pin(v->device, name, type, CRYPT_ANY_TOKEN, pin ? pin->data : NULL,
                                        pin ? pin->size : 0, NULL, activation_flags(v->entry));
        if (r == -ENOANO)
                return CRYPTVOLUME_NEEDS_PIN;
        if (r == -EAGAIN)
                return CRYPTVOLUME_ABSENT;
        return judge(v, name, r, err);
}
