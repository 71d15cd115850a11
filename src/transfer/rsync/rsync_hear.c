/* Messages beside the data: what the server has to say, what it deleted, that it gives up. */
#include "base/err.h"
#include "base/log.h"
#include "base/report.h"
#include "transfer/rsync/rsync_parts.h"
#include "transfer/rsync/rsync_words.h"

#include <errno.h>
#include <stdio.h>

enum { SHOWN_MAX = 600 };

static int32_t number(const void *data, size_t size)
{
        struct rsync_reader r = rsync_read_begin(data, size);

        return size >= 4 ? rsync_get_int(&r) : 0;
}

/* ---- words ---- */

/* What the server says, the errno that tells the caller, and what can be done. */
static const struct reason {
        const char *words;
        int code;
        const char *hint;
} known[] = {
        { "module is read only", -EROFS, "the module needs 'read only = false' in the server's rsyncd.conf" },
        { "No space left on device", -ENOSPC, "the server's disk is full" },
        { "Disk quota exceeded", -EDQUOT, "the quota of the module's user is used up on the server" },
        { "configured to refuse", -ENOTSUP,
          "the module's 'refuse options' in rsyncd.conf stands against what a backup needs" },
        { "unknown option", -ENOTSUP, "the server's rsync is too old for that" },
        { "io timeout", -ETIMEDOUT, "" },
        { "timeout in data", -ETIMEDOUT, "" },
        { "connection unexpectedly closed", -ECONNRESET, "" },
        { "received SIG", -ECONNRESET, "" },
};

static const struct reason *find_reason(const char *said)
{
        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                if (strstr(said, known[i].words))
                        return &known[i];
        }
        return NULL;
}

static void keep(char to[RSYNC_SAID_MAX], const char *shown)
{
        snprintf(to, RSYNC_SAID_MAX, "%.*s", RSYNC_SAID_MAX - 1, shown);
}

void rsync_hear_pass(struct rsync_push *p)
{
        if (*p->heard.said)
                log_warning("%s: %s", p->config->peer, p->heard.said);
        *p->heard.said = '\0';
}

/* It is told when it was not the last one: the last one may be why the server gives up, and is an error then. */
static void say_error(struct rsync_push *p, const char *shown)
{
        struct rsync_heard *h = &p->heard;

        /* How each rsync ends, whatever the reason was. */
        if (str_starts(shown, "rsync error: ")) {
                keep(h->farewell, shown);
                log_debug("%s: %s", p->config->peer, shown);
                return;
        }
        /* The others of its processes only say that this one is gone. */
        if (*h->said && find_reason(h->said)) {
                log_warning("%s: %s", p->config->peer, shown);
                return;
        }
        rsync_hear_pass(p);
        keep(h->said, shown);
}

static void say(struct rsync_push *p, enum rsync_code code, const char *line)
{
        char shown[SHOWN_MAX];

        rsync_words_show(line, shown, sizeof(shown));
        if (code == RSYNC_CODE_ERROR_XFER) {
                p->result->is_partial = true;
                report_mark_partial(p->config->report);
        }
        if (code == RSYNC_CODE_ERROR || code == RSYNC_CODE_ERROR_XFER)
                say_error(p, shown);
        else
                log_line(code == RSYNC_CODE_INFO ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "%s: %s", p->config->peer,
                         shown);
}

static int hear_text(struct rsync_push *p, enum rsync_code code, const char *data, size_t size, struct err *err)
{
        _cleanup_(freep) char *text = str_copy(data, size);
        char *rest = text, *line;

        if (!text)
                return err_oom(err);
        while ((line = strsep(&rest, "\n"))) {
                if (*line)
                        say(p, code, line);
        }
        return 0;
}

/* ---- the rest ---- */

/* A directory has a NUL behind its path. */
static int hear_deleted(struct rsync_push *p, const char *data, size_t size, struct err *err)
{
        _cleanup_(freep) char *path = str_copy(data, size);

        if (!path)
                return err_oom(err);
        p->heard.deleted++;
        report_add(p->config->report, REPORT_DELETED, 1);
        report_change(p->config->report, REPORT_VERB_DELETED, NULL, path, size > 0 && data[size - 1] == '\0', 0);
        return 0;
}

/* It ends when nobody says anything for so long; half of that is early enough. */
static void hear_timeout(struct rsync_push *p, int32_t seconds)
{
        unsigned half = seconds > 1 ? (unsigned)seconds / 2 : 1;

        if (seconds > 0 && (p->keep_alive_s == 0 || half < p->keep_alive_s))
                p->keep_alive_s = half;
}

static int hear_exit(struct rsync_push *p, int32_t status, struct err *err)
{
        if (p->heard.has_failed)
                return 0;
        p->heard.has_failed = true;
        p->heard.status = status;
        /* It waits for that before it goes. */
        return rsync_push_frame(p, err) < 0 || rsync_mux_put_message(&p->out, RSYNC_CODE_ERROR_EXIT, NULL, 0) < 0
                       ? err_oom(err)
                       : 0;
}

int rsync_hear(void *push, enum rsync_code code, const void *data, size_t size, struct err *err)
{
        struct rsync_push *p = push;

        switch (code) {
        case RSYNC_CODE_ERROR_XFER:
        case RSYNC_CODE_INFO:
        case RSYNC_CODE_ERROR:
        case RSYNC_CODE_WARNING:
                return hear_text(p, code, data, size, err);
        case RSYNC_CODE_DELETED:
                return hear_deleted(p, data, size, err);
        case RSYNC_CODE_IO_ERROR:
                p->io_error |= (unsigned)number(data, size);
                return 0;
        case RSYNC_CODE_IO_TIMEOUT:
                hear_timeout(p, number(data, size));
                return 0;
        case RSYNC_CODE_ERROR_EXIT:
                return hear_exit(p, number(data, size), err);
        default:
                return 0;
        }
}

/* ---- failure ---- */

int rsync_hear_failure(struct rsync_push *p, struct err *err)
{
        struct rsync_heard *h = &p->heard;
        const char *words = *h->said ? h->said : h->farewell;
        const struct reason *reason = find_reason(words);

        if (!reason)
                reason = find_reason(h->farewell);
        if (*words)
                (void)err_runf(err, reason ? reason->code : -EIO, "%s: the server says: %s", p->config->peer, words);
        else
                (void)err_runf(err, -EIO, "%s: the server gave up (rsync's exit status %d)", p->config->peer,
                               (int)h->status);
        *h->said = '\0';
        return reason && *reason->hint ? err_hint(err, "%s", reason->hint) : err->code;
}
