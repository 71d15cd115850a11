/*
 * What an agent tells its client beside the answers: messages, the list of changes, counts, what it is doing. All of it
 * may come from any thread and waits here until the thread that has the channel puts it in.
 */
#pragma once

#include "base/log.h"
#include "base/util.h"

struct agent_news;
struct channel;
struct err;
struct report;
struct report_line;

int agent_news_new(struct agent_news **ret, struct err *err);
struct agent_news *agent_news_free(struct agent_news *n);
DEFINE_FREEP(struct agent_news, agent_news_free)

/* From any thread; @news is a struct agent_news: for log_divert(), struct report_config, struct progress_listener. */
void agent_news_log(void *news, enum log_level level, const char *text);
void agent_news_line(void *news, const struct report_line *line);
void agent_news_item(void *news, const struct err *item, bool remains);
void agent_news_step(void *news, int step, uint64_t expected);

/*
 * Put what has come, and the counts of @report (NULL: none) that moved, into @c as messages; nothing is sent yet. With
 * @all the counts are told even if that was just done. When nothing was told for some seconds, an empty message says
 * that we are alive. Return 0 or a negative errno with @err filled.
 */
int agent_news_tell(struct agent_news *n, struct channel *c, const struct report *report, bool all, struct err *err);

/* Nobody listens any more: what comes from now on is dropped. */
void agent_news_close(struct agent_news *n);
