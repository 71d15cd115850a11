/* Block devices by what fstab(5) and crypttab(5) call them. */
#pragma once

#include "base/util.h"

struct err;

/*
 * Find the device for @spec: a path, or UUID=, PARTUUID=, LABEL=, PARTLABEL=, ID= (any case; the value may be quoted),
 * first by udev's links below /dev/disk, then, where udev does not run, by probing (libblkid). *ret is malloc'd. Return
 * 0; -ENODEV without @err when there is no such device now; or a negative errno with @err filled (a tag nobody knows).
 */
int device_find(char **ret, const char *spec, struct err *err);

/* The same, but look again until @timeout_s seconds have passed or a stop is requested. */
int device_await(char **ret, const char *spec, unsigned timeout_s, struct err *err);
