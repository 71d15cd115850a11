/*
 * Entries of /etc/crypttab, as crypttab(5) of Debian's cryptsetup and of systemd describe them:
 *
 *      NAME  SOURCE  [KEY-FILE  [OPTIONS]]
 *
 * Blanks separate, a field that begins with '#' ends the line. \0NNN is the byte with that octal number, as Debian has
 * it, \, in an option a comma, as systemd has it. Options may hold blanks (timeout=1min 30s) and stand after blanks.
 *
 * What only concerns the boot (noauto, nofail, _netdev, x-*, initramfs, loud, quiet ...) is accepted and means nothing
 * here. What would have to be executed is refused for keyscript=, and ignored with a warning for check=; the same
 * warning names what systemd would do and we do not (keyfile-erase, measuring into a TPM ...). An option that nobody
 * knows is named in a warning and ignored, as cryptsetup and systemd do.
 */
#pragma once

#include "base/util.h"

struct err;

enum crypttab_type {
        CRYPTTAB_LUKS, /* any version; also when the options name no type */
        CRYPTTAB_PLAIN,
        CRYPTTAB_TCRYPT, /* also when only an option of this type is there: tcrypt-hidden, veracrypt ... */
};

/* A path on the root filesystem, or on another device's: PATH or PATH:UUID=..., as systemd has it. */
struct crypttab_file {
        char *path;   /* absolute; NULL when there is none */
        char *device; /* UUID=, PARTUUID=, LABEL=, PARTLABEL=, ID= or a path below /dev; NULL for the root filesystem */
};

struct crypttab_entry {
        char *name;
        char *source; /* an absolute path, or UUID=, PARTUUID=, LABEL=, PARTLABEL=, ID= (quotes taken away) */
        struct crypttab_file key; /* none, "-" and nothing: no path */
        enum crypttab_type type;
        bool read_only, discard;
        bool same_cpu_crypt, submit_from_crypt_cpus, no_read_workqueue, no_write_workqueue;
        unsigned tries;                        /* how often to ask for a passphrase; 0: without end; 3 unless given */
        unsigned timeout_s;                    /* how long to wait for an answer; 0: for ever, the default */
        bool headless;                         /* never ask */
        uint64_t keyfile_size, keyfile_offset; /* bytes; size 0: to its end */
        unsigned keyfile_timeout_s;  /* how long to wait for the key file's device; 0: do not; UINT_MAX: for ever */
        int key_slot;                /* -1: any */
        struct crypttab_file header; /* detached; no path: on the device itself */
        /* tokens of LUKS2; any of the three asks for them, the value does not matter (the header knows) */
        bool tpm2, fido2, pkcs11;
        unsigned token_timeout_s; /* 30 unless given, 0: for ever */
        /* plain */
        char *cipher, *hash;   /* as written; NULL: the defaults of cryptsetup 2.x, see cryptdisk.c */
        unsigned key_bits;     /* size=, a multiple of 8; 0: default */
        uint64_t offset, skip; /* sectors of 512 bytes */
        unsigned sector_size;  /* bytes, a power of 2 from 512 to 4096; 0: default */
        /* tcrypt */
        bool tcrypt_hidden, tcrypt_system, tcrypt_veracrypt;
        unsigned veracrypt_pim; /* 0: default */
        char **tcrypt_keyfiles; /* paths */
        size_t tcrypt_keyfile_count;
};

/*
 * The entry for @name, the first that has a source when there are several, which is told. Warnings about it are logged.
 * Errors are of kind ERR_USAGE: there is no such file (-ENOENT), or it cannot be read; there is no such entry (the hint
 * names those that there are); its line is broken, a value is out of range, it needs something executed, or it holds
 * something new each time (tmp, swap, a random key). Lines of other entries are not judged.
 */
int crypttab_find(struct crypttab_entry **ret, const char *file, const char *name, struct err *err);

/* The same from memory, which may hold anything; @file stands in messages. */
int crypttab_find_text(struct crypttab_entry **ret, const char *file, const char *text, size_t size, const char *name,
                       struct err *err);

struct crypttab_entry *crypttab_entry_free(struct crypttab_entry *e);
DEFINE_FREEP(struct crypttab_entry, crypttab_entry_free)
