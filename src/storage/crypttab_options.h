/* The fourth field of /etc/crypttab. */
#pragma once

#include "base/util.h"

struct crypttab_entry;
struct crypttab_place;
struct err;

/* What an entry without options has. */
void crypttab_options_init(struct crypttab_entry *e);

/*
 * Take the options in @size bytes of @text, which follow the other fields of @e. What is unknown or without effect is
 * named in a warning. Return 0 or a negative errno with @err filled, of kind ERR_USAGE unless memory is short.
 */
int crypttab_options_parse(struct crypttab_entry *e, const char *text, size_t size, const struct crypttab_place *place,
                           struct err *err);
