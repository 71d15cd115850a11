/*
 * What the filter selects, for tests that compare it with a judge.
 *
 * Standard input is a row of NUL-terminated words: SOURCE, then for each entry of a listing, parents first, "d" or "f"
 * and its path, then "". Then any number of cases: for each rule "x" (as --exclude) or "m" (on the machine's path) and
 * its pattern, then "". Each case is answered by one line with '1' for an entry that is selected and '0' for one that
 * is not, or by the error.
 */
#include "base/err.h"
#include "transfer/filter/filter.h"

#include <stdio.h>

struct entry {
        char *path;
        bool is_directory;
};

struct listing {
        struct entry *entries;
        size_t count;
};

/* NULL at the end of the input. */
static char *next_word(void)
{
        char *word = NULL;
        size_t capacity = 0;

        if (getdelim(&word, &capacity, '\0', stdin) < 0) {
                free(word);
                return NULL;
        }
        return word;
}

static void read_listing(struct listing *l)
{
        char *word;

        while ((word = next_word()) && *word) {
                l->entries = reallocarray(l->entries, l->count + 1, sizeof(*l->entries));
                if (!l->entries)
                        abort();
                l->entries[l->count].is_directory = *word == 'd';
                l->entries[l->count++].path = next_word();
                free(word);
        }
        free(word);
}

/* Entries below an excluded directory are not asked for. */
static void answer(const struct filter *f, const struct listing *l)
{
        const char *hidden = NULL;
        size_t hidden_size = 0;

        for (size_t i = 0; i < l->count; i++) {
                const struct entry *e = &l->entries[i];
                bool excluded = true;

                if (!hidden || strncmp(e->path, hidden, hidden_size) != 0 || e->path[hidden_size] != '/') {
                        excluded = filter_excludes(f, e->path, e->is_directory);
                        hidden = excluded && e->is_directory ? e->path : NULL;
                        hidden_size = hidden ? strlen(hidden) : 0;
                }
                putchar(excluded ? '0' : '1');
        }
        putchar('\n');
}

static int add_rule(struct filter *f, const char *kind, struct err *err)
{
        _cleanup_(freep) char *pattern = next_word();

        if (!pattern)
                return err_usage(err, "a rule ends early");
        return *kind == 'm' ? filter_exclude_machine(f, pattern, err) : filter_exclude(f, pattern, err);
}

/* False at the end of the input. */
static bool answer_case(const char *source, const struct listing *l)
{
        _cleanup_(filter_freep) struct filter *f = NULL;
        struct err err = { .kind = ERR_NONE };
        bool failed = filter_new(&f, source, &err) < 0;
        char *word;

        while ((word = next_word()) && *word) {
                if (!failed)
                        failed = add_rule(f, word, &err) < 0;
                free(word);
        }
        if (!word)
                return false;
        free(word);
        if (failed)
                puts(err.text);
        else
                answer(f, l);
        err_clear(&err);
        return true;
}

int main(void)
{
        _cleanup_(freep) char *source = next_word();
        struct listing l = { .entries = NULL };

        if (!source)
                return 2;
        read_listing(&l);
        while (answer_case(source, &l))
                ;
        while (l.count > 0)
                free(l.entries[--l.count].path);
        free(l.entries);
        return 0;
}
