/*
 *      --server [--sender] -LETTERSe.CAPABILITIES     and then, in the same list or in a secluded one of their own:
 *      [--timeout=N] [--delete-excluded] [--existing] --numeric-ids [--link-dest=DIR] [--mkpath] . DESTINATION
 *
 * An option that a server does not know ends the conversation, often before it can say why. So only those are here that
 * 3.0 has, and those that the server's greeting promises. Letters that tell of capabilities may be unknown to it.
 */
#include "transfer/rsync/rsync_arguments.h"

#include "base/buf.h"

#include <stdio.h>

/* `C` belongs to `v`: without it, servers differ in where the seed goes. */
static const char CAPABILITIES[] = "LsfxCIvu";

static int put_letters(struct buf *out, const struct rsync_arguments *a, bool secluded)
{
        /* `e` is the last one: what follows is its value. */
        return buf_printf(out, "-%s%s%s%s%s%se.%s%s", a->bare ? "" : "lHogDtpAX", a->list_only ? "d" : "r",
                          a->one_file_system ? "x" : "", a->dry_run ? "n" : "", a->compress ? "z" : "",
                          secluded ? "s" : "", a->incremental ? "i" : "", CAPABILITIES);
}

/* One argument after the other, as a list's or a command's. */
struct list {
        struct buf *out;
        int (*put)(struct buf *out, const char *argument);
        bool for_daemon;
        int r; /* the first error */
};

static void add(struct list *l, const char *argument)
{
        if (l->r == 0)
                l->r = l->put(l->out, argument);
}

static void add_joined(struct list *l, const char *option, const char *value)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        if (l->r == 0 && buf_printf(&b, "%s%s", option, value) < 0)
                l->r = -ENOMEM;
        add(l, buf_text(&b));
}

static void add_letters(struct list *l, const struct rsync_arguments *a, bool secluded)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        if (l->r == 0 && put_letters(&b, a, secluded) < 0)
                l->r = -ENOMEM;
        add(l, "--server");
        if (a->sender)
                add(l, "--sender");
        add(l, buf_text(&b));
}

static void add_options(struct list *l, const struct rsync_arguments *a, enum rsync_generation generation)
{
        char timeout[32];

        if (a->timeout_s > 0) {
                snprintf(timeout, sizeof(timeout), "%u", a->timeout_s);
                add_joined(l, "--timeout=", timeout);
        }
        /* It implies --delete. When is the server's choice: all of those that we talk to do it directory by directory.
         */
        if (a->delete_missing)
                add(l, "--delete-excluded");
        if (a->existing)
                add(l, "--existing");
        if (!a->bare)
                add(l, "--numeric-ids");
        if (a->link_destination)
                add_joined(l, "--link-dest=", a->link_destination);
        /* From 3.2.3 on, but earlier greetings than that of 3.2.7 do not tell. */
        if (a->make_path && generation >= RSYNC_GENERATION_327)
                add(l, "--mkpath");
}

/*
 * A path that begins with a dash would be an option, also behind the dot. A daemon takes the module's name off before
 * it looks for these: the path begins behind that, and what the name begins with does not matter.
 */
static void add_destination(struct list *l, const struct rsync_arguments *a)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        const char *slash = l->for_daemon ? strchr(a->destination, '/') : NULL;
        const char *path = slash ? slash + 1 : a->destination;

        if (l->r == 0 && (buf_append(&b, a->destination, (size_t)(path - a->destination)) < 0 ||
                          buf_printf(&b, "%s%s", *path == '-' ? "./" : "", path) < 0))
                l->r = -ENOMEM;
        add(l, ".");
        add(l, buf_text(&b));
}

static bool has_any(const struct rsync_arguments *a, const char *characters)
{
        return strpbrk(a->destination, characters) || (a->link_destination && strpbrk(a->link_destination, characters));
}

/* ---- for a daemon ---- */

static int put_terminated(struct buf *out, const char *argument)
{
        return buf_append(out, argument, strlen(argument) + 1);
}

static void add_secluded(struct list *l, const struct rsync_arguments *a, enum rsync_generation generation)
{
        add(l, "rsync");
        add_options(l, a, generation);
        add_destination(l, a);
        add(l, "");
}

int rsync_arguments_put(struct buf *out, const struct rsync_arguments *a, enum rsync_generation generation)
{
        /* Patterns; what 3.4.4 takes out of options; and " MODULE/", at which the destination would be split. */
        bool secluded = has_any(a, "*?[\\ ");
        struct list l = { .out = out, .put = put_terminated, .for_daemon = true };
        size_t before = out->size;

        add_letters(&l, a, secluded);
        if (secluded) {
                add(&l, "");
                add_secluded(&l, a, generation);
        } else {
                add_options(&l, a, generation);
                add_destination(&l, a);
                add(&l, "");
        }
        if (l.r < 0)
                buf_truncate(out, before);
        return l.r;
}

/* ---- for a shell ---- */

/*
 * One character at a time by a backslash, as rsync does it itself: that is what all shells and rrsync(1) understand,
 * which knows no quotes.
 */
int rsync_arguments_word(struct buf *out, const char *word)
{
        static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._,:+@-";
        int r = buf_putc(out, ' ');

        for (const char *c = word; *c && r == 0; c++) {
                bool is_harmless = strchr(harmless, *c) || (unsigned char)*c >= 0x80 || (*c == '=' && c > word);

                /* A newline behind a backslash is none. */
                if (*c == '\n')
                        r = buf_puts(out, "'\n'");
                else
                        r = is_harmless ? buf_putc(out, *c) : buf_printf(out, "\\%c", *c);
        }
        return r;
}

int rsync_arguments_command(struct buf *out, struct buf *ret_secluded, const char *program,
                            const struct rsync_arguments *a)
{
        /* For csh there are no newlines in a word, and for rrsync(1) no backslashes. It refuses what is secluded. */
        bool secluded = has_any(a, "\\\n\r");
        _cleanup_(buf_deinit) struct buf command = { .data = NULL }, input = { .data = NULL };
        struct list l = { .out = &command, .put = rsync_arguments_word, .r = buf_puts(&command, program) };
        struct list second = { .out = &input, .put = put_terminated };

        add_letters(&l, a, secluded);
        if (secluded) {
                add_secluded(&second, a, RSYNC_GENERATION_30);
        } else {
                add_options(&l, a, RSYNC_GENERATION_30);
                add_destination(&l, a);
        }
        if (l.r < 0 || second.r < 0 || buf_reserve(out, command.size) < 0 || buf_reserve(ret_secluded, input.size) < 0)
                return -ENOMEM;
        /* There is room. */
        (void)buf_append(out, command.data, command.size);
        (void)buf_append(ret_secluded, buf_text(&input), input.size);
        return 0;
}
