/* Names for what is not whole yet, in the directory where it will have its name. */
#pragma once

#include "base/util.h"

enum { TEMPORARY_SIZE = 64 };

/* A new one each time, that nobody can guess. */
void temporary_name(char name[TEMPORARY_SIZE]);

/* Is it one that temporary_name() could have made? */
bool temporary_is(const char *name);
