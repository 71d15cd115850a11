#!/usr/bin/env python3
"""remote.py PROGRAM [OPTIONS]

Backups over SSH against rsync over ssh(1), in turns, in the same run, through one server on the loopback with the same
cipher, from one filesystem image to another. The table shows medians of wall time, how many bytes went to and fro before
encryption, as each program tells itself, and the most memory of both ends. Needs root.
"""
import argparse
import asyncio
import contextlib
import os
import socket
import subprocess
import threading
import time

import measure
import pairs
import ssh
import tree

RSYNC = ["-aHAX", "--numeric-ids", "--stats"]


class Delay(threading.Thread):
    """A way to @port on which each byte travels for @seconds, in either direction, as many at once as there are."""

    def __init__(self, port, seconds):
        super().__init__(daemon=True)
        self.target, self.seconds, self.port = port, seconds, ssh.free_port()
        self.ready = threading.Event()

    async def pump(self, reader, writer):
        queue = asyncio.Queue()

        async def deliver():
            while True:
                due, data = await queue.get()
                await asyncio.sleep(due - time.monotonic())
                writer.write(data)
                await writer.drain()
                if not data:
                    writer.close()
                    return

        task = asyncio.ensure_future(deliver())
        while True:
            try:
                data = await reader.read(1 << 18)
            except ConnectionError:
                data = b""
            queue.put_nowait((time.monotonic() + self.seconds, data))
            if not data:
                break
        with contextlib.suppress(ConnectionError):
            await task

    async def connect(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=1 << 22)
        for end in writer, far_writer:
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(self.pump(reader, far_writer), self.pump(far_reader, writer))

    async def serve(self):
        server = await asyncio.start_server(self.connect, "127.0.0.1", self.port, limit=1 << 22)
        self.ready.set()
        await server.serve_forever()

    def run(self):
        asyncio.run(self.serve())


class Way:
    """To the server by @port, for both programs."""

    def __init__(self, directory, port):
        self.home = f"{directory}/home-{port}"
        os.makedirs(self.home + "/.ssh", mode=0o700)
        with open(f"{directory}/host.pub", encoding="ascii") as file:
            key = " ".join(file.read().split()[:2])
        with open(self.home + "/.ssh/known_hosts", "w", encoding="ascii") as file:
            file.write(f"[127.0.0.1]:{port} {key}\n")
        self.config = self.home + "/.ssh/config"
        with open(self.config, "w", encoding="ascii") as file:
            file.write(f"Host far\nHostName 127.0.0.1\nPort {port}\nIdentityFile {directory}/user\nIdentityAgent none\n"
                       f"UserKnownHostsFile {self.home}/.ssh/known_hosts\nCiphers aes256-gcm@openssh.com\n")
        os.chmod(self.config, 0o600)


class Bench:
    def __init__(self, options, top, server):
        self.options, self.top = options, top
        self.near = Way(server.directory, server.port)
        delay = Delay(server.port, 0.05)
        delay.start()
        delay.ready.wait()
        self.slow = Way(server.directory, delay.port)
        self.memory = {}

    def ssh(self, command):
        return ["ssh", "-F", self.near.config, "far", command]

    def note(self, side, watch):
        self.memory[side] = max(self.memory.get(side, 0), watch.peak)

    def rsync(self, way, *arguments):
        with pairs.Watch(["rsync", "ssh"], self.top) as watch:
            done = pairs.timed(["rsync", *RSYNC, "-e", "ssh -F " + way.config, *arguments])
        self.note("theirs", watch)
        return done[0], pairs.told_by_rsync(done[1])

    def ours(self, way, *arguments):
        command = [os.path.abspath(self.options.program), "--disable-notifications",
                   "--remote-command=" + os.path.abspath(self.options.program), *arguments]
        with pairs.Watch([os.path.basename(self.options.program)], os.path.abspath(self.options.program)) as watch:
            done = pairs.timed(command, env=dict(os.environ, HOME=way.home))
        self.note("ours", watch)
        return done[0], pairs.told_by_us(done[1])

    def tell_memory(self, what):
        """Of all processes at both ends but sshd; rsync's ssh is one of them."""
        theirs, ours = self.memory["theirs"], self.memory["ours"]
        print(f"{'memory, MiB: ' + what:34}{theirs / measure.MIB:8.1f}{ours / measure.MIB:8.1f}{theirs / ours:7.2f}x")
        self.memory = {}

    def row(self, name, theirs, ours):
        pairs.row(name, self.options.rounds, theirs, ours)


def small_files(b, source, destination):
    tree.make(source.mount + "/tree", b.options.files)
    time.sleep(6)  # see phases.py
    theirs, ours = destination.mount + "/theirs", destination.mount + "/ours/latest"

    def first_theirs(i):
        cost = b.rsync(b.near, source.mount + "/tree/", f"far:{theirs}{i}/")
        began = time.monotonic()
        pairs.sync(destination.mount)
        return cost[0] + time.monotonic() - began, cost[1]

    def first_ours(i):
        os.makedirs(os.path.dirname(f"{destination.mount}/ours{i}/"))
        return b.ours(b.near, "-b", source.mount + "/tree", f"far:{destination.mount}/ours{i}/latest")

    b.row("first backup", first_theirs, first_ours)
    theirs, ours = theirs + "0/", destination.mount + "/ours0/latest"
    b.row("unchanged", lambda i: b.rsync(b.near, "--delete", source.mount + "/tree/", "far:" + theirs),
          lambda i: b.ours(b.near, "-b", source.mount + "/tree", "far:" + ours))
    b.row("unchanged, 100 ms round trip",
          lambda i: b.rsync(b.slow, "--delete", source.mount + "/tree/", "far:" + theirs),
          lambda i: b.ours(b.slow, "-b", source.mount + "/tree", "far:" + ours))
    b.row("snapshot", lambda i: (pairs.timed(b.ssh(f"cp -al {theirs} {destination.mount}/snapshot{i}"))[0], 0),
          lambda i: (b.ours(b.near, "-s", source.mount + "/tree", "far:" + ours)[0], 0))

    def remove_ours(i):
        measure.expire(os.path.dirname(ours))
        return b.ours(b.near, "-r", "far:" + ours)[0], 0

    b.row("removal", lambda i: (pairs.timed(b.ssh(f"rm -rf {destination.mount}/snapshot{i}"))[0], 0), remove_ours)


def large_files(b, source, destination):
    size = int(b.options.image * (1 << 30))
    for name in "image", "bulk":
        os.mkdir(f"{source.mount}/{name}")
    pairs.random_file(source.mount + "/image/file", size)
    pairs.random_file(source.mount + "/bulk/file", int(b.options.bulk * (1 << 30)))
    for side in "theirs", "ours":
        os.makedirs(f"{destination.mount}/{side}")
    bulk = {"theirs": lambda i: b.rsync(b.near, source.mount + "/bulk/", f"far:{destination.mount}/theirs/bulk{i}/"),
            "ours": lambda i: b.ours(b.near, "-b", source.mount + "/bulk",
                                     f"far:{destination.mount}/ours/bulk{i}/latest")}

    def in_turn(side):
        def call(i):
            cost = bulk[side](i)
            subprocess.run(["rm", "-rf", f"{destination.mount}/{side}/bulk{i}"], check=True)
            return cost
        return call

    b.row("bulk, one file", in_turn("theirs"), in_turn("ours"))
    b.rsync(b.near, source.mount + "/image/", f"far:{destination.mount}/theirs/image/")
    b.ours(b.near, "-b", source.mount + "/image", f"far:{destination.mount}/ours/image/latest")
    changed = {"round": -1}

    def change(i):
        if changed["round"] < i:
            changed["round"] = i
            pairs.change_blocks(source.mount + "/image/file", size, i)
        os.utime(source.mount + "/image/file")

    def theirs(i):
        change(i)
        return b.rsync(b.near, "--no-whole-file", source.mount + "/image/", f"far:{destination.mount}/theirs/image/")

    def ours(i):
        change(i)
        return b.ours(b.near, "-b", source.mount + "/image", f"far:{destination.mount}/ours/image/latest")

    b.row("image, 1 % of its blocks changed", theirs, ours)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("program")
    parser.add_argument("--files", type=int, default=300000)
    parser.add_argument("--image", type=float, default=4, help="GiB of the file of which some blocks change")
    parser.add_argument("--bulk", type=float, default=8, help="GiB")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    machine = measure.Machine()
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(measure.workplace())
        os.mkdir(top + "/ssh")
        server = ssh.Server(top + "/ssh")
        stack.callback(server.stop)
        b = Bench(options, top, server)
        print(pairs.HEAD)
        size = options.files * 12 * 1024 + 512 * measure.MIB
        with measure.Image(top, "small-source", "ext4", size, ["-i", "8192"]) as source, \
                measure.Image(top, "small", "ext4", 2 * options.rounds * size, ["-i", "8192"]) as destination:
            small_files(b, source, destination)
        b.tell_memory("small files")
        size = int((options.image + options.bulk) * (1 << 30) * 1.1) + 512 * measure.MIB
        with measure.Image(top, "large-source", "ext4", size) as source, \
                measure.Image(top, "large", "ext4", int(size * 1.5 + options.image * (1 << 31))) as destination:
            large_files(b, source, destination)
        b.tell_memory("large files")
    print(f"\n{options.files} small files; {options.image} and {options.bulk} GiB; median of {options.rounds} rounds\n{machine}")


if __name__ == "__main__":
    main()
