/*
 * An entry is refused with a text that names the file, or is one that makes sense, and the same whatever else the file
 * holds. Input: the name that is asked for, a newline, the file.
 */
#include "base/err.h"
#include "base/log.h"
#include "storage/crypttab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const char *a, const char *b)
{
        return a && b ? str_equal(a, b) : a == b;
}

static bool same_file(const struct crypttab_file *a, const struct crypttab_file *b)
{
        return same(a->path, b->path) && same(a->device, b->device);
}

static bool same_flags(const struct crypttab_entry *a, const struct crypttab_entry *b)
{
        return a->read_only == b->read_only && a->discard == b->discard && a->same_cpu_crypt == b->same_cpu_crypt &&
               a->submit_from_crypt_cpus == b->submit_from_crypt_cpus && a->no_read_workqueue == b->no_read_workqueue &&
               a->no_write_workqueue == b->no_write_workqueue && a->headless == b->headless && a->tpm2 == b->tpm2 &&
               a->fido2 == b->fido2 && a->pkcs11 == b->pkcs11 && a->tcrypt_hidden == b->tcrypt_hidden &&
               a->tcrypt_system == b->tcrypt_system && a->tcrypt_veracrypt == b->tcrypt_veracrypt;
}

static bool same_numbers(const struct crypttab_entry *a, const struct crypttab_entry *b)
{
        return a->type == b->type && a->tries == b->tries && a->timeout_s == b->timeout_s &&
               a->keyfile_size == b->keyfile_size && a->keyfile_offset == b->keyfile_offset &&
               a->keyfile_timeout_s == b->keyfile_timeout_s && a->key_slot == b->key_slot &&
               a->token_timeout_s == b->token_timeout_s && a->key_bits == b->key_bits && a->offset == b->offset &&
               a->skip == b->skip && a->sector_size == b->sector_size && a->veracrypt_pim == b->veracrypt_pim &&
               a->tcrypt_keyfile_count == b->tcrypt_keyfile_count;
}

static bool same_entry(const struct crypttab_entry *a, const struct crypttab_entry *b)
{
        if (!same(a->name, b->name) || !same(a->source, b->source) || !same_file(&a->key, &b->key) ||
            !same_file(&a->header, &b->header) || !same(a->cipher, b->cipher) || !same(a->hash, b->hash) ||
            !same_flags(a, b) || !same_numbers(a, b))
                return false;
        for (size_t i = 0; i < a->tcrypt_keyfile_count; i++) {
                if (!str_equal(a->tcrypt_keyfiles[i], b->tcrypt_keyfiles[i]))
                        return false;
        }
        return true;
}

static bool is_device(const char *text)
{
        const char *value = strchr(text, '=');

        return *text == '/' || (value && value[1]);
}

static bool is_file(const struct crypttab_file *file)
{
        return file->path ? *file->path == '/' && (!file->device || is_device(file->device)) : !file->device;
}

static bool makes_sense(const struct crypttab_entry *e, const char *name)
{
        for (size_t i = 0; i < e->tcrypt_keyfile_count; i++) {
                if (*e->tcrypt_keyfiles[i] != '/')
                        return false;
        }
        return str_equal(e->name, name) && !strchr(name, '/') && strlen(name) < 128 && is_device(e->source) &&
               is_file(&e->key) && is_file(&e->header) && e->type <= CRYPTTAB_TCRYPT && e->key_slot >= -1 &&
               e->key_slot < 32 && e->key_bits % 8 == 0 && e->key_bits <= 4096 && e->offset <= UINT64_MAX / 512 &&
               e->skip <= UINT64_MAX / 512 && e->sector_size % 512 == 0 && e->sector_size <= 4096 &&
               (!e->cipher || *e->cipher) && (!e->hash || *e->hash);
}

/* NULL when it is refused. */
static struct crypttab_entry *find(const char *text, size_t size, const char *name)
{
        struct crypttab_entry *e = NULL;
        struct err err = { .kind = ERR_NONE };
        int r = crypttab_find_text(&e, "tab", text, size, name, &err);

        if (r == 0 ? !e || err.kind != ERR_NONE : e || err.kind != ERR_USAGE || !strstr(err.text, "tab"))
                abort();
        return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char before[] = "other\n# x\nx\\0 /dev/x - keyscript=x\n", after[] = "\n\0\nother";
        const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
        size_t name_size = newline ? (size_t)(newline - data) : size, text_size = newline ? size - name_size - 1 : 0;
        char *name = str_copy(data, name_size), *more = malloc(sizeof(before) + text_size + sizeof(after));
        struct crypttab_entry *e, *again;

        if (!name || !more)
                abort();
        log_init("fuzz-crypttab", LOG_LEVEL_ERROR);
        memcpy(more, before, sizeof(before) - 1);
        if (newline)
                memcpy(more + sizeof(before) - 1, newline + 1, text_size);
        memcpy(more + sizeof(before) - 1 + text_size, after, sizeof(after) - 1);
        e = find(more + sizeof(before) - 1, text_size, name);
        again = find(more, sizeof(before) - 1 + text_size + sizeof(after) - 1, name);
        if (e && !makes_sense(e, name))
                abort();
        if (!str_equal(name, "other") && (!e != !again || (e && !same_entry(e, again))))
                abort();
        crypttab_entry_free(e);
        crypttab_entry_free(again);
        free(name);
        free(more);
        return 0;
}
