/*
 * Deletion goes by rules: the first that matches counts, on the receiver's side alone (`r`), where `+` is what may go
 * and `-` what stays. Below what is removed, nothing matches any more, since patterns that begin with a slash are about
 * what is directly in one directory.
 *
 *      remove          unmark
 *      +r /NAME        +r /.rsync-system-backup/complete/NAME
 *      -r /%           -r /.rsync-system-backup/complete/%
 *                      -r /.rsync-system-backup/%
 *                      -r /%                                       (% for an asterisk)
 *
 * Directories that are told of, but are not there, are not made, by `--existing`.
 */
#include "transfer/rsync/rsync_chore.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/report.h"
#include "transfer/rsync/rsync_hello.h"
#include "transfer/rsync/rsync_push.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

enum { DIRECTORY_MODE = S_IFDIR | 0755, FILE_MODE = S_IFREG | 0644, RULES_MAX = 4, GIVEN_MAX = 4 };

void rsync_chore_arguments(enum rsync_chore chore, struct rsync_arguments *a)
{
        *a = (struct rsync_arguments){
                .bare = true,
                .delete_missing = chore != RSYNC_CHORE_MARK,
                .existing = chore != RSYNC_CHORE_MARK,
                .timeout_s = a->timeout_s,
                .destination = a->destination,
        };
}

static bool is_name_sane(const char *name)
{
        return *name && strlen(name) <= NAME_MAX && !strchr(name, '/') && !str_equal(name, ".") &&
               !str_equal(name, "..");
}

/* Backslashes stand for themselves in a pattern that has nothing else that is special. */
static int put_pattern(struct buf *b, const char *name)
{
        bool is_pattern = strpbrk(name, "*?[");
        int r = 0;

        for (const char *c = name; *c && r == 0; c++) {
                if (is_pattern && strchr("*?[\\", *c))
                        r = buf_putc(b, '\\');
                r = r < 0 ? r : buf_putc(b, *c);
        }
        return r;
}

/* "+r /[DIRECTORY/]NAME" */
static int put_risk(struct buf *b, const char *directory, const char *name)
{
        int r = buf_printf(b, "+r /%s%s", directory, *directory ? "/" : "");

        return r < 0 ? r : put_pattern(b, name);
}

static int push(const struct rsync_push_config *config, struct err *err)
{
        _cleanup_(report_freep) struct report *report = NULL;
        struct rsync_push_config c = *config;
        struct rsync_push_result result;
        int r = report_new(&report, &(struct report_config){ .is_imagined = true }, err);

        if (r < 0)
                return r;
        c.report = report;
        c.source = NULL;
        c.spool = c.replay = NULL;
        c.retold = NULL;
        r = rsync_push(&c, &result, err);
        if (r == 0 && result.is_partial)
                return err_runf(err, -EIO, "%s: the server could not do all that it was asked for", c.peer);
        return r;
}

static int mark(struct rsync_push_config *c, const char *name, struct err *err)
{
        _cleanup_(buf_deinit) struct buf path = { .data = NULL };
        struct rsync_given given[GIVEN_MAX] = { { ".", DIRECTORY_MODE },
                                                { RSYNC_CHORE_DIRECTORY, DIRECTORY_MODE },
                                                { RSYNC_CHORE_MARKS, DIRECTORY_MODE } };
        int r;

        if (buf_printf(&path, "%s/%s", RSYNC_CHORE_MARKS, name) < 0)
                return err_oom(err);
        given[3] = (struct rsync_given){ path.data, FILE_MODE };
        c->given = given;
        c->given_count = ARRAY_SIZE(given);
        r = push(c, err);
        c->given = NULL;
        return r;
}

static int unmark(struct rsync_push_config *c, const char *name, struct err *err)
{
        static const struct rsync_given given[] = { { ".", DIRECTORY_MODE },
                                                    { RSYNC_CHORE_DIRECTORY, DIRECTORY_MODE },
                                                    { RSYNC_CHORE_MARKS, DIRECTORY_MODE } };
        _cleanup_(buf_deinit) struct buf risk = { .data = NULL };
        const char *rules[RULES_MAX] = { NULL, "-r /" RSYNC_CHORE_MARKS "/*", "-r /" RSYNC_CHORE_DIRECTORY "/*",
                                         "-r /*" };

        if (put_risk(&risk, RSYNC_CHORE_MARKS, name) < 0)
                return err_oom(err);
        rules[0] = risk.data;
        c->given = given;
        c->given_count = ARRAY_SIZE(given);
        c->rules = rules;
        c->rule_count = RULES_MAX;
        return push(c, err);
}

static int remove_tree(struct rsync_push_config *c, const char *name, struct err *err)
{
        static const struct rsync_given given[] = { { ".", DIRECTORY_MODE } };
        _cleanup_(buf_deinit) struct buf risk = { .data = NULL };
        const char *rules[] = { NULL, "-r /*" };

        if (put_risk(&risk, "", name) < 0)
                return err_oom(err);
        rules[0] = risk.data;
        c->given = given;
        c->given_count = ARRAY_SIZE(given);
        c->rules = rules;
        c->rule_count = ARRAY_SIZE(rules);
        return push(c, err);
}

int rsync_chore(enum rsync_chore chore, const struct rsync_push_config *config, const char *name, struct err *err)
{
        static int (*const chores[])(struct rsync_push_config * c, const char *name, struct err *err) = {
                [RSYNC_CHORE_MARK] = mark,
                [RSYNC_CHORE_UNMARK] = unmark,
                [RSYNC_CHORE_REMOVE] = remove_tree,
        };
        struct rsync_arguments arguments = *config->hello->arguments;
        struct rsync_hello_config hello = *config->hello;
        struct rsync_push_config c = *config;

        if (!is_name_sane(name))
                return err_runf(err, -EINVAL, "'%s' cannot be the name of a snapshot", name);
        rsync_chore_arguments(chore, &arguments);
        hello.arguments = &arguments;
        c.hello = &hello;
        return chores[chore](&c, name, err);
}
