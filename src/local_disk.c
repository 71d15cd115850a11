/*
 * Each layer is attached in the same way; struct local_disk_kind has what differs. The note in the share says which
 * instance was opened by a run of ours, this one or another, perhaps one that was killed: that one is given back.
 */
#include "local_disk.h"

#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "base/secret.h"
#include "options.h"
#include "storage/cryptdisk.h"
#include "storage/crypttab.h"
#include "storage/fstab.h"

#include <errno.h>
#include <stdio.h>

enum { SHOWN_MAX = 300 };

#define CRYPTTAB "/etc/crypttab"

/* In a note: mounted by a dry run, so that nothing can be written. */
static const char READ_ONLY_MARK[] = " read-only";

enum outcome { OPENED, ALREADY_OPEN, ABSENT };

struct local_disk_kind {
        const char *name;
        /* Return an outcome or a negative errno with @err filled. */
        int (*open)(const struct options *o, struct local_disk_layer *layer, struct err *err);
        /* Which one is open now, for the note. Return 0 or -errno. */
        int (*instance)(const char *name, char *ret, size_t size);
        int (*close)(const char *name, struct err *err);
};

static const char *show(const char *path, char out[SHOWN_MAX])
{
        path_show(NULL, path, out, SHOWN_MAX);
        return out;
}

/* ---- the encrypted disk ---- */

/* Somebody at a terminal wants to know; a job that comes every hour finds the disk at home now and then. */
static int tell_absent(const char *what, const char *name, struct err *err)
{
        char shown[SHOWN_MAX];

        show(name, shown);
        if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO)) {
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
                return tell_absent("the disk", layer->name, err);
        case CRYPTDISK_NO_KEY_DEVICE:
                return tell_absent("the disk with the key", layer->name, err);
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
        char shown[SHOWN_MAX];
        int r = fstab_mount(layer->name, o->dry_run, err);

        if (r < 0)
                return r;
        if (r == FSTAB_MOUNTED) {
                log_info("mounted '%s'%s", show(layer->name, shown), o->dry_run ? " read-only" : "");
                return OPENED;
        }
        log_debug("'%s' is mounted already", show(layer->name, shown));
        /* By a dry run that is still under way, or was killed. */
        if (!o->dry_run && strstr(layer->share.note, READ_ONLY_MARK))
                r = fstab_remount_writable(layer->name, err);
        return r < 0 ? r : ALREADY_OPEN;
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
        char shown[SHOWN_MAX];
        int r = fstab_unmount(name, err);

        if (r == 0)
                log_info("unmounted '%s'", show(name, shown));
        return r;
}

static const struct local_disk_kind kinds[LOCAL_DISK_LAYERS] = {
        { "crypto", crypto_open, cryptdisk_instance, crypto_close },
        { "mount", mount_open, mount_instance, mount_close },
};

/* ---- a layer ---- */

/* Is what is open now what the note speaks of? */
static bool is_ours(const struct local_disk_layer *layer)
{
        char instance[SHARE_NOTE_SIZE];
        size_t length;

        if (layer->kind->instance(layer->name, instance, sizeof(instance)) < 0)
                return false;
        length = strlen(instance);
        return strncmp(layer->share.note, instance, length) == 0 &&
               (layer->share.note[length] == '\0' || str_equal(layer->share.note + length, READ_ONLY_MARK));
}

/* What we opened is ours to give back, by whoever leaves last; what was opened by hand is not. */
static int note_instance(const struct options *o, struct local_disk_layer *layer, struct err *err)
{
        char instance[SHARE_NOTE_SIZE - sizeof(READ_ONLY_MARK)], note[SHARE_NOTE_SIZE];
        int r = 0;

        if (!layer->opened && !is_ours(layer))
                return layer->share.note[0] ? share_write_note(&layer->share, "", err) : 0;
        r = layer->kind->instance(layer->name, instance, sizeof(instance));
        if (r < 0)
                return err_run(err, r, "recognise what was opened for", layer->name);
        /* Once it is writable it stays so. */
        snprintf(note, sizeof(note), "%s%s", instance,
                 o->dry_run && (layer->opened || strstr(layer->share.note, READ_ONLY_MARK)) ? READ_ONLY_MARK : "");
        return str_equal(note, layer->share.note) ? 0 : share_write_note(&layer->share, note, err);
}

static int attach(const struct options *o, struct local_disk_layer *layer, const struct local_disk_kind *kind,
                  const char *name, struct err *err)
{
        int r;

        layer->name = name;
        r = share_join(&layer->share, kind->name, name, err);
        if (r < 0)
                return r;
        layer->kind = kind;
        r = kind->open(o, layer, err);
        layer->opened = r == OPENED;
        if (r == OPENED || r == ALREADY_OPEN)
                r = note_instance(o, layer, err);
        share_open_gate(&layer->share);
        return r;
}

/* The last user. Without a runtime directory there is no note, and only this run itself to ask. */
static int give_back(struct local_disk_layer *layer, struct err *err)
{
        bool ours = layer->share.users_fd >= 0 ? is_ours(layer) : layer->opened;
        int r = ours ? layer->kind->close(layer->name, err) : 0;

        return r == 0 && layer->share.note[0] ? share_write_note(&layer->share, "", err) : r;
}

static int detach(struct local_disk_layer *layer, struct err *err)
{
        int r = layer->kind ? share_leave(&layer->share, err) : 0;

        if (r > 0)
                r = give_back(layer, err);
        share_deinit(&layer->share);
        layer->kind = NULL;
        return r;
}

/* ---- all of it ---- */

void local_disk_init(struct local_disk *disk, const struct options *options)
{
        *disk = (struct local_disk){ .options = options };
        for (size_t i = 0; i < LOCAL_DISK_LAYERS; i++)
                share_init(&disk->layers[i].share);
}

int local_disk_attach(struct local_disk *disk, struct err *err)
{
        const struct options *o = disk->options;
        const char *names[LOCAL_DISK_LAYERS] = { o->crypto };
        int r = 0;

        disk->point = o->mount ? path_resolve(o->mount) : NULL;
        names[1] = disk->point;
        if (o->mount && !disk->point)
                return err_oom(err);
        for (size_t i = 0; i < LOCAL_DISK_LAYERS && r == 0; i++) {
                if (names[i])
                        r = attach(o, &disk->layers[i], &kinds[i], names[i], err);
        }
        return r == ABSENT ? LOCAL_DISK_ABSENT : r;
}

int local_disk_detach(struct local_disk *disk, struct err *err)
{
        int r = 0;

        /* What is below a layer that stays in use cannot go either. */
        for (size_t i = LOCAL_DISK_LAYERS; i-- > 0 && r == 0;)
                r = detach(&disk->layers[i], err);
        for (size_t i = 0; i < LOCAL_DISK_LAYERS; i++)
                share_deinit(&disk->layers[i].share);
        freep(&disk->point);
        disk->point = NULL;
        return r;
}

int local_disk_check_path(const struct local_disk *disk, const char *parent, struct err *err)
{
        const char *mount = disk->options->mount;
        _cleanup_(freep) char *point = mount ? path_resolve(mount) : NULL;
        char shown[SHOWN_MAX], shown_point[SHOWN_MAX];

        if (!mount)
                return 0;
        if (!point)
                return err_oom(err);
        if (path_below(parent, point))
                return 0;
        err_usage(err, "the snapshots in '%s' would not be on what is mounted at '%s'", show(parent, shown),
                  show(point, shown_point));
        return err_hint(err, "DESTINATION is to be a directory below that of --mount, '%s/latest' for instance",
                        shown_point);
}
