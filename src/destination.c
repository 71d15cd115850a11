/* The list of snapshots that all destinations make. */
#include "destination.h"

#include "rotate/names.h"

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
