/*
 * What the tests of src/storage/fstab.c ask: fstab-probe mount|mount-ro|mounted|instance|writable|unmount POINT. Prints
 * what came of it in a line; an error as its code's name, text and hint, with status 1, of usage 2.
 */
#include "base/err.h"
#include "base/stop.h"
#include "storage/fstab.h"

#include <stdio.h>

static int show_error(struct err *err)
{
        int status = err->kind == ERR_USAGE ? 2 : 1;

        printf("%s: %s (%s)\n", strerrorname_np(-err->code), err->text, err->hint);
        err_clear(err);
        return status;
}

static int show(int r, const char *const *outcomes, struct err *err)
{
        if (r < 0)
                return show_error(err);
        puts(outcomes[r]);
        return 0;
}

int main(int argc, char **argv)
{
        static const char *const mounts[] = { [FSTAB_MOUNTED] = "mounted", [FSTAB_ALREADY] = "already" };
        static const char *const truths[] = { "no", "yes" }, *const ok[] = { "ok" };
        const char *what = argc == 3 ? argv[1] : "", *point = argc == 3 ? argv[2] : "";
        char instance[FSTAB_INSTANCE_SIZE];
        ERR_LOCAL(err);

        /* As the program has it: signals do not interrupt. */
        if (stop_init(&err) < 0)
                return show_error(&err);
        if (str_equal(what, "mount") || str_equal(what, "mount-ro"))
                return show(fstab_mount(point, str_equal(what, "mount-ro"), &err), mounts, &err);
        if (str_equal(what, "mounted"))
                return show(fstab_is_mounted(point, &err), truths, &err);
        if (str_equal(what, "writable"))
                return show(fstab_remount_writable(point, &err), ok, &err);
        if (str_equal(what, "unmount"))
                return show(fstab_unmount(point, &err), ok, &err);
        if (str_equal(what, "instance")) {
                puts(fstab_instance(point, instance) == 0 ? instance : "none");
                return 0;
        }
        fputs("usage: fstab-probe mount|mount-ro|mounted|instance|writable|unmount POINT\n", stderr);
        return 2;
}
