/* One run: the steps of a backup in order, and their undoing. */
#pragma once

struct options;
struct report;

/* Do what @o asks for. All errors go to @report, which knows the exit status afterwards. */
void run(const struct options *o, struct report *report);
