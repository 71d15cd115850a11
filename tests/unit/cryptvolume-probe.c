/*
 * For luks-headers-mutated.py: `make LUKS1|LUKS2 IMAGE` makes a header that the passphrase "right" opens; `try` reads
 * names of images from standard input, one a line, and tells of each "fits", "wrong" or the error.
 */
#include "base/err.h"
#include "base/secret.h"
#include "storage/crypttab.h"
#include "storage/cryptvolume.h"

#include <fcntl.h>
#include <libcryptsetup.h>
#include <stdio.h>

static const char right[] = "right";

static int make(const char *type, const char *image)
{
        const struct crypt_pbkdf_type pbkdf = {
                .type = "pbkdf2",
                .hash = "sha256",
                .iterations = 1000,
                .flags = CRYPT_PBKDF_NO_BENCHMARK,
        };
        struct crypt_device *device = NULL;
        int fd = open(image, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), r;

        if (fd < 0 || ftruncate(fd, 4 << 20) < 0 || crypt_init(&device, image) < 0)
                return 1;
        close(fd);
        if (str_equal(type, CRYPT_LUKS2))
                r = crypt_set_metadata_size(device, 16384, 1 << 20);
        else
                r = crypt_set_data_offset(device, 4096);
        r = r < 0 ? r : crypt_set_pbkdf_type(device, &pbkdf);
        r = r < 0 ? r : crypt_format(device, type, "aes", "xts-plain64", NULL, NULL, 64, NULL);
        r = r < 0 ? r : crypt_keyslot_add_by_volume_key(device, 0, NULL, 0, right, strlen(right));
        crypt_free(device);
        return r < 0;
}

static void try(const char *image)
{
        const struct crypttab_entry entry = { .name = (char[]){ "x" }, .type = CRYPTTAB_LUKS, .key_slot = -1 };
        _cleanup_(cryptvolume_freep) struct cryptvolume *v = NULL;
        _cleanup_(secret_deinit) struct secret key = { .data = NULL };
        struct err err = { .kind = ERR_NONE };
        int r = cryptvolume_open(&v, &entry, image, NULL, &err);

        if (r == 0 && secret_init(&key, strlen(right)) == 0) {
                memcpy(key.data, right, strlen(right));
                key.size = strlen(right);
                r = cryptvolume_try(v, NULL, &key, false, &err);
        }
        puts(r == CRYPTVOLUME_FITS ? "fits" : r == CRYPTVOLUME_WRONG ? "wrong" : err.text);
        fflush(stdout);
}

int main(int argc, char **argv)
{
        char line[4096];

        if (argc == 4 && str_equal(argv[1], "make"))
                return make(argv[2], argv[3]);
        while (fgets(line, sizeof(line), stdin)) {
                line[strcspn(line, "\n")] = '\0';
                try(line);
        }
        return 0;
}
