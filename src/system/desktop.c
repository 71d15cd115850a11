/*
 *      desktop_send()   one thread for each user ──> becomes the user, connects, Notify(), waits for the answer
 *      desktop_await()  waits for all of them until the second is over
 *
 * A thread ends by itself then, unless the kernel keeps it: a path in a directory of the user's may lead into a
 * filesystem of his that does not answer. Such a thread is left behind with all that it refers to; the end of the
 * process ends it.
 */
#include "system/desktop.h"

#include "base/log.h"
#include "base/stop.h"
#include "system/bus.h"
#include "system/sessions.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* Where identities once had 16 bits the calls for all of them have another name. */
#ifdef SYS_setresuid32
enum { SET_GROUPS = SYS_setgroups32, SET_GID = SYS_setresgid32, SET_UID = SYS_setresuid32 };
#else
enum { SET_GROUPS = SYS_setgroups, SET_GID = SYS_setresgid, SET_UID = SYS_setresuid };
#endif

enum { GRACE_US = 50000 };

struct letter {
        struct desktop_mail *mail;
        struct session_bus to;
        pthread_t thread;
};

struct desktop_mail {
        char *summary, *body, *icon;
        enum desktop_urgency urgency;
        uint64_t deadline_us;
        struct desktop_mail *before;
        struct letter *letters;
        size_t count;
        pthread_mutex_t lock; /* guards under_way */
        pthread_cond_t arrived;
        size_t under_way;
};

/* ---- waiting ---- */

/* Until all has arrived, or the time is over. Return whether it has. */
static bool wait_for(struct desktop_mail *mail)
{
        uint64_t end = mail->deadline_us + GRACE_US;
        const struct timespec until = { .tv_sec = (time_t)(end / 1000000), .tv_nsec = (long)(end % 1000000 * 1000) };
        bool has_arrived;
        int r = 0;

        pthread_mutex_lock(&mail->lock);
        while (mail->under_way > 0 && r == 0)
                r = pthread_cond_timedwait(&mail->arrived, &mail->lock, &until);
        has_arrived = mail->under_way == 0;
        pthread_mutex_unlock(&mail->lock);
        return has_arrived;
}

static void arrive(struct desktop_mail *mail)
{
        pthread_mutex_lock(&mail->lock);
        mail->under_way--;
        pthread_cond_broadcast(&mail->arrived);
        pthread_mutex_unlock(&mail->lock);
}

/* ---- a thread ---- */

/*
 * The effective identity of this thread alone, hence not by the C library, which changes all threads. The real one
 * stays: the user may send no signal to who has it. That the kernel lets nobody trace us any more is part of it.
 */
static int become(uid_t uid)
{
        char directory[64];
        struct stat st;

        snprintf(directory, sizeof(directory), "/run/user/%u", (unsigned)uid);
        if (fstatat(AT_FDCWD, directory, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (st.st_uid != uid)
                return -EPERM;
        if (syscall(SET_GROUPS, 0L, NULL) < 0 || syscall(SET_GID, -1L, (long)st.st_gid, -1L) < 0 ||
            syscall(SET_UID, -1L, (long)uid, -1L) < 0)
                return -errno;
        return 0;
}

static int notify(const struct desktop_mail *mail, const char *address)
{
        static const char name[] = "org.freedesktop.Notifications", path[] = "/org/freedesktop/Notifications";
        _cleanup_(bus_closep) sd_bus *bus = NULL;
        sd_bus_message *m = NULL;
        int r = bus_open(&bus, address, false);

        if (r >= 0)
                r = sd_bus_message_new_method_call(bus, &m, name, path, name, "Notify");
        if (r >= 0)
                r = sd_bus_message_append(m, "susssasa{sv}i", "rsync-system-backup", (uint32_t)0, mail->icon,
                                          mail->summary, mail->body, 0, 2, "urgency", "y", (int)mail->urgency,
                                          "desktop-entry", "s", "rsync-system-backup", (int32_t)-1);
        if (r >= 0)
                r = bus_call(bus, m, mail->deadline_us, NULL);
        sd_bus_message_unref(m);
        return r;
}

static void *deliver(void *letter)
{
        struct letter *l = letter;
        int r = 0;

        if (l->mail->before)
                (void)wait_for(l->mail->before);
        if (l->to.uid != geteuid())
                r = become(l->to.uid);
        if (r == 0)
                r = notify(l->mail, l->to.address);
        if (r < 0)
                log_debug("no desktop notification for user %u: %s", (unsigned)l->to.uid, strerror(-r));
        arrive(l->mail);
        return NULL;
}

/* ---- all of it ---- */

static void free_mail(struct desktop_mail *mail)
{
        if (!mail)
                return;
        free_mail(mail->before);
        for (size_t i = 0; i < mail->count; i++)
                free(mail->letters[i].to.address);
        free(mail->letters);
        free(mail->summary);
        free(mail->body);
        free(mail->icon);
        pthread_cond_destroy(&mail->arrived);
        pthread_mutex_destroy(&mail->lock);
        free(mail);
}

/* Empty, but for @before. NULL when memory is short. */
static struct desktop_mail *new_mail(const struct desktop_note *note, struct desktop_mail *before)
{
        struct desktop_mail *mail = calloc(1, sizeof(*mail));
        pthread_condattr_t monotonic;

        if (!mail)
                return NULL;
        pthread_mutex_init(&mail->lock, NULL);
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_init(&mail->arrived, &monotonic);
        pthread_condattr_destroy(&monotonic);
        mail->urgency = note->urgency;
        mail->deadline_us = bus_deadline_us(BUS_PATIENCE_MS);
        mail->summary = strdup(note->summary);
        mail->body = strdup(note->body);
        mail->icon = strdup(note->icon);
        if (!mail->summary || !mail->body || !mail->icon) {
                free_mail(mail);
                return NULL;
        }
        mail->before = before;
        return mail;
}

static bool start(struct letter *l)
{
        sigset_t all, before;
        int r;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&l->thread, NULL, deliver, l);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r != 0)
                log_debug("no desktop notification for user %u: %s", (unsigned)l->to.uid, strerror(r));
        return r == 0;
}

/* Those whose thread cannot be started are none. */
static void send_letters(struct desktop_mail *mail, struct session_bus *buses, size_t count)
{
        mail->letters = calloc(count, sizeof(*mail->letters));
        for (size_t i = 0; i < count; i++) {
                struct letter *l = mail->letters ? &mail->letters[mail->count] : NULL;

                if (!l)
                        break;
                *l = (struct letter){ .mail = mail, .to = buses[i] };
                pthread_mutex_lock(&mail->lock);
                mail->under_way++;
                pthread_mutex_unlock(&mail->lock);
                if (start(l)) {
                        buses[i].address = NULL;
                        mail->count++;
                } else {
                        arrive(mail);
                }
        }
}

struct desktop_mail *desktop_send(const struct desktop_note *note, struct desktop_mail *before)
{
        struct session_bus *buses;
        size_t count = sessions_find(&buses);
        struct desktop_mail *mail = count > 0 ? new_mail(note, before) : NULL;

        if (mail)
                send_letters(mail, buses, count);
        sessions_free(buses, count);
        return mail ? mail : before;
}

void desktop_await(struct desktop_mail *mail)
{
        bool is_over = true;

        for (struct desktop_mail *m = mail; m; m = m->before)
                is_over = wait_for(m) && is_over;
        for (struct desktop_mail *m = mail; m; m = m->before) {
                for (size_t i = 0; i < m->count; i++) {
                        if (is_over)
                                pthread_join(m->letters[i].thread, NULL);
                        else
                                pthread_detach(m->letters[i].thread);
                }
        }
        if (is_over)
                free_mail(mail);
}
