/* The agent measures; what it tells is taken apart in survey_pack.c. */
#include "far/far.h"

#include "base/err.h"
#include "survey/survey.h"
#include "transfer/exchange/pack.h"

#include <errno.h>

/* Return 1 when more follows, 0, or a negative errno with @err filled. */
static int take(struct far *f, struct survey *s, const struct wire_message *m, struct err *err)
{
        struct unpack u = unpack_begin(m->data, m->size);
        int r = m->type == MESSAGE_MEASURES ? survey_take(s, &u) : -EPROTO;

        if (r == -ENOMEM)
                return err_oom(err);
        return r < 0 ? far_fail_answer(f, "MEASURES", err) : r;
}

static int survey_once(struct far *f, void *context, struct err *err)
{
        struct survey *s = context;
        struct wire_message m;
        int r;

        /* What came before a connection broke is asked for again. */
        survey_deinit(s);
        r = far_ask(f, far_begin(f, MESSAGE_SURVEY) ? 0 : -ENOMEM, &m, err);
        while (r == 0) {
                r = take(f, s, &m, err);
                if (r <= 0)
                        break;
                r = far_hear(f, &m, err) < 0 ? far_fail_connection(f, err->code, err) : 0;
        }
        remote_news_end(&f->news);
        return r;
}

int far_survey(struct destination *d, struct survey *ret, struct err *err)
{
        *ret = (struct survey){ .items = NULL };
        return far_persist(far_of(d), survey_once, ret, err);
}
