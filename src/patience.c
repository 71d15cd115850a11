#include "patience.h"

#include "base/err.h"
#include "base/log.h"
#include "base/stop.h"

enum { DELAY_MAX_S = 60 };

/* 1, 2, 4, ... */
static unsigned delay_s(unsigned tries)
{
        return tries < 6 ? 1U << tries : DELAY_MAX_S;
}

int patience_wait(struct patience *p, bool counts, struct err *err)
{
        unsigned wait_s = delay_s(p->tries);
        int r;

        if (counts && p->tries >= p->retries)
                return err->code;
        if (counts)
                p->tries++;
        log_warning("%s; trying again in %u s (%u of %u)", err->text, wait_s, p->tries, p->retries);
        err_drop(err, "tried again");
        r = stop_wait(-1, stop_deadline_us(wait_s), err);
        return r == STOP_WAIT_TIMED_OUT ? 0 : r;
}
