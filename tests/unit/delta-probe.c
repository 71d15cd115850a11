/*
 * What the tests and the benchmark of src/transfer/delta*.c run: delta-probe OLD NEW RESULT [PARTIAL] makes RESULT out
 * of OLD and what NEW has else, and prints what went over the wire and what it cost, in a line of NAME=VALUE.
 */
#include "delta-pump.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <sys/stat.h>

static int open_file(const char *path, int flags, uint64_t *ret_size, bool *ret_has_holes)
{
        int fd = open(path, flags | O_CLOEXEC, 0600);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0) {
                perror(path);
                exit(2);
        }
        *ret_size = (uint64_t)st.st_size;
        *ret_has_holes = st.st_blocks * 512 < st.st_size;
        return fd;
}

int main(int argc, char **argv)
{
        struct pump p = { .basis = { .partial = -1 }, .seed = 1 };
        uint64_t size;
        struct rusage usage;
        bool has_holes;
        int r;

        if (argc < 4) {
                fputs("usage: delta-probe OLD NEW RESULT [PARTIAL]\n", stderr);
                return 2;
        }
        p.basis.old = open_file(argv[1], O_RDONLY, &p.basis.old_size, &has_holes);
        p.from = open_file(argv[2], O_RDONLY, &p.size, &p.has_holes);
        p.to = open_file(argv[3], O_RDWR | O_CREAT | O_TRUNC, &size, &has_holes);
        if (argc > 4)
                p.basis.partial = open_file(argv[4], O_RDONLY, &p.basis.partial_size, &has_holes);
        r = pump_run(&p);
        (void)getrusage(RUSAGE_SELF, &usage);
        printf("outcome=%s%d signature=%" PRIu64 " search=%" PRIu64 " delta=%" PRIu64 " kept=%" PRIu64
               " copied=%" PRIu64 " data=%" PRIu64 " zero=%" PRIu64
               " sign_s=%.2f make_s=%.2f apply_s=%.2f peak_kib=%ld\n",
               r == DELTA_GOOD ? "good" : p.failed, r, p.signature_bytes - p.search_bytes, p.search_bytes,
               p.delta_bytes, p.stats.kept_bytes, p.stats.copied_bytes, p.stats.data_bytes, p.stats.zero_bytes,
               p.sign_s, p.make_s, p.apply_s, usage.ru_maxrss);
        return r == DELTA_GOOD ? 0 : 1;
}
