/* The real configuration files, with the checks of ssh(1): who could write them. Internal. */
#pragma once

#include "transfer/ssh/ssh_config.h"

/* @user_file is the one that must not belong to others, or NULL. Valid as long as that. */
struct ssh_reader {
        const char *user_file;
};

/* For struct ssh_config_reader, with a struct ssh_reader as the context. */
int ssh_reader_open(void *context, const char *pattern, size_t index, char **ret_path, struct buf *ret_text,
                    struct err *err);
const char *ssh_reader_environment(void *context, const char *name);
