/* Looking before changing: other destinations beside this one, around it and in it. */
#pragma once

struct err;
struct local_place;

/* Would a run here harm another destination, or a run there this one? Return 0 or a negative errno with @err filled. */
int local_neighbours_check(const struct local_place *p, struct err *err);
