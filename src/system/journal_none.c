/* For builds without libsystemd. */
#include "system/journal.h"

void journal_begin(void)
{
}
