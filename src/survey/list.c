/* The destination looks, the scheme judges, the table tells. */
#include "survey/list.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "destination.h"
#include "options/options.h"
#include "outcome/publish.h"
#include "rotation.h"
#include "survey/survey.h"

#include <stdio.h>

static int write_report(const struct survey *s, const struct options *o, struct err *err)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        char shown[4096];

        location_show(&o->destination, shown, sizeof(shown));
        if (survey_document(&text, s, shown) < 0)
                return err_oom(err);
        return publish_file(o->told.report, PUBLISH_REPORT_MODE, &text, err);
}

static int print(const struct survey *s, const struct options *o, struct err *err)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };

        if (o->told.report && str_equal(o->told.report, "-"))
                return 0;
        if (survey_print(&text, s, o->verbosity) < 0)
                return err_oom(err);
        /* Whether it arrives is asked in the end, for all that the program prints. */
        (void)fwrite(text.data, 1, text.size, stdout);
        return 0;
}

int list_run(struct destination *d, const struct options *o, struct err *err)
{
        _cleanup_(survey_deinit) struct survey s = { .items = NULL };
        char shown[320];
        int r = d->ops->survey(d, &s, err);

        if (r < 0)
                return r;
        location_show(&o->destination, shown, sizeof(shown));
        if (s.is_busy)
                log_info("a run on '%s' is under way: what it does meanwhile may be seen or not", shown);
        if (s.count == 0) {
                log_info("there are no snapshots beside '%s'", shown);
        } else {
                survey_sort(&s);
                r = rotation_foresee(d, o, &s, err);
                if (r == 0)
                        r = print(&s, o, err);
        }
        return r == 0 && o->told.report ? write_report(&s, o, err) : r;
}
