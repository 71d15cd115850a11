/* Messages beside the data: what the server has to say, that it gives up, how long it waits. */
#include "base/err.h"
#include "base/log.h"
#include "transfer/rsync/rsync_number.h"
#include "transfer/rsync/rsync_talk.h"
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
        { "module is write only", -ENOTSUP, "snapshots need 'write only = false' in the server's rsyncd.conf" },
        { "write-only server", -ENOTSUP, "snapshots need rrsync(1) without -wo" },
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

/* Of the destination as a whole: "rsync: [Receiver] mkdir "..." (in module) failed: File exists (17)". */
static bool is_of_destination(const char *said)
{
        static const char *const beginnings[] = { "change_dir \"", "[Receiver] mkdir \"", "rsync: mkdir \"",
                                                  "cannot stat destination \"" };

        for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++) {
                if (strstr(said, beginnings[i]))
                        return true;
        }
        return false;
}

static const char in_the_way[] = "on that path there is a file, or a symbolic link that leads nowhere: move it away on "
                                 "the server, or use another path";

/* Of a destination: what it ends with. For one of its directories that is a file, 3.5.0 says that of the links. */
static const struct reason of_destination[] = {
        { ": No such file or directory (", -ENOENT,
          "the directories above the last one must be there already, and symbolic links among them lead somewhere" },
        { ": File exists (", -EEXIST, in_the_way },
        { ": Not a directory (", -ENOTDIR, in_the_way },
        { ": Too many levels of symbolic links (", -ELOOP, in_the_way },
};

static const struct reason *find_among(const struct reason *reasons, size_t count, const char *said)
{
        for (size_t i = 0; i < count; i++) {
                if (strstr(said, reasons[i].words))
                        return &reasons[i];
        }
        return NULL;
}

static const struct reason *find_reason(const char *said)
{
        const struct reason *r = find_among(known, ARRAY_SIZE(known), said);

        if (r || !is_of_destination(said))
                return r;
        return find_among(of_destination, ARRAY_SIZE(of_destination), said);
}

static void keep(char to[RSYNC_SAID_MAX], const char *shown)
{
        snprintf(to, RSYNC_SAID_MAX, "%.*s", RSYNC_SAID_MAX - 1, shown);
}

void rsync_talk_pass(struct rsync_talk *t)
{
        if (*t->said)
                log_warning("%s: %s", t->config.peer, t->said);
        *t->said = '\0';
}

/* How each rsync ends, whatever the reason was. */
static bool is_farewell(const char *line)
{
        return str_starts(line, "rsync error: ");
}

/*
 * "rsync: [receiver] mkstemp "..." (in module) failed: No space left on device (28)": rsync goes on, and would say so
 * of each file that is new, twice. What it says of attributes may be about these alone, of a name about anything.
 */
static bool is_of_full_disk(const char *line)
{
        static const char *const beginnings[] = { "rsync: ", "[receiver] ", "[generator] ", "recv_generator: " };
        static const char *const calls[] = { "mkstemp \"", "mkdir \"", "mknod \"", "symlink \"", "link \"" };
        static const char *const ends[] = { " failed: No space left on device (28)",
                                            " failed: Disk quota exceeded (122)" };
        bool makes = false, is_full = false;

        for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++)
                line += str_starts(line, beginnings[i]) ? strlen(beginnings[i]) : 0;
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
                makes = makes || str_starts(line, calls[i]);
        for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
                is_full = is_full || (strlen(line) >= strlen(ends[i]) &&
                                      str_equal(line + strlen(line) - strlen(ends[i]), ends[i]));
        return makes && is_full;
}

/* It is told when it was not the last one: the last one may be why the server gives up, and is an error then. */
static void say_error(struct rsync_talk *t, const char *shown)
{
        if (is_farewell(shown)) {
                keep(t->farewell, shown);
                log_debug("%s: %s", t->config.peer, shown);
                return;
        }
        if (t->has_failed && is_of_full_disk(shown))
                return;
        /* The others of its processes only say that this one is gone. */
        if (*t->said && find_reason(t->said)) {
                log_warning("%s: %s", t->config.peer, shown);
                return;
        }
        rsync_talk_pass(t);
        keep(t->said, shown);
        t->has_failed = t->has_failed || is_of_full_disk(shown);
}

static void say(struct rsync_talk *t, enum rsync_code code, const char *line)
{
        char shown[SHOWN_MAX];

        rsync_words_show(line, shown, sizeof(shown));
        if (code == RSYNC_CODE_ERROR_XFER || code == RSYNC_CODE_ERROR)
                say_error(t, shown);
        else
                log_line(code == RSYNC_CODE_INFO ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "%s: %s", t->config.peer,
                         shown);
}

static int hear_text(struct rsync_talk *t, enum rsync_code code, const char *data, size_t size, struct err *err)
{
        _cleanup_(freep) char *text = str_copy(data, size);

        if (!text)
                return err_oom(err);
        /* One sentence, whatever is in the name that it is about. */
        for (char *end = text + strlen(text); end > text && end[-1] == '\n'; end--)
                end[-1] = '\0';
        if (*text)
                say(t, code, text);
        return t->config.hear(t->config.context, code, data, size, err);
}

/* It ends when nobody says anything for so long, and so do we; half of that is early enough for a sign of life. */
static void hear_timeout(struct rsync_talk *t, int32_t seconds)
{
        unsigned half = seconds > 1 ? (unsigned)seconds / 2 : 1, *timeout_s = &t->duplex.config.timeout_s;

        if (seconds <= 0)
                return;
        if (t->keep_alive_s == 0 || half < t->keep_alive_s)
                t->keep_alive_s = half;
        if (*timeout_s == 0 || (unsigned)seconds < *timeout_s)
                *timeout_s = (unsigned)seconds;
}

static int hear_exit(struct rsync_talk *t, int32_t status, struct err *err)
{
        if (t->has_failed)
                return 0;
        t->has_failed = true;
        t->status = status;
        /* It waits for that before it goes. */
        return rsync_talk_frame(t, err) < 0 || rsync_mux_put_message(&t->out, RSYNC_CODE_ERROR_EXIT, NULL, 0) < 0
                       ? err_oom(err)
                       : 0;
}

int rsync_talk_hear(void *talk, enum rsync_code code, const void *data, size_t size, struct err *err)
{
        struct rsync_talk *t = talk;

        switch (code) {
        case RSYNC_CODE_ERROR_XFER:
        case RSYNC_CODE_INFO:
        case RSYNC_CODE_ERROR:
        case RSYNC_CODE_WARNING:
                return hear_text(t, code, data, size, err);
        case RSYNC_CODE_IO_TIMEOUT:
                hear_timeout(t, number(data, size));
                return 0;
        case RSYNC_CODE_ERROR_EXIT:
                return hear_exit(t, number(data, size), err);
        default:
                return t->config.hear(t->config.context, code, data, size, err);
        }
}

/* ---- failure ---- */

/* Words of rsync end in the number of the error: "... failed: No such file or directory (2)". */
static int error_of(const char *words)
{
        const char *open = strrchr(words, '(');
        long number = open ? strtol(open + 1, NULL, 10) : 0;

        return number == ENOENT || number == ENOTDIR || number == EACCES ? -(int)number : -EIO;
}

static int fail(const char *peer, const char *said, const char *farewell, struct err *err)
{
        const char *words = *said ? said : farewell;
        const struct reason *reason = find_reason(words);

        if (!reason)
                reason = find_reason(farewell);
        (void)err_runf(err, reason ? reason->code : error_of(words), "%s: the server says: %s", peer, words);
        return reason && *reason->hint ? err_hint(err, "%s", reason->hint) : err->code;
}

int rsync_talk_failure(struct rsync_talk *t, struct err *err)
{
        if (*t->said || *t->farewell)
                (void)fail(t->config.peer, t->said, t->farewell, err);
        else
                (void)err_runf(err, -EREMOTEIO, "%s: the server gave up (rsync's exit status %d)", t->config.peer,
                               (int)t->status);
        *t->said = '\0';
        return err->code;
}

int rsync_talk_blame(const char *peer, const char *words, struct err *err)
{
        char said[RSYNC_SAID_MAX] = "", farewell[RSYNC_SAID_MAX] = "", shown[SHOWN_MAX];
        _cleanup_(freep) char *copy = strdup(words);
        char *rest = copy, *line;

        while (rest && (line = strsep(&rest, "\n"))) {
                rsync_words_show(line, shown, sizeof(shown));
                if (is_farewell(shown))
                        keep(farewell, shown);
                else if (*shown && !(*said && find_reason(said)))
                        keep(said, shown);
        }
        return fail(peer, said, farewell, err);
}
