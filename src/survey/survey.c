/* A list that owns its names. */
#include "survey/survey.h"

#include "destination.h"

#include <errno.h>

void survey_deinit(struct survey *s)
{
        for (size_t i = 0; i < s->count; i++)
                free(s->items[i].name);
        free(s->items);
        free(s->unrotated);
        *s = (struct survey){ .items = NULL };
}

int survey_add(struct survey *s, const struct destination_snapshot *from, const struct measure *takes)
{
        struct survey_item *items = reallocarray(s->items, s->count + 1, sizeof(*items));
        char *name = items ? strdup(from->name) : NULL;

        if (items)
                s->items = items;
        if (!name)
                return -ENOMEM;
        items[s->count++] =
                (struct survey_item){ .name = name, .time = from->time, .complete = from->complete, .takes = *takes };
        return 0;
}

static int compare(const void *left, const void *right)
{
        const struct survey_item *a = left, *b = right;

        if (a->time != b->time)
                return a->time < b->time ? -1 : 1;
        return strcmp(a->name, b->name);
}

void survey_sort(struct survey *s)
{
        if (s->count > 1)
                qsort(s->items, s->count, sizeof(*s->items), compare);
}
