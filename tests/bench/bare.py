#!/usr/bin/env python3
"""bare.py PROGRAM BARE [OPTIONS]

How near to the kernel: a first backup and a removal, by rsync and rm, by PROGRAM, and by BARE (bare.c), which does the
system calls that none can do without and nothing else, with two and four threads. All of them in turns, in the same run,
on ext4. Needs root.
"""
import argparse
import contextlib
import os
import shutil
import statistics

import measure
import tree
from phases import RSYNC


class Side:
    """One way to do it: a command for the copy @latest, one for the removal of what @prepare made of it."""

    def __init__(self, copy, remove, prepare=None):
        self.copy, self.remove, self.prepare = copy, remove, prepare or (lambda: None)
        self.costs = {"first backup": [], "removal": []}


def sides(options, source, parent):
    latest = parent + "/latest"

    def snapshot():
        measure.quietly(*measure.program(options.program, "--snapshot", latest))

    def expire():
        snapshot()
        measure.expire(parent)

    def moved():
        snapshot()
        os.rename(f"{parent}/{measure.only_snapshot(parent)}", parent + "/old")

    found = {
        "rsync, rm": Side(["sh", "-c", f"{' '.join(RSYNC)} {source}/ {latest}/ && sync -f {parent}"],
                          ["rm", "-rf", parent + "/old"], moved),
        "ours": Side(measure.program(options.program, "--backup", source, latest),
                     measure.program(options.program, "--rotate", latest), expire),
    }
    for threads in "2", "4":
        found[f"bare, {threads} threads"] = Side([options.bare, "copy", source, latest, threads],
                                                 [options.bare, "remove", source, parent + "/old", threads], moved)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("program")
    parser.add_argument("bare")
    parser.add_argument("--files", type=int, default=100000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    machine = measure.Machine()
    size = options.files * 12 * 1024 * 5 // 4 + 768 * measure.MIB
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(measure.workplace())
        source, destination = (stack.enter_context(measure.Image(top, name, "ext4", size, ["-i", "8192"]))
                               for name in ("source", "destination"))
        tree.make(source.mount + "/tree", options.files)
        measure.quietly("sh", "-c", f"tar -C {source.mount} -c . | cat >/dev/null")
        parent = destination.mount + "/parent"
        ways = sides(options, source.mount + "/tree", parent)
        for i in range(options.rounds):
            for way in list(ways.values())[::-1 if i % 2 else 1]:
                destination.make()
                os.mkdir(parent, 0o700)
                os.sync()
                way.costs["first backup"].append(measure.run(*way.copy))
                way.prepare()
                os.sync()
                way.costs["removal"].append(measure.run(*way.remove))
                left = set(os.listdir(parent)) - {"latest", ".rsync-system-backup"}
                assert not left, f"{way.remove} left {left}"
    show(options, ways)
    print(f"\n{machine}")


def show(options, ways):
    print(f"\n{options.files} small files, ext4, median of {options.rounds} rounds: seconds wall, processor")
    print(f"{'':18}" + "".join(f"{name:>18}" for name in ways))
    for phase in "first backup", "removal":
        medians = ((statistics.median(cost.wall for cost in way.costs[phase]),
                    statistics.median(cost.cpu for cost in way.costs[phase])) for way in ways.values())
        print(f"{phase:18}" + "".join(f"{wall:11.2f}{cpu:7.2f}" for wall, cpu in medians), flush=True)


if __name__ == "__main__":
    assert shutil.which("rsync"), "rsync is missing"
    main()
