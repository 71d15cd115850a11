#include "transfer/rsync/rsync_words.h"

#include "base/path.h"

/* Quotes are part of these sentences, and nothing is quoted around them: their escapes are taken out again. */
static void unescape_quotes(char *text)
{
        char *to = text;

        while (*text) {
                if (text[0] == '\\' && (text[1] == '\'' || text[1] == '"'))
                        text++;
                else if (text[0] == '\\' && text[1] == '\\')
                        *to++ = *text++;
                *to++ = *text++;
        }
        *to = '\0';
}

void rsync_words_show(const char *words, char *out, size_t size)
{
        path_show(NULL, words, out, size);
        unescape_quotes(out);
}
