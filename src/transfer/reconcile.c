/*
 * Fit the entry to what the destination can hold, load what is there, decide, act.
 *
 *      one name of its inode          update_single():  decide() -> put_...()
 *      one of several names           update_linked():  the first as above, the others become links of its inode
 *      a directory                    update_directory(): metadata now, content by a task of its own
 */
#include "transfer/reconcile.h"

#include "base/arena.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/meta.h"
#include "transfer/decide.h"
#include "transfer/discard.h"
#include "transfer/limits.h"
#include "transfer/links.h"
#include "transfer/put.h"
#include "transfer/source.h"
#include "transfer/suspect.h"
#include "transfer/update.h"
#include "transfer/verify.h"
#include "transfer/visit.h"

#include <errno.h>

/* It looks equal, but must not be trusted to be. Return 1 when its content differs, or as verify_content(). */
static int has_changed_unseen(struct visit *v, struct entry *want, const struct entry *have, struct err *err)
{
        const struct update_config *c = v->update->config;
        bool from_disk = suspect_is(c, have);
        int r;

        if (v->content != VISIT_CONTENT_UNKNOWN)
                return v->content == VISIT_CONTENT_OTHER;
        if (v->from.is_remote) {
                v->awaits = VISIT_AWAITS_HASH;
                return SOURCE_LATER;
        }
        r = verify_content(&v->from, want, v->to.fd, from_disk, c->report, err);

        if (r != SOURCE_RENEWED)
                return r;
        limits_fit(c->limits, want, c->report, v->to.path);
        return 1;
}

static bool must_verify(const struct update_config *c, const struct entry *want, const struct entry *have)
{
        return (c->has_reference && timespec_compare(want->ctime, c->reference) >= 0) || suspect_is(c, have);
}

/* Groups that split at the source leave no trace but a newer ctime. */
static bool may_have_split(const struct update_config *c, const struct entry *want, const struct entry *have)
{
        if (have->nlink < 2)
                return false;
        return want->nlink > 1 || !c->has_reference || timespec_compare(want->ctime, c->reference) >= 0;
}

/*
 * An inode that is kept, be it as it should be or no worse than a new one, stands for one file of the source. Return 1
 * when that is another than @want, 0, or a negative errno with @err filled.
 */
static int stands_for_another(struct visit *v, const struct entry *want, const struct entry *have, struct err *err)
{
        int r;

        if (!may_have_split(v->update->config, want, have))
                return 0;
        r = links_claim(v->update->links, have->ino, want->dev, want->ino, err);
        return r < 0 ? r : r == 0;
}

/* Somebody has made `latest` of hard links: what is written at the source would be written to snapshots. */
static bool is_the_source(const struct visit *v, const struct entry *want, const struct entry *have)
{
        return !v->from.is_remote && have && entry_is_same_inode(want, have);
}

/* decide(), and what it takes to know. */
static int find_verdict(struct visit *v, struct entry *want, const struct entry *have, struct decision *ret,
                        struct err *err)
{
        const struct update_config *c = v->update->config;
        struct decide_hints hints = { .verify = have && must_verify(c, want, have),
                                      .wrong_inode = is_the_source(v, want, have) };
        int r;

        *ret = decide(want, have, &hints);
        if (!have)
                return 0;
        if (ret->verdict == DECIDE_COMPARE) {
                r = has_changed_unseen(v, want, have, err);
                if (r < 0 || r == SOURCE_VANISHED || r == SOURCE_LATER)
                        return r;
                if (r > 0) {
                        *ret = (struct decision){ .verdict = DECIDE_REPLACE, .why = REPORT_WHY_CONTENT };
                        return 0;
                }
                hints.verified = true;
                *ret = decide(want, have, &hints);
        }
        if (ret->verdict == DECIDE_KEEP) {
                r = stands_for_another(v, want, have, err);
                if (r <= 0)
                        return r;
                hints.wrong_inode = true;
                *ret = decide(want, have, &hints);
        }
        return 0;
}

void reconcile_tell(struct visit *v, const struct entry *want, const struct decision *d)
{
        static const struct {
                enum report_verb verb;
                enum report_count count;
        } shown[] = {
                [DECIDE_MAKE] = { REPORT_VERB_NEW, REPORT_NEW },
                [DECIDE_RETYPE] = { REPORT_VERB_TYPE, REPORT_CHANGED },
                [DECIDE_REPLACE] = { REPORT_VERB_CHANGED, REPORT_CHANGED },
                [DECIDE_RELINK] = { REPORT_VERB_METADATA, REPORT_METADATA },
                [DECIDE_ADJUST] = { REPORT_VERB_METADATA, REPORT_METADATA },
        };

        enum decide_verdict verdict = d->verdict == DECIDE_MAKE && v->retyped ? DECIDE_RETYPE : d->verdict;

        if (verdict == DECIDE_KEEP)
                return;
        report_add(v->update->config->report, shown[verdict].count, 1);
        visit_tell(v, shown[verdict].verb, want, d->why);
}

/*
 * What a real run would copy, where it could read it: holes are none of it. Return 0, PUT_VANISHED, or a negative errno
 * with @err filled.
 */
static int imagine(struct visit *v, const struct entry *want, const struct decision *d, struct err *err)
{
        int r = 0;

        if (!entry_is_file(want) || d->verdict == DECIDE_ADJUST)
                return 0;
        if (!v->from.is_remote)
                r = source_may_open(&v->from, want, err);
        if (r == 0)
                report_add(v->update->config->report, REPORT_COPIED_BYTES,
                           want->blocks * 512 < want->size ? want->blocks * 512 : want->size);
        return r == SOURCE_VANISHED ? PUT_VANISHED : r;
}

/* Act on the verdict. Return 0 with the inode that now stands for the entry, or PUT_TOLD, PUT_VANISHED, PUT_LACKING. */
static int carry_out(struct visit *v, struct entry *want, const struct entry *have, const struct decision *d,
                     ino_t *ret_ino, struct err *err)
{
        bool same_content = d->verdict == DECIDE_RELINK || d->verdict == DECIDE_ADJUST;
        int r = PUT_NOT_IN_PLACE;

        /* A dry run does not know the inode that it would make. */
        *ret_ino = have && (d->verdict == DECIDE_KEEP || d->verdict == DECIDE_ADJUST) ? have->ino : 0;
        if (d->verdict == DECIDE_KEEP)
                return 0;
        if (v->update->config->dry_run)
                return imagine(v, want, d, err);
        if (d->verdict == DECIDE_ADJUST)
                r = put_metadata(&v->to, want, have, err);
        if (r == PUT_NOT_IN_PLACE)
                r = put_entry(&v->to, want, have, same_content, ret_ino, err);
        if (r == PUT_TOLD && have && *ret_ino == have->ino) {
                r = stands_for_another(v, want, have, err);
                if (r <= 0)
                        return r < 0 ? r : PUT_TOLD;
                r = put_entry(&v->to, want, have, false, ret_ino, err);
        }
        if (r == PUT_LATER)
                v->awaits = VISIT_AWAITS_CONTENT;
        return r;
}

/* An entry with an inode of its own, or the first of its group. */
static int update_single(struct visit *v, struct entry *want, const struct entry *have, ino_t *ret_ino, struct err *err)
{
        struct decision d;
        int r = find_verdict(v, want, have, &d, err);

        if (r == SOURCE_VANISHED)
                r = PUT_VANISHED;
        else if (r == SOURCE_LATER)
                r = PUT_LATER;
        else if (r == 0)
                r = carry_out(v, want, have, &d, ret_ino, err);
        v->decision = d;
        if (r == 0)
                reconcile_tell(v, want, &d);
        if (r == PUT_VANISHED)
                report_vanished(v->update->config->report, v->to.path, want->name);
        return r == PUT_TOLD ? 0 : r;
}

/* The inode takes no more links: one more of the same, which the rest of the group moves to. */
static int move_group(struct visit *v, struct entry *want, const struct entry *have, struct links_group *group,
                      struct err *err)
{
        ino_t ino;
        int r = put_entry(&v->to, want, have, false, &ino, err);

        if (r == PUT_LATER) {
                v->group = group;
                v->moves_group = true;
        }
        if (r != 0)
                return r;
        r = links_move(v->update->links, group, ino, v->to.path, want->name, err);
        if (r == LINKS_SPLIT)
                report_lack(v->update->config->report, REPORT_LACK_HARDLINK, false, v->to.path, want->name);
        return r < 0 ? r : 0;
}

static int follow(struct visit *v, struct entry *want, const struct entry *have, struct links_group *group,
                  const struct links_home *home, struct err *err)
{
        const struct update_config *c = v->update->config;
        ino_t ino;
        int r = 0;

        if (have && have->ino == home->ino)
                return 0;
        if (!c->dry_run)
                r = put_link(&v->to, want->name, home, have != NULL, err);
        if (r == PUT_TOO_MANY_LINKS)
                r = move_group(v, want, have, group, err);
        if (r == PUT_LACKING)
                r = put_entry(&v->to, want, have, false, &ino, err);
        if (r == PUT_LATER)
                v->awaits = VISIT_AWAITS_CONTENT;
        if (r != 0)
                return r;
        report_add(c->report, REPORT_LINKED, 1);
        visit_tell(v, REPORT_VERB_LINKED, want, REPORT_WHY_LINKS);
        return 0;
}

/* A receiver, which is one thread, must not wait for what only it can do. */
static int enter_group(struct visit *v, const struct entry *want, struct links_group **ret, struct links_home *ret_home,
                       struct err *err)
{
        const struct links_file file = { .dev = want->dev, .ino = want->ino, .born = want->born };
        struct links *links = v->update->links;

        return v->from.is_remote ? links_try(links, &file, ret, ret_home, err)
                                 : links_enter(links, &file, ret, ret_home, err);
}

static int update_linked(struct visit *v, struct entry *want, const struct entry *have, struct err *err)
{
        struct links *links = v->update->links;
        const struct entry listed = *want;
        struct links_group *group;
        struct links_home home;
        ino_t ino;
        int r = enter_group(v, want, &group, &home, err);

        if (r < 0)
                return r;
        if (!v->is_repeated && entry_is_file(want) && !links_is_counted(links, group))
                report_add(v->update->config->report, REPORT_BYTES, want->size);
        if (r == LINKS_FOLLOW)
                return follow(v, want, have, group, &home, err);
        v->group = group;
        if (r == LINKS_BUSY) {
                v->awaits = VISIT_AWAITS_LEADER;
                return PUT_LATER;
        }
        r = update_single(v, want, have, &ino, err);
        /* Another file may have taken its name meanwhile: then that one is stored, and stands for nobody else. */
        if (r == 0 && entry_is_same_inode(want, &listed))
                return links_settle(links, group, ino, v->to.path, want->name, err);
        if (r == PUT_LATER)
                return r;
        links_fail(links, group);
        return r;
}

/* Something else has the name, or a directory: make way. In a dry run it is only told. */
static int clear_way(struct visit *v, const struct entry *have, struct err *err)
{
        char aside[TEMPORARY_SIZE];
        int r;

        if (v->update->config->dry_run)
                return entry_is_dir(have) ? discard_directory(v, have->name, have->ino, err) : 0;
        if (!entry_is_dir(have))
                return put_removed(&v->to, have->name, err);
        r = put_aside(&v->to, have->name, aside, err);
        return r < 0 ? r : discard_aside(v, aside, have, err);
}

static int update_leaf(struct visit *v, struct entry *want, const struct entry *have, struct err *err)
{
        ino_t ino;
        int r = 0;

        v->retyped = (v->is_repeated && v->retyped) || (have && entry_is_dir(have));
        if (have && entry_is_dir(have)) {
                r = clear_way(v, have, err);
                have = NULL;
        }
        if (r == 0)
                r = want->nlink > 1 ? update_linked(v, want, have, err) : update_single(v, want, have, &ino, err);
        /* What the source no longer has must go, also when its successor cannot be held. */
        if (r == PUT_LACKING && have)
                return put_removed(&v->to, have->name, err);
        if (r == PUT_LATER)
                return RECONCILE_LATER;
        return r < 0 ? r : 0;
}

static int update_directory(struct visit *v, struct entry *want, const struct entry *have, struct err *err)
{
        const struct update_config *c = v->update->config;
        struct decision d = decide(want, have, &(struct decide_hints){ .verify = false });
        bool adjust = d.verdict == DECIDE_ADJUST;
        struct crew_child child = { .name = want->name };
        ino_t ino = have ? have->ino : 0;
        int r = 0;

        v->retyped = false;
        if (have && d.verdict == DECIDE_RETYPE) {
                r = clear_way(v, have, err);
                have = NULL;
        }
        if (r == 0 && !c->dry_run)
                r = put_directory(&v->to, want, have, adjust, &ino, err);
        if (r < 0)
                return r;
        if (!adjust)
                reconcile_tell(v, want, &d);
        child.dev[CREW_FROM] = want->dev;
        child.ino[CREW_FROM] = want->ino;
        child.dev[CREW_TO] = v->update->to_dev;
        child.ino[CREW_TO] = ino;
        return visit_add(v, &child,
                         (struct visit_task){ .content_omitted = want->content_omitted,
                                              .missing = c->dry_run && !have,
                                              .why = adjust && r != PUT_TOLD ? d.why : 0,
                                              .mode = want->mode & 07777,
                                              .mtime = want->mtime },
                         err);
}

int reconcile_load_old(struct visit *v, const char *name, struct entry *ret, struct err *err)
{
        const char *failed;
        int r = entry_load(ret, v->to.fd, name, v->from.arena, &failed);

        if (r == -ENOENT)
                return 0;
        if (r == 0 && ret->is_mount_point)
                return err_item_at(err, -EXDEV, "change what is mounted in the destination at", v->to.path, name);
        if (r == 0 && entry_is_dir(ret) && ret->dev != v->update->to_dev)
                return err_destination_at(err, -EXDEV, "change another filesystem at", v->to.path, name);
        /* What we may not read of our own file: see complete_old(). */
        if ((r == -EACCES || r == -EPERM) && ret->mode != 0) {
                if (!ret->target)
                        ret->target = "";
                limits_disregard(v->update->config->limits, ret);
                return 1;
        }
        if (r < 0)
                return err_destination_at(err, r, failed, v->to.path, name);
        limits_disregard(v->update->config->limits, ret);
        return 1;
}

/*
 * Some attributes of @have, which is our own, may not be read. If nothing of the file has changed at the source since
 * the last complete transfer they are what that has stored; else it is replaced.
 */
static void complete_old(const struct update_config *c, const struct entry *want, struct entry *have)
{
        bool is_known = entry_is_file(want) && entry_is_file(have) && have->xattrs.count > 0 && c->has_reference &&
                        timespec_compare(want->ctime, c->reference) < 0;

        for (size_t i = 0; i < have->xattrs.count && is_known; i++) {
                struct xattr *own = &have->xattrs.items[i];
                const struct xattr *other = own->is_closed ? xattrs_find(&want->xattrs, own->name) : own;

                is_known = other != NULL;
                if (other)
                        *own = *other;
        }
        if (!is_known)
                have->mtime.tv_nsec = -1;
}

/* What looks equal is not touched again: it must be on the disk as it looks. */
static int write_suspect(struct visit *v, const struct entry *have, struct err *err)
{
        const struct update_config *c = v->update->config;
        int r = have && !c->dry_run && suspect_is(c, have) ? suspect_write(v->to.fd, have) : 0;

        return r < 0 ? err_destination_at(err, r, "set the metadata of", v->to.path, have->name) : 0;
}

/* What is equal to all that is stored needs no second look. */
static int load_bare(struct visit *v, struct entry *want, const struct entry *have, struct err *err)
{
        const struct decide_hints hints = { .verify = false };
        int r = source_load_loosely(&v->from, want, err);

        if (r != 0 || (have && decide(want, have, &hints).verdict == DECIDE_KEEP))
                return r;
        return source_settle(&v->from, want, err);
}

/* All of @want, as the destination can hold it. A new file is opened anyway, and stays bare until then. */
static int load_wanted(struct visit *v, struct entry *want, const struct entry *have, struct err *err)
{
        const struct update_config *c = v->update->config;
        int r;

        if (!have && entry_is_file(want) && !c->dry_run)
                return 0;
        r = want->is_bare ? load_bare(v, want, have, err) : 0;
        if (r == 0)
                limits_fit(c->limits, want, c->report, v->to.path);
        if (r == SOURCE_VANISHED)
                report_vanished(c->report, v->to.path, want->name);
        return r;
}

int reconcile_entry(struct visit *v, struct entry *want, const char *old_name, struct err *err)
{
        const struct update_config *c = v->update->config;
        struct entry old = { .name = NULL };
        const struct entry *have;
        int r = old_name ? reconcile_load_old(v, old_name, &old, err) : 0;

        if (r < 0)
                return r;
        v->awaits = VISIT_AWAITS_NOTHING;
        v->group = NULL;
        v->moves_group = false;
        have = r > 0 ? &old : NULL;
        r = write_suspect(v, have, err);
        if (r == 0)
                r = load_wanted(v, want, have, err);
        if (r != 0)
                return r < 0 ? r : 0;
        if (have && have->is_bare)
                complete_old(c, want, &old);
        if (!v->is_repeated)
                report_add(c->report, REPORT_ENTRIES, 1);
        /* Of several names each is an entry, and the file one: see update_linked(). */
        if (!v->is_repeated && entry_is_file(want) && want->nlink <= 1)
                report_add(c->report, REPORT_BYTES, want->size);
        return entry_is_dir(want) ? update_directory(v, want, have, err) : update_leaf(v, want, have, err);
}

/* ---- the root ---- */

/* Its metadata, as far as they do not come last. Return 0 or a negative errno with @err filled. */
static int adjust_root(const struct update_config *c, const struct entry *want, const struct entry *have,
                       struct visit_task *ret, unsigned why, struct err *err)
{
        unsigned flags =
                (c->limits->privileged ? 0 : META_KEEP_ACCESS) | (c->limits->xattr_system ? 0 : META_KEEP_LABELS);
        const char *failed;
        int r = c->dry_run ? 0 : meta_apply(c->to_fd, want, have, flags, &failed);

        if (r == 0) {
                ret->why = c->to_is_new ? 0 : why;
                return 0;
        }
        err_destination_at(err, r, failed, "the destination directory", NULL);
        if (err->kind == ERR_RUN)
                return r;
        report_item(c->report, err);
        return 0;
}

int reconcile_root(struct update *u, struct entry *want, struct arena *arena, struct visit_task *ret, struct err *err)
{
        const struct update_config *c = u->config;
        struct entry have;
        struct decision d;
        const char *failed;
        int r;

        limits_fit(c->limits, want, c->report, "");
        report_add(c->report, REPORT_ENTRIES, 1);
        *ret = (struct visit_task){ .mode = want->mode & 07777, .mtime = want->mtime, .missing = c->to_fd < 0 };
        if (c->to_is_new) {
                report_change(c->report, REPORT_VERB_NEW, NULL, ".", true, 0);
                report_add(c->report, REPORT_NEW, 1);
        }
        if (c->to_fd < 0)
                return 0;
        r = entry_load_fd(&have, c->to_fd, "", arena, &failed);
        if (r < 0)
                return err_run(err, r, failed, "the destination directory");
        u->to_dev = have.dev;
        if (!c->dry_run && suspect_is(c, &have))
                r = suspect_write_fd(c->to_fd, &have);
        if (r < 0)
                return err_run(err, r, "set the metadata of", "the destination directory");
        limits_disregard(c->limits, &have);
        d = decide(want, &have, &(struct decide_hints){ .verify = false });
        if (d.verdict != DECIDE_ADJUST && c->limits->privileged)
                return 0;
        return adjust_root(c, want, &have, ret, d.verdict == DECIDE_ADJUST ? d.why : 0, err);
}
