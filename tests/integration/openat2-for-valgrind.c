/*
 * To be preloaded below a valgrind that does not know openat2(2) and fails it with ENOSYS (before 3.23): opens without
 * its protection then, which a test that looks for leaks does not need. Everything else goes to the C library.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>

long syscall(long number, ...);

long syscall(long number, ...)
{
        static long (*kernel)(long, ...);
        long a[6], r;
        va_list list;

        va_start(list, number);
        for (size_t i = 0; i < 6; i++)
                a[i] = va_arg(list, long);
        va_end(list);
        if (!kernel)
                *(void **)&kernel = dlsym(RTLD_NEXT, "syscall");
        r = kernel(number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if (number == SYS_openat2 && r < 0 && errno == ENOSYS) {
                const struct open_how *how = (const struct open_how *)a[2];

                return openat((int)a[0], (const char *)a[1], (int)how->flags, (mode_t)how->mode);
        }
        return r;
}
