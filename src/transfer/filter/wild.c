/*
 * Matching by trying out what each `*` could take is exponential, or quadratic when done with care, and the names come
 * from whoever can write to the disk. So all ways are followed at once: an automaton whose state i means "the tokens
 * before i have matched". The set of states is a row of bits, and one byte of text takes it to the next set:
 *
 *      a  *  /  b             tokens 0 to 3; state 4 is the end, it accepts
 *      0->1->2->3->4          a token that takes the byte moves its bit up by one: accept[byte]
 *         \_/                 `*` keeps its bit (loop), and may take nothing: its bit is copied up at once
 *
 * 64 states fit into a word, which is nearly every pattern that people write.
 */
#include "transfer/filter/wild.h"

enum { WORD_BITS = 64, WILD_WORDS_MAX = WILD_TOKENS_MAX / WORD_BITS + 1 };

struct wild {
        size_t words;  /* in each of the rows below */
        size_t tokens; /* also the state that accepts */
        uint64_t restart;
        uint64_t *initial;
        uint64_t *stars;  /* states that stay on any byte but '/' */
        uint64_t *deep;   /* those of them that stay on '/' too */
        uint64_t *accept; /* 256 rows: states whose token takes the byte */
        uint64_t rows[];
};

static void set_add(uint64_t *set, size_t bit)
{
        set[bit / WORD_BITS] |= UINT64_C(1) << bit % WORD_BITS;
}

static bool set_has(const uint64_t *set, size_t bit)
{
        return set[bit / WORD_BITS] >> bit % WORD_BITS & 1;
}

static bool byte_between(unsigned char c, char first, char last)
{
        return c >= (unsigned char)first && c <= (unsigned char)last;
}

static bool is_lower(unsigned char c)
{
        return byte_between(c, 'a', 'z');
}

static bool is_upper(unsigned char c)
{
        return byte_between(c, 'A', 'Z');
}

static bool is_alpha(unsigned char c)
{
        return is_lower(c) || is_upper(c);
}

static bool is_digit(unsigned char c)
{
        return byte_between(c, '0', '9');
}

static bool is_alnum(unsigned char c)
{
        return is_alpha(c) || is_digit(c);
}

static bool is_blank(unsigned char c)
{
        return c == ' ' || c == '\t';
}

static bool is_space(unsigned char c)
{
        return c == ' ' || byte_between(c, '\t', '\r');
}

static bool is_cntrl(unsigned char c)
{
        return c < ' ' || c == 0x7f;
}

static bool is_graph(unsigned char c)
{
        return byte_between(c, '!', '~');
}

static bool is_print(unsigned char c)
{
        return byte_between(c, ' ', '~');
}

static bool is_punct(unsigned char c)
{
        return is_graph(c) && !is_alnum(c);
}

static bool is_xdigit(unsigned char c)
{
        return is_digit(c) || byte_between(c, 'a', 'f') || byte_between(c, 'A', 'F');
}

static const struct class_name {
        const char *name;
        bool (*has)(unsigned char c);
} class_names[] = {
        { "alnum", is_alnum }, { "alpha", is_alpha }, { "blank", is_blank }, { "cntrl", is_cntrl },
        { "digit", is_digit }, { "graph", is_graph }, { "lower", is_lower }, { "print", is_print },
        { "punct", is_punct }, { "space", is_space }, { "upper", is_upper }, { "xdigit", is_xdigit },
};

static bool add_class(uint64_t *set, const char *name, size_t size)
{
        for (size_t i = 0; i < ARRAY_SIZE(class_names); i++) {
                if (strlen(class_names[i].name) != size || memcmp(class_names[i].name, name, size) != 0)
                        continue;
                for (unsigned c = 0; c < 256; c++) {
                        if (class_names[i].has((unsigned char)c))
                                set_add(set, c);
                }
                return true;
        }
        return false;
}

/* One member of a class, '\' before it taken away. NULL at the end of the text. */
static const char *parse_member(const char *p, unsigned char *ret)
{
        if (*p == '\\')
                p++;
        if (!*p)
                return NULL;
        *ret = (unsigned char)*p;
        return p + 1;
}

/* "[:name:]" at @p: the byte behind it. @p itself when it is no such thing, NULL when nothing can match any more. */
static const char *parse_class_name(const char *p, uint64_t *set)
{
        const char *name = p + 2, *end;

        if (p[0] != '[' || p[1] != ':')
                return p;
        end = strchr(name, ']');
        if (!end)
                return NULL;
        /* "[[:]" holds '[' and ':'; a name that is closed has to exist. */
        if (end == name || end[-1] != ':')
                return p;
        return add_class(set, name, (size_t)(end - 1 - name)) ? end + 1 : NULL;
}

/* What is between "[" or "[!" and "]"; a "]" that comes first is a member. The byte behind it, or NULL. */
static const char *parse_members(const char *p, uint64_t *set)
{
        const char *first = p;
        bool has_previous = false; /* whether a '-' would make a range of what was read last */
        unsigned char c, previous = 0;

        while (p == first || *p != ']') {
                if (*p == '-' && has_previous && p[1] && p[1] != ']') {
                        p = parse_member(p + 1, &c);
                        if (!p)
                                return NULL;
                        for (unsigned member = previous; member <= c; member++)
                                set_add(set, member);
                        has_previous = false;
                        continue;
                }
                const char *behind = parse_class_name(p, set);

                if (!behind)
                        return NULL;
                if (behind != p) {
                        p = behind;
                        has_previous = false;
                        continue;
                }
                p = parse_member(p, &c);
                if (!p)
                        return NULL;
                set_add(set, c);
                previous = c;
                has_previous = true;
        }
        return p + 1;
}

static const char *parse_set(const char *p, struct wild_token *token)
{
        bool negated = *p == '!' || *p == '^';

        p = parse_members(p + negated, token->set);
        for (size_t i = 0; negated && i < ARRAY_SIZE(token->set); i++)
                token->set[i] = ~token->set[i];
        token->set['/' / WORD_BITS] &= ~(UINT64_C(1) << '/' % WORD_BITS);
        return p;
}

/* One token; the byte behind it, or NULL. */
static const char *parse_token(const char *p, struct wild_token *token)
{
        size_t stars = strspn(p, "*");

        *token = (struct wild_token){ .kind = WILD_BYTE };
        if (stars > 0) {
                token->kind = stars == 1 ? WILD_STAR : WILD_DEEP;
                return p + stars;
        }
        if (*p == '?' || *p == '[')
                token->kind = WILD_SET;
        if (*p == '?') {
                memset(token->set, 0xff, sizeof(token->set));
                token->set['/' / WORD_BITS] &= ~(UINT64_C(1) << '/' % WORD_BITS);
                return p + 1;
        }
        if (*p == '[')
                return parse_set(p + 1, token);
        return parse_member(p, &token->byte);
}

bool wild_parse(struct wild_token *ret, size_t *ret_count, const char *text)
{
        size_t count = 0;

        while (*text) {
                text = parse_token(text, &ret[count++]);
                if (!text)
                        return false;
        }
        *ret_count = count;
        return true;
}

static void add_token(struct wild *w, size_t state, const struct wild_token *token)
{
        switch (token->kind) {
        case WILD_BYTE:
                set_add(w->accept + token->byte * w->words, state);
                break;
        case WILD_SET:
                for (size_t c = 0; c < 256; c++) {
                        if (set_has(token->set, c))
                                set_add(w->accept + c * w->words, state);
                }
                break;
        case WILD_DEEP:
                set_add(w->deep, state);
                set_add(w->stars, state);
                break;
        case WILD_STAR:
                set_add(w->stars, state);
                break;
        }
}

struct wild *wild_new(const struct wild_token *tokens, size_t count, bool restarts)
{
        size_t words = count / WORD_BITS + 1;
        struct wild *w = calloc(1, sizeof(*w) + (3 + 256) * words * sizeof(w->rows[0]));

        if (!w)
                return NULL;
        w->words = words;
        w->tokens = count;
        w->initial = w->rows;
        w->stars = w->initial + words;
        w->deep = w->stars + words;
        w->accept = w->deep + words;
        for (size_t i = 0; i < count; i++)
                add_token(w, i, &tokens[i]);
        w->initial[0] = 1 | (w->stars[0] & 1) << 1;
        w->restart = restarts ? w->initial[0] : 0;
        return w;
}

struct wild *wild_free(struct wild *w)
{
        free(w);
        return NULL;
}

/* Take one byte. False when no state is left. */
static bool wild_step(const struct wild *w, uint64_t *active, unsigned char c)
{
        const uint64_t *accept = w->accept + c * w->words, *loop = c == '/' ? w->deep : w->stars;
        uint64_t moved_up = c == '/' ? w->restart : 0, opened_up = 0, any = 0;

        for (size_t i = 0; i < w->words; i++) {
                uint64_t moved = active[i] & accept[i];
                uint64_t next = moved << 1 | moved_up | (active[i] & loop[i]);
                uint64_t opened = next & w->stars[i];

                active[i] = next | opened << 1 | opened_up;
                moved_up = moved >> (WORD_BITS - 1);
                opened_up = opened >> (WORD_BITS - 1);
                any |= active[i];
        }
        return any != 0;
}

size_t wild_precede(struct wild *w, const char *text, size_t *ret_token)
{
        size_t ways = 0;

        for (; *text; text++)
                wild_step(w, w->initial, (unsigned char)*text);
        for (size_t state = 0; state <= w->tokens; state++) {
                /* The token behind a star is active with it; both together are one way. */
                if (!set_has(w->initial, state) ||
                    (state > 0 && set_has(w->initial, state - 1) && set_has(w->stars, state - 1)))
                        continue;
                if (ways++ == 0)
                        *ret_token = state;
        }
        return ways;
}

bool wild_matches(const struct wild *w, const char *text, size_t size, bool slash_follows)
{
        uint64_t active[WILD_WORDS_MAX];

        memcpy(active, w->initial, w->words * sizeof(active[0]));
        for (size_t i = 0; i < size; i++) {
                if (!wild_step(w, active, (unsigned char)text[i]) && !w->restart)
                        return false;
        }
        if (slash_follows)
                wild_step(w, active, '/');
        return set_has(active, w->tokens);
}
