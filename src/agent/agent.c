/*
 *      await a request -> do it by the destination -> tell what is still to be told -> answer
 *
 * Whenever the conversation is over, or is to be, the client has a little time to say goodbye before the destination is
 * released without it.
 */
#include "agent/agent.h"

#include "agent/agent_parts.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/report.h"
#include "base/stop.h"
#include "options/options.h"
#include "progress.h"
#include "transfer/exchange/channel.h"
#include "version.h"

#include <errno.h>
#include <fcntl.h>

enum { LIFE_S = 20, ZSTD_LEVEL = 3 };

/* Wait for the next request; while there is none, say now and then that we are alive. */
static int await(struct agent *a, struct wire_message *ret, struct err *err)
{
        int r;

        for (;;) {
                bool leaving = stop_requested();

                if (leaving)
                        channel_outlive_stop(a->channel);
                channel_set_timeout(a->channel, leaving ? AGENT_GOODBYE_S : LIFE_S);
                r = channel_receive(a->channel, ret, true, err);
                if (r >= 0 || leaving || (r != -ETIMEDOUT && r != -ECANCELED))
                        break;
                err_drop(err, "a sign of life, or the next request is answered by the stop");
                r = agent_check_client(a, err);
                if (r < 0)
                        break;
                r = stop_requested() ? 0 : agent_news_tell(a->news, a->channel, NULL, true, err);
                if (r < 0)
                        break;
        }
        channel_set_timeout(a->channel, 0);
        return r;
}

static int converse(struct agent *a, struct err *err)
{
        struct wire_message m;
        int r = 0;

        while (r >= 0 && !a->is_released && !a->is_alone) {
                r = await(a, &m, err);
                if (r >= 0)
                        r = agent_dispatch(a, &m, err);
        }
        return r;
}

/*
 * Standard input and output become something harmless: whatever else reads or writes there by mistake does not disturb
 * the protocol, and nobody finds a terminal to ask on.
 */
static int take_over_descriptors(struct agent *a, struct err *err)
{
        _cleanup_(fd_closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (isatty(STDIN_FILENO) || isatty(STDOUT_FILENO)) {
                err_usage(err, "--server is what a client starts over SSH, it is nothing for a terminal");
                return err_hint(err, "on the other machine: rsync-system-backup HOST:DIR");
        }
        /* A root directory that holds nothing but this program has no such device; this can be neither read nor
         * written. */
        if (null < 0)
                null = open("/", O_PATH | O_CLOEXEC);
        a->in_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        a->out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (null < 0 || a->in_fd < 0 || a->out_fd < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
                return err_run(err, -errno, "prepare the connection to the client", NULL);
        return 0;
}

static int open_conversation(struct agent *a, struct err *err)
{
        struct channel_config config = {
                .peer = "client",
                .wire = { .program = PROGRAM_VERSION, .features = WIRE_FEATURE_ZSTD, .level = ZSTD_LEVEL },
        };
        int r = take_over_descriptors(a, err);

        if (r < 0)
                return r;
        config.in_fd = a->in_fd;
        config.out_fd = a->out_fd;
        r = channel_new(&a->channel, &config, err);
        return r < 0 ? r : agent_news_new(&a->news, err);
}

/* What is left to do when nobody is told any more. */
static void leave(struct agent *a)
{
        ERR_LOCAL(err);

        if (a->news)
                agent_news_close(a->news);
        if (agent_release(a, &err) < 0)
                log_err(LOG_LEVEL_ERROR, &err);
        log_divert(NULL, NULL, LOG_LEVEL_WARNING);
        destination_free(a->destination);
        progress_free(a->progress);
        report_free(a->report);
        options_free(a->options);
        agent_news_free(a->news);
        channel_free(a->channel);
        fd_close(a->in_fd);
        fd_close(a->out_fd);
}

int agent_run(const struct options *o, struct err *err)
{
        struct agent a = { .given = o, .in_fd = -1, .out_fd = -1, .failure = err };
        ERR_LOCAL(last);
        int r = open_conversation(&a, err);

        if (r == 0) {
                log_divert(agent_news_log, a.news, LOG_LEVEL_INFO);
                r = converse(&a, &last);
                if (r < 0)
                        agent_lose_client(&a, &last);
        }
        leave(&a);
        return err->kind == ERR_NONE ? 0 : err->code;
}
