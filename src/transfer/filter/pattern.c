/*
 * A pattern is cut into a head and a tail without wildcards and what is between them:
 *
 *      /home/  *  /.cache/  *          *  .o          /srv/  a*b?**c  .iso
 *      head    \_ middle _/        middle tail        head   middle   tail
 *
 * Nearly every path fails at the comparison of head or tail, and nearly every middle is nothing or a single star. Only
 * the rest takes an automaton. What stands above the paths is consumed once, when the pattern is compiled: below
 * home/peter/ the first one is just the pattern "/.cache/" and a star.
 */
#include "transfer/filter/pattern.h"

#include "base/err.h"

#include <errno.h>

enum scope {
        SCOPE_BASE,   /* the last component */
        SCOPE_PATH,   /* the whole path */
        SCOPE_SUFFIX, /* the path, or what is behind any '/' of it */
};

enum middle { MIDDLE_NONE, MIDDLE_STAR, MIDDLE_DEEP, MIDDLE_WILD };

struct pattern {
        bool is_void;
        bool directories_only;
        bool directory_ends_in_slash; /* so that "dir/" and two stars matches dir itself */
        enum scope scope;
        enum middle middle;
        char *head;
        size_t head_size;
        char *tail;
        size_t tail_size;
        struct wild *wild; /* of MIDDLE_WILD */
};

/* A pattern that is being compiled: all that can be told from its bytes, then its tokens. */
struct source {
        char *text; /* without the '/' of an anchor and of directories_only */
        const char *above;
        bool has_wildcard;
        bool starts_deep; /* with "**", not with an anchor */
        bool has_deep;    /* "**" stands anywhere, also where it is escaped or in a class: so does rsync look at it */
        size_t slashes;
        struct wild_token *storage;
        struct wild_token *tokens; /* what of it is still to be matched */
        size_t count;
};

static void source_deinit(struct source *s)
{
        free(s->text);
        free(s->storage);
}

static size_t count_slashes(const char *text)
{
        size_t count = 0;

        for (; *text; text++)
                count += *text == '/';
        return count;
}

/* Look at the bytes alone: where the pattern applies. */
static int read_shape(struct pattern *p, struct source *s, const char *text, const char *above)
{
        size_t size = strlen(text);
        bool anchored = text[0] == '/';

        if (size > 1 && text[size - 1] == '/') {
                p->directories_only = true;
                size--;
        }
        s->text = strndup(text + anchored, size - anchored);
        if (!s->text)
                return -ENOMEM;
        size -= anchored;
        s->starts_deep = str_starts(text, "**");
        s->has_wildcard = strpbrk(s->text, "*?[");
        s->has_deep = strstr(s->text, "**");
        s->slashes = count_slashes(s->text);
        p->directory_ends_in_slash = size >= 3 && str_equal(s->text + size - 3, "***");
        if (!anchored && s->slashes == 0 && !s->has_deep)
                p->scope = SCOPE_BASE;
        else
                p->scope = anchored || s->starts_deep ? SCOPE_PATH : SCOPE_SUFFIX;
        s->above = p->scope == SCOPE_BASE ? "" : above;
        return 0;
}

static bool is_slash(const struct wild_token *token)
{
        return token->kind == WILD_BYTE && token->byte == '/';
}

static size_t count_slash_tokens(const struct source *s)
{
        size_t count = 0;

        for (size_t i = 0; i < s->count; i++)
                count += is_slash(&s->tokens[i]);
        return count;
}

/* Fill in the tokens; false when they can match nothing. */
static bool read_tokens(const struct pattern *p, struct source *s)
{
        s->tokens = s->storage;
        if (s->has_wildcard) {
                if (!wild_parse(s->tokens, &s->count, s->text))
                        return false;
        } else {
                for (; s->text[s->count]; s->count++)
                        s->tokens[s->count].byte = (unsigned char)s->text[s->count];
        }
        /* rsync takes as many components as the text has slashes, those in classes included, which match none. */
        return p->scope != SCOPE_SUFFIX || s->has_deep || s->slashes == count_slash_tokens(s);
}

/*
 * Two stars and a slash at the beginning mean "at the top or behind any slash", but not at the top of what is above
 * when that is not empty.
 */
static void widen_scope(struct pattern *p, struct source *s)
{
        bool has_deep = false;

        if (!s->starts_deep || *s->above || s->count < 2 || !is_slash(&s->tokens[1]))
                return;
        s->tokens += 2;
        s->count -= 2;
        for (size_t i = 0; i < s->count; i++)
                has_deep = has_deep || s->tokens[i].kind == WILD_DEEP;
        p->scope = has_deep || count_slash_tokens(s) > 0 ? SCOPE_SUFFIX : SCOPE_BASE;
}

static char *literal_new(const struct wild_token *tokens, size_t count)
{
        char *text = calloc(1, count + 1);

        for (size_t i = 0; text && i < count; i++)
                text[i] = (char)tokens[i].byte;
        return text;
}

static enum middle middle_of(enum scope scope, const struct wild_token *tokens, size_t count)
{
        if (count == 0)
                return MIDDLE_NONE;
        if (count > 1)
                return MIDDLE_WILD;
        if (tokens->kind == WILD_DEEP)
                return MIDDLE_DEEP;
        return tokens->kind == WILD_STAR && scope != SCOPE_SUFFIX ? MIDDLE_STAR : MIDDLE_WILD;
}

/* Cut head and tail off @tokens and keep the middle. */
static int cut(struct pattern *p, const struct wild_token *tokens, size_t count)
{
        const struct wild_token *middle = tokens, *end = tokens + count;

        while (p->scope != SCOPE_SUFFIX && middle < end && middle->kind == WILD_BYTE)
                middle++;
        while (middle < end && end[-1].kind == WILD_BYTE)
                end--;
        p->head_size = (size_t)(middle - tokens);
        p->tail_size = (size_t)(tokens + count - end);
        p->head = literal_new(tokens, p->head_size);
        p->tail = literal_new(end, p->tail_size);
        if (!p->head || !p->tail)
                return -ENOMEM;
        p->middle = middle_of(p->scope, middle, (size_t)(end - middle));
        if (p->middle != MIDDLE_WILD)
                return 0;
        p->wild = wild_new(middle, (size_t)(end - middle), p->scope == SCOPE_SUFFIX);
        return p->wild ? 0 : -ENOMEM;
}

/* Let the tokens consume what is above. */
static int cut_below(struct pattern *p, const struct source *s)
{
        _cleanup_(wild_freep) struct wild *whole = wild_new(s->tokens, s->count, p->scope == SCOPE_SUFFIX);
        size_t ways, token = 0;

        if (!whole)
                return -ENOMEM;
        ways = wild_precede(whole, s->above, &token);
        if (ways == 0) {
                p->is_void = true;
                return 0;
        }
        if (ways == 1 && p->scope == SCOPE_PATH)
                return cut(p, s->tokens + token, s->count - token);
        p->middle = MIDDLE_WILD;
        p->wild = TAKE(whole);
        return 0;
}

int pattern_new(struct pattern **ret, const char *text, const char *above, struct err *err)
{
        _cleanup_(source_deinit) struct source s = { .text = NULL };
        _cleanup_(pattern_freep) struct pattern *p = calloc(1, sizeof(*p));

        if (!p || read_shape(p, &s, text, above) < 0)
                return err_oom(err);
        s.storage = calloc(strlen(s.text) + 1, sizeof(*s.storage));
        if (!s.storage)
                return err_oom(err);
        p->is_void = !read_tokens(p, &s);
        if (!p->is_void)
                widen_scope(p, &s);
        if (!p->is_void && (*s.above ? cut_below(p, &s) : cut(p, s.tokens, s.count)) < 0)
                return err_oom(err);
        *ret = TAKE(p);
        return 0;
}

struct pattern *pattern_free(struct pattern *p)
{
        if (!p)
                return NULL;
        free(p->head);
        free(p->tail);
        wild_free(p->wild);
        free(p);
        return NULL;
}

bool pattern_is_void(const struct pattern *p)
{
        return p->is_void;
}

static bool ends_with_tail(const struct pattern *p, const char *text, size_t size)
{
        return p->tail_size == 0 ||
               (p->tail_size <= size && memcmp(text + size - p->tail_size, p->tail, p->tail_size) == 0);
}

/* The '/' that follows may be the last byte of the head. */
static bool starts_with_head(const struct pattern *p, const char *text, size_t size, bool slash_follows)
{
        if (p->head_size == 0)
                return true;
        if (p->head_size <= size)
                return memcmp(text, p->head, p->head_size) == 0;
        return slash_follows && p->head_size == size + 1 && p->head[size] == '/' && memcmp(text, p->head, size) == 0;
}

/* Nothing but tail in SCOPE_SUFFIX, nothing but head in the others. */
static bool literal_fits(const struct pattern *p, const char *text, size_t size)
{
        if (p->scope != SCOPE_SUFFIX)
                return size == p->head_size;
        return size == p->tail_size || text[size - p->tail_size - 1] == '/';
}

bool pattern_matches(const struct pattern *p, const struct pattern_subject *subject)
{
        const char *text = p->scope == SCOPE_BASE ? subject->base : subject->path;
        size_t size = subject->size - (size_t)(text - subject->path), rest;
        bool slash_follows = p->directory_ends_in_slash && subject->is_directory;

        if (p->is_void || (p->directories_only && !subject->is_directory))
                return false;
        if (!ends_with_tail(p, text, size) || !starts_with_head(p, text, size, slash_follows))
                return false;
        if (p->middle == MIDDLE_NONE)
                return literal_fits(p, text, size);
        /* What is behind a '/' that the head took is empty. A pattern that lets it follow has no tail. */
        if (p->head_size > size)
                return p->middle == MIDDLE_DEEP || wild_matches(p->wild, "", 0, false);
        if (p->head_size + p->tail_size > size)
                return false;
        text += p->head_size;
        rest = size - p->head_size - p->tail_size;
        if (p->middle == MIDDLE_STAR)
                return !memchr(text, '/', rest);
        return p->middle == MIDDLE_DEEP || wild_matches(p->wild, text, rest, slash_follows);
}
