#!/usr/bin/env python3
"""delta.py PROBE [OPTIONS]

One large file and what has become of it: what the delta costs in processor time (of both sides) and in bytes over the
wire, ours (PROBE is delta-probe: both sides in one process), rdiff's and rsync's, by turns; nothing is in memory before.
The filesystem can share blocks; "space" is what the new version takes beside the old one. Needs root.
"""
import argparse
import contextlib
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile

import measure

MIB = measure.MIB


def chunks(size, noise):
    """That many bytes of noise."""
    for at in range(0, size, MIB):
        yield noise.randbytes(min(MIB, size - at))


def write(path, pieces):
    with open(path, "wb") as file:
        for piece in pieces:
            file.write(piece)


def share(old, new):
    measure.quietly("cp", "--reflink=always", old, new)


def change_blocks(old, new, noise):
    """1 % of its blocks of 4 KiB, at random."""
    share(old, new)
    blocks = os.path.getsize(new) // 4096
    with open(new, "r+b") as file:
        for block in noise.sample(range(blocks), blocks // 100):
            file.seek(block * 4096)
            file.write(noise.randbytes(4096))


def insert_in_front(old, new, noise):
    with open(old, "rb") as file:
        write(new, [noise.randbytes(15), *iter(lambda: file.read(MIB), b"")])


def append(old, new, noise):
    share(old, new)
    with open(new, "ab") as file:
        file.write(noise.randbytes(10 * MIB))


def replace(old, new, noise):
    write(new, chunks(os.path.getsize(old), noise))


CASES = {"1 % of blocks changed": change_blocks, "15 bytes in front": insert_in_front, "10 MiB appended": append,
         "wholly different": replace, "identical": lambda old, new, noise: share(old, new)}


def ours(place, probe):
    with tempfile.TemporaryFile("w+") as told:
        cost = measure_output(told, probe, f"{place}/old", f"{place}/new", f"{place}/result")
        told.seek(0)
        values = dict(pair.split("=") for pair in told.read().split())
    wire = sum(int(values[name]) for name in ("signature", "search", "delta"))
    return cost, wire, f"{place}/result"


def measure_output(told, *command):
    """As measure.run(), with standard output."""
    before, start = os.times(), measure.time.monotonic()
    subprocess.run(command, check=True, stdout=told)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return measure.Cost(measure.time.monotonic() - start, cpu, 0)


def rdiff(place, _):
    steps = [["signature", "old", "signature"], ["delta", "signature", "new", "delta"], ["patch", "old", "delta", "result"]]
    costs = [measure.run("rdiff", "--force", *step, cwd=place) for step in steps]
    wire = sum(os.path.getsize(f"{place}/{name}") for name in ("signature", "delta"))
    for name in "signature", "delta":
        os.unlink(f"{place}/{name}")
    return measure.Cost(sum(c.wall for c in costs), sum(c.cpu for c in costs), 0), wire, f"{place}/result"


def rsync(place, _):
    share(f"{place}/old", f"{place}/result")
    os.sync()
    with tempfile.TemporaryFile("w+") as told:
        cost = measure_output(told, "rsync", "--ignore-times", "--no-whole-file", "--stats", f"{place}/new",
                              f"{place}/result")
        told.seek(0)
        found = re.findall(r"Total bytes (?:sent|received): ([\d,]+)", told.read())
    return cost, sum(int(number.replace(",", "")) for number in found), f"{place}/result"


def used(place):
    os.sync()
    status = os.statvfs(place)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("probe")
    parser.add_argument("--size", type=float, default=4, help="GiB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--filesystem", default="xfs", choices=["xfs", "btrfs"])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    options = parser.parse_args()
    machine, size, noise = measure.Machine(), int(options.size * 1024) * MIB, random.Random(1)
    whos = {"ours": ours, "rdiff": rdiff, "rsync": rsync}
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(measure.workplace())
        image = stack.enter_context(measure.Image(top, "disk", options.filesystem, 4 * size + 1024 * MIB))
        place = image.mount
        write(f"{place}/old", chunks(size, noise))
        for case in options.cases:
            CASES[case](f"{place}/old", f"{place}/new", noise)
            print(f"\n{f'{case}, {options.size:g} GiB':32}{'s':>8}{'cpu s':>8}{'wire MiB':>12}{'space MiB':>11}")
            results = {who: [] for who in whos}
            for _ in range(options.rounds):
                for who, run in whos.items():
                    image.forget()  # also XFS frees space some time after a file was removed
                    before = used(place)
                    cost, wire, result = run(place, os.path.abspath(options.probe))
                    space = used(place) - before
                    if subprocess.run(["cmp", f"{place}/new", result]).returncode != 0:
                        sys.exit(f"{who}: the result is another file")
                    os.unlink(result)
                    results[who].append((cost.wall, cost.cpu, wire / MIB, space / MIB))
            medians = {who: [statistics.median(values) for values in zip(*rows)] for who, rows in results.items()}
            for who, values in medians.items():
                print(f"{who:32}{values[0]:8.1f}{values[1]:8.1f}{values[2]:12.2f}{values[3]:11.1f}")
            for who in "rdiff", "rsync":
                ratios = [a / b if b else 1 for a, b in zip(medians["ours"][:3], medians[who][:3])]
                print(f"{f'ours to {who}':32}{ratios[0]:8.2f}{ratios[1]:8.2f}{ratios[2]:12.3f}", flush=True)
            os.unlink(f"{place}/new")
    print(f"\nmedians of {options.rounds}, {options.filesystem}; {machine}")


if __name__ == "__main__":
    main()
