"""What the benchmarks of two programs share that move bytes to another place: pairs of commands in turns, and a table."""
import contextlib
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
HEAD = f"{'':34}{'seconds':>16}{'':8}{'million bytes':>24}\n{'':34}{'theirs':>8}{'ours':>8}{'':8}{'theirs':>12}{'ours':>12}"


class Watch(threading.Thread):
    """The most memory that all processes together had whose command line has @mark in it, both ends of a connection; in
    bytes, each page counted once, sampled twenty times a second."""

    def __init__(self, programs, mark):
        super().__init__(daemon=True)
        self.programs, self.mark, self.peak, self.over = programs, mark.encode(), 0, threading.Event()

    def used(self):
        total = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    line = file.read()
                if self.mark not in line or os.path.basename(line.split(b"\0")[0].decode()) not in self.programs:
                    continue
                with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                    total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        return total * 1024

    def run(self):
        while not self.over.wait(0.05):
            self.peak = max(self.peak, self.used())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def timed(command, **options):
    """Its wall time in seconds, what it said, and the most memory that it had, in bytes."""
    os.sync()
    with tempfile.NamedTemporaryFile("r") as peak:
        # Not from wait4(): a new program starts with the peak of who started it, which is Python.
        command = ["time", "--quiet", "--format=%M", "--output=" + peak.name, *command]
        began = time.monotonic()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False, **options)
        took = time.monotonic() - began
        if done.returncode != 0:
            sys.exit(f"failed with {done.returncode}: {' '.join(command)}\n{done.stdout[-2000:]}")
        return took, done.stdout, int(peak.read()) * 1024


def told_by_rsync(said):
    """Bytes on the wire, from --stats."""
    told = re.findall(r"Total bytes (?:sent|received): ([\d,.]+)", said)
    return sum(int(n.replace(",", "").replace(".", "")) for n in told)


def told_by_us(said):
    told = re.search(r"connection: ([\d.,]+) (\w+) sent, ([\d.,]+) (\w+) received", said)
    pairs = (told.groups()[:2], told.groups()[2:]) if told else ()
    return sum(int(float(number.replace(",", "")) * UNITS[unit]) for number, unit in pairs)


def row(name, rounds, theirs, ours):
    """One pair of calls, @rounds times in turns; each takes the number of the round, and returns seconds and bytes."""
    costs = {"theirs": [], "ours": []}
    for i in range(rounds):
        for side in ("theirs", "ours")[::-1 if i % 2 else 1]:
            costs[side].append((theirs if side == "theirs" else ours)(i))
    wall = {side: statistics.median(c[0] for c in costs[side]) for side in costs}
    sent = {side: statistics.median(c[1] for c in costs[side]) for side in costs}
    line = f"{name:34}{wall['theirs']:8.2f}{wall['ours']:8.2f}{wall['theirs'] / wall['ours']:7.2f}x"
    if sent["theirs"] and sent["ours"]:
        line += f"{sent['theirs'] / 1e6:12.3f}{sent['ours'] / 1e6:12.3f}{100 * sent['ours'] / sent['theirs']:9.2f} %"
    print(line, flush=True)


def sync(path):
    subprocess.run(["sync", "-f", path], check=True)


def change_blocks(path, size, seed):
    """One per cent of the blocks of 4 KiB, at random."""
    draw = random.Random(seed)
    with open(path, "r+b") as file:
        for _ in range(size // 4096 // 100):
            file.seek(draw.randrange(size // 4096) * 4096)
            file.write(draw.randbytes(4096))


def random_file(path, size):
    with open(path, "wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
