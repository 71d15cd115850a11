/* One run: the steps of a backup in order, and their undoing. */
#pragma once

struct outcome;
struct report;
struct surroundings;

/* Do what the options of @outcome ask for. All errors go to @report, what comes of it to @outcome; @surroundings follow, if any. */
void run(struct outcome *outcome, struct report *report, struct surroundings *surroundings);
