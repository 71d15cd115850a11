#include "system/sessions.h"

#include "base/buf.h"

#include <stdio.h>
#include <systemd/sd-login.h>

static bool is_graphical(const char *session)
{
        _cleanup_(freep) char *type = NULL, *class = NULL, *state = NULL;

        if (sd_session_get_type(session, &type) < 0 || sd_session_get_class(session, &class) < 0)
                return false;
        if (sd_session_get_state(session, &state) >= 0 && str_equal(state, "closing"))
                return false;
        return (str_equal(type, "x11") || str_equal(type, "wayland") || str_equal(type, "mir")) &&
               str_equal(class, "user");
}

int sessions_put_address(struct buf *out, const char *path)
{
        static const char plain[] = "-_/.\\*0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        int r = buf_puts(out, "unix:path=");

        for (; *path && r == 0; path++)
                r = strchr(plain, *path) ? buf_putc(out, *path) : buf_printf(out, "%%%02x", (unsigned char)*path);
        return r;
}

/* By convention of systemd, and of all who have a bus for each user. */
static char *address_of(uid_t uid)
{
        _cleanup_(buf_deinit) struct buf address = { .data = NULL };
        char path[64];

        snprintf(path, sizeof(path), "/run/user/%u/bus", (unsigned)uid);
        return sessions_put_address(&address, path) < 0 ? NULL : buf_take(&address);
}

static char *own_address(void)
{
        const char *address = getenv("DBUS_SESSION_BUS_ADDRESS"), *directory = getenv("XDG_RUNTIME_DIR");
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };

        if (address && *address)
                return strdup(address);
        if (!directory || !*directory)
                return address_of(getuid());
        return sessions_put_address(&text, directory) < 0 || buf_puts(&text, "/bus") < 0 ? NULL : buf_take(&text);
}

/* @address is taken over; NULL: memory is short. */
static void add(struct session_bus **list, size_t *count, uid_t uid, char *address)
{
        struct session_bus *more = address ? reallocarray(*list, *count + 1, sizeof(*more)) : NULL;

        if (!more) {
                free(address);
                return;
        }
        more[(*count)++] = (struct session_bus){ .uid = uid, .address = address };
        *list = more;
}

static bool is_known(const struct session_bus *list, size_t count, uid_t uid)
{
        for (size_t i = 0; i < count; i++) {
                if (list[i].uid == uid)
                        return true;
        }
        return false;
}

static void add_session(struct session_bus **list, size_t *count, const char *session)
{
        uid_t uid;

        if (!is_graphical(session) || sd_session_get_uid(session, &uid) < 0 || is_known(*list, *count, uid))
                return;
        if (uid == getuid())
                add(list, count, uid, own_address());
        else if (geteuid() == 0)
                add(list, count, uid, address_of(uid));
}

static bool is_set(const char *name)
{
        const char *value = getenv(name);

        return value && *value;
}

size_t sessions_find(struct session_bus **ret)
{
        char **sessions = NULL;
        size_t count = 0;

        *ret = NULL;
        if (sd_get_sessions(&sessions) > 0) {
                for (char **s = sessions; *s; s++) {
                        add_session(ret, &count, *s);
                        free(*s);
                }
        }
        free(sessions);
        if (count == 0 && (is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")))
                add(ret, &count, getuid(), own_address());
        return count;
}

void sessions_free(struct session_bus *buses, size_t count)
{
        for (size_t i = 0; i < count; i++)
                free(buses[i].address);
        free(buses);
}
