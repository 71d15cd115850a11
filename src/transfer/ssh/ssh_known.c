/*
 * libssh takes no notice of the markers, and has a line with a wildcard match whatever is excluded beside it: so lines
 * are taken apart here, and only hashed names are left to it. A line that makes no sense says nothing, as for ssh(1).
 */
#include "transfer/ssh/ssh_known.h"

#include "transfer/ssh/ssh_config.h"

#include <stdio.h>

struct line {
        char *marker, *names, *type, *key; /* into the line, or NULL */
};

static char *next_field(char **rest)
{
        char *field = *rest + strspn(*rest, " \t\r");
        size_t size = strcspn(field, " \t\r");

        if (size == 0)
                return NULL;
        *rest = field + size + (field[size] != '\0');
        field[size] = '\0';
        return field;
}

static bool take_apart(struct line *line, char *text)
{
        *line = (struct line){ .names = next_field(&text) };
        if (!line->names || *line->names == '#')
                return false;
        if (*line->names == '@') {
                line->marker = line->names;
                line->names = next_field(&text);
        }
        line->type = line->names ? next_field(&text) : NULL;
        line->key = line->type ? next_field(&text) : NULL;
        return line->key;
}

static bool matches_hashed(const struct line *line, const char *name)
{
        struct ssh_knownhosts_entry *entry = NULL;
        _cleanup_(buf_deinit) struct buf plain = { .data = NULL };
        int r;

        if (buf_printf(&plain, "%s %s %s", line->names, line->type, line->key) < 0)
                return false;
        r = ssh_known_hosts_parse_line(name, plain.data, &entry);
        if (r == SSH_OK)
                ssh_knownhosts_entry_free(entry);
        return r == SSH_OK;
}

static bool matches(const struct line *line, const char *name)
{
        if (*line->names == '|')
                return matches_hashed(line, name);
        return ssh_config_list_matches(name, line->names, true);
}

static int note_type(struct buf *types, const char *type)
{
        if (ssh_config_list_matches(type, buf_text(types), false))
                return 0;
        return buf_printf(types, "%s%s", types->size > 0 ? "," : "", type);
}

static void note_other(struct ssh_known *k, const char *file, unsigned number)
{
        if (k->others++ == 0)
                snprintf(k->other_at, sizeof(k->other_at), "%s:%u", file, number);
}

static int judge(struct ssh_known *k, const struct line *line, ssh_key key, const char *file, unsigned number)
{
        bool by_name = matches(line, k->name), by_plain = k->plain && matches(line, k->plain);
        bool is_same = k->key && ssh_key_cmp(k->key, key, SSH_KEY_CMP_PUBLIC) == 0;

        if (!by_name && !by_plain)
                return 0;
        if (line->marker && strcmp(line->marker, "@revoked") == 0) {
                k->is_revoked |= is_same;
                return 0;
        }
        if (line->marker) {
                k->has_authority |= strcmp(line->marker, "@cert-authority") == 0;
                return 0;
        }
        k->has_key |= is_same;
        if (by_name && !is_same)
                note_other(k, file, number);
        return note_type(&k->types, line->type);
}

static int look_at(struct ssh_known *k, char *text, const char *file, unsigned number)
{
        struct line line;
        ssh_key key = NULL;
        int r;

        if (!take_apart(&line, text) ||
            ssh_pki_import_pubkey_base64(line.key, ssh_key_type_from_name(line.type), &key) != SSH_OK)
                return 0;
        r = judge(k, &line, key, file, number);
        ssh_key_free(key);
        return r;
}

int ssh_known_scan(struct ssh_known *known, const char *file, const char *text, size_t size)
{
        const char *end = text + size;
        unsigned number = 0;

        while (text < end) {
                const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
                _cleanup_(freep) char *line = str_copy(text, (size_t)(stop - text));
                int r = line ? look_at(known, line, file, ++number) : -ENOMEM;

                if (r < 0)
                        return r;
                text = stop + (stop < end);
        }
        return 0;
}

void ssh_known_deinit(struct ssh_known *known)
{
        buf_deinit(&known->types);
}
