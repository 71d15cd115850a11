#!/usr/bin/env python3
"""daemon.py PROGRAM [OPTIONS]

Backups to an rsync daemon, by ours and by the rsync client, in turns, in the same run, to one daemon on the loopback, from
one filesystem image to another. The table shows medians of wall time, how many bytes went to and fro, as each program
tells itself, and the most memory that the client had. Needs root.
"""
import argparse
import contextlib
import os
import socket
import subprocess
import time

import measure
import pairs
import tree

RSYNC = ["rsync", "-aHAX", "--numeric-ids", "--stats"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Daemon:
    """Of the whole of @path, as root."""

    def __init__(self, directory, path):
        self.port, config = free_port(), directory + "/rsyncd.conf"
        with open(config, "w", encoding="ascii") as file:
            file.write(f"address = 127.0.0.1\nport = {self.port}\nuse chroot = no\n[all]\npath = {path}\nread only = no\n"
                       "uid = 0\ngid = 0\n")
        self.process = subprocess.Popen(["rsync", "--daemon", "--no-detach", "--config=" + config])
        self.url = f"rsync://127.0.0.1:{self.port}/all/"
        for _ in range(200):
            with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Bench:
    def __init__(self, options):
        self.options, self.memory = options, {}

    def note(self, side, name, done):
        self.memory.setdefault(name, {})[side] = done[2]

    def rsync(self, name, *arguments):
        done = pairs.timed([*RSYNC, *arguments])
        self.note("theirs", name, done)
        return done[0], pairs.told_by_rsync(done[1])

    def ours(self, name, *arguments):
        done = pairs.timed([os.path.abspath(self.options.program), "--disable-notifications", *arguments])
        self.note("ours", name, done)
        return done[0], pairs.told_by_us(done[1])

    def tell_memory(self):
        print("\nmost memory of the client, MiB")
        for name, used in self.memory.items():
            print(f"{name:34}{used['theirs'] / measure.MIB:8.1f}{used['ours'] / measure.MIB:8.1f}"
                  f"{used['theirs'] / used['ours']:7.2f}x")


def small_files(b, daemon, source, destination):
    top = source.mount + "/tree"
    tree.make(top, b.options.files)
    time.sleep(6)  # see phases.py

    def first(call):
        def cost(i):
            name = ("theirs" if call == b.rsync else "ours") + str(i)
            os.mkdir(f"{destination.mount}/{name}")
            took, sent = call("first backup", top + ("/" if call == b.rsync else ""), f"{daemon.url}{name}/latest/")
            began = time.monotonic()
            pairs.sync(destination.mount)
            return took + time.monotonic() - began, sent
        return cost

    pairs.row("first backup", b.options.rounds, first(b.rsync), first(b.ours))
    pairs.row("unchanged", b.options.rounds,
              lambda i: b.rsync("unchanged", "--delete", top + "/", daemon.url + "theirs0/latest/"),
              lambda i: b.ours("unchanged", top, daemon.url + "ours0/latest/"))

    def theirs(i):
        """What one would do by hand: a transfer, and another one into a new directory."""
        latest = b.rsync("with a snapshot", "--delete", top + "/", daemon.url + "theirs0/latest/")
        snapshot = b.rsync("with a snapshot", "--link-dest=../latest", top + "/", f"{daemon.url}theirs0/snapshot{i}/")
        return tuple(map(sum, zip(latest, snapshot)))

    pairs.row("unchanged, and a snapshot", b.options.rounds, theirs,
              lambda i: b.ours("with a snapshot", "--backup", "--snapshot", top, daemon.url + "ours0/latest/"))


def large_file(b, daemon, source):
    top, size = source.mount + "/image", int(b.options.image * (1 << 30))
    os.mkdir(top)
    pairs.random_file(top + "/file", size)
    b.rsync("image", top + "/", daemon.url + "theirs/")
    b.ours("image", top, daemon.url + "ours/")
    changed = {"round": -1}

    def change(i):
        if changed["round"] < i:
            changed["round"] = i
            pairs.change_blocks(top + "/file", size, i)
        os.utime(top + "/file")

    def theirs(i):
        change(i)
        return b.rsync("image", top + "/", daemon.url + "theirs/")

    def ours(i):
        change(i)
        return b.ours("image", top, daemon.url + "ours/")

    pairs.row("image, 1 % of its blocks changed", b.options.rounds, theirs, ours)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("program")
    parser.add_argument("--files", type=int, default=300000)
    parser.add_argument("--image", type=float, default=4, help="GiB of the file of which some blocks change; 0: none")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    machine, b = measure.Machine(), Bench(options)
    print(pairs.HEAD)
    with measure.workplace() as top:
        size = options.files * 12 * 1024 + 512 * measure.MIB
        with measure.Image(top, "small-source", "ext4", size, ["-i", "8192"]) as source, \
                measure.Image(top, "small", "ext4", 2 * options.rounds * size, ["-i", "8192"]) as destination:
            daemon = Daemon(top, destination.mount)
            small_files(b, daemon, source, destination)
            daemon.stop()
        size = int(options.image * (1 << 30) * 1.1) + 512 * measure.MIB
        with measure.Image(top, "large-source", "ext4", size) as source, \
                measure.Image(top, "large", "ext4", 3 * size) as destination:
            daemon = Daemon(top, destination.mount)
            if options.image:
                large_file(b, daemon, source)
            daemon.stop()
    b.tell_memory()
    print(f"\n{options.files} small files; {options.image} GiB; median of {options.rounds} rounds\n{machine}")


if __name__ == "__main__":
    main()
