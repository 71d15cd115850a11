/* What all destinations do alike: the list of snapshots, and their names. */
#include "destination.h"

#include "base/err.h"
#include "base/stop.h"
#include "rotate/calendar.h"
#include "rotate/names.h"

#include <errno.h>
#include <time.h>

void destination_snapshots_deinit(struct destination_snapshots *list)
{
        for (size_t i = 0; i < list->count; i++)
                free(list->items[i].name);
        free(list->items);
        *list = (struct destination_snapshots){ .items = NULL };
}

int destination_snapshots_add(struct destination_snapshots *list, const struct destination_snapshot *s)
{
        struct destination_snapshot *items = reallocarray(list->items, list->count + 1, sizeof(*items));
        char *name = items ? strdup(s->name) : NULL;

        if (items)
                list->items = items;
        if (!name)
                return -ENOMEM;
        items[list->count] = *s;
        items[list->count++].name = name;
        return 0;
}

int destination_snapshots_imagine(struct destination_snapshots *list, const char *name)
{
        struct destination_snapshot s = { .name = (char *)name, .complete = true, .own = true };

        return names_parse(name, &s.time) ? destination_snapshots_add(list, &s) : -ENOMEM;
}

int destination_name_snapshot(char *ret, int (*is_free)(void *context, const char *name, struct err *err),
                              void *context, struct err *err)
{
        for (;;) {
                const struct timespec pause = { .tv_nsec = 50000000 };
                int64_t now;
                int r;

                if (!calendar_local(time(NULL), &now))
                        return err_runf(err, -ERANGE, "the clock shows a date that no snapshot can be named by");
                r = is_free(context, names_format(now, ret), err);
                if (r != 0)
                        return r < 0 ? r : 0;
                r = stop_check(err);
                if (r < 0)
                        return r;
                nanosleep(&pause, NULL);
        }
}
