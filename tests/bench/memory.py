#!/usr/bin/env python3
"""memory.py PROGRAM [OPTIONS]

Peak memory of each phase of a backup, ours and that of rsync and cp, for trees of several sizes; and what an entry for
a file with hard links costs, as the difference between a tree with pairs of linked files and one without. For rsync
it is the largest of its three processes. The files are empty, 20 to a directory. Needs root.
"""
import argparse
import contextlib
import os
import time

import measure

RSYNC = ["rsync", "-aHAX", "--numeric-ids"]
PHASES = ["first backup", "unchanged", "snapshot", "removal"]


def grow(root, have, want, linked=False):
    """Files number @have to @want - 1, the same each time. @linked: each second one is a link of the one before."""
    for first in range(have - have % 20, want, 20):
        directory = f"{root}/d{first // 2000}/d{first // 20}"
        os.makedirs(directory, exist_ok=True)
        fd = os.open(directory, os.O_RDONLY)
        for i in range(max(first, have), min(first + 20, want)):
            if linked and i % 2:
                os.link(f"f{i - 1}", f"f{i}", src_dir_fd=fd, dst_dir_fd=fd)
            else:
                os.mknod(f"f{i}", dir_fd=fd)
        os.close(fd)


def images(stack, top, files):
    """Source and destination for that many empty files and one snapshot of them."""
    size, nodes = files * 900 + 512 * measure.MIB, files * 115 // 100 + 20000
    return [stack.enter_context(measure.Image(top, name, "ext4", size, ["-N", str(nodes)]))
            for name in ("source", "destination")]


def settle():
    """What is younger than a backup by the slack of clocks gets more attention in the next one: let it age."""
    time.sleep(6)


def ours(program, tree, destination):
    """The cost of each phase, on a fresh filesystem."""
    destination.make()
    parent = destination.mount + "/parent"
    latest, costs = parent + "/latest", {}
    for phase, arguments in zip(PHASES, (["--backup", tree], ["--backup", tree], ["--snapshot"], ["--rotate"])):
        if phase == "removal":
            measure.expire(parent)
        os.sync()
        costs[phase] = measure.run(*measure.program(program, *arguments, latest), peak=True)
    return costs


def theirs(tree, destination, phases=4):
    """Likewise, the first so many phases."""
    destination.make()
    latest, snapshot, costs = destination.mount + "/latest", destination.mount + "/snapshot", {}
    commands = ([*RSYNC, tree + "/", latest + "/"], [*RSYNC, "--delete", tree + "/", latest + "/"],
                ["cp", "--archive", "--link", latest, snapshot], ["rm", "-rf", snapshot])
    for phase, command in list(zip(PHASES, commands))[:phases]:
        os.sync()
        costs[phase] = measure.run(*command, peak=True)
    return costs


def number(n):
    """30k, 3M and so on, as argument and when shown."""
    if isinstance(n, str):
        return int(float(n.rstrip("kM")) * {"k": 1000, "M": 1000000}.get(n[-1], 1))
    return f"{n / 1e6:g}M" if n >= 1000000 else f"{n / 1e3:g}k" if n >= 1000 else str(n)


def show_sizes(program, sizes, source, destination):
    print(f"\n{'peak, MiB':14}" + "".join(f"{number(n):>8}{'rsync/cp/rm':>12}" for n in sizes))
    rows, have = {phase: [] for phase in PHASES}, 0
    for n in sizes:
        grow(source.mount + "/tree", have, n)
        settle()
        have, us, them = n, ours(program, source.mount + "/tree", destination), theirs(source.mount + "/tree", destination)
        for phase in PHASES:
            rows[phase] += [us[phase].peak / 1024, them[phase].peak / 1024]
    for phase, row in rows.items():
        print(f"{phase:14}" + "".join(f"{value:{12 if i % 2 else 8}.1f}" for i, value in enumerate(row)), flush=True)


def show_links(program, groups, source, destination):
    """What each group of linked files adds."""
    costs = {}
    for linked in False, True:
        tree = f"{source.mount}/{'linked' if linked else 'single'}"
        grow(tree, 0, 2 * groups, linked)
        settle()
        costs[linked] = [side for side in (ours(program, tree, destination), theirs(tree, destination))]
    print(f"\n{f'bytes for each of {number(groups)} pairs of links':40}{'ours':>8}{'rsync/cp/rm':>12}")
    for phase in PHASES:
        each = [(costs[True][side][phase].peak - costs[False][side][phase].peak) * 1024 / groups for side in (0, 1)]
        print(f"{phase:40}{each[0]:8.0f}{each[1]:12.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("program")
    parser.add_argument("--sizes", nargs="+", type=number, default=[30000, 300000, 3000000])
    parser.add_argument("--groups", type=number, default=300000, help="pairs of linked files")
    options = parser.parse_args()
    machine = measure.Machine()
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(measure.workplace())
        source, destination = images(stack, top, max(options.sizes))
        show_sizes(options.program, sorted(options.sizes), source, destination)
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(measure.workplace())
        source, destination = images(stack, top, 4 * options.groups)
        show_links(options.program, options.groups, source, destination)
    print(f"\n{machine}")


if __name__ == "__main__":
    main()
