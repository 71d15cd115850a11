/*
 * The table below is both dialects': crypttab(5) of Debian's cryptsetup 2.7 and of systemd 258. An option that is given
 * twice counts the last time, as with both; options that are none (",,") are passed over. Where the dialects understand
 * an entry differently (two types, a header for a plain device) it is refused rather than guessed at.
 */
#include "storage/crypttab_options.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/ini.h"
#include "base/log.h"
#include "base/path.h"
#include "storage/crypttab.h"
#include "storage/crypttab_values.h"

#include <inttypes.h>
#include <limits.h>

enum kind {
        KIND_FLAG,       /* bool, no value */
        KIND_SWITCH,     /* bool, with a value or without */
        KIND_PRESENT,    /* bool: true, whatever the value is */
        KIND_TEXT,       /* char * */
        KIND_UNSIGNED,   /* from min to max */
        KIND_UINT64,     /* the same */
        KIND_SLOT,       /* int, the same */
        KIND_BITS,       /* unsigned, the same, a multiple of 8 */
        KIND_SECTOR,     /* unsigned, the same, a power of 2 */
        KIND_LIMIT,      /* unsigned seconds; 0 and "infinity" mean for ever, 0 in the entry */
        KIND_WAIT,       /* unsigned seconds; 0 means not at all */
        KIND_FILE,       /* struct crypttab_file; may stand once */
        KIND_KEYFILES,   /* one more of the tcrypt_keyfiles */
        KIND_TYPE,       /* names the type */
        KIND_OTHER_TYPE, /* names one that we do not know how to unlock */
        KIND_SCRIPT,     /* has something executed without which there is no key */
        KIND_FRESH,      /* makes something new in the device each time */
        KIND_BOOT,       /* means nothing here */
        KIND_IDLE,       /* means something, but not here: named in a warning */
};

/* What an option says about the type: nothing, or 1 << enum crypttab_type. */
enum { IMPLIES_NOTHING = 0, IMPLIES_TCRYPT = 1 << CRYPTTAB_TCRYPT };

struct option {
        const char *name;
        enum kind kind;
        size_t offset; /* in struct crypttab_entry */
        uint64_t min, max;
        unsigned implies;
};

#define IN(field) offsetof(struct crypttab_entry, field)

static const struct option options[] = {
        { "luks", KIND_TYPE, .min = CRYPTTAB_LUKS },
        { "plain", KIND_TYPE, .min = CRYPTTAB_PLAIN },
        { "tcrypt", KIND_TYPE, .min = CRYPTTAB_TCRYPT },
        { "bitlk", KIND_OTHER_TYPE },
        { "fvault2", KIND_OTHER_TYPE },

        { "read-only", KIND_FLAG, IN(read_only) },
        { "readonly", KIND_FLAG, IN(read_only) },
        { "discard", KIND_FLAG, IN(discard) },
        { "allow-discards", KIND_FLAG, IN(discard) },
        { "same-cpu-crypt", KIND_FLAG, IN(same_cpu_crypt) },
        { "submit-from-crypt-cpus", KIND_FLAG, IN(submit_from_crypt_cpus) },
        { "no-read-workqueue", KIND_FLAG, IN(no_read_workqueue) },
        { "no-write-workqueue", KIND_FLAG, IN(no_write_workqueue) },

        { "tries", KIND_UNSIGNED, IN(tries), 0, UINT_MAX },
        { "timeout", KIND_LIMIT, IN(timeout_s) },
        { "headless", KIND_SWITCH, IN(headless) },
        { "keyfile-size", KIND_UINT64, IN(keyfile_size), 0, UINT32_MAX },
        { "keyfile-offset", KIND_UINT64, IN(keyfile_offset), 0, INT64_MAX },
        { "keyfile-timeout", KIND_WAIT, IN(keyfile_timeout_s) },
        { "key-slot", KIND_SLOT, IN(key_slot), 0, 31 },
        { "keyslot", KIND_SLOT, IN(key_slot), 0, 31 },
        { "header", KIND_FILE, IN(header) },
        { "tpm2-device", KIND_PRESENT, IN(tpm2) },
        { "fido2-device", KIND_PRESENT, IN(fido2) },
        { "pkcs11-uri", KIND_PRESENT, IN(pkcs11) },
        { "token-timeout", KIND_LIMIT, IN(token_timeout_s) },

        { "cipher", KIND_TEXT, IN(cipher) },
        { "hash", KIND_TEXT, IN(hash) },
        { "size", KIND_BITS, IN(key_bits), 8, 4096 },
        { "offset", KIND_UINT64, IN(offset), 0, UINT64_MAX / 512 },
        { "skip", KIND_UINT64, IN(skip), 0, UINT64_MAX / 512 },
        { "sector-size", KIND_SECTOR, IN(sector_size), 512, 4096 },

        { "tcrypt-hidden", KIND_FLAG, IN(tcrypt_hidden), .implies = IMPLIES_TCRYPT },
        { "tcrypthidden", KIND_FLAG, IN(tcrypt_hidden), .implies = IMPLIES_TCRYPT },
        { "tcrypt-system", KIND_FLAG, IN(tcrypt_system), .implies = IMPLIES_TCRYPT },
        { "tcrypt-veracrypt", KIND_FLAG, IN(tcrypt_veracrypt), .implies = IMPLIES_TCRYPT },
        { "veracrypt", KIND_FLAG, IN(tcrypt_veracrypt), .implies = IMPLIES_TCRYPT },
        { "veracrypt-pim", KIND_UNSIGNED, IN(veracrypt_pim), 0, 2147468 }, /* libcryptsetup's limit */
        { "tcrypt-keyfile", KIND_KEYFILES, .implies = IMPLIES_TCRYPT },

        { "keyscript", KIND_SCRIPT },
        { "swap", KIND_FRESH },
        { "tmp", KIND_FRESH },

        { "auto", KIND_BOOT },
        { "noauto", KIND_BOOT },
        { "fail", KIND_BOOT },
        { "nofail", KIND_BOOT },
        { "noearly", KIND_BOOT },
        { "initramfs", KIND_BOOT },
        { "loud", KIND_BOOT },
        { "quiet", KIND_BOOT },
        { "verify", KIND_BOOT },
        { "_netdev", KIND_BOOT },
        { "password-echo", KIND_BOOT },
        { "password-cache", KIND_BOOT },
        { "tpm2-pcrs", KIND_BOOT }, /* of tokens the header knows these */
        { "tpm2-signature", KIND_BOOT },
        { "tpm2-pcrlock", KIND_BOOT },
        { "tpm2-pin", KIND_BOOT },

        { "check", KIND_IDLE },
        { "checkargs", KIND_IDLE },
        { "fido2-cid", KIND_IDLE }, /* for tokens that the header does not know */
        { "fido2-rp", KIND_IDLE },
        { "fido2-pin", KIND_IDLE },
        { "fido2-up", KIND_IDLE },
        { "fido2-uv", KIND_IDLE },
        { "fixate-volume-key", KIND_IDLE },
        { "keyfile-erase", KIND_IDLE },
        { "link-volume-key", KIND_IDLE },
        { "tpm2-measure-bank", KIND_IDLE },
        { "tpm2-measure-keyslot-nvpcr", KIND_IDLE },
        { "tpm2-measure-pcr", KIND_IDLE },
        { "try-empty-password", KIND_IDLE },
};

struct parsing {
        struct crypttab_entry *entry;
        const struct crypttab_place *place;
        struct err *err;
        unsigned named, implied; /* types, as 1 << enum crypttab_type */
        struct buf unknown, idle;
};

static const struct option *find_option(const char *name, size_t length)
{
        for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
                if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
                        return &options[i];
        }
        return NULL;
}

/* ---- values ---- */

static int bad_number(struct parsing *p, const struct option *o, const char *value, int r)
{
        char shown[128];

        path_show(NULL, value, shown, sizeof(shown));
        if (r == -ERANGE)
                return crypttab_values_refuse(p->err, p->place, "%s=%s is not between %" PRIu64 " and %" PRIu64,
                                              o->name, shown, o->min, o->max);
        return crypttab_values_refuse(p->err, p->place, "%s=%s is not a number", o->name, shown);
}

static int take_number(struct parsing *p, const struct option *o, const char *value, void *field)
{
        uint64_t number;
        int r = crypttab_values_number(value, o->min, o->max, &number);

        if (r < 0)
                return bad_number(p, o, value, r);
        if (o->kind == KIND_BITS && number % 8 != 0)
                return crypttab_values_refuse(p->err, p->place, "%s=%s is not a multiple of 8", o->name, value);
        if (o->kind == KIND_SECTOR && (number & (number - 1)) != 0)
                return crypttab_values_refuse(p->err, p->place, "%s=%s is not a power of 2", o->name, value);
        if (o->kind == KIND_UINT64)
                *(uint64_t *)field = number;
        else if (o->kind == KIND_SLOT)
                *(int *)field = (int)number;
        else
                *(unsigned *)field = (unsigned)number;
        return 0;
}

static int take_span(struct parsing *p, const struct option *o, const char *value, unsigned *field)
{
        char shown[128];
        unsigned span_s;
        int r = crypttab_values_span(value, &span_s);

        path_show(NULL, value, shown, sizeof(shown));
        if (r == -ERANGE)
                return crypttab_values_refuse(p->err, p->place, "%s=%s is too long", o->name, shown);
        if (r < 0)
                return crypttab_values_refuse(p->err, p->place, "%s=%s is not a time span such as 30 or 1min30s",
                                              o->name, shown);
        *field = o->kind == KIND_LIMIT && span_s == UINT_MAX ? 0 : span_s;
        return 0;
}

static int take_switch(struct parsing *p, const struct option *o, const char *value, bool *field)
{
        char shown[128];

        if (!value) {
                *field = true;
                return 0;
        }
        if (ini_bool(value, field) == 0)
                return 0;
        path_show(NULL, value, shown, sizeof(shown));
        return crypttab_values_refuse(p->err, p->place, "%s=%s is neither yes nor no", o->name, shown);
}

static int take_text(struct parsing *p, const char *value, char **field)
{
        char *text = strdup(value);

        if (!text)
                return err_oom(p->err);
        free(*field);
        *field = text;
        return 0;
}

static int not_absolute(struct parsing *p, const struct option *o, const char *value)
{
        char shown[256];

        path_show(NULL, value, shown, sizeof(shown));
        return crypttab_values_refuse(p->err, p->place, "%s=%s is not an absolute path", o->name, shown);
}

static int take_file(struct parsing *p, const struct option *o, const char *value, struct crypttab_file *field)
{
        int r;

        if (field->path)
                return crypttab_values_refuse(p->err, p->place, "%s= is given twice", o->name);
        r = crypttab_values_file(field, value);
        if (r == -ENOMEM)
                return err_oom(p->err);
        return r < 0 ? not_absolute(p, o, value) : 0;
}

static int take_keyfile(struct parsing *p, const struct option *o, const char *value)
{
        struct crypttab_entry *e = p->entry;
        char **larger;

        if (*value != '/')
                return not_absolute(p, o, value);
        larger = reallocarray(e->tcrypt_keyfiles, e->tcrypt_keyfile_count + 1, sizeof(*larger));
        if (!larger)
                return err_oom(p->err);
        e->tcrypt_keyfiles = larger;
        larger[e->tcrypt_keyfile_count] = strdup(value);
        if (!larger[e->tcrypt_keyfile_count])
                return err_oom(p->err);
        e->tcrypt_keyfile_count++;
        return 0;
}

/* ---- what is refused ---- */

static int refuse_script(struct parsing *p, const struct option *o)
{
        crypttab_values_refuse(p->err, p->place,
                               "%s= is a program to be executed for the key of '%s', and nothing is "
                               "executed here",
                               o->name, p->place->name);
        return err_hint(p->err,
                        "use a key file, or systemd's LoadCredential=rsync-system-backup.%s:FILE, or a passphrase "
                        "that an ask-password agent answers",
                        p->place->name);
}

static int refuse_fresh(struct parsing *p, const struct option *o)
{
        return crypttab_values_refuse(p->err, p->place, "'%s' is made anew each time (%s) and cannot hold backups",
                                      p->place->name, o->name);
}

static int refuse_type(struct parsing *p, const struct option *o)
{
        crypttab_values_refuse(p->err, p->place, "%s is not supported", o->name);
        return err_hint(p->err, "luks, plain and tcrypt are");
}

/* ---- one option ---- */

static bool needs_value(enum kind kind)
{
        return kind >= KIND_PRESENT && kind <= KIND_KEYFILES;
}

static bool takes_no_value(enum kind kind)
{
        return kind == KIND_FLAG || kind == KIND_TYPE || kind == KIND_OTHER_TYPE;
}

static int note(struct parsing *p, struct buf *list, const char *word)
{
        return buf_puts(list, list->size > 0 ? ", " : "") < 0 || path_escape(list, NULL, word) < 0 ? err_oom(p->err)
                                                                                                   : 0;
}

static int take_option(struct parsing *p, const struct option *o, const char *value)
{
        void *field = (char *)p->entry + o->offset;

        p->implied |= o->implies;
        switch (o->kind) {
        case KIND_FLAG:
        case KIND_PRESENT:
                *(bool *)field = true;
                return 0;
        case KIND_SWITCH:
                return take_switch(p, o, value, field);
        case KIND_TEXT:
                return take_text(p, value, field);
        case KIND_UNSIGNED:
        case KIND_UINT64:
        case KIND_SLOT:
        case KIND_BITS:
        case KIND_SECTOR:
                return take_number(p, o, value, field);
        case KIND_LIMIT:
        case KIND_WAIT:
                return take_span(p, o, value, field);
        case KIND_FILE:
                return take_file(p, o, value, field);
        case KIND_KEYFILES:
                return take_keyfile(p, o, value);
        case KIND_TYPE:
                p->named |= 1U << o->min;
                return 0;
        case KIND_OTHER_TYPE:
                return refuse_type(p, o);
        case KIND_SCRIPT:
                return refuse_script(p, o);
        case KIND_FRESH:
                return refuse_fresh(p, o);
        case KIND_BOOT:
                return 0;
        case KIND_IDLE:
                return note(p, &p->idle, o->name);
        }
        return 0;
}

static int take_word(struct parsing *p, const char *word)
{
        size_t length = strcspn(word, "=");
        const char *value = word[length] ? word + length + 1 : NULL;
        const struct option *o = find_option(word, length);

        if (str_starts(word, "x-"))
                return 0;
        if (!o || (value && takes_no_value(o->kind)))
                return note(p, &p->unknown, word);
        if (needs_value(o->kind) && (!value || !*value))
                return crypttab_values_refuse(p->err, p->place, "%s= has no value", o->name);
        return take_option(p, o, value);
}

/* ---- all of them ---- */

static const char blanks[] = " \t\r\v\f";

/* The next word up to a comma that no backslash stands before; blanks around it do not count. */
static int next_word(char **ret, const char **text, const char *end)
{
        const char *start = *text, *stop = start;

        while (stop < end && *stop != ',')
                stop += *stop == '\\' && stop + 1 < end ? 2 : 1;
        *text = stop + (stop < end);
        while (start < stop && strchr(blanks, *start))
                start++;
        while (start < stop && strchr(blanks, stop[-1]))
                stop--;
        return crypttab_values_decode(ret, start, (size_t)(stop - start), ",\\");
}

static int take_words(struct parsing *p, const char *text, size_t size)
{
        const char *end = text + size;

        while (text < end) {
                _cleanup_(freep) char *word = NULL;
                int r = next_word(&word, &text, end);

                if (r == -ENOMEM)
                        return err_oom(p->err);
                if (r < 0)
                        return crypttab_values_refuse(p->err, p->place, "an option holds a NUL byte");
                if (*word)
                        r = take_word(p, word);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int settle_type(struct parsing *p)
{
        unsigned types = p->named ? p->named : p->implied;
        struct crypttab_entry *e = p->entry;

        if ((types & (types - 1)) != 0)
                return crypttab_values_refuse(p->err, p->place, "'%s' is of one type only: luks, plain or tcrypt",
                                              p->place->name);
        e->type = types ? (enum crypttab_type)__builtin_ctz(types) : CRYPTTAB_LUKS;
        if (e->type == CRYPTTAB_PLAIN && e->header.path)
                return crypttab_values_refuse(p->err, p->place, "a plain device has no header, but header= names one");
        if (!types && (e->cipher || e->hash || e->key_bits))
                log_warning("%s:%u: '%s' is taken for luks, which needs neither cipher= nor hash= nor size=; say plain "
                            "if it is not",
                            p->place->file, p->place->line, p->place->name);
        return 0;
}

static void warn(const struct parsing *p)
{
        if (p->unknown.size > 0)
                log_warning("%s:%u: unknown options of '%s' are ignored: %s", p->place->file, p->place->line,
                            p->place->name, p->unknown.data);
        if (p->idle.size > 0)
                log_warning("%s:%u: options of '%s' that have no effect here: %s", p->place->file, p->place->line,
                            p->place->name, p->idle.data);
}

void crypttab_options_init(struct crypttab_entry *e)
{
        e->tries = 3;
        e->key_slot = -1;
        e->token_timeout_s = 30;
}

int crypttab_options_parse(struct crypttab_entry *e, const char *text, size_t size, const struct crypttab_place *place,
                           struct err *err)
{
        struct parsing p = { .entry = e, .place = place, .err = err };
        int r = take_words(&p, text, size);

        if (r == 0)
                r = settle_type(&p);
        if (r == 0)
                warn(&p);
        buf_deinit(&p.unknown);
        buf_deinit(&p.idle);
        return r;
}
