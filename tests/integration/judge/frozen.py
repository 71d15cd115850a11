#!/usr/bin/env python3
"""Hold snapshots to their promise: what one is when it is made, it stays.

    frozen.py check PARENT STORE [--gone-ok]   compare the snapshots below PARENT with what STORE remembers of them, then
                                               remember the new ones (STORE is a directory outside of PARENT)
    frozen.py shared SNAPSHOT OTHER            every file that is in both must be one inode: nothing was stored twice

Exit status 1, and a line for each difference, where the promise is broken. Link counts, ctimes and atimes may move.
"""
import argparse
import os
import re
import sys

import listing

NAME = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?")


def check(parent, store, gone_ok):
    lines, cache = [], {}
    os.makedirs(store, exist_ok=True)
    there = sorted(name for name in os.listdir(parent) if NAME.fullmatch(name))
    known = sorted(os.listdir(store))
    if not gone_ok:
        lines += ["%s: the snapshot is gone" % name for name in known if name not in there]
    for name in there:
        now = listing.listing(os.path.join(parent, name), cache=cache)
        stored = os.path.join(store, name)
        if name not in known:
            with open(stored, "w", encoding="ascii") as file:
                listing.dump(now, file)
            continue
        with open(stored, encoding="ascii") as file:
            lines += ["%s: %s" % (name, line) for line in listing.diff(listing.load(file), now)]
    return lines


def shared(one, two):
    first, second = (listing.listing(root, inodes=True) for root in (one, two))
    return ["%s: inode %d != %d" % (path, facts["inode"], second[path]["inode"]) for path, facts in first.items()
            if path in second and facts["type"] != "dir" and facts["inode"] != second[path]["inode"]]


def main():
    parser = argparse.ArgumentParser(description="check that snapshots stay what they were")
    verbs = parser.add_subparsers(dest="verb", required=True)
    checker = verbs.add_parser("check")
    checker.add_argument("parent")
    checker.add_argument("store")
    checker.add_argument("--gone-ok", action="store_true", help="snapshots may have been removed, by rotation")
    sharer = verbs.add_parser("shared")
    sharer.add_argument("one")
    sharer.add_argument("two")
    args = parser.parse_args()
    if args.verb == "check":
        lines = check(args.parent, args.store, args.gone_ok)
    else:
        lines = shared(args.one, args.two)
    listing.print_lines(lines)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
