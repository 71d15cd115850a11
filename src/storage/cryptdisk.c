/*
 * Unlocking: the ways to a key in their order, each of which opens the disk, does not, or ends it.
 *
 *      tokens -> key file -> credential -> passphrase, asked for as often as the entry says
 *
 * What is there to be tried but does not fit is told at once, so that whoever is asked for a passphrase in the end
 * knows why.
 */
#include "storage/cryptdisk.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/prompt.h"
#include "base/secret.h"
#include "base/stop.h"
#include "storage/cryptlog.h"
#include "storage/crypttab.h"
#include "storage/cryptvolume.h"
#include "storage/device.h"
#include "storage/keyfile.h"
#include "storage/passphrase.h"

#include <errno.h>
#include <libcryptsetup.h>
#include <poll.h>
#include <stdio.h>

enum { SHOWN_SIZE = 256, TOKEN_POLL_MS = 1000 };

/* Beside the outcomes of cryptdisk.h, which begin at 0: this way led nowhere, there may be another. */
enum { NEXT = 100 };

struct unlocking {
        const struct crypttab_entry *entry;
        struct cryptvolume *volume;
        int header_fd;          /* of a header that lives on another device; -1 for none */
        char shown[SHOWN_SIZE]; /* the disk's name */
        bool key_device_is_missing;
        bool key_was_wrong;
};

static int outcome_of(int verdict)
{
        switch (verdict) {
        case CRYPTVOLUME_FITS:
                return CRYPTDISK_UNLOCKED;
        case CRYPTVOLUME_ALREADY:
                return CRYPTDISK_ALREADY;
        default:
                return NEXT;
        }
}

/* What echo(1) has written in place of printf(1). */
static bool ends_in_newline(const struct secret *key)
{
        return key->size > 1 && key->data[key->size - 1] == '\n' && !memchr(key->data, '\n', key->size - 1);
}

static int try_key(struct unlocking *u, const struct secret *key, bool is_file, const char *what, struct err *err)
{
        int r = stop_check(err);

        if (r < 0)
                return r;
        r = cryptvolume_try(u->volume, u->entry->name, key, is_file, err);
        if (r < 0)
                return r;
        if (r == CRYPTVOLUME_WRONG) {
                u->key_was_wrong = true;
                log_warning("the %s does not fit the encrypted disk '%s'%s", what, u->shown,
                            ends_in_newline(key) ? " (the newline at its end counts)" : "");
        }
        return outcome_of(r);
}

static bool somebody_is_at_the_terminal(const struct unlocking *u)
{
        return !u->entry->headless && prompt_is_possible();
}

/* ---- tokens ---- */

/* Wait until it is plugged in, if it is one that can be. Return a cryptvolume_verdict or a negative errno. */
static int await_token(struct unlocking *u, const char *type, const struct secret *pin, struct err *err)
{
        unsigned timeout_s = u->entry->token_timeout_s;
        int r;

        for (unsigned waited_s = 0;; waited_s++) {
                struct pollfd wanted = { .fd = stop_fd(), .events = POLLIN };

                r = stop_check(err);
                if (r == 0)
                        r = cryptvolume_try_token(u->volume, u->entry->name, type, pin, err);
                if (r != CRYPTVOLUME_ABSENT || (timeout_s > 0 && waited_s >= timeout_s))
                        return r;
                if (waited_s == 0)
                        log_info("waiting for the security token of the encrypted disk '%s'", u->shown);
                (void)poll(&wanted, 1, TOKEN_POLL_MS);
        }
}

static int ask_for_pin(struct unlocking *u, const char *type, struct err *err)
{
        char what[SHOWN_SIZE + 64];

        snprintf(what, sizeof(what), "%s (PIN of its security token)", u->entry->name);
        for (unsigned n = 0; u->entry->tries == 0 || n < u->entry->tries; n++) {
                _cleanup_(secret_deinit) struct secret pin = { .data = NULL };
                int r = passphrase_ask(&pin, what, u->entry->timeout_s, err);

                if (r < 0)
                        return r;
                if (r != PASSPHRASE_GOT)
                        return CRYPTVOLUME_WRONG;
                r = await_token(u, type, &pin, err);
                if (r != CRYPTVOLUME_NEEDS_PIN)
                        return r;
                log_warning("that is not the PIN of the security token");
        }
        return CRYPTVOLUME_WRONG;
}

static int try_token(struct unlocking *u, const char *type, struct err *err)
{
        int r = await_token(u, type, NULL, err);

        if (r == CRYPTVOLUME_NEEDS_PIN && !u->entry->headless)
                r = ask_for_pin(u, type, err);
        if (r == -ECANCELED)
                return r;
        if (r < 0)
                log_err(LOG_LEVEL_WARNING, err);
        else if (outcome_of(r) != NEXT)
                return outcome_of(r);
        log_warning("the encrypted disk '%s' could not be unlocked by its %s token", u->shown, type);
        return NEXT;
}

static int try_tokens(struct unlocking *u, struct err *err)
{
        const struct {
                bool wanted;
                const char *type;
        } tokens[] = {
                { u->entry->tpm2, "systemd-tpm2" },
                { u->entry->fido2, "systemd-fido2" },
                { u->entry->pkcs11, "systemd-pkcs11" },
        };
        int r = NEXT;

        for (size_t i = 0; i < ARRAY_SIZE(tokens) && r == NEXT; i++) {
                if (tokens[i].wanted)
                        r = try_token(u, tokens[i].type, err);
        }
        return r;
}

/* ---- key file and credential ---- */

static int try_key_in(struct unlocking *u, const struct crypttab_file *file, struct err *err)
{
        _cleanup_(secret_deinit) struct secret key = { .data = NULL };
        const struct crypttab_entry *e = u->entry;
        size_t fixed = cryptvolume_key_size(e);
        struct keyfile_part part = { .offset = e->keyfile_offset, .size = fixed > 0 ? fixed : e->keyfile_size };
        int r;

        r = keyfile_read(&key, file, &part, e->keyfile_timeout_s, err);
        if (r == -ENODEV && err->kind == ERR_NONE) {
                u->key_device_is_missing = true;
                return NEXT;
        }
        if (r == -ECANCELED)
                return r;
        if (r < 0) {
                log_err(LOG_LEVEL_WARNING, err);
                return NEXT;
        }
        return try_key(u, &key, true, "key file", err);
}

/* Where crypttab names none, those of that name in systemd's places: crypttab(5). */
static int try_keyfile(struct unlocking *u, struct err *err)
{
        static const char *const directories[] = { "/etc/cryptsetup-keys.d", "/run/cryptsetup-keys.d" };
        int r = NEXT;

        if (u->entry->key.path)
                return try_key_in(u, &u->entry->key, err);
        if (strchr(u->entry->name, '/'))
                return NEXT;
        for (size_t i = 0; i < ARRAY_SIZE(directories) && r == NEXT; i++) {
                _cleanup_(buf_deinit) struct buf path = { .data = NULL };

                if (buf_printf(&path, "%s/%s.key", directories[i], u->entry->name) < 0)
                        return err_oom(err);
                if (access(path.data, F_OK) == 0)
                        r = try_key_in(u, &(struct crypttab_file){ .path = path.data }, err);
        }
        return r;
}

static int try_credential(struct unlocking *u, struct err *err)
{
        _cleanup_(secret_deinit) struct secret key = { .data = NULL };
        int r = passphrase_credential(&key, u->entry->name, err);

        if (r == -ENOENT && err->kind == ERR_NONE)
                return NEXT;
        if (r < 0) {
                log_err(LOG_LEVEL_WARNING, err);
                return NEXT;
        }
        return try_key(u, &key, false, "credential", err);
}

/* ---- passphrases ---- */

static int fail_unasked(const struct unlocking *u, enum passphrase_outcome why, struct err *err)
{
        if (why == PASSPHRASE_REFUSED)
                return err_runf(err, -EPERM, "no passphrase was given for the encrypted disk '%s'", u->shown);
        err_runf(err, -EPERM, "cannot unlock the encrypted disk '%s': %s, and there is nobody to ask for a passphrase",
                 u->shown, u->key_was_wrong ? "no key fits" : "there is no key");
        return err_hint(err, "name its key file in crypttab, or run this on a terminal");
}

static int ask_for_passphrases(struct unlocking *u, struct err *err)
{
        for (unsigned n = 0; u->entry->tries == 0 || n < u->entry->tries; n++) {
                _cleanup_(secret_deinit) struct secret key = { .data = NULL };
                int r = passphrase_ask(&key, u->entry->name, u->entry->timeout_s, err);

                if (r < 0)
                        return r;
                if (r != PASSPHRASE_GOT)
                        return fail_unasked(u, (enum passphrase_outcome)r, err);
                r = try_key(u, &key, false, "passphrase", err);
                if (r != NEXT)
                        return r;
        }
        return err_runf(err, -EPERM, "none of %u passphrases fits the encrypted disk '%s'", u->entry->tries, u->shown);
}

static int try_passphrases(struct unlocking *u, struct err *err)
{
        if (u->key_device_is_missing && !somebody_is_at_the_terminal(u))
                return CRYPTDISK_NO_KEY_DEVICE;
        if (u->key_device_is_missing)
                log_warning("the device with the key of the encrypted disk '%s' is not there", u->shown);
        return u->entry->headless ? fail_unasked(u, PASSPHRASE_NOBODY, err) : ask_for_passphrases(u, err);
}

/* ---- all of it ---- */

static int try_all(struct unlocking *u, struct err *err)
{
        int (*const ways[])(struct unlocking *, struct err *) = {
                try_tokens,
                try_keyfile,
                try_credential,
                try_passphrases,
        };
        int r = NEXT;

        for (size_t i = 0; i < ARRAY_SIZE(ways) && r == NEXT; i++)
                r = ways[i](u, err);
        return r;
}

/* Return CRYPTDISK_NO_KEY_DEVICE when the header is away, NEXT when the volume is open, or a negative errno. */
static int open_volume(struct unlocking *u, const char *device, struct err *err)
{
        const struct crypttab_file *header = &u->entry->header;
        char copy[64];
        int r;

        if (header->device) {
                u->header_fd = keyfile_copy_header(header, u->entry->keyfile_timeout_s, err);
                if (u->header_fd == -ENODEV && err->kind == ERR_NONE)
                        return CRYPTDISK_NO_KEY_DEVICE;
                if (u->header_fd < 0)
                        return u->header_fd;
        }
        snprintf(copy, sizeof(copy), "/proc/self/fd/%d", u->header_fd);
        r = cryptvolume_open(&u->volume, u->entry, device, header->device ? copy : header->path, err);
        return r < 0 ? r : NEXT;
}

static int fail_without_mapper(const struct unlocking *u, struct err *err)
{
        cryptlog_fail(err, -ENOTSUP, "unlock the encrypted disk", u->entry->name);
        return geteuid() != 0 ? err_hint(err, "it takes root")
                              : err_hint(err, "load it: modprobe dm-crypt (for a container, on its host)");
}

/* What was opened before is no use when the disk has been pulled out since. */
static int unlock(struct unlocking *u, struct err *err)
{
        _cleanup_(freep) char *device = NULL;
        crypt_status_info status;
        int r;

        cryptlog_begin();
        status = crypt_status(NULL, u->entry->name);
        if (status == CRYPT_INVALID)
                return fail_without_mapper(u, err);
        /* Before anything reads from devices in search of one. */
        r = cryptdisk_check_suspended(u->entry->name, err);
        if (r < 0)
                return r;
        r = device_find(&device, u->entry->source, err);
        if (r == -ENODEV && err->kind == ERR_NONE)
                return CRYPTDISK_NO_DEVICE;
        if (r < 0)
                return r;
        if (status != CRYPT_INACTIVE) {
                r = cryptdisk_check_mapping(u->entry, err);
                return r < 0 ? r : CRYPTDISK_ALREADY;
        }
        r = open_volume(u, device, err);
        return r == NEXT ? try_all(u, err) : r;
}

int cryptdisk_check(struct err *err)
{
        (void)err;
        return 0;
}

int cryptdisk_unlock(const struct crypttab_entry *entry, struct err *err)
{
        struct unlocking u = { .entry = entry, .header_fd = -1 };
        int r;

        path_show(NULL, entry->name, u.shown, sizeof(u.shown));
        r = unlock(&u, err);
        cryptvolume_free(u.volume);
        fd_close(u.header_fd);
        return r;
}
