/* What cannot be found out does not keep a backup from being made. */
#include "system/conditions.h"

#include "system/metered.h"
#include "system/power.h"

#include <stdio.h>

static int check_power(const struct conditions *c, const struct power *p, char why[CONDITIONS_WHY_SIZE])
{
        if (!p->on_battery)
                return 0;
        if (c->only_on_ac) {
                snprintf(why, CONDITIONS_WHY_SIZE, "the machine runs on battery (--only-on-ac)");
                return CONDITIONS_UNMET;
        }
        if (p->has_battery && p->percent < c->min_battery_percent) {
                snprintf(why, CONDITIONS_WHY_SIZE, "the battery is down to %u %% (--min-battery=%u)", p->percent,
                         c->min_battery_percent);
                return CONDITIONS_UNMET;
        }
        return 0;
}

int conditions_check(const struct conditions *c, const char *power_directory, char why[CONDITIONS_WHY_SIZE],
                     struct err *err)
{
        struct power power = { .on_battery = false };
        int r;

        if (c->only_on_ac || c->min_battery_percent > 0)
                power_read(&power, power_directory);
        r = check_power(c, &power, why);
        if (r != 0 || !c->not_on_metered)
                return r;
        r = metered_now(err);
        if (r > 0)
                snprintf(why, CONDITIONS_WHY_SIZE, "the network is metered (--not-on-metered)");
        return r > 0 ? CONDITIONS_UNMET : r;
}
