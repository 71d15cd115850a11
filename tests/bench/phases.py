#!/usr/bin/env python3
"""phases.py PROGRAM [OPTIONS]

Each phase of a backup against the program that is known for it, in the same run: rounds alternate, the table shows
medians of wall and processor time and how many times the other program's time is ours, with the lowest and highest
round. Source and destination are filesystem images of their own, since the machine's root filesystem may have peculiar
options; that needs root. Times mean nothing by themselves, ratios little on a busy machine.
"""
import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time

import measure
import tree

AGAINST = {
    "first backup": "rsync -aHAX --numeric-ids, sync",
    "unchanged": "rsync -aHAX --numeric-ids --delete",
    "snapshot": "cp --archive --link",
    "list": "du -s of the same trees",
    "removal": "rm -rf",
    "whole run": "these three in sequence",
    "cold unchanged": "rsync, source not in memory",
    "cold first backup": "rsync and sync, source not in memory",
}
RSYNC = ["rsync", "-aHAX", "--numeric-ids"]


class Theirs:
    """rsync, cp and rm."""

    def __init__(self, source, parent):
        self.source, self.parent = source + "/", parent
        self.latest = parent + "/latest"

    def first(self):
        return ["sh", "-c", f"{' '.join(RSYNC)} {self.source} {self.latest}/ && sync -f {self.parent}"]

    def unchanged(self):
        return [*RSYNC, "--delete", self.source, self.latest + "/"]

    def snapshot(self):
        return ["cp", "--archive", "--link", self.latest, self.parent + "/snapshot-1"]

    def list(self):
        return ["du", "-s", self.latest, self.parent + "/snapshot-1"]

    def whole(self):
        return ["sh", "-c", f"{' '.join(self.unchanged())} && cd {self.parent} &&"
                            "cp --archive --link latest snapshot-2 && rm -rf snapshot-1"]

    def removal(self):
        return ["rm", "-rf", self.parent + "/snapshot-2"]


class Ours:
    def __init__(self, program, source, parent):
        self.program, self.source, self.parent = program, source, parent
        self.latest = parent + "/latest"

    def call(self, *arguments):
        return measure.program(self.program, *arguments, self.latest)

    def first(self):
        return self.call("--backup", self.source)

    def unchanged(self):
        return self.first()

    def snapshot(self):
        return self.call("--snapshot")

    def list(self):
        return self.call("--list")

    def whole(self):
        # Of all snapshots of a year the newest is preserved: the one that this run makes, not the one that is there.
        return self.call("--yearly=1", "--prefer-recent", self.source)

    def removal(self):
        measure.expire(self.parent)
        return self.call("--rotate")


class Bench:
    def __init__(self, options, source, destinations):
        self.source, self.destinations = source, destinations
        parents = {side: image.mount + "/parent" for side, image in destinations.items()}
        self.sides = {"theirs": Theirs(source.mount + "/tree", parents["theirs"]),
                      "ours": Ours(options.program, source.mount + "/tree", parents["ours"])}
        self.costs = {phase: {"theirs": [], "ours": []} for phase in AGAINST}

    def empty_destinations(self):
        for side, image in self.destinations.items():
            image.make()
            os.mkdir(self.sides[side].parent, 0o700)

    def warm(self):
        """The source in memory, all of it. (tar would not read what goes to /dev/null.)"""
        measure.quietly("sh", "-c", f"tar -C {self.source.mount} -c . | cat >/dev/null")

    def check(self, side):
        """Is the copy one? rsync finds nothing to do."""
        s = self.sides[side]
        command = [*RSYNC, "--delete", "--dry-run", "--itemize-changes", self.source.mount + "/tree/", s.latest + "/"]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if found:
            sys.exit(f"{side} made no copy:\n{found[:1000]}")
        left = [name for name in os.listdir(s.parent) if name != ".rsync-system-backup"]
        if left != ["latest"]:
            sys.exit(f"{side} left {left}")

    def phase(self, name, order, command):
        for side in order:
            arguments = command(self.sides[side])
            if name.startswith("cold"):
                self.source.forget()
            os.sync()
            self.costs[name][side].append(measure.run(*arguments))

    def round(self, order):
        self.empty_destinations()
        self.warm()
        self.phase("first backup", order, lambda side: side.first())
        self.phase("unchanged", order, lambda side: side.unchanged())
        self.phase("snapshot", order, lambda side: side.snapshot())
        self.phase("list", order, lambda side: side.list())
        # Snapshots of one second would have one name, and the program wait for the next.
        time.sleep(1)
        self.phase("whole run", order, lambda side: side.whole())
        self.phase("removal", order, lambda side: side.removal())
        self.phase("cold unchanged", order, lambda side: side.unchanged())

    def run(self, rounds):
        for i in range(rounds):
            order = ("theirs", "ours")[::-1 if i % 2 else 1]
            self.round(order)
            if i == 0:
                self.check("theirs")
                self.check("ours")
            self.empty_destinations()
            self.phase("cold first backup", order, lambda side: side.first())

    def show(self):
        titles = "".join(f"{'theirs':>8}{'ours':>8}{what:>7} {'(rounds)':12}" for what in ("wall", "cpu"))
        print(f"{'seconds':18}{titles} against")
        for phase, against in AGAINST.items():
            theirs, ours = self.costs[phase]["theirs"], self.costs[phase]["ours"]
            line = f"{phase:18}"
            for what in "wall", "cpu":
                a, b = ([getattr(cost, what) for cost in costs] for costs in (theirs, ours))
                rounds = [x / y for x, y in zip(a, b)]
                spread = f"({min(rounds):.1f}-{max(rounds):.1f})"
                ratio = statistics.median(a) / statistics.median(b)
                line += f"{seconds(statistics.median(a))}{seconds(statistics.median(b))}{ratio:6.1f}x {spread:12}"
            print(f"{line} {against}", flush=True)


def seconds(number):
    """What the filesystem does by itself takes milliseconds."""
    return f"{number:8.2f}" if number >= 0.1 else f"{number:8.3f}"


def bytes_of(directory):
    return int(subprocess.run(["du", "-sxB1", directory], capture_output=True, text=True, check=True).stdout.split()[0])


def bench(options, filesystem):
    size = bytes_of(options.source) if options.source else options.files * 12 * 1024
    # Nodes enough for files as small as those of the tree; room for the filesystem's own needs.
    size, flags = size * 5 // 4 + 768 * measure.MIB, {"ext4": ["-i", "8192"]}.get(filesystem, [])
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(measure.workplace())
        source, theirs, ours = (stack.enter_context(measure.Image(top, name, filesystem, size, flags))
                                for name in ("source", "theirs", "ours"))
        if options.source:
            measure.quietly("cp", "-ax", options.source, source.mount + "/tree")
        else:
            tree.make(source.mount + "/tree", options.files)
        # What is younger than the first backup by the slack of clocks is compared by content in the second.
        time.sleep(6)
        b = Bench(options, source, {"theirs": theirs, "ours": ours})
        b.run(options.rounds)
    what = options.source or f"{options.files} small files in {options.files // 20} directories"
    print(f"\n{what}, on {filesystem}, median of {options.rounds} rounds")
    b.show()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("program")
    parser.add_argument("--files", type=int, default=300000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--filesystem", nargs="+", default=["ext4"], choices=["ext4", "xfs", "btrfs"])
    parser.add_argument("--source", help="a directory to copy instead of the made-up tree, /usr for instance")
    options = parser.parse_args()
    machine = measure.Machine()
    for filesystem in options.filesystem:
        if shutil.which("mkfs." + filesystem):
            bench(options, filesystem)
        else:
            print(f"\n{filesystem}: there is no mkfs.{filesystem} here")
    print(f"\n{machine}")


if __name__ == "__main__":
    main()
