/*
 * A daemon that refuses says "@ERROR: " and a sentence, which is all there is to tell the reasons apart. These are the
 * sentences of rsync 3.0 to 3.5; one that is not known is shown all the same.
 */
#include "transfer/rsync/rsync_hello_parts.h"

#include "base/err.h"
#include "transfer/rsync/rsync_words.h"

#include <strings.h>

enum { SHOWN_SIZE = 400 };

struct refusal {
        const char *words; /* somewhere in the sentence, in letters of either case */
        int code;
        const char *hint;
};

static const char see_log[] = "the daemon's log says more: its module cannot be used as it is configured there";

static const struct refusal refusals[] = {
        { "unknown module", -ENOENT,
          "see [MODULE] in the daemon's rsyncd.conf; 'rsync HOST::' lists those that it shows" },
        { "access denied", -EACCES, "see 'hosts allow' and 'hosts deny' in the daemon's rsyncd.conf" },
        { "auth failed", -EACCES,
          "check user and password, and at the daemon 'auth users', 'secrets file' (only its owner may read that) and "
          "'auth digest'" },
        { "max connections", -EBUSY, "try again later, or raise 'max connections' in the daemon's rsyncd.conf" },
        { "daemon-auth checksums", -EPROTONOSUPPORT, "permit one of the digests that the daemon names" },
        { "digest name list", -EPROTONOSUPPORT, "" },
        { "protocol startup error", -EPROTO, "" },
        { "chroot", -EREMOTEIO, see_log },
        { "chdir", -EREMOTEIO, "is the module's 'path' there, and may the daemon's user enter it? Its log says more" },
        { "uid", -EREMOTEIO, see_log },
        { "gid", -EREMOTEIO, see_log },
        { "setgroups", -EREMOTEIO, see_log },
        { "security issue", -EREMOTEIO, see_log },
        { "", -EREMOTEIO, "the daemon's log may say more" },
};

int rsync_hello_fail(const struct rsync_hello *h, int code, const char *what, struct err *err)
{
        return err_runf(err, code, "%s: %s", h->config.peer, what);
}

int rsync_hello_fail_saying(const struct rsync_hello *h, int code, const char *what, const char *words, struct err *err)
{
        char shown[SHOWN_SIZE];

        rsync_words_show(words, shown, sizeof(shown));
        return err_runf(err, code, "%s: %s: %s", h->config.peer, what, shown);
}

int rsync_hello_refused(const struct rsync_hello *h, const char *words, struct err *err)
{
        const struct refusal *r = refusals;

        words += strspn(words, ": ");
        while (!strcasestr(words, r->words))
                r++;
        rsync_hello_fail_saying(h, r->code, "the daemon refuses", words, err);
        return err_hint(err, "%s", r->hint);
}

/* ---- the connection has ended ---- */

static int end_amid_lines(struct rsync_hello *h, struct err *err)
{
        /* A line that it had no time to end may be the one that counts. */
        const char *words = h->in.size > 0 ? buf_text(&h->in) : buf_text(&h->last_words);

        if (str_starts(words, "@ERROR"))
                return rsync_hello_refused(h, words + strlen("@ERROR"), err);
        if (*words)
                return rsync_hello_fail_saying(h, -ECONNRESET, "the daemon has closed the connection", words, err);
        rsync_hello_fail(h, -ECONNRESET, "the daemon has closed the connection without a reason", err);
        return err_hint(err, "the daemon's log may say more");
}

int rsync_hello_end(struct rsync_hello *h, struct err *err)
{
        switch (h->state) {
        case RSYNC_HELLO_GREETING:
                if (h->in.size > 0)
                        return end_amid_lines(h, err);
                rsync_hello_fail(h, -ECONNRESET, "the connection was closed without a greeting", err);
                return err_hint(err, "is it an rsync daemon that listens there?");
        case RSYNC_HELLO_MODULE:
                return end_amid_lines(h, err);
        case RSYNC_HELLO_VERSION:
                rsync_hello_fail(h, -ECONNRESET, "rsync has not answered", err);
                return err_hint(err, "is rsync 3.0 or later installed there, and may this account run it?");
        case RSYNC_HELLO_COMPAT:
        case RSYNC_HELLO_ALGORITHMS:
                rsync_hello_fail(h, -ECONNRESET, "the connection was closed when it was told what is to be done", err);
                return err_hint(err, "it may refuse an option; its log may say more");
        case RSYNC_HELLO_OVER:
                break;
        }
        return rsync_hello_fail(h, -ECONNRESET, "the connection was closed", err);
}
