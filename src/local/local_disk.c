/*
 * Each layer is attached in the same way; struct local_disk_kind has what differs. The note in the share says which
 * instance was opened by a run of ours, this one or another, perhaps one that was killed: that one is given back.
 */
#include "local/local_disk.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mount.h"
#include "base/path.h"
#include "base/secret.h"
#include "options/options.h"
#include "storage/beneath.h"
#include "storage/cryptdisk.h"
#include "storage/crypttab.h"
#include "storage/fstab.h"

#include <errno.h>
#include <stdio.h>

#define CRYPTTAB "/etc/crypttab"

enum outcome { OPENED, ALREADY_OPEN, ABSENT };

struct local_disk_kind {
        const char *name;
        /* Return an outcome or a negative errno with @err filled. */
        int (*open)(const struct options *o, struct local_disk_layer *layer, struct err *err);
        /* Which one is open now, for the note. Return 0 or -errno. */
        int (*instance)(const char *name, char *ret, size_t size);
        int (*close)(const char *name, struct err *err);
};

/* ---- the encrypted disk ---- */

/* Somebody at a terminal wants to know; a job that comes every hour finds the disk at home now and then. */
static int tell_absent(const struct options *o, const char *what, const char *name, struct err *err)
{
        char shown[PATH_SHOWN];

        path_shown(name, shown);
        if (o->attended) {
                err_runf(err, -ENODEV, "cannot unlock '%s': %s is not plugged in", shown, what);
                return err_hint(err, "plug it in and try again");
        }
        log_info("%s of '%s' is not plugged in: nothing to do", what, shown);
        return ABSENT;
}

static int crypto_open(const struct options *o, struct local_disk_layer *layer, struct err *err)
{
        _cleanup_(crypttab_entry_freep) struct crypttab_entry *entry = NULL;
        int r = crypttab_find(&entry, CRYPTTAB, o->crypto, err);

        secret_protect_process();
        if (r == 0)
                r = cryptdisk_unlock(entry, err);
        if (r < 0)
                return r;
        switch ((enum cryptdisk_outcome)r) {
        case CRYPTDISK_NO_DEVICE:
                return tell_absent(o, "the disk", layer->name, err);
        case CRYPTDISK_NO_KEY_DEVICE:
                return tell_absent(o, "the disk with the key", layer->name, err);
        case CRYPTDISK_ALREADY:
                log_debug("'%s' is unlocked already", layer->name);
                return ALREADY_OPEN;
        case CRYPTDISK_UNLOCKED:
                break;
        }
        log_info("unlocked '%s'", layer->name);
        return OPENED;
}

static int crypto_close(const char *name, struct err *err)
{
        int r = cryptdisk_lock(name, err);

        if (r == 0)
                log_info("locked '%s'", name);
        return r;
}

/* ---- the filesystem ---- */

static int mount_open(const struct options *o, struct local_disk_layer *layer, struct err *err)
{
        char shown[PATH_SHOWN];
        int r = fstab_mount(layer->name, o->dry_run, err);

        if (r < 0)
                return r;
        if (r == FSTAB_MOUNTED) {
                log_info("mounted '%s'%s", path_shown(layer->name, shown), o->dry_run ? " read-only" : "");
                return OPENED;
        }
        log_debug("'%s' is mounted already", path_shown(layer->name, shown));
        return ALREADY_OPEN;
}

static int mount_instance(const char *name, char *ret, size_t size)
{
        char instance[FSTAB_INSTANCE_SIZE];
        int r = fstab_instance(name, instance);

        if (r == 0)
                snprintf(ret, size, "%s", instance);
        return r;
}

static int mount_close(const char *name, struct err *err)
{
        char shown[PATH_SHOWN];
        int r = fstab_unmount(name, err);

        if (r == 0)
                log_info("unmounted '%s'", path_shown(name, shown));
        return r;
}

static const struct local_disk_kind kinds[LOCAL_DISK_LAYERS] = {
        [LOCAL_DISK_CRYPTO] = { "crypto", crypto_open, cryptdisk_instance, crypto_close },
        [LOCAL_DISK_MOUNT] = { "mount", mount_open, mount_instance, mount_close },
};

/* ---- notes ---- */

/* What stands in a share's note, three lines. */
struct note {
        char text[SHARE_NOTE_SIZE];
        const char *instance; /* what a run of ours opened; OPENING while it does; "" for nothing */
        bool is_read_only;    /* a dry run mounted it */
        const char *below;    /* the encrypted disk that it is on and that goes with it, or "" */
};

static const char OPENING[] = "opening", READ_ONLY[] = "read-only";

static void note_parse(struct note *n, const char *text)
{
        char *rest = n->text, *line;

        snprintf(n->text, sizeof(n->text), "%s", text);
        line = strsep(&rest, "\n");
        n->instance = line;
        line = strsep(&rest, "\n");
        n->is_read_only = line && str_equal(line, READ_ONLY);
        line = strsep(&rest, "\n");
        n->below = line ? line : "";
}

static int note_write(struct share *share, const char *instance, bool is_read_only, const char *below, struct err *err)
{
        char text[SHARE_NOTE_SIZE];

        if (snprintf(text, sizeof(text), "%s\n%s\n%s\n", instance, is_read_only ? READ_ONLY : "", below) >=
            (int)sizeof(text))
                return err_runf(err, -ENAMETOOLONG, "the name of the disk '%s' is too long", below);
        return str_equal(text, share->note) ? 0 : share_write_note(share, text, err);
}

/* ---- a layer ---- */

static void find_instance(const struct local_disk_layer *layer, char ret[LOCAL_DISK_INSTANCE_SIZE])
{
        if (layer->kind->instance(layer->name, ret, LOCAL_DISK_INSTANCE_SIZE) < 0)
                ret[0] = '\0';
}

/*
 * It was open. By a run of ours if the note knows it; or if the note says that one was opening it, which was killed at
 * that: then it is made ours. Else somebody else has opened it, and whatever the note says is long gone.
 */
static int adopt(const struct options *o, struct local_disk_layer *layer, bool was_open, struct err *err)
{
        char instance[LOCAL_DISK_INSTANCE_SIZE];
        bool is_read_only;
        struct note n;

        note_parse(&n, layer->share.note);
        find_instance(layer, instance);
        if (!was_open || (!str_equal(n.instance, instance) && !str_equal(n.instance, OPENING)))
                return layer->share.note[0] ? share_write_note(&layer->share, "", err) : 0;
        is_read_only = n.is_read_only;
        if (is_read_only && !o->dry_run) {
                int r = fstab_remount_writable(layer->name, err);

                if (r < 0)
                        return err_hint(err,
                                        "a dry run or a list has mounted it read-only: try again when that has ended");
                is_read_only = false;
        }
        return note_write(&layer->share, instance, is_read_only, layer->below[0] ? layer->below : n.below, err);
}

/* Nothing came of it. That is told already, or no error. */
static void forget(struct local_disk_layer *layer)
{
        ERR_LOCAL(minor);

        if (share_write_note(&layer->share, "", &minor) < 0)
                log_err(LOG_LEVEL_DEBUG, &minor);
}

/* The note comes before the deed: who is killed in between leaves behind what the next run knows to be ours. */
static int open_noted(const struct options *o, struct local_disk_layer *layer, struct err *err)
{
        bool is_mount = layer->kind == &kinds[LOCAL_DISK_MOUNT], was_open;
        int r;

        find_instance(layer, layer->instance);
        was_open = layer->instance[0] != '\0';
        r = was_open ? 0 : note_write(&layer->share, OPENING, is_mount && o->dry_run, layer->below, err);
        if (r == 0)
                r = layer->kind->open(o, layer, err);
        layer->opened = r == OPENED;
        if (layer->opened) {
                find_instance(layer, layer->instance);
                return note_write(&layer->share, layer->instance, is_mount && o->dry_run, layer->below, err);
        }
        if (r == ALREADY_OPEN)
                return adopt(o, layer, was_open, err);
        if (!was_open)
                forget(layer);
        return r;
}

static int attach(const struct options *o, struct local_disk_layer *layer, const struct local_disk_kind *kind,
                  const char *name, const char *key, struct err *err)
{
        int r;

        layer->name = name;
        r = share_join(&layer->share, kind->name, key, err);
        if (r < 0)
                return r;
        layer->kind = kind;
        r = open_noted(o, layer, err);
        share_open_gate(&layer->share);
        return r;
}

/* Is what is open what this run or another one of ours has opened? */
static bool is_ours(const struct local_disk_layer *layer, const struct note *n)
{
        char instance[LOCAL_DISK_INSTANCE_SIZE];

        find_instance(layer, instance);
        return instance[0] &&
               (str_equal(n->instance, instance) || (layer->opened && str_equal(layer->instance, instance)));
}

static int fail_close(const struct local_disk_layer *layer, const struct note *n, struct err *err)
{
        char shown[PATH_SHOWN];

        path_shown(layer->name, shown);
        if (layer->kind == &kinds[LOCAL_DISK_MOUNT] && n->below[0])
                return err_hint(err,
                                "'%s' stays unlocked too; the next run closes both, or: umount '%s' && cryptsetup "
                                "close %s",
                                n->below, shown, n->below);
        if (layer->kind == &kinds[LOCAL_DISK_MOUNT])
                return err_hint(err, "the next run unmounts it, or: umount '%s'", shown);
        return err->code;
}

static int close_below(const char *name, struct err *err);

/* For the last user: give back what is ours, and what it is on if that was left to us. */
static int give_back(const struct options *o, struct local_disk_layer *layer, struct err *err)
{
        bool ours;
        struct note n;
        int r = 0;

        note_parse(&n, layer->share.note);
        ours = is_ours(layer, &n);
        if (ours)
                r = layer->kind->close(layer->name, err);
        if (r < 0)
                return fail_close(layer, &n, err);
        if (layer->share.note[0])
                r = share_write_note(&layer->share, "", err);
        if (r == 0 && ours && n.below[0] && !(o->crypto && str_equal(o->crypto, n.below)))
                r = close_below(n.below, err);
        return r;
}

enum { SHARED = 1 };

/* Return 0; SHARED when others use it; or a negative errno with @err filled. */
static int detach(const struct options *o, struct local_disk_layer *layer, struct err *err)
{
        int r = layer->kind ? share_leave(&layer->share, err) : 0, is_shared = layer->kind && r == 0;

        if (r > 0)
                r = give_back(o, layer, err);
        share_deinit(&layer->share);
        layer->kind = NULL;
        return r == 0 && is_shared ? SHARED : r;
}

/* A job that named no encrypted disk unmounts last what another job had unlocked it for. */
static int close_below(const char *name, struct err *err)
{
        struct local_disk_layer layer = { .name = name, .below = "" };
        const struct options none = { .crypto = NULL };
        int r;

        share_init(&layer.share);
        r = share_join(&layer.share, kinds[LOCAL_DISK_CRYPTO].name, name, err);
        if (r < 0) {
                share_deinit(&layer.share);
                return r;
        }
        layer.kind = &kinds[LOCAL_DISK_CRYPTO];
        share_open_gate(&layer.share);
        r = detach(&none, &layer, err);
        return r < 0 ? r : 0;
}

/* ---- all of it ---- */

void local_disk_init(struct local_disk *disk, const struct options *options)
{
        *disk = (struct local_disk){ .options = options };
        for (size_t i = 0; i < LOCAL_DISK_LAYERS; i++) {
                share_init(&disk->layers[i].share);
                disk->layers[i].below = "";
        }
}

/* A mount point is one in a mount namespace; what it is called, symlinks included, does not matter. malloc'd. */
static char *key_of_point(const char *point)
{
        char space[64] = "";
        ssize_t n = readlink("/proc/self/ns/mnt", space, sizeof(space) - 1);
        _cleanup_(buf_deinit) struct buf key = { .data = NULL };

        space[n > 0 ? n : 0] = '\0';
        return buf_printf(&key, "%s %s", space, point) < 0 ? NULL : buf_take(&key);
}

static int attach_mount(struct local_disk *disk, struct err *err)
{
        struct local_disk_layer *layer = &disk->layers[LOCAL_DISK_MOUNT];
        const struct options *o = disk->options;
        _cleanup_(freep) char *key = NULL;
        int r;

        disk->point = path_resolve(o->mount);
        key = disk->point ? key_of_point(disk->point) : NULL;
        if (!key)
                return err_oom(err);
        layer->below = o->crypto ? o->crypto : "";
        r = attach(o, layer, &kinds[LOCAL_DISK_MOUNT], disk->point, key, err);
        if (r < 0 && o->crypto && !disk->layers[LOCAL_DISK_CRYPTO].opened && !err->hint[0])
                return err_hint(err,
                                "'%s' was unlocked before; if its disk was unplugged since then: cryptsetup close %s",
                                o->crypto, o->crypto);
        return r;
}

/* Who names an encrypted disk does not want what he backs up to be readable for whoever finds the disk. */
static int check_encrypted(const struct local_disk *disk, struct err *err)
{
        char shown[PATH_SHOWN], point[PATH_SHOWN];
        dev_t device;

        if (!mount_parse_device(&device, disk->layers[LOCAL_DISK_CRYPTO].instance, 10) ||
            beneath_has(disk->point, device) != 0)
                return 0;
        err_runf(err, -EXDEV, "what is mounted at '%s' is not on the encrypted disk '%s'",
                 path_shown(disk->point, point), path_shown(disk->options->crypto, shown));
        err_hint(err, "what has fstab for it? --force if it is meant so");
        if (!disk->options->force)
                return err->code;
        log_err(LOG_LEVEL_WARNING, err);
        return 0;
}

int local_disk_attach(struct local_disk *disk, struct err *err)
{
        const struct options *o = disk->options;
        int r = o->crypto ? cryptdisk_check(err) : 0;

        if (r == 0 && o->mount)
                r = fstab_check(o->mount, err);
        if (r == 0 && o->crypto)
                r = attach(o, &disk->layers[LOCAL_DISK_CRYPTO], &kinds[LOCAL_DISK_CRYPTO], o->crypto, o->crypto, err);
        if (r == 0 && o->mount)
                r = attach_mount(disk, err);
        if (r == 0 && o->mount && o->crypto)
                r = check_encrypted(disk, err);
        return r == ABSENT ? LOCAL_DISK_ABSENT : r;
}

int local_disk_detach(struct local_disk *disk, struct err *err)
{
        struct local_disk_layer *crypto = &disk->layers[LOCAL_DISK_CRYPTO];
        int r = detach(disk->options, &disk->layers[LOCAL_DISK_MOUNT], err);

        /* What is below something that stays in use cannot go; who unmounts that sees to it. */
        if (r == 0)
                r = detach(disk->options, crypto, err);
        share_deinit(&crypto->share);
        crypto->kind = NULL;
        free(disk->point);
        disk->point = NULL;
        return r < 0 ? r : 0;
}

int local_disk_check_path(const struct local_disk *disk, const char *parent, struct err *err)
{
        const char *mount = disk->options->mount;
        _cleanup_(freep) char *point = mount ? path_resolve(mount) : NULL;
        char shown[PATH_SHOWN], shown_point[PATH_SHOWN];

        if (!mount)
                return 0;
        if (!point)
                return err_oom(err);
        if (path_below(parent, point))
                return 0;
        err_usage(err, "the snapshots in '%s' would not be on what is mounted at '%s'", path_shown(parent, shown),
                  path_shown(point, shown_point));
        return err_hint(err, "DESTINATION is to be a directory below that of --mount, '%s/latest' for instance",
                        shown_point);
}
