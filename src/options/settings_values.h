/* The functions that check a value and store it, one for each kind: rows of settings_table name them. */
#pragma once

struct err;
struct settings;

/*
 * Return 0, or a negative errno with @err filled by what is wrong with @value, which the caller completes, since he
 * knows the place: "--ionice: ..." or "laptop.ini:7: ionice: ...". @which is that of the row: which of several fields.
 */
typedef int settings_setter(struct settings *s, unsigned which, const char *value, struct err *err);

settings_setter settings_set_flag, settings_set_level, settings_set_source, settings_set_destination,
        settings_set_tunnel, settings_set_mount, settings_set_crypto, settings_set_config, settings_set_restrict,
        settings_set_compress, settings_set_bwlimit, settings_set_timeout, settings_set_retries,
        settings_set_remote_command, settings_set_password_file, settings_set_report, settings_set_metrics,
        settings_set_max_age, settings_set_ionice, settings_set_min_battery, settings_set_exclude, settings_set_count;
