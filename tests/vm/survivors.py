#!/usr/bin/env python3
"""What a power cut has to leave of the snapshots.

    survivors.py PARENT MEMORY

For each line of standard input: do the snapshots keep their promise? Prints what is wrong, and then "broken" or "kept".
If they do and the line is "SOURCE SEED": changes SOURCE for the next run, and remembers what it holds and thus its
snapshot has to hold.

MEMORY is a directory that no power cut concerns: a listing of each snapshot that was seen, and the file `acknowledged`
with the names of those whose runs have reported success since the last check. Each run has a snapshot of its own hour
and the scheme --relaxed --hourly=3, so that those are known that rotation may have removed.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration", "judge"))

import busy  # noqa: E402
import listing  # noqa: E402

KEPT = 3
NAME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
OWN = re.compile(r"latest|\.rsync-system-backup(\.new|\.trash-\d+)?")


def load(path):
    with open(path, encoding="ascii") as file:
        return listing.load(file)


def dump(entries, path):
    with open(path, "w", encoding="ascii") as file:
        listing.dump(entries, file)


def acknowledged(memory):
    try:
        with open(os.path.join(memory, "acknowledged"), encoding="ascii") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def verdicts(parent, memory):
    """(lines that tell what is wrong, the snapshots' listings, what the run came to)"""
    names = sorted(os.listdir(parent))
    there = {name for name in names if NAME.fullmatch(name)}
    known = set(os.listdir(os.path.join(memory, "snapshots")))
    new, promised = sorted(there - known), acknowledged(memory)
    may_go = sorted(known)[:1 - KEPT] if new else []
    lines = ["%s: the run reported success, but its snapshot is not there" % n for n in promised if n not in there]
    lines += ["%s: the snapshot is gone" % name for name in sorted(known - there) if name not in may_go]
    lines += ["%s: one run has made several snapshots" % name for name in new[1:]]
    lines += ["%s: what is this?" % name for name in names if name not in there and not OWN.fullmatch(name)]
    cache, now = {}, {}
    for name in sorted(there):
        now[name] = listing.listing(os.path.join(parent, name), cache=cache)
        was = load(os.path.join(memory, "snapshots", name) if name in known else os.path.join(memory, "expected"))
        lines += ["%s: %s" % (name, line) for line in listing.diff(was, now[name])]
    left = ", ".join(name for name in names if name.startswith(".rsync-system-backup."))
    came_to = "acknowledged" if promised else "new" if new else "none new"
    return lines, now, came_to + (", left: " + left if left else "")


def check(parent, memory):
    lines, now, came_to = verdicts(parent, memory)
    listing.print_lines(lines)
    if lines:
        return False
    snapshots = os.path.join(memory, "snapshots")
    for name in os.listdir(snapshots):
        if name not in now:
            os.unlink(os.path.join(snapshots, name))
    for name, entries in now.items():
        if not os.path.exists(os.path.join(snapshots, name)):
            dump(entries, os.path.join(snapshots, name))
    if acknowledged(memory):
        os.unlink(os.path.join(memory, "acknowledged"))
    print(came_to)
    return True


def change(source, seed, memory):
    busy.change(source, seed, 5)
    dump(listing.listing(source), os.path.join(memory, "expected"))


def main():
    parent, memory = sys.argv[1:3]
    os.makedirs(os.path.join(memory, "snapshots"), exist_ok=True)
    for line in sys.stdin:
        kept, words = check(parent, memory), line.split()
        if kept and words:
            change(words[0], int(words[1]), memory)
        print("kept" if kept else "broken", flush=True)


if __name__ == "__main__":
    main()
