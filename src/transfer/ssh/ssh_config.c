/*
 * Lines are read one by one; Host and Match turn the following ones on and off, Include reads other files in between,
 * in which Host and Match count only where the Include itself does. As ssh(1) does, all is read a second time, with the
 * name that the host has then, when a Match asks whether it is the final one.
 */
#include "transfer/ssh/ssh_config.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"
#include "transfer/ssh/ssh_keywords.h"
#include "transfer/ssh/ssh_words.h"

#include <stdio.h>

enum { INCLUDE_DEPTH_MAX = 16, INCLUDED_FILES_MAX = 1024, FILE_SHOWN_MAX = 200 };

struct parser {
        const struct ssh_config_query *query;
        const struct ssh_config_reader *reader;
        struct ssh_keywords keywords;
        const char *host; /* what patterns are compared with */
        const char *include_directory;
        bool is_final, wants_final;
        unsigned depth, files;
};

struct section {
        struct ssh_keywords_place place;
        bool is_active;
};

/* ---- Host ---- */

static int next_word(const char **rest, struct buf *word, const struct ssh_keywords_place *place, struct err *err)
{
        int r = ssh_words_next(rest, word);

        if (r == -ENOMEM)
                return err_oom(err);
        return r < 0 ? ssh_keywords_refuse(err, place, "a quote has no end") : r;
}

static int read_host(struct parser *p, struct section *s, const char *rest, bool may_apply, struct err *err)
{
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        bool matches = false, is_excluded = false;
        int r;

        while ((r = next_word(&rest, &word, &s->place, err)) == 0) {
                const char *pattern = buf_text(&word);
                bool excludes = *pattern == '!';

                if (ssh_config_pattern_matches(p->host, pattern + excludes, false)) {
                        matches |= !excludes;
                        is_excluded |= excludes;
                }
        }
        s->is_active = may_apply && matches && !is_excluded;
        return r < 0 ? r : 0;
}

/* ---- Match ---- */

struct match {
        bool result;
        bool has_exec;
        char unknown[32]; /* a criterion that cannot be judged here, or "" */
};

static bool matches_user(const struct parser *p, const char *patterns)
{
        const char *user = p->keywords.config->user;

        return ssh_config_list_matches(user ? user : p->query->local_user, patterns, false);
}

static int matches_host(const struct parser *p, const char *patterns, bool *ret, struct err *err)
{
        _cleanup_(freep) char *name = NULL;

        if (!p->is_final) {
                name = ssh_keywords_host_name(&p->keywords, p->query);
                if (!name)
                        return err_oom(err);
        }
        *ret = ssh_config_list_matches(name ? name : p->host, patterns, true);
        return 0;
}

/* A criterion with an argument. */
static int judge(struct parser *p, struct match *m, const char *name, const char *argument, bool *ret, struct err *err)
{
        *ret = true;
        if (strcasecmp(name, "host") == 0)
                return matches_host(p, argument, ret, err);
        if (strcasecmp(name, "originalhost") == 0)
                *ret = ssh_config_list_matches(p->query->host, argument, true);
        else if (strcasecmp(name, "user") == 0)
                *ret = matches_user(p, argument);
        else if (strcasecmp(name, "localuser") == 0)
                *ret = ssh_config_list_matches(p->query->local_user, argument, false);
        else if (strcasecmp(name, "exec") == 0)
                m->has_exec = true;
        else
                snprintf(m->unknown, sizeof(m->unknown), "%s", name);
        return 0;
}

/* "all", "canonical" and "final" have no argument. */
static bool judge_alone(struct parser *p, const char *name, bool *ret)
{
        if (strcasecmp(name, "all") == 0) {
                *ret = true;
                return true;
        }
        if (strcasecmp(name, "canonical") == 0) {
                *ret = false; /* names are not canonicalised here */
                return true;
        }
        if (strcasecmp(name, "final") == 0) {
                p->wants_final = true;
                *ret = p->is_final;
                return true;
        }
        return false;
}

static int read_criteria(struct parser *p, struct match *m, const char *rest, const struct ssh_keywords_place *place,
                         struct err *err)
{
        _cleanup_(buf_deinit) struct buf name = { .data = NULL }, argument = { .data = NULL };
        bool has_any = false;
        int r;

        while ((r = next_word(&rest, &name, place, err)) == 0) {
                const char *word = buf_text(&name);
                bool is_negated = *word == '!', result = false;
                char shown[64];

                word += is_negated;
                has_any = true;
                if (!judge_alone(p, word, &result)) {
                        path_show(NULL, word, shown, sizeof(shown));
                        r = next_word(&rest, &argument, place, err);
                        if (r == SSH_WORDS_END)
                                return ssh_keywords_refuse(err, place, "Match: nothing stands behind '%s'", shown);
                        if (r == 0)
                                r = judge(p, m, word, buf_text(&argument), &result, err);
                        if (r < 0)
                                return r;
                        /* What cannot be judged is as if it matched: it counts only when all the others do. */
                        if (strcasecmp(word, "exec") == 0 || m->unknown[0])
                                continue;
                }
                m->result &= result != is_negated;
        }
        if (r < 0)
                return r;
        return has_any ? 0 : ssh_keywords_refuse(err, place, "Match has no criteria");
}

static int read_match(struct parser *p, struct section *s, const char *rest, bool may_apply, struct err *err)
{
        struct match m = { .result = true };
        char shown[64];
        int r = read_criteria(p, &m, rest, &s->place, err);

        if (r < 0)
                return r;
        s->is_active = may_apply && m.result;
        if (!s->is_active)
                return 0;
        if (m.has_exec)
                return ssh_keywords_refuse(err, &s->place,
                                           "Match exec would execute a program, which rsync-system-backup does not do");
        if (!m.unknown[0])
                return 0;
        path_show(NULL, m.unknown, shown, sizeof(shown));
        return ssh_keywords_refuse(err, &s->place, "Match: '%s' is not supported", shown);
}

/* ---- files ---- */

static int read_files(struct parser *p, const char *pattern, bool may_apply, struct err *err);

/* A path in an Include, malloc'd. */
static int include_path(char **ret, struct parser *p, const char *word, const struct ssh_keywords_place *place,
                        struct err *err)
{
        if (*word == '~' && word[1] != '/')
                return ssh_keywords_refuse(err, place, "Include: only ~/ is known, no other user's home");
        if (*word == '~')
                *ret = path_join(p->query->home, word + 2);
        else
                *ret = *word == '/' ? strdup(word) : path_join(p->include_directory, word);
        return *ret ? 0 : err_oom(err);
}

static int read_include(struct parser *p, const struct section *s, const char *rest, struct err *err)
{
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        int r;

        while ((r = next_word(&rest, &word, &s->place, err)) == 0) {
                _cleanup_(freep) char *pattern = NULL;

                r = include_path(&pattern, p, buf_text(&word), &s->place, err);
                if (r < 0)
                        return r;
                if (p->depth == INCLUDE_DEPTH_MAX)
                        return ssh_keywords_refuse(err, &s->place, "Include: more than %d files deep",
                                                   INCLUDE_DEPTH_MAX);
                p->depth++;
                r = read_files(p, pattern, s->is_active, err);
                p->depth--;
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : 0;
}

static int read_line(struct parser *p, struct section *s, const char *line, bool may_apply, struct err *err)
{
        _cleanup_(buf_deinit) struct buf keyword = { .data = NULL };
        const char *rest;

        if (ssh_words_keyword(line, &keyword, &rest) < 0)
                return err_oom(err);
        if (keyword.size == 0 || *keyword.data == '#')
                return 0;
        if (strcasecmp(keyword.data, "Host") == 0)
                return read_host(p, s, rest, may_apply, err);
        if (strcasecmp(keyword.data, "Match") == 0)
                return read_match(p, s, rest, may_apply, err);
        if (strcasecmp(keyword.data, "Include") == 0)
                return read_include(p, s, rest, err);
        return s->is_active ? ssh_keywords_take(&p->keywords, keyword.data, rest, &s->place, err) : 0;
}

/* What stands before the first Host or Match is for all. A NUL ends a line, as it does for ssh(1). */
static int read_text(struct parser *p, const char *file, const struct buf *text, bool may_apply, struct err *err)
{
        struct section s = { .place = { .file = file }, .is_active = may_apply };
        const char *at = buf_text(text), *end = at + text->size;

        while (at < end) {
                const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
                _cleanup_(freep) char *line = str_copy(at, (size_t)(stop - at));
                int r;

                if (!line)
                        return err_oom(err);
                s.place.line++;
                r = read_line(p, &s, line, may_apply, err);
                if (r < 0)
                        return r;
                at = stop + (stop < end);
        }
        return 0;
}

static int read_one(struct parser *p, const char *pattern, size_t index, bool may_apply, struct err *err)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        _cleanup_(freep) char *path = NULL;
        char shown[FILE_SHOWN_MAX];
        int r = p->reader->open(p->reader->context, pattern, index, &path, &text, err);

        if (r != 0)
                return r;
        if (++p->files > INCLUDED_FILES_MAX)
                return err_usage(err, "ssh_config: more than %d files are included", INCLUDED_FILES_MAX);
        path_show(NULL, path, shown, sizeof(shown));
        return read_text(p, shown, &text, may_apply, err);
}

static int read_files(struct parser *p, const char *pattern, bool may_apply, struct err *err)
{
        for (size_t i = 0;; i++) {
                int r = read_one(p, pattern, i, may_apply, err);

                if (r != 0)
                        return r == SSH_CONFIG_NO_FILE ? 0 : r;
        }
}

static int read_all(struct parser *p, struct err *err)
{
        const struct ssh_config_query *q = p->query;
        _cleanup_(freep) char *directory = path_join(q->home, ".ssh");
        int r = 0;

        if (!directory)
                return err_oom(err);
        p->include_directory = directory;
        if (q->user_file)
                r = read_files(p, q->user_file, true, err);
        p->include_directory = "/etc/ssh";
        if (r == 0 && q->system_file)
                r = read_files(p, q->system_file, true, err);
        return r;
}

/* ---- one host ---- */

static int start(struct ssh_config *c, const struct ssh_config_query *q, struct err *err)
{
        c->with_public_keys = c->with_passwords = c->with_keyboard = true;
        c->alive_interval_s = 15;
        c->alive_count_max = 3;
        c->port = q->port;
        if (q->user) {
                c->user = strdup(q->user);
                if (!c->user)
                        return err_oom(err);
        }
        return 0;
}

static int read_twice(struct parser *p, struct err *err)
{
        _cleanup_(freep) char *name = NULL;
        int r = read_all(p, err);

        if (r < 0 || !p->wants_final)
                return r;
        name = ssh_keywords_host_name(&p->keywords, p->query);
        if (!name)
                return err_oom(err);
        p->host = name;
        p->is_final = true;
        p->files = 0;
        r = read_all(p, err);
        p->host = p->query->host;
        return r;
}

int ssh_config_resolve(struct ssh_config **ret, const struct ssh_config_query *query,
                       const struct ssh_config_reader *reader, struct err *err)
{
        _cleanup_(ssh_config_freep) struct ssh_config *c = calloc(1, sizeof(*c));
        struct parser p = { .query = query, .reader = reader, .host = query->host };
        int r;

        if (!c)
                return err_oom(err);
        p.keywords.config = c;
        r = start(c, query, err);
        if (r == 0)
                r = read_twice(&p, err);
        if (r == 0)
                r = ssh_keywords_finish(&p.keywords, query, reader, err);
        free(p.keywords.jumps);
        if (r < 0)
                return r;
        *ret = TAKE(c);
        return 0;
}

struct ssh_config *ssh_config_free(struct ssh_config *c)
{
        if (!c)
                return NULL;
        free(c->host_name);
        free(c->user);
        free(c->host_key_alias);
        free(c->identity_agent);
        free(c->bind_address);
        free(c->ciphers);
        free(c->host_key_algorithms);
        free(c->accepted_algorithms);
        free(c->kex_algorithms);
        free(c->macs);
        ssh_config_list_deinit(&c->identity_files);
        ssh_config_list_deinit(&c->certificate_files);
        ssh_config_list_deinit(&c->user_known_hosts);
        ssh_config_list_deinit(&c->global_known_hosts);
        ssh_config_list_deinit(&c->jumps);
        free(c);
        return NULL;
}
