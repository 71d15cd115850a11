/*
 * Unlock and lock as a run of the program would, and tell what came of it:
 *
 *      cryptdisk-probe unlock CRYPTTAB NAME [ANSWER...]
 *      cryptdisk-probe lock NAME
 *      cryptdisk-probe instance NAME
 *
 * With ANSWERs we are also the password agent, which gives one after the other, nothing at all for "silence", and
 * cancels when it has no more. Without them there is nobody to ask. Exit status 0, or 1 for an error.
 */
#include "base/err.h"
#include "base/log.h"
#include "base/stop.h"
#include "storage/cryptdisk.h"
#include "storage/crypttab.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define AGENTS_DIRECTORY "/run/systemd/ask-password"

/* ---- the agent ---- */

/* The socket that the question @name wants its answer at. */
static bool read_question(const char *name, char *ret, size_t size)
{
        char path[300], line[600];
        bool found = false;
        FILE *file;

        snprintf(path, sizeof(path), AGENTS_DIRECTORY "/%s", name);
        file = fopen(path, "re");
        while (file && !found && fgets(line, sizeof(line), file)) {
                line[strcspn(line, "\n")] = '\0';
                found = str_starts(line, "Socket=");
                if (found)
                        found = (size_t)snprintf(ret, size, "%s", line + strlen("Socket=")) < size;
        }
        if (file)
                fclose(file);
        return found;
}

static void answer(const char *socket_path, const char *text)
{
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char reply[200];
        int size = snprintf(reply, sizeof(reply), "%s%s", text ? "+" : "-", text ? text : "");

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
        if (sendto(fd, reply, (size_t)size, 0, (struct sockaddr *)&address, sizeof(address)) < 0)
                perror("cryptdisk-probe: answer");
        close(fd);
}

/* Never returns; dies with its parent. */
static void serve(int watch, char **answers)
{
        union {
                struct inotify_event event;
                char bytes[4096];
        } buffer;
        char socket_path[108];

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (read(watch, &buffer, sizeof(buffer)) > 0) {
                if (!str_starts(buffer.event.name, "ask.") ||
                    !read_question(buffer.event.name, socket_path, sizeof(socket_path)))
                        continue;
                if (!*answers)
                        answer(socket_path, NULL);
                else if (!str_equal(*answers++, "silence"))
                        answer(socket_path, answers[-1]);
        }
        _exit(1);
}

static pid_t start_agent(char **answers)
{
        int watch = inotify_init1(IN_CLOEXEC);
        pid_t child;

        (void)mkdir("/run/systemd", 0755);
        (void)mkdir(AGENTS_DIRECTORY, 0755);
        if (inotify_add_watch(watch, AGENTS_DIRECTORY, IN_MOVED_TO) < 0)
                perror("cryptdisk-probe: watch");
        child = fork();
        if (child == 0)
                serve(watch, answers);
        close(watch);
        return child;
}

/* ---- what is asked of us ---- */

static int unlock(const char *crypttab, const char *name, struct err *err)
{
        static const char *const outcomes[] = {
                [CRYPTDISK_UNLOCKED] = "unlocked",
                [CRYPTDISK_ALREADY] = "already unlocked",
                [CRYPTDISK_NO_DEVICE] = "no device",
                [CRYPTDISK_NO_KEY_DEVICE] = "no key device",
        };
        _cleanup_(crypttab_entry_freep) struct crypttab_entry *entry = NULL;
        int r = crypttab_find(&entry, crypttab, name, err);

        if (r == 0)
                r = cryptdisk_unlock(entry, err);
        if (r >= 0)
                puts(outcomes[r]);
        return r;
}

static int tell_instance(const char *name, struct err *err)
{
        char instance[64];
        int r = cryptdisk_instance(name, instance, sizeof(instance));

        if (r < 0)
                return err_run(err, r, "find", name);
        puts(instance);
        return 0;
}

int main(int argc, char **argv)
{
        struct err err = { .kind = ERR_NONE };
        pid_t agent = 0;
        int r;

        log_init("cryptdisk-probe", LOG_LEVEL_INFO);
        if (argc < 3)
                return 2;
        r = stop_init(&err);
        if (r == 0 && str_equal(argv[1], "lock"))
                r = cryptdisk_lock(argv[2], &err);
        else if (r == 0 && str_equal(argv[1], "instance"))
                r = tell_instance(argv[2], &err);
        else if (r == 0 && argc > 3) {
                (void)rmdir(AGENTS_DIRECTORY);
                agent = argc > 4 ? start_agent(argv + 4) : 0;
                r = unlock(argv[2], argv[3], &err);
        }
        if (agent > 0) {
                kill(agent, SIGKILL);
                waitpid(agent, NULL, 0);
        }
        if (r < 0)
                log_err(LOG_LEVEL_ERROR, &err);
        stop_deinit();
        return r < 0;
}
