/*
 * Marks sets of snapshots as scheme_mark() does, for tests/integration/rotation-equals-model.py. Standard input, a line
 * each, and for each "mark" one answer line per name that is a snapshot's, oldest first, followed by "end":
 *
 *      scheme KEY=COUNT... [relaxed] [prefer-recent]      starts a case
 *      now YYYY-MM-DD HH:MM:SS
 *      item FLAGS NAME                                    FLAGS: - or letters of i(ncomplete) o(wn) x (ignored)
 *      mark                                               -> NAME TAB verdict
 */
#include "base/err.h"
#include "rotate/expression.h"
#include "rotate/names.h"
#include "rotate/scheme.h"

#include <stdio.h>

enum { ITEMS_MAX = 4096 };

static struct scheme_item items[ITEMS_MAX];
static char names[ITEMS_MAX][64];
static size_t count;

static int read_word(struct scheme *scheme, char *word, struct err *err)
{
        char *value = strchr(word, '=');

        if (!value) {
                scheme->relaxed |= str_equal(word, "relaxed");
                scheme->prefer_recent |= str_equal(word, "prefer-recent");
                return 0;
        }
        *value++ = '\0';
        for (size_t f = 0; f < SCHEME_FREQUENCIES; f++) {
                if (str_equal(word, scheme_frequency_name((enum scheme_frequency)f)))
                        return expression_count(value, &scheme->count[f], err);
        }
        return err_usage(err, "no frequency is called %s", word);
}

static int read_scheme(struct scheme *scheme, char *words, struct err *err)
{
        char *state = NULL;
        int r = 0;

        *scheme = (struct scheme){ .relaxed = false };
        for (char *word = strtok_r(words, " ", &state); word && r == 0; word = strtok_r(NULL, " ", &state))
                r = read_word(scheme, word, err);
        return r == 0 ? scheme_check(scheme, err) : r;
}

static int read_item(const char *line, struct err *err)
{
        const char *name = strchr(line, ' ');
        struct scheme_item *item = &items[count];

        if (!name || count == ITEMS_MAX || strlen(name + 1) >= sizeof(names[0]))
                return err_usage(err, "not an item: %s", line);
        strcpy(names[count], name + 1);
        *item = (struct scheme_item){ .name = names[count],
                                      .complete = !memchr(line, 'i', (size_t)(name - line)),
                                      .own = memchr(line, 'o', (size_t)(name - line)),
                                      .ignored = memchr(line, 'x', (size_t)(name - line)) };
        if (names_parse(item->name, &item->time))
                count++;
        return 0;
}

static void mark(const struct scheme *scheme, int64_t now)
{
        char verdict[SCHEME_VERDICT_SIZE];

        scheme_mark(scheme, now, items, count);
        for (size_t i = 0; i < count; i++)
                printf("%s\t%s\n", items[i].name, scheme_verdict(items[i].reasons, verdict));
        puts("end");
        count = 0;
}

static int obey(char *line, struct err *err)
{
        static struct scheme scheme;
        static int64_t now;

        if (str_starts(line, "scheme "))
                return read_scheme(&scheme, line + 7, err);
        if (str_starts(line, "item "))
                return read_item(line + 5, err);
        if (str_starts(line, "now ") && names_parse(line + 4, &now))
                return 0;
        if (!str_equal(line, "mark"))
                return err_usage(err, "not understood: %s", line);
        mark(&scheme, now);
        return 0;
}

int main(void)
{
        struct err err = { .kind = ERR_NONE };
        char line[512];

        while (fgets(line, sizeof(line), stdin)) {
                line[strcspn(line, "\n")] = '\0';
                if (obey(line, &err) < 0) {
                        fprintf(stderr, "%s\n", err.text);
                        return 1;
                }
        }
        return 0;
}
