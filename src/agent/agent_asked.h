/* What a client asks for in PREPARE, as options of a local run; checked like those of a command line. */
#pragma once

#include "base/util.h"

struct err;
struct options;
struct request_prepare;

/*
 * @given: the agent's own options, which say what a client may ask for. Return 0 with *ret for options_free(), or a
 * negative errno with @err filled.
 */
int agent_asked(struct options **ret, const struct request_prepare *p, const struct options *given, struct err *err);
