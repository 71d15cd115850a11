/* --list: what there is at a destination. */
#pragma once

struct destination;
struct err;
struct options;

/* Find out and print it on standard output; @d is prepared. Return 0 or a negative errno with @err filled. */
int list_run(struct destination *d, const struct options *o, struct err *err);
