/* The errors of one call are collected as one line: the first is the cause, and what follows often makes it clear. */
#include "storage/cryptlog.h"

#include "base/err.h"
#include "base/log.h"
#include "base/path.h"

#include <libcryptsetup.h>
#include <stdio.h>

enum { HEARD_SIZE = 400, SHOWN_SIZE = 256 };

static char heard[HEARD_SIZE];

static void remember(const char *line)
{
        size_t at = strlen(heard);

        /* It repeats itself when it tries something again. */
        if (!strstr(heard, line) && snprintf(heard + at, sizeof(heard) - at, "%s%s", at > 0 ? "; " : "", line) < 0)
                heard[at] = '\0';
}

static void listen(int level, const char *message, void *unused)
{
        char text[HEARD_SIZE], line[HEARD_SIZE];
        size_t size;

        (void)unused;
        snprintf(text, sizeof(text), "%.*s", (int)strcspn(message, "\n"), message);
        for (size = strlen(text); size > 0 && (text[size - 1] == '.' || text[size - 1] == ' '); size--)
                text[size - 1] = '\0';
        /* It may repeat what stands in a header that somebody else wrote. */
        path_show(NULL, text, line, sizeof(line));
        if (line[0] == '\0')
                return;
        if (level == CRYPT_LOG_ERROR)
                remember(line);
        log_debug("libcryptsetup: %s", line);
}

void cryptlog_begin(void)
{
        heard[0] = '\0';
        crypt_set_log_callback(NULL, listen, NULL);
}

int cryptlog_fail(struct err *err, int code, const char *operation, const char *subject)
{
        char shown[SHOWN_SIZE];

        if (heard[0] == '\0')
                return err_run(err, code, operation, subject);
        path_show(NULL, subject, shown, sizeof(shown));
        return err_runf(err, code, "cannot %s '%s': %s", operation, shown, heard);
}
