/*
 * A connection that breaks is made again, up to --retries times in all, and what was under way is begun anew: a
 * transfer goes on from what is stored, listing and removing twice comes to the same, and of two snapshots of the same
 * tree none is wrong. The old agent may hold its locks until it has noticed that it is alone.
 */
#include "far/far.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/report.h"
#include "base/stop.h"
#include "progress.h"
#include "storage/identity.h"
#include "transfer/exchange/channel.h"

#include <errno.h>
#include <fcntl.h>

enum { LOCKED_PATIENCE_S = 120 };

static unsigned wishes(const struct far *f)
{
        const struct options *o = f->d.config->options;
        bool lists = report_lists_changes(f->d.config->report);

        return (o->dry_run ? REQUEST_DRY_RUN : 0U) | (o->force ? REQUEST_FORCE : 0U) |
               (o->no_sudo ? REQUEST_NO_SUDO : 0U) | (o->backup ? REQUEST_BACKUP : 0U) |
               (o->snapshot ? REQUEST_SNAPSHOT : 0U) | (o->rotate ? REQUEST_ROTATE : 0U) |
               (lists ? REQUEST_LIST_CHANGES : 0U) | (f->source_is_empty ? REQUEST_SOURCE_EMPTY : 0U) |
               (o->attended ? REQUEST_ATTENDED : 0U) | (o->verbosity >= 1 ? REQUEST_VERBOSE : 0U) |
               (o->verbosity >= 2 ? REQUEST_DEBUG : 0U) | (o->task == OPTIONS_LIST ? REQUEST_SURVEY : 0U);
}

/* Return 0, DESTINATION_ABSENT, or a negative errno with @err filled. */
static int ask_prepare(struct far *f, struct err *err)
{
        static char nothing[] = "";
        const struct options *o = f->d.config->options;
        const struct request_prepare p = { .path = o->destination.path,
                                           .mount = o->mount ? o->mount : nothing,
                                           .crypto = o->crypto ? o->crypto : nothing,
                                           .flags = wishes(f),
                                           .ionice = (unsigned)o->ionice };
        struct wire_message m;
        int r = far_ask(f, request_put_prepare(far_begin(f, MESSAGE_PREPARE), &p), &m, err);

        if (r < 0)
                return r;
        if (m.type == MESSAGE_ABSENT)
                return DESTINATION_ABSENT;
        if (m.type != MESSAGE_OK)
                return far_fail_answer(f, "the answer to PREPARE", err);
        request_place_deinit(&f->place);
        if (request_get_place(&m, &f->place, err) < 0) {
                f->is_broken = true;
                return err_context(err, far_host(f));
        }
        remote_greet(f->remote);
        f->d.keeps_all = f->place.flags & REQUEST_KEEPS_ALL;
        return 0;
}

int far_connect(struct far *f, struct err *err)
{
        int r;

        f->is_broken = f->passes_over = false;
        r = remote_open(&f->remote, f->d.config->options, err);
        if (r < 0)
                return r;
        channel_while_waiting(remote_channel(f->remote), far_tick, f);
        return ask_prepare(f, err);
}

/* Does the agent run on this machine, so that it sees the same inodes? */
static bool is_near(const struct far *f)
{
        char boot[IDENTITY_SIZE];

        identity_boot(boot);
        return *boot && f->place.boot && str_equal(boot, f->place.boot);
}

int far_find_avoided(const struct far *f, struct source_avoid *ret, struct err *err)
{
        *ret = (struct source_avoid){ .parent_fd = -1 };
        if (!is_near(f))
                return 0;
        ret->items = calloc(f->place.count + 1, sizeof(*ret->items));
        if (!ret->items)
                return err_oom(err);
        for (; ret->count < f->place.count; ret->count++)
                ret->items[ret->count] = (struct source_avoided){ .dev = f->place.avoided[ret->count].dev,
                                                                  .ino = f->place.avoided[ret->count].ino };
        ret->parent_fd = open(f->place.parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return 0;
}

/* ---- connecting again ---- */

void far_hang_up(struct far *f)
{
        remote_news_end(&f->news);
        f->remote = remote_close(f->remote);
        report_hear_end(f->d.config->report);
}

/* May another attempt go better? What the agent itself refuses it refuses again, but for the lock of the one before. */
static bool is_passing(const struct far *f, int code, double since)
{
        if (code == -EWOULDBLOCK)
                return progress_now() - since < LOCKED_PATIENCE_S;
        if (code == -ECONNRESET || code == -ETIMEDOUT)
                return true;
        /* ssh_open() has failed. */
        return !f->remote && code != -ECANCELED && code != -ENOMEM;
}

/* @err, which is filled, ended the conversation. Return 0 when there is another one, else @err is the last reason. */
static int connect_again(struct far *f, struct err *err)
{
        double since = progress_now();
        int r = err->code;

        while (f->was_prepared && is_passing(f, r, since) && !stop_requested()) {
                far_hang_up(f);
                if (patience_wait(&f->patience, r != -EWOULDBLOCK, err) < 0)
                        return err->code;
                r = far_connect(f, err);
                if (r == DESTINATION_ABSENT)
                        r = err_runf(err, -ENODEV, "%s: the disk is not plugged in any more", far_host(f));
                if (r == 0)
                        return 0;
        }
        return r;
}

int far_persist(struct far *f, int (*step)(struct far *f, void *context, struct err *err), void *context,
                struct err *err)
{
        int r = f->is_broken || !f->remote ? err_runf(err, -ENOTCONN, "%s: the connection is gone", far_host(f))
                                           : step(f, context, err);

        while (r < 0 && f->is_broken && (r == -ECONNRESET || r == -ETIMEDOUT)) {
                r = connect_again(f, err);
                if (r == 0)
                        r = step(f, context, err);
                else
                        break;
        }
        return r;
}
