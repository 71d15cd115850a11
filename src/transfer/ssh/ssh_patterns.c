/* Patterns and lists of ssh_config(5). */
#include "transfer/ssh/ssh_config.h"

#include "base/buf.h"

#include <ctype.h>

static bool is_same(char a, char b, bool any_case)
{
        return a == b || (any_case && tolower((unsigned char)a) == tolower((unsigned char)b));
}

bool ssh_config_pattern_matches(const char *text, const char *pattern, bool any_case)
{
        const char *star = NULL, *retry = NULL;

        /* The last star takes one byte more each time that what follows it does not match. */
        while (*text) {
                if (*pattern == '*') {
                        star = ++pattern;
                        retry = text;
                } else if (*pattern && (*pattern == '?' || is_same(*pattern, *text, any_case))) {
                        pattern++;
                        text++;
                } else if (star) {
                        pattern = star;
                        text = ++retry;
                } else {
                        return false;
                }
        }
        pattern += strspn(pattern, "*");
        return !*pattern;
}

enum { PATTERN_SIZE_MAX = 1024 };

bool ssh_config_list_matches(const char *text, const char *patterns, bool any_case)
{
        bool matches = false;

        while (*patterns) {
                size_t size = strcspn(patterns, ",");
                bool excludes = *patterns == '!';
                char pattern[PATTERN_SIZE_MAX];

                /* One that cannot be looked at must not let anything in. */
                if (size - excludes >= sizeof(pattern))
                        return false;
                memcpy(pattern, patterns + excludes, size - excludes);
                pattern[size - excludes] = '\0';
                if (ssh_config_pattern_matches(text, pattern, any_case)) {
                        if (excludes)
                                return false;
                        matches = true;
                }
                patterns += size + (patterns[size] == ',');
        }
        return matches;
}

/* ---- lists of algorithms ---- */

static int append_name(struct buf *list, const char *name, size_t size)
{
        if (list->size > 0 && buf_putc(list, ',') < 0)
                return -ENOMEM;
        return buf_append(list, name, size);
}

/* Append those of @names that @patterns do not match, or all when there are none. */
static int append_others(struct buf *list, const char *names, const char *patterns)
{
        while (*names) {
                size_t size = strcspn(names, ",");
                _cleanup_(freep) char *name = strndup(names, size);

                if (!name)
                        return -ENOMEM;
                if (size > 0 && !ssh_config_list_matches(name, patterns, false) && append_name(list, name, size) < 0)
                        return -ENOMEM;
                names += size + (names[size] == ',');
        }
        return 0;
}

char *ssh_config_algorithms(const char *wanted, const char *standard)
{
        _cleanup_(buf_deinit) struct buf list = { .data = NULL };
        const char *names = wanted && *wanted ? wanted + 1 : "";
        int r;

        switch (wanted ? *wanted : '\0') {
        case '+':
                r = append_others(&list, standard, "");
                if (r == 0)
                        r = append_others(&list, names, standard);
                break;
        case '-':
                r = append_others(&list, standard, names);
                break;
        case '^':
                r = append_others(&list, names, "");
                if (r == 0)
                        r = append_others(&list, standard, names);
                break;
        default:
                return strdup(wanted ? wanted : standard);
        }
        return r < 0 ? NULL : buf_take(&list);
}

/* ---- lists of words ---- */

int ssh_config_list_add(struct ssh_config_list *list, const char *text)
{
        char **items = reallocarray(list->items, list->count + 1, sizeof(*items));

        if (!items)
                return -ENOMEM;
        list->items = items;
        items[list->count] = strdup(text);
        if (!items[list->count])
                return -ENOMEM;
        list->count++;
        return 0;
}

void ssh_config_list_deinit(struct ssh_config_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                free(list->items[i]);
        free(list->items);
        *list = (struct ssh_config_list){ .items = NULL };
}
