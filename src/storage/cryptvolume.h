/*
 * One encrypted volume as libcryptsetup knows it: its header is opened (plain ones have none), keys are tried, and the
 * one that fits makes the mapping. Which keys there are is the business of cryptdisk.c.
 */
#pragma once

#include "base/util.h"

struct crypttab_entry;
struct cryptvolume;
struct err;
struct secret;

enum cryptvolume_verdict {
        CRYPTVOLUME_FITS,
        CRYPTVOLUME_WRONG,     /* this key opens nothing here */
        CRYPTVOLUME_ALREADY,   /* somebody else was faster: the mapping is there */
        CRYPTVOLUME_NEEDS_PIN, /* tokens: it wants a PIN, or another one */
        CRYPTVOLUME_ABSENT,    /* tokens: it is not plugged in */
};

/*
 * Open the volume of @entry on @device (a path); @header is the path of a detached LUKS header or NULL. The entry is
 * borrowed for as long as the volume lives. A header that is damaged or not LUKS is an error.
 */
int cryptvolume_open(struct cryptvolume **ret, const struct crypttab_entry *entry, const char *device,
                     const char *header, struct err *err);

struct cryptvolume *cryptvolume_free(struct cryptvolume *v);
DEFINE_FREEP(struct cryptvolume, cryptvolume_free)

/*
 * Try @key; when it fits make the mapping @name, or with NULL only tell. @is_file: it was in a key file, which plain
 * volumes do not hash and TrueCrypt's read to the end of the first line. Takes seconds, and as much memory as the
 * header says. Return a cryptvolume_verdict or a negative errno with @err filled.
 */
int cryptvolume_try(struct cryptvolume *v, const char *name, const struct secret *key, bool is_file, struct err *err);

/*
 * The same with a token of the LUKS2 header of @type ("systemd-tpm2", ...), by a plugin of libcryptsetup; @pin may be
 * NULL. All that went wrong with it is an error, also that there is no such token or plugin.
 */
int cryptvolume_try_token(struct cryptvolume *v, const char *name, const char *type, const struct secret *pin,
                          struct err *err);

/* How many bytes of a key file are the key, where its length is fixed (plain volumes); 0 where it is not. */
size_t cryptvolume_key_size(const struct crypttab_entry *entry);
