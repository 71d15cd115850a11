/*
 * One layer of options: what the command line says, or one section of a configuration file. Both are filled through the
 * same table, so an option means the same and is checked the same in either place; options.c lays them over each other.
 */
#pragma once

#include "base/util.h"
#include "options/location.h"
#include "rotate/scheme.h"

struct err;

enum settings_flag {
        SETTINGS_BACKUP,
        SETTINGS_SNAPSHOT,
        SETTINGS_ROTATE,
        SETTINGS_NO_SUDO,
        SETTINGS_DRY_RUN,
        SETTINGS_MULTI_FS,
        SETTINGS_FORCE,
        SETTINGS_DISABLE_NOTIFICATIONS,
        SETTINGS_ONLY_ON_AC,
        SETTINGS_NOT_ON_METERED,
        SETTINGS_RELAXED,
        SETTINGS_PREFER_RECENT,
        SETTINGS_LIST,
        SETTINGS_SERVER,
        SETTINGS_APPEND_ONLY,
        SETTINGS_STATUS,
        SETTINGS_FLAG_COUNT,
};

/* A file can say no where the command line can only say yes or nothing. */
enum settings_toggle { SETTINGS_UNSET, SETTINGS_NO, SETTINGS_YES };

enum settings_ionice { SETTINGS_IONICE_UNSET, SETTINGS_IDLE, SETTINGS_BEST_EFFORT, SETTINGS_REALTIME };

enum settings_compress {
        SETTINGS_COMPRESS_UNSET,
        SETTINGS_COMPRESS_AUTO,
        SETTINGS_COMPRESS_NEVER,
        SETTINGS_COMPRESS_ALWAYS
};

/* How a connection is used: what of it was given. */
struct settings_link {
        enum settings_compress compress;
        unsigned compress_level; /* 1 to 19; 0: the usual one */
        bool bwlimit_given, timeout_given, retries_given;
        uint64_t bwlimit;   /* bytes a second; 0: no limit */
        unsigned timeout_s; /* 0: none but SSH's own */
        unsigned retries;
        char *remote_command; /* what is run on the other side, or NULL */
        char *password_file;  /* of an rsync daemon's user; "-": standard input; or NULL */
};

/* What machines are told. */
struct settings_told {
        char *report;       /* "-": standard output; else an absolute path, or NULL */
        char *metrics;      /* an absolute path, or NULL */
        uint64_t max_age_s; /* 0: none */
};

/* Empty when all is zero. */
struct settings {
        enum settings_toggle flags[SETTINGS_FLAG_COUNT];
        char *source;                /* a plain absolute path, or NULL */
        struct location destination; /* path == NULL: none; a local one is plain and absolute */
        struct location tunnel;      /* host == NULL: none */
        char *mount;                 /* a plain absolute path, or NULL */
        char *crypto;
        char *config;
        char *restrict_to; /* a plain absolute path, or NULL */
        struct settings_link link;
        struct settings_told told;
        enum settings_ionice ionice;
        unsigned min_battery; /* percent; 0: however much is left */
        bool min_battery_given;
        char **excludes; /* in the order given */
        size_t exclude_count;
        uint32_t counts[SCHEME_FREQUENCIES]; /* as in struct scheme */
        bool counts_given;
        int verbosity; /* each -v adds one, each -q takes one */
        bool verbosity_given;
        bool in_file; /* a file's relative paths would depend on where the program is started: refused */
};

enum settings_kind {
        SETTINGS_KIND_FLAG,  /* -x; `key = yes` */
        SETTINGS_KIND_LEVEL, /* -v and -q, repeatable; `key = yes` or a number */
        SETTINGS_KIND_VALUE,
        SETTINGS_KIND_LIST, /* a value that can be given again */
};

enum settings_place { SETTINGS_ANYWHERE, SETTINGS_COMMAND_LINE, SETTINGS_FILE };

/* One option: a row of the table. */
struct setting {
        const char *name; /* long option and key of a file */
        char letter;      /* '\0': no short form */
        enum settings_kind kind;
        enum settings_place place;
        /* See settings_values.h. NULL for --help and --version, which set nothing. */
        int (*set)(struct settings *s, unsigned which, const char *value, struct err *err);
        unsigned which;
};

extern const struct setting settings_table[];
extern const size_t settings_table_size;
enum { SETTINGS_TABLE_MAX = 64 };

/* By the name, exactly; or NULL. */
const struct setting *settings_find(const char *name);
const struct setting *settings_find_letter(char letter);

/* What can stand at @place and is most like @name, or NULL when nothing is. For "did you mean". */
const char *settings_nearest(const char *name, enum settings_place place);

/* Check @value and store it. A flag's value is a boolean. Errors say what is wrong with the value, not where it stood.
 */
int settings_set(struct settings *s, const struct setting *what, const char *value, struct err *err);

/*
 * Move into @s what it leaves open and @below says. Two things count as a whole: the actions (--backup, --snapshot,
 * --rotate) and the counts of the rotation scheme; one of them in @s, and those of @below are not used. Patterns of
 * @below come behind those of @s. Return 0 or a negative errno.
 */
int settings_complete(struct settings *s, struct settings *below, struct err *err);

void settings_deinit(struct settings *s);
