/*
 * Starts the program that $RSB_PROGRAM names, in this same process, such that the kernel kills it with SIGSYS as soon
 * as it executes anything or makes a process that could. PATH is empty.
 *
 * The one execve() that starts it carries a token in its sixth argument, which the kernel ignores and the filter asks
 * for. Threads remain: clone3(), whose flags a filter cannot see, is answered as by a kernel without it, and the C
 * library takes clone() then. Without the right to install a filter, no_new_privs gives it; it is not set otherwise,
 * since it would take file capabilities away. A kernel without filters starts the program unguarded.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__i386__)
#define ARCHITECTURE AUDIT_ARCH_I386
#elif defined(__arm__)
#define ARCHITECTURE AUDIT_ARCH_ARM
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

enum { STATUS_NOT_STARTED = 127, OTHER_ABI_BIT = 0x40000000 /* x32 has numbers of its own */ };

#ifdef ARCHITECTURE
static const uint32_t token = 0x5eed0fba;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW_HALF 0
#else
#define LOW_HALF 4
#endif

#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define IF_EQUAL(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (then), (otherwise))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define FORBID(call) IF_EQUAL((call), 0, 1), RETURN(SECCOMP_RET_KILL_PROCESS)

/* Return: 0, or a negative errno. */
static int install_filter(void)
{
        /* clang-format off */
        struct sock_filter code[] = {
                LOAD(offsetof(struct seccomp_data, arch)),
                IF_EQUAL(ARCHITECTURE, 1, 0),
                RETURN(SECCOMP_RET_KILL_PROCESS),
                LOAD(offsetof(struct seccomp_data, nr)),
                FORBID(SYS_execveat),
#ifdef SYS_fork
                FORBID(SYS_fork),
                FORBID(SYS_vfork),
#endif
#ifdef __x86_64__
                BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, OTHER_ABI_BIT, 0, 1),
                RETURN(SECCOMP_RET_KILL_PROCESS),
#endif
                IF_EQUAL(SYS_clone3, 0, 1),
                RETURN(SECCOMP_RET_ERRNO | ENOSYS),
                IF_EQUAL(SYS_clone, 0, 5),
                /* A child process tells its end by a signal, a thread does not. */
                LOAD(offsetof(struct seccomp_data, args[0]) + LOW_HALF),
                BPF_STMT(BPF_ALU | BPF_AND | BPF_K, CSIGNAL),
                FORBID(SIGCHLD),
                RETURN(SECCOMP_RET_ALLOW),
                IF_EQUAL(SYS_execve, 0, 3),
                LOAD(offsetof(struct seccomp_data, args[5]) + LOW_HALF),
                IF_EQUAL(token, 1, 0),
                RETURN(SECCOMP_RET_KILL_PROCESS),
                RETURN(SECCOMP_RET_ALLOW),
        };
        /* clang-format on */
        struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0)
                return 0;
        if (errno != EACCES || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}

static void start(const char *path, char **argv)
{
        syscall(SYS_execve, path, argv, environ, 0L, 0L, (long)token);
}
#else
static int install_filter(void)
{
        return -ENOSYS;
}

static void start(const char *path, char **argv)
{
        execve(path, argv, environ);
}
#endif

int main(int argc, char **argv)
{
        char *path = getenv("RSB_PROGRAM");
        int r = install_filter();

        if (argc < 1 || !path) {
                fputs("RSB_PROGRAM names the program to start\n", stderr);
                return STATUS_NOT_STARTED;
        }
        if (r < 0 && r != -ENOSYS && r != -EINVAL) {
                fprintf(stderr, "cannot install a filter: %s\n", strerror(-r));
                return STATUS_NOT_STARTED;
        }
        argv[0] = path;
        if (setenv("PATH", "", 1) == 0)
                start(path, argv);
        fprintf(stderr, "cannot execute %s: %s\n", path, strerror(errno));
        return STATUS_NOT_STARTED;
}
