/*
 * To be preloaded into linux.uml: its buffer for the extended registers of a process is of a fixed size. Where the
 * processor has more of them (AMX), reading them fills what there is, but writing back a part is refused (EFAULT), and
 * the guest's first process dies. Here the part is written together with what the process has in the rest.
 */
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

enum { REGISTERS_MAX = 64 * 1024 };

static long (*real_ptrace)(enum __ptrace_request request, pid_t pid, void *address, void *data);

/* Not later: then malloc() is the guest kernel's. */
__attribute__((constructor)) static void begin(void)
{
        void *found = dlsym(RTLD_NEXT, "ptrace");

        /* A pointer to an object is no pointer to a function in C, but in POSIX. */
        memcpy(&real_ptrace, &found, sizeof(real_ptrace));
}

/* One process traces all others, in one thread. */
static long set_extended(pid_t pid, void *set, const struct iovec *part)
{
        static uint64_t registers[REGISTERS_MAX / sizeof(uint64_t)];
        struct iovec all = { .iov_base = registers, .iov_len = sizeof(registers) };
        long r = real_ptrace(PTRACE_GETREGSET, pid, set, &all);

        if (r < 0)
                return r;
        memcpy(registers, part->iov_base, part->iov_len < all.iov_len ? part->iov_len : all.iov_len);
        return real_ptrace(PTRACE_SETREGSET, pid, set, &all);
}

long ptrace(enum __ptrace_request request, ...)
{
        void *address, *data;
        va_list rest;
        pid_t pid;

        va_start(rest, request);
        pid = va_arg(rest, pid_t);
        address = va_arg(rest, void *);
        data = va_arg(rest, void *);
        va_end(rest);
        if (request == PTRACE_SETREGSET && (uintptr_t)address == NT_X86_XSTATE)
                return set_extended(pid, address, data);
        return real_ptrace(request, pid, address, data);
}
