/*
 * What Prometheus is told of a destination, in its text format for the textfile collector of node_exporter:
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
#pragma once

struct buf;
struct history;
struct outcome;

/*
 * Append the metrics: of @h what is remembered of runs, of @o (NULL: none) what the last one did in particular. Return
 * 0 or -ENOMEM.
 */
int metrics_write(const struct history *h, const struct outcome *o, struct buf *ret);
