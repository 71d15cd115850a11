/* The names of the fields are prefixes of their values here, as the journal takes them. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "system/journal.h"

#include <stdio.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

enum { FIELDS_MAX = 40, TEXT_MAX = 2048 };

/* Where sd_journal_sendv() writes; it takes one that is not there for success. */
static const char journal_socket[] = "/run/systemd/journal/socket";

struct entry {
        struct iovec fields[FIELDS_MAX];
        int count;
        /* What the first ones are in. */
        char message[TEXT_MAX], path[TEXT_MAX], step[64], priority[16], code[32], id[64];
};

static void add(struct entry *e, const char *field)
{
        struct iovec *to = &e->fields[e->count];

        if (e->count >= FIELDS_MAX)
                return;
        /* What is only read from; struct iovec has one kind of pointer for both. */
        memcpy(&to->iov_base, &field, sizeof(field));
        to->iov_len = strlen(field);
        e->count++;
}

static void add_fields(struct entry *e, const struct log_fields *f)
{
        const char *id = journal_id(f->event);

        if (id) {
                snprintf(e->id, sizeof(e->id), "MESSAGE_ID=%s", id);
                add(e, e->id);
        }
        if (f->path && *f->path) {
                snprintf(e->path, sizeof(e->path), "RSB_PATH=%s", f->path);
                add(e, e->path);
        }
        if (f->code < 0) {
                snprintf(e->code, sizeof(e->code), "ERRNO=%d", -f->code);
                add(e, e->code);
        }
        for (const char *const *more = f->more; more && *more; more++)
                add(e, *more);
}

static bool send_entry(enum log_level level, const char *text, const char *step, const struct log_fields *fields)
{
        static const int priorities[] = {
                [LOG_LEVEL_ERROR] = LOG_ERR,
                [LOG_LEVEL_WARNING] = LOG_WARNING,
                [LOG_LEVEL_INFO] = LOG_INFO,
                [LOG_LEVEL_DEBUG] = LOG_DEBUG,
        };
        struct entry e = { .count = 0 };

        if (access(journal_socket, W_OK) < 0)
                return false;
        snprintf(e.message, sizeof(e.message), "MESSAGE=%s", text);
        add(&e, e.message);
        snprintf(e.priority, sizeof(e.priority), "PRIORITY=%d", priorities[level]);
        add(&e, e.priority);
        add(&e, "SYSLOG_IDENTIFIER=rsync-system-backup");
        if (step) {
                snprintf(e.step, sizeof(e.step), "RSB_STEP=%s", step);
                add(&e, e.step);
        }
        add_fields(&e, fields);
        return sd_journal_sendv(e.fields, e.count) >= 0;
}

void journal_begin(void)
{
        log_structured(send_entry);
}
