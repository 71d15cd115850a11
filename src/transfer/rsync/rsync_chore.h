/*
 * What snapshots on an rsync daemon need beside transfers: marks of those that are complete, and their end. Each is a
 * small push into the directory DIR that the snapshots are in, and touches nothing else there; directories keep their
 * metadata but for what the server's kernel makes of it.
 *
 *      mark      DIR/.rsync-system-backup/complete/NAME is there, and empty; so are the directories above it
 *      unmark    it is gone; nothing is made
 *      remove    DIR/NAME and all below it is gone; nothing is made
 *
 * A snapshot is removed by unmark, then by remove, in two conversations: in one, the server would choose the order.
 * What the server does not want to remove (its own filters protect it) is not always an error: only a listing tells.
 */
#pragma once

#include "base/util.h"

struct err;
struct rsync_arguments;
struct rsync_push_config;

enum rsync_chore { RSYNC_CHORE_MARK, RSYNC_CHORE_UNMARK, RSYNC_CHORE_REMOVE };

/* Where marks are, in DIR. */
#define RSYNC_CHORE_DIRECTORY ".rsync-system-backup"
#define RSYNC_CHORE_MARKS RSYNC_CHORE_DIRECTORY "/complete"

/*
 * @config: as for rsync_push(), of which the connection is used, and of its arguments the destination, "MODULE/DIR/"
 * (which exists, or its last directory would be made), and the timeout. @name: one component, of any bytes. Return 0,
 * or a negative errno with @err filled: -EINVAL for what is no such name, -EIO when the server could not do it, else as
 * rsync_push(). Nothing is told to config->report, which may be NULL.
 */
int rsync_chore(enum rsync_chore chore, const struct rsync_push_config *config, const char *name, struct err *err);

/* What the server is started with, for rsync_arguments_command(). */
void rsync_chore_arguments(enum rsync_chore chore, struct rsync_arguments *a);
