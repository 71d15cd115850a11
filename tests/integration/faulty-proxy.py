"""A TCP proxy in front of a server of the tests, with faults: faulty-proxy.py DIRECTORY TARGET_PORT

It writes its port into DIRECTORY/port. Each connection takes the first line of DIRECTORY/plan for itself, or DIRECTORY/always
if there is none. A line is a row of these, "up" being the way to the server, "down" the way back, N bytes that have gone
that way:

    cut=WAY:N:rst    end both connections with a reset; `fin` instead of `rst`: with an orderly end
    stall=WAY:N:S    carry nothing for S seconds; for ever with 0: then it is over, which neither side is told
    delay=MS         each byte arrives so many milliseconds later, both ways; the rate stays what it is
    refuse           end it at once

When a connection is over a line "UP DOWN" is added to DIRECTORY/counts: bytes carried. DIRECTORY/open says how many are not.
"""
import os
import queue
import socket
import struct
import sys
import threading
import time

PIECE = 65536
QUEUE_PIECES = 1024  # that are on their way, when there is a delay


class Plan:
    def __init__(self, line):
        self.delay = 0.0
        self.cut = self.stall = None
        self.refuse = False
        for word in line.split():
            name, _, value = word.partition("=")
            if name == "cut":
                way, size, kind = value.split(":")
                self.cut = (way, int(size), kind)
            elif name == "stall":
                way, size, seconds = value.split(":")
                self.stall = (way, int(size), float(seconds))
            elif name == "delay":
                self.delay = float(value) / 1000
            elif name == "refuse":
                self.refuse = True
            else:
                raise ValueError(word)


held = []  # connections that stay as they are


class Connection:
    def __init__(self, client, server, plan, over):
        self.ends = (client, server)
        self.plan = plan
        self.over = over
        self.count = {"up": 0, "down": 0}
        self.lock = threading.Condition()
        self.is_cut = False
        self.stalled_until = 0.0
        self.left = 2
        for end in self.ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(0.2)
        for way, source, target in (("up", client, server), ("down", server, client)):
            threading.Thread(target=self.pump, args=(way, source, target), daemon=True).start()

    def pump(self, way, source, target):
        try:
            if self.plan.delay:
                self.carry_late(way, source, target)
            else:
                self.carry(way, self.pieces(source), target)
        except OSError:
            # One side is gone, which the other one is to know, unless nobody knows anything any more.
            self.end("rst")
        with self.lock:
            self.left -= 1
            if self.left > 0:
                return
        if self.stalled_until == float("inf"):
            held.append(self)
        else:
            for end in self.ends:
                end.close()
        self.over(self.count)

    def pieces(self, source):
        while not self.is_cut:
            try:
                data = source.recv(PIECE)
            except TimeoutError:
                continue
            if not data:
                return
            yield data

    def carry_late(self, way, source, target):
        waiting = queue.Queue(QUEUE_PIECES)

        def read():
            try:
                for data in self.pieces(source):
                    waiting.put((time.monotonic() + self.plan.delay, data))
            except OSError:
                pass
            waiting.put((time.monotonic() + self.plan.delay, b""))

        def due():
            while True:
                when, data = waiting.get()
                time.sleep(max(0.0, when - time.monotonic()))
                if not data:
                    return
                yield data

        threading.Thread(target=read, daemon=True).start()
        self.carry(way, due(), target)

    def carry(self, way, pieces, target):
        for data in pieces:
            while data and not self.is_cut:
                self.pause()
                if self.is_cut:
                    return
                try:
                    size = target.send(data[: self.allowed(way, len(data))])
                except TimeoutError:
                    continue
                data = data[size:]
                self.carried(way, size)
            if self.is_cut:
                return
        self.pause()
        if not self.is_cut:
            target.shutdown(socket.SHUT_WR)

    def allowed(self, way, size):
        for fault in (self.plan.cut, self.plan.stall):
            if fault and fault[0] == way and fault[1] > self.count[way]:
                size = min(size, fault[1] - self.count[way])
        return size

    def carried(self, way, size):
        with self.lock:
            self.count[way] += size
            stall, cut = self.plan.stall, self.plan.cut
            if stall and stall[0] == way and stall[1] == self.count[way]:
                self.stalled_until = time.monotonic() + stall[2] if stall[2] else float("inf")
        if cut and cut[0] == way and cut[1] == self.count[way]:
            self.end(cut[2])
        if self.stalled_until == float("inf"):
            self.is_cut = True

    def pause(self):
        while not self.is_cut and (left := self.stalled_until - time.monotonic()) > 0:
            time.sleep(min(left, 1))

    def end(self, kind):
        if self.stalled_until == float("inf"):
            return
        with self.lock:
            if self.is_cut:
                return
            self.is_cut = True
        for end in self.ends:
            try:
                if kind == "rst":
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RD)
                else:
                    end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Proxy:
    def __init__(self, directory, target_port):
        self.directory = directory
        self.target_port = target_port
        self.lock = threading.Lock()
        self.open = 0

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name + ".new"), "w", encoding="ascii") as file:
            file.write(text)
        os.rename(self.path(name + ".new"), self.path(name))

    def read_lines(self, name):
        try:
            with open(self.path(name), encoding="ascii") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def next_plan(self):
        lines = self.read_lines("plan")
        if lines:
            self.write("plan", "".join(line + "\n" for line in lines[1:]))
            return Plan(lines[0])
        return Plan(" ".join(self.read_lines("always")))

    def begin(self):
        with self.lock:
            self.open += 1
            self.write("open", "%d\n" % self.open)

    def over(self, count):
        with self.lock:
            with open(self.path("counts"), "a", encoding="ascii") as file:
                file.write("%d %d\n" % (count["up"], count["down"]))
            self.open -= 1
            self.write("open", "%d\n" % self.open)

    def serve(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=20)
        self.write("port", "%d\n" % listener.getsockname()[1])
        while True:
            client = listener.accept()[0]
            self.begin()
            plan = self.next_plan()
            try:
                if plan.refuse:
                    raise ConnectionError
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                client.close()
                self.over({"up": 0, "down": 0})
                continue
            Connection(client, server, plan, self.over)


Proxy(sys.argv[1], int(sys.argv[2])).serve()
