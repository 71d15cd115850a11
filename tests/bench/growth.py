#!/usr/bin/env python3
"""growth.py PROGRAM [OPTIONS]

How time and memory grow with the number of files and with the number of snapshots, as two figures (gnuplot, SVG). Times
are shown as multiples of one of them, since they depend on the machine. Files are empty, 20 to a directory; rsync is
measured beside for what it does too. Needs root.
"""
import argparse
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys

import memory
import measure

STYLE = """
set terminal svg size 800,360 enhanced background "white" font "sans,12"
set multiplot layout 1,2
set style data linespoints
set style line 1 lc rgb "#1b6ca8" lw 2 pt 7 ps 0.5
set style line 2 lc rgb "#3a9d5d" lw 2 pt 7 ps 0.5
set style line 3 lc rgb "#8659b0" lw 2 pt 7 ps 0.5
set style line 4 lc rgb "#999999" lw 1.5 pt 6 ps 0.5
set style line 5 lc rgb "#c0863c" lw 1.5 pt 6 ps 0.5
set border 3
set key below samplen 2 width -2
set format x "%.0s %c"
set grid back lc rgb "#dddddd"
set tics nomirror
set logscale x
unset mxtics
"""

FILES = """
$data << END
{data}
END
set xlabel "files"
set logscale y
unset mytics
set format y "%g"
set title "time, 1 = unchanged run, {smallest} files"
plot $data using 1:2 ls 1 title "first backup", '' using 1:3 ls 2 title "unchanged run", \\
     '' using 1:4 ls 3 title "snapshot", '' using 1:6 ls 4 title "rsync, first", '' using 1:7 ls 5 title "rsync, unchanged"
unset logscale y
unset mytics
set yrange [0:*]
set title "peak memory, MiB"
plot $data using 1:8 ls 1 title "first backup", '' using 1:9 ls 2 title "unchanged run", \\
     '' using 1:10 ls 3 title "snapshot", '' using 1:12 ls 4 title "rsync, first", '' using 1:13 ls 5 title "rsync, unchanged"
"""

SNAPSHOTS = """
$data << END
{data}
END
set xlabel "snapshots"
set yrange [0:2.5]
set title "time, 1 = with one snapshot"
plot $data using 1:2 ls 1 title "unchanged run", '' using 1:3 ls 2 title "snapshot", '' using 1:4 ls 3 title "removal"
set yrange [0:10]
set title "peak memory, MiB"
plot $data using 1:5 ls 1 title "unchanged run", '' using 1:6 ls 2 title "snapshot", '' using 1:7 ls 3 title "removal"
"""


def draw(output, script, rows, **values):
    data = "\n".join(" ".join(f"{value:g}" for value in row) for row in rows)
    text = STYLE + script.format(data=data, **values)
    drawn = subprocess.run(["gnuplot"], input=text, text=True, check=True, stdout=subprocess.PIPE).stdout
    with open(output, "w") as file:
        # Half of it is indentation and shapes of points that are not used.
        drawn = re.sub(r"<(\w+) [^>]*id='gpPt(?![56]')[^>]*>\s*", "", drawn)
        file.write(re.sub(r"\s*\n\s*", "\n", drawn))
    print(f"drawn: {output}, {os.path.getsize(output)} bytes")


def draw_files(output, rows):
    unit = rows[0][2]
    draw(output, FILES, [[n, *(v / unit for v in values[:6]), *values[6:]] for n, *values in rows],
         smallest=f"{rows[0][0]:,}")


def draw_snapshots(output, rows):
    draw(output, SNAPSHOTS, [[n, *(v / rows[0][i + 1] for i, v in enumerate(values[:3])), *values[3:]]
                             for n, *values in rows])


def show(title, names, rows):
    print(f"\n{title:>10}" + "".join(f"{name:>20}" for name in names))
    for first, *values in rows:
        print(f"{memory.number(first):>10}" + "".join(f"{value:20.2f}" for value in values), flush=True)


def by_files(program, sizes):
    """A row for each size: its number, seconds of our phases and of rsync's, MiB likewise."""
    rows, have = [], 0
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(measure.workplace())
        source, destination = memory.images(stack, top, max(sizes))
        tree = source.mount + "/tree"
        for n in sizes:
            memory.grow(tree, have, n)
            memory.settle()
            have, us, them = n, memory.ours(program, tree, destination), memory.theirs(tree, destination, 2)
            costs = [*us.values(), *them.values()]
            rows.append([n, *(cost.wall for cost in costs), *(cost.peak / 1024 for cost in costs)])
    return rows


class History:
    """A parent that fills with snapshots. Each is given a minute of its own, so that rotation preserves it and the next
    one need not wait for another second; its record in the state follows."""

    def __init__(self, program, tree, parent):
        self.program, self.tree, self.parent, self.made = program, tree, parent, 0

    def run(self, *arguments):
        return measure.run(*measure.program(self.program, *arguments, self.parent + "/latest"), peak=True)

    def unchanged(self):
        return self.run("--backup", self.tree)

    def snapshot(self):
        cost = self.run("--snapshot")
        newest = max(name for name in os.listdir(self.parent) if name.startswith("2"))
        older = f"2001-01-01 {self.made // 60:02}:{self.made % 60:02}:00"
        self.made += 1
        os.rename(f"{self.parent}/{newest}", f"{self.parent}/{older}")
        with open(self.parent + "/.rsync-system-backup/state", "r+") as file:
            state = file.read()
            file.seek(0)
            file.write(state.replace(newest, older))
        return cost

    def removal(self):
        measure.expire(self.parent)
        return self.run("--rotate", "--minutely=always")

    def cost(self):
        """Medians of three of each; the number of snapshots stays as it is."""
        rounds = [(self.unchanged(), self.removal(), self.snapshot()) for _ in range(3)]
        unchanged, removal, snapshot = (list(costs) for costs in zip(*rounds))
        each = unchanged, snapshot, removal
        return [statistics.median(c.wall for c in costs) for costs in each] + \
               [max(c.peak for c in costs) / 1024 for costs in each]


def by_snapshots(program, files, numbers):
    rows = []
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(measure.workplace())
        # Each snapshot has directories of its own: a block and a node for each 20 files.
        size = files * 900 + max(numbers) * files // 20 * 4500 + 512 * measure.MIB
        nodes = ["-N", str(files * 2 + (max(numbers) + 2) * files // 15)]
        source, destination = (stack.enter_context(measure.Image(top, *of)) for of in
                               (("source", "ext4", files * 900 + 512 * measure.MIB, ["-N", str(files * 2)]),
                                ("destination", "ext4", size, nodes)))
        memory.grow(source.mount + "/tree", 0, files)
        memory.settle()
        os.mkdir(destination.mount + "/parent", 0o700)
        history = History(program, source.mount + "/tree", destination.mount + "/parent")
        history.unchanged()
        for n in numbers:
            while len(os.listdir(history.parent)) < n + len(["latest", ".rsync-system-backup"]):
                history.snapshot()
            os.sync()
            rows.append([n, *history.cost()])
    return rows


def steps(largest, start, factors):
    """start, start * factors[0], start * factors[1], ..., up to largest."""
    found = [n for k in range(8) for n in (start * 10 ** k, *(start * 10 ** k * f for f in factors)) if n <= largest]
    return sorted({int(n) for n in found})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("program")
    parser.add_argument("--max", type=memory.number, default=3000000, help="files, 3M for instance")
    parser.add_argument("--snapshots", type=int, default=200)
    parser.add_argument("--files", type=memory.number, default=20000, help="in each snapshot")
    parser.add_argument("--output", default=os.path.join(os.path.dirname(__file__), "../../docs"), help="directory")
    options = parser.parse_args()
    if not shutil.which("gnuplot"):
        sys.exit("gnuplot draws the figures: tools/dependencies bench")
    machine, output = measure.Machine(), os.path.realpath(options.output)
    rows = by_files(options.program, steps(options.max, 10000, [3]))
    names = memory.PHASES + ["rsync first", "rsync unchanged"]
    show("files", [f"{name}, {unit}" for unit in ("s", "MiB") for name in names], rows)
    draw_files(output + "/growth-files.svg", rows)
    rows = by_snapshots(options.program, options.files, steps(options.snapshots, 1, [2, 5]))
    show("snapshots", [f"{name}, {unit}" for unit in ("s", "MiB") for name in ("unchanged", "snapshot", "removal")], rows)
    draw_snapshots(output + "/growth-snapshots.svg", rows)
    print(f"\n{machine}")


if __name__ == "__main__":
    main()
