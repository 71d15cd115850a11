#!/usr/bin/env python3
"""page-cache.py PROGRAM [OPTIONS]

How much of what others have in memory does a first backup leave there? In a control group with little memory a file is
read, once or twice, then something larger is backed up, then mincore(2) tells how much of the file is still in memory.
Pages that were read once are the first that the kernel forgets. Against rsync and cp in the same run, for large files
and for small ones. Needs root and the memory controller of cgroups, either version.
"""
import argparse
import contextlib
import ctypes
import mmap
import os
import random
import sys

import measure

LARGE, SMALL = 512 * measure.MIB, 64 * 1024


class Group:
    """A control group of its own with that much memory."""

    def __init__(self, limit):
        with open("/proc/mounts") as mounts:
            fields = [line.split() for line in mounts]
        first = [f[1] for f in fields if f[2] == "cgroup" and "memory" in f[3].split(",")]
        second = [f[1] for f in fields if f[2] == "cgroup2" and "memory" in self.read(f[1] + "/cgroup.controllers")]
        if not first and not second:
            sys.exit("there is no memory controller of cgroups here")
        if second and not first:
            self.write(second[0] + "/cgroup.subtree_control", "+memory")
        self.path = f"{(first or second)[0]}/rsb-bench-{os.getpid()}"
        self.limit_file = self.path + ("/memory.limit_in_bytes" if first else "/memory.max")
        self.limit = limit

    @staticmethod
    def read(path):
        with open(path) as file:
            return file.read().split()

    @staticmethod
    def write(path, text):
        with open(path, "w") as file:
            file.write(text)

    def __enter__(self):
        os.mkdir(self.path)
        self.write(self.limit_file, str(self.limit))
        return self

    def __exit__(self, *_):
        os.rmdir(self.path)

    def run(self, *command):
        """What its processes bring into memory is the group's, also after they ended."""
        return measure.run(*command, preexec_fn=lambda: self.write(self.path + "/cgroup.procs", str(os.getpid())))


def resident(path):
    """The part of a file that is in memory."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as view:
        pages = -(-len(view) // mmap.PAGESIZE)
        vector, start = (ctypes.c_ubyte * pages)(), ctypes.c_char.from_buffer(view)
        failed = libc.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(view)), vector)
        del start  # or the view could not be closed
        if failed:
            sys.exit(f"mincore: {os.strerror(ctypes.get_errno())}")
        return sum(page & 1 for page in vector) / pages


def forget(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def write_files(directory, size, each):
    noise = random.Random(size).randbytes(measure.MIB)
    for i in range(max(size // each, 1)):
        path = f"{directory}/d{i // 200}/f{i}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            for _ in range(-(-each // len(noise))):
                file.write(noise[:each])


class Bench:
    def __init__(self, group, hot, source, destination, program):
        self.group, self.hot, self.source, self.destination = group, hot, source, destination
        tree, parent = source.mount + "/tree", destination.mount + "/parent"
        self.parent = parent
        self.commands = {"rsync": ["rsync", "-aHAX", "--numeric-ids", tree + "/", parent + "/latest/"],
                         "cp": ["cp", "--archive", tree, parent + "/latest"],
                         "ours": measure.program(program, "--backup", tree, parent + "/latest")}

    def left(self, who, times):
        """Who backs up after the hot file was read so many times: what is left of that file, and the time."""
        self.destination.make()
        os.mkdir(self.parent, 0o700)
        self.source.forget()
        forget(self.hot)
        os.sync()
        for _ in range(times):
            self.group.run("dd", "if=" + self.hot, "of=/dev/null", "bs=1M")
        before = resident(self.hot)
        if before < 0.99:
            sys.exit(f"of the hot file {before:.0%} were in memory to begin with")
        cost = self.group.run(*self.commands[who])
        return resident(self.hot), cost.wall


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("program")
    parser.add_argument("--size", type=float, default=8, help="GiB to back up; 3/8 of it is memory, 1/8 the hot file")
    options = parser.parse_args()
    machine, size = measure.Machine(), int(options.size * 1024) * measure.MIB
    for kind, each in ("large", LARGE), ("small", SMALL):
        with contextlib.ExitStack() as stack:
            top = stack.enter_context(measure.workplace())
            source, destination = (stack.enter_context(measure.Image(top, name, "ext4", size * 9 // 8 + 256 * measure.MIB))
                                   for name in ("source", "destination"))
            group = stack.enter_context(Group(size * 3 // 8))
            hot = top + "/hot"
            write_files(top, size // 8, size // 8)
            os.rename(top + "/d0/f0", hot)
            write_files(source.mount + "/tree", size, min(each, size // 4))
            print(f"\n{f'{options.size:g} GiB of {kind} files':26}{'read once: left':>16}{'s':>6}{'twice: left':>16}{'s':>6}")
            bench = Bench(group, hot, source, destination, options.program)
            for who in bench.commands:
                once, twice = bench.left(who, 1), bench.left(who, 2)
                print(f"{who:26}{once[0]:16.0%}{once[1]:6.1f}{twice[0]:16.0%}{twice[1]:6.1f}", flush=True)
    print(f"\n{size * 3 // 8 // measure.MIB} MiB of memory, of them {size // 8 // measure.MIB} hot; {machine}")


if __name__ == "__main__":
    main()
