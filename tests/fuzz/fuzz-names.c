/* Whatever is read as a snapshot's name stands for a moment whose canonical name is read as the same moment. */
#include "rotate/calendar.h"
#include "rotate/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(freep) char *name = str_copy(data, size);
        char canonical[NAMES_SIZE];
        int64_t seconds, again;

        if (!name || !names_parse(name, &seconds))
                return 0;
        names_format(seconds, canonical);
        if (!names_parse(canonical, &again) || again != seconds || strlen(name) > strlen(canonical))
                abort();
        for (unsigned unit = CALENDAR_MINUTE; unit <= CALENDAR_YEAR; unit++) {
                int64_t before = calendar_before(seconds, (enum calendar_unit)unit, 1);

                if (before >= seconds)
                        abort();
                /* The day may be cut to the end of the month, but no period is skipped. */
                if (seconds > INT64_C(-62135596800) + 366 * 86400 &&
                    calendar_period(before, (enum calendar_unit)unit) + 1 !=
                            calendar_period(seconds, (enum calendar_unit)unit))
                        abort();
        }
        return 0;
}
