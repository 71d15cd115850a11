/*
 * The wildcards of rsync's patterns (rsync(1), PATTERN MATCHING RULES), matched in bounded time.
 *
 * A pattern is parsed to tokens, each of which takes one byte, or any number of bytes. Names are bytes, so `?` and
 * classes take one byte of a UTF-8 character, as with rsync. Letters and the like are those of ASCII in every locale.
 */
#pragma once

#include "base/util.h"

/* A pattern of n bytes has at most n tokens. */
enum { WILD_TOKENS_MAX = 4095 };

enum wild_kind {
        WILD_BYTE, /* this byte */
        WILD_SET,  /* one byte of a set, never '/' */
        WILD_STAR, /* any number of bytes but '/' */
        WILD_DEEP, /* any number of any bytes */
};

struct wild_token {
        enum wild_kind kind;
        unsigned char byte;
        uint64_t set[4]; /* bit b%64 of word b/64: byte b is in it */
};

struct wild;

/*
 * Parse @text, which holds a wildcard, to tokens. @ret has room for strlen(text) of them.
 * False when the text can match nothing: a class that does not end or that has no such name, a lone '\' at the end.
 */
bool wild_parse(struct wild_token *ret, size_t *ret_count, const char *text);

/*
 * Make an automaton of the tokens, WILD_TOKENS_MAX at most. It matches texts as a whole; with @restarts also what
 * stands behind any '/' of the text. No two of WILD_STAR and WILD_DEEP are neighbours. NULL when memory is short.
 */
struct wild *wild_new(const struct wild_token *tokens, size_t count, bool restarts);
struct wild *wild_free(struct wild *w);
DEFINE_FREEP(struct wild, wild_free)

/*
 * From now on @text stands before every text that is matched. Returns the number of ways in which the tokens can go on
 * after it: 0 means that nothing can match any more; of one way, @ret_token is the token with which it goes on.
 */
size_t wild_precede(struct wild *w, const char *text, size_t *ret_token);

/*
 * Does it match @text, followed by a '/' if @slash_follows? Takes no longer than size * (tokens / 64 + 1) steps of a
 * few instructions each, whatever is matched, and 512 bytes of stack.
 */
bool wild_matches(const struct wild *w, const char *text, size_t size, bool slash_follows);
