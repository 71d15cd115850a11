/*
 * A file of rotate-backups either is refused with a text that names it, or gives a scheme that preserves something.
 * Input: the file. Its sections may be for /mnt/backups/laptop.
 */
#include "base/err.h"
#include "base/fd.h"
#include "rotate/schemefile.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[] = "/dev/shm/fuzz-schemefile-XXXXXX";
static char directory[64], file[96];

static void remove_root(void)
{
        (void)unlink(file);
        (void)rmdir(directory);
        (void)rmdir(root);
}

static void make_root(void)
{
        if (!mkdtemp(root) || atexit(remove_root) != 0)
                abort();
        snprintf(directory, sizeof(directory), "%s/etc", root);
        snprintf(file, sizeof(file), "%s/rotate-backups.ini", directory);
        if (mkdir(directory, 0700) < 0)
                abort();
}

static void write_file(const uint8_t *data, size_t size)
{
        int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0 || fd_write_full(fd, data, size) < 0)
                abort();
        fd_close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct schemefile_places places = { .root = root };
        struct err err = { .kind = ERR_NONE };
        struct schemefile s;
        bool preserves = false;

        if (!file[0])
                make_root();
        write_file(data, size);
        if (schemefile_load(&s, "/mnt/backups/laptop", &places, &err) < 0) {
                if (err.kind != ERR_USAGE || !strstr(err.text, "rotate-backups.ini"))
                        abort();
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(s.scheme.count); i++)
                preserves = preserves || s.scheme.count[i] > 0;
        if (!preserves || !s.section != !s.file)
                abort();
        (void)schemefile_selects(&s, "2026-11-20 17:00:00");
        schemefile_deinit(&s);
        return 0;
}
