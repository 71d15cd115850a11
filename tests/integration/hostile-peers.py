#!/usr/bin/python3
"""
Peers that do not keep to docs/agent-protocol.md, each in a way of its own.

    hostile-peers.py client DIRECTORY PROGRAM [OPTION...]     all clients; PROGRAM --server OPTION... is the agent
    hostile-peers.py agent CASE                               an agent on standard input and output
    hostile-peers.py cases                                    the names of its cases

In DIRECTORY are `srv/own` with `latest` and snapshots, `srv/other` that belongs to somebody else, and `outside`. An agent
ends by itself, without a crash and without much memory, with nothing changed but `latest`, whatever its client does.
"""
import os
import select
import shutil
import struct
import subprocess
import sys
import time

MAGIC = b"\x89RSBP\r\n\x1a"
PREPARE, UPDATE, SNAPSHOT, LIST, REMOVE, RELEASE, CANCEL, EXPLAIN = range(1, 9)
OK, ERROR, ABSENT, LOG, CHANGE, COUNT, STAGE, LIMITS, SNAPSHOTS = range(16, 25)
DIRECTORY, TREES, LISTING, FILE, DATA, HOLE, FILE_END, HASH, END = range(32, 41)
DONE, WANT_DIRECTORIES, WANT_LISTING, WANT_TREE, WANT_FILES, WANT_DELTA, WANT_HASH = range(48, 55)
DRY_RUN, FORCE, BACKUP, SNAP, ROTATE, CHANGES = 1, 2, 8, 16, 32, 64
MUST_LIST, WHOLE = 1, 8
# Of any content that is all zeros, or empty.
ZEROS = bytes.fromhex("99aa06d3014798d86001c324468d497f")
ALIVE = 9
NEWS = (LOG, CHANGE, COUNT, STAGE, ALIVE)
PATIENCE_S = 30
BIG = 300000


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def signed(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


def text(value):
    value = value if isinstance(value, bytes) else os.fsencode(value)
    return varint(len(value)) + value


def hello(oldest=1, newest=1, features=0, program=b"hostile"):
    return MAGIC + struct.pack("<HHIB", oldest, newest, features, len(program)) + program


def packet(body, flags=0):
    return struct.pack("<I", len(body) | flags) + body


def message(kind, payload=b""):
    return bytes([kind]) + varint(len(payload)) + payload


def entry(name, mode, size=0, flags=0, place=(1, 7), owner=None, attributes=(), own=None):
    owner = (os.geteuid(), os.getegid()) if owner is None else owner
    out = text(name) + bytes([flags])
    out += varint(place[0]) + (varint(place[1]) if place[0] else b"")
    out += varint(mode) + varint(owner[0]) + varint(owner[1]) + signed(1000) + varint(0)
    kind = mode & 0o170000
    if own is not None:
        out += own
    elif kind == 0o100000:
        out += varint(size)
    elif kind == 0o120000:
        out += text("../../../outside/file")
    elif kind in (0o60000, 0o20000):
        out += varint(1) + varint(3)
    out += varint(len(attributes))
    for name, value in attributes:
        out += text(name) + text(value)
    return out


def regular(name, size=0, **more):
    return entry(name, 0o100644, size, **more)


def directory(number, parent, name, flags=0, children=0, links=b"\0", **more):
    return message(DIRECTORY, varint(number) + varint(parent) + bytes([flags]) + entry(name, 0o40755, **more) +
                   bytes(16) + varint(children) + links)


def root(children=0, **more):
    return directory(0, 0, "root", MUST_LIST, children, **more)


def listing(number, *entries, more=0):
    return message(LISTING, varint(number) + bytes([more]) + b"".join(entries))


def file(number, index, name, size, flags=0, **more):
    return message(FILE, varint(number) + varint(index) + bytes([flags]) + regular(name, size, **more))


def file_end(number, index, outcome=0, total=ZEROS):
    return message(FILE_END, varint(number) + varint(index) + bytes([outcome]) + (total if outcome == 0 else b""))


def end():
    return message(END, b"\0")


class Peer:
    """One end of a conversation."""

    def __init__(self, fd_in, fd_out, patience_s=PATIENCE_S):
        self.patience_s, self.until = patience_s, 0
        self.fd_in, self.fd_out, self.unread, self.body = fd_in, fd_out, b"", b""
        self.has_hello = False

    def raw(self, data):
        data = memoryview(data)
        while data:
            readable, writable, _ = select.select([self.fd_in], [self.fd_out], [], self.patience_s)
            if self.fd_in in readable:
                self.fill()
            if self.fd_out in writable:
                data = data[os.write(self.fd_out, data[:65536]):]
            if not readable and not writable:
                raise TimeoutError

    def say(self, *messages):
        body = b""
        for one in messages + (None,):
            if body and (one is None or len(body) + len(one) > 1 << 20):
                self.raw(packet(body))
                body = b""
            body += one or b""

    def fill(self):
        data = os.read(self.fd_in, 1 << 20)
        if not data:
            raise EOFError
        self.unread += data

    def need(self, size):
        while len(self.unread) < size:
            if not select.select([self.fd_in], [], [], max(0, self.until - time.time()))[0]:
                raise TimeoutError
            self.fill()

    def take(self, size):
        self.need(size)
        data, self.unread = self.unread[:size], self.unread[size:]
        return data

    def hear(self):
        """The next message that is no news, as its type and payload. News alone do not keep us waiting."""
        self.until = time.time() + self.patience_s
        if not self.has_hello:
            self.take(len(MAGIC) + 8)
            self.take(self.take(1)[0])
            self.has_hello = True
        while True:
            while not self.body:
                self.body = self.take(struct.unpack("<I", self.take(4))[0])
            kind, at, size, shift = self.body[0], 1, 0, 0
            while True:
                byte = self.body[at]
                size |= (byte & 127) << shift
                at, shift = at + 1, shift + 7
                if byte < 128:
                    break
            payload, self.body = self.body[at:at + size], self.body[at + size:]
            if kind not in NEWS:
                return kind, payload

    def hear_until(self, *kinds):
        while True:
            kind, payload = self.hear()
            if kind in kinds + (ERROR,):
                return kind, payload


def prepare(path, flags=BACKUP | SNAP | ROTATE, mount="", crypto="", ionice=0):
    return message(PREPARE, text(path) + text(mount) + text(crypto) + varint(flags) + bytes([ionice]))


def update(source="/source", machine="m", flags=0):
    now = signed(int(time.time())) + varint(0)
    return message(UPDATE, text(machine) + text(source) + text("") + now + text("") + signed(0) + varint(0) + varint(flags))


# ---- clients: each is given the peer, the path of `latest`, and that of the directory of all

clients = {}


def client(f):
    clients[f.__name__.replace("_", "-")] = f
    return f


def begin(p, latest, flags=BACKUP | SNAP | ROTATE):
    p.raw(hello())
    p.say(prepare(latest, flags))
    kind, payload = p.hear()
    assert kind == OK, payload


def exchange(p, latest, *messages, flags=BACKUP):
    begin(p, latest, flags)
    p.say(update())
    assert p.hear()[0] == LIMITS
    p.say(*messages)


def refused(p):
    """The agent says so, or ends the conversation."""
    try:
        kind, payload = p.hear_until(OK)
        assert kind == ERROR, "it was accepted"
        return payload
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return b""


def refused_each(p, *messages):
    for one in messages:
        p.say(one)
        refused(p)


@client
def no_hello(p, latest, top):
    p.raw(b"GET / HTTP/1.0\r\n\r\n" * 1000)
    refused(p)


@client
def versions_to_come(p, latest, top):
    p.raw(hello(7, 9))
    refused(p)


def wrong_packet(head):
    def f(p, latest, top):
        p.raw(hello(features=1) + head)
        refused(p)
    return f


for name, head in {"empty": struct.pack("<I", 0), "too-large": struct.pack("<I", (1 << 20) + 1),
                   "with-unknown-bits": struct.pack("<I", 1 << 25 | 1), "of-all-ones": b"\xff" * 64,
                   "cut-off-message": packet(b"\x01\xff\xff\xff\x7f"), "of-an-endless-number": packet(b"\x01" + b"\xff" * 30),
                   "of-unknown-type": packet(message(99)), "of-a-receiver": packet(message(DONE, b"\0")),
                   "that-is-no-zstd": packet(b"garbage" * 100, 1 << 24),
                   # blocks of 128 KiB of one byte each; a window of 2 GiB
                   "zstd-bomb": packet(b"\x28\xb5\x2f\xfd\0\x58" + (b"\x02\0\x10A" * 250000), 1 << 24),
                   "zstd-window": packet(b"\x28\xb5\x2f\xfd\0\xa8" + b"\x02\0\x10A", 1 << 24)}.items():
    clients["packet-" + name] = wrong_packet(head)


def early(*messages):
    def f(p, latest, top):
        p.raw(hello())
        p.say(*messages)
        refused(p)
    return f


for name, early_messages in {"update": [update(), root(), end()], "snapshot": [message(SNAPSHOT)], "list": [message(LIST)],
                             "remove": [message(REMOVE, text("2020-01-01 00:00:00"))],
                             "explain": [message(EXPLAIN, b"\2" + varint(28) + text("x") + text(""))],
                             "directory": [root()], "end": [end()]}.items():
    clients["before-prepare-" + name] = early(*early_messages)


def bad_prepare(payload):
    def f(p, latest, top):
        p.raw(hello())
        p.say(message(PREPARE, payload))
        refused(p)
        refused_each(p, update())
    return f


for name, payload in {"empty": b"", "text-without-end": b"\xff\xff\xff\xff\x0f", "nul": text(b"/a\0b") + b"\0\0\0\0",
                      "flags": text("/a/b") + b"\0\0" + varint(1 << 40) + b"\0", "ionice": text("/a/b") + b"\0\0\0\x09",
                      "more": text("/a/b") + b"\0\0\0\0more", "long": text(b"/" + b"a" * 100000) + b"\0\0\0\0"}.items():
    clients["prepare-" + name] = bad_prepare(payload)


@client
def prepare_twice(p, latest, top):
    begin(p, latest)
    p.say(prepare(latest))
    refused(p)


def not_listening(path, flags=BACKUP | SNAP | ROTATE):
    """Goes on after PREPARE was refused."""
    def f(p, latest, top):
        p.raw(hello())
        p.say(prepare(os.path.join(top, path), flags))
        assert p.hear()[0] == ERROR
        try:
            p.say(update(), root(), listing(0), end(), message(SNAPSHOT), message(LIST),
                  message(REMOVE, text("2020-01-01 00:00:00")), message(EXPLAIN, b"\2" + varint(28) + text("x") + text("")))
        except (BrokenPipeError, EOFError):
            pass
        refused(p)
    return f


for name, path in {"outside": "outside", "outside-latest": "outside/latest", "other": "srv/other/second",
                   "inside-of-another": "srv/other/latest/dir", "dots": "srv/own/../../outside/latest", "files": "srv/files",
                   "a-snapshot": "srv/own/2020-01-01 00:00:00", "state": "srv/own/.rsync-system-backup"}.items():
    clients["not-listening-" + name] = not_listening(path)
    clients["not-listening-forced-" + name] = not_listening(path, BACKUP | SNAP | ROTATE | FORCE)


@client
def what_was_not_announced(p, latest, top):
    begin(p, latest, SNAP)
    p.say(update())
    refused(p)


@client
def removes_what_is_no_snapshot(p, latest, top):
    begin(p, latest, BACKUP | ROTATE)  # alone it is refused by --append-only
    for one in ("../outside", "..", ".", "/etc", "latest", ".rsync-system-backup", "2020-01-01/../../outside", "2020/01/01",
                "2019-01-01 00:00:00/x", "2019-01-01 00:00:00 "):
        p.say(message(REMOVE, text(one)))
        assert p.hear()[0] == ERROR, one
    p.say(message(REMOVE, text(b"2020-01-01 00:00:00\0")))
    refused(p)


@client
def removes_what_is_not_there(p, latest, top):
    """From where nothing is; what that leaves is no reason to take `files` beside it for a destination."""
    begin(p, os.path.join(top, "srv/none"), ROTATE)
    p.say(message(REMOVE, text("2019-01-01 00:00:00")))
    p.hear()
    p.say(message(RELEASE))
    assert p.hear()[0] == OK


clients["not-listening-files-again"] = not_listening("srv/files")


@client
def explains_garbage(p, latest, top):
    begin(p, latest)
    p.say(message(EXPLAIN, b"\2" + varint(1) + text(b"\033[2J" * 100) + text("")))
    refused(p)
    p.say(message(EXPLAIN, b"\xff" * 1000))
    refused(p)


def bad_exchange(*messages):
    def f(p, latest, top):
        exchange(p, latest, *messages)
        refused(p)
    return f


def cases(prefix, table):
    for name, messages in table.items():
        clients[prefix + name] = bad_exchange(*messages)


for name, bad in {"dots": "..", "dot": ".", "empty": "", "slash": "a/b", "absolute": "/etc", "nul": b"a\0b", "up": "../x",
                  "long": "a" * 256}.items():
    cases("name-" + name, {"-listed": [root(), listing(0, regular(bad))], "-directory": [root(1), directory(1, 0, bad)],
                           "-file": [root(), listing(0, regular("new")), file(0, 0, bad, 0)],
                           "-trees": [root(1), message(TREES, b"\1\0\1\1" + text(bad) + text(bad) + bytes(16) + b"\0")]})
cases("listing-", {
    "unsorted": [root(), listing(0, regular("b"), regular("a"))],
    "duplicate": [root(), listing(0, regular("a"), regular("a"))],
    "twice": [root(), listing(0, regular("new")), listing(0, regular("new"))],
    "of-nothing": [root(), listing(5, regular("a"))],
    "cut-off": [root(), listing(0, regular("a")[:-1])],
})
cases("entry-", {
    "mode": [root(), listing(0, entry("a", 0o177777, own=b""))],
    "type": [root(), listing(0, entry("a", 0o150644, own=b""))],
    "size": [root(), listing(0, regular("a", 1 << 63))],
    "owner": [root(), listing(0, regular("a", owner=(1 << 32, 0)))],
    "nobody": [root(), listing(0, regular("a", owner=((1 << 32) - 1, 0)))],
    "target": [root(), listing(0, entry("a", 0o120777, own=text("x" * 5000)))],
    "attribute": [root(), listing(0, regular("a", attributes=[("user.x", b"1"), ("user.a", b"1")]))],
    "attributes-without-end": [root(), listing(0, regular("a")[:-1] + varint(1 << 60))],
})
cases("directory-", {
    "without-root": [directory(1, 0, "a")],
    "second-root": [root(), root()],
    "of-nobody": [root(1), directory(2, 1, "a")],
    "too-many": [root(1), directory(1, 0, "a", children=1), directory(2, 0, "b"), directory(3, 0, "c")],
    "same-number": [root(2), directory(1, 0, "a", children=1), directory(1, 0, "b")],
    "links-without-end": [root(1), directory(1, 0, "a", links=varint(1 << 31))],
    "children-without-end": [root(1), directory(1, 0, "a", children=1 << 40)],
    "is-a-file": [root(1), message(DIRECTORY, b"\1\0\0" + regular("a") + bytes(16) + b"\0\0")],
    "trees-absurd": [root(1), message(TREES, b"\1\0" + varint(1 << 62) + varint(1 << 62) + text("a") + text("b") + bytes(16))],
    "trees-of-nobody": [root(1), message(TREES, b"\1\7\1\1" + text("a") + text("b") + bytes(16) + b"\0")],
})
cases("content-", {
    "longer": [root(), listing(0, regular("new", 3)), file(0, 0, "new", 3), message(DATA, b"longer")],
    "without-end": [root(), listing(0, regular("new", 1 << 62)), file(0, 0, "new", 10)] + [message(DATA, bytes(1 << 18))] * 200,
    "too-large-a-hole": [root(), listing(0, regular("new", 3)), file(0, 0, "new", 3), message(HOLE, varint(1 << 62))],
    "of-no-file": [root(), message(DATA, b"data")],
    "hole-of-no-file": [root(), message(HOLE, b"\1")],
    "not-asked": [root(), listing(0, regular("file", 3)), file(0, 9, "new", 3)],
    "delta-not-asked": [root(), listing(0, regular("file", 3)), file(0, 0, "file", 3, 1)],
    "another": [root(), listing(0, regular("file", 3)), file(0, 0, "other", 3)],
    "two": [root(), listing(0, regular("a", 3), regular("b", 3)), file(0, 0, "a", 3), file(0, 1, "b", 3)],
    "listing-amid": [root(1), directory(1, 0, "a", WHOLE), file(1, 0, "x", 3), listing(1), file_end(1, 0)],
    "end-of-none": [root(), listing(0, regular("file", 3)), file_end(0, 0)],
    "end-of-another": [root(), listing(0, regular("a", 3), regular("b", 3)), file(0, 0, "a", 3), file_end(0, 1)],
    "hash-not-asked": [root(), listing(0, regular("file", 3)), message(HASH, bytes(3) + bytes(16))],
    "end-twice": [root(), end(), end()],
    "end-of-nothing": [end()],
})


@client
def listing_without_end(p, latest, top):
    entries = b"".join(entry("%07d" % i, 0o100644, 5, place=(0, 0)) for i in range(10000))
    exchange(p, latest, root())
    for _ in range(1700):
        p.say(listing(0, entries, more=1))
    refused(p)


@client
def entries_that_wait_without_end(p, latest, top):
    """Names of five bytes: a listing that is short for what has to be remembered."""
    exchange(p, latest, root(), flags=BACKUP | DRY_RUN)
    for i in range(0, 300000, 10000):
        p.say(listing(0, b"".join(entry("%06d" % k, 0o100644, 5, place=(0, 0)) for k in range(i, i + 10000)), more=1))
    p.say(listing(0), end())
    p.hear_until(OK)


@client
def wrong_sums(p, latest, top):
    """They are asked for again, then told, and never in place."""
    exchange(p, latest, root(), listing(0, regular("file", 3, place=(1, 9)), entry("power", 0o104755, 3, place=(1, 10))))
    for index, name in ((0, "file"), (1, "power")):
        for _ in range(3):
            p.say(file(0, index, name, 3), message(DATA, b"bad"), file_end(0, index, total=bytes(16)))
    p.say(end())
    kind, payload = p.hear_until(OK)
    assert kind == OK, payload
    assert open(latest + "/file").read() != "bad"
    assert open(latest + "/power").read() != "bad"


@client
def shorter(p, latest, top):
    exchange(p, latest, root(), listing(0, regular("new", 1 << 20)))
    for _ in range(3):
        p.say(file(0, 0, "new", 1 << 20), message(DATA, bytes(10)), file_end(0, 0))
    p.say(end())
    assert p.hear_until(OK)[0] == OK
    assert not os.path.exists(latest + "/new")


@client
def hole_of_all_there_is(p, latest, top):
    exchange(p, latest, root(), listing(0, regular("new", (1 << 63) - 1)))
    p.say(file(0, 0, "new", (1 << 63) - 1), message(HOLE, varint((1 << 63) - 1)), file_end(0, 0), end())
    p.hear_until(OK)


@client
def gone_amid_a_file(p, latest, top):
    exchange(p, latest, root(), listing(0, regular("file", 1 << 30)), file(0, 0, "file", 1 << 30), message(DATA, b"begun"))


@client
def gone_after_end(p, latest, top):
    exchange(p, latest, root(5), end())


def bad_delta(delta):
    def f(p, latest, top):
        exchange(p, latest, root(), listing(0, regular("big", BIG)))
        kind, payload = p.hear_until(WANT_DELTA, WANT_FILES)
        assert kind == WANT_DELTA, (kind, payload)
        p.say(file(0, 0, "big", BIG, 1), message(DATA, delta))
        refused(p)
    return f


for name, delta in {"copy-too-much": b"\2" + varint(0) + varint(1 << 60), "copy-beyond": b"\2" + varint(1 << 60) + varint(10),
                    "keep-beyond": b"\1" + varint(BIG + 1), "unknown": b"\x09", "data-beyond": b"\3" + varint(1 << 62),
                    "hole-beyond": b"\5" + varint(1 << 62), "many-put-off": b"\x06\x01" * 5000, "fill-nothing": b"\7",
                    "no-end": b"\0" + bytes(100), "search-beyond": b"\x08" + varint(0) + varint(1 << 60)}.items():
    clients["delta-" + name] = bad_delta(delta)


@client
def symlink_swapped_under_it(p, latest, top):
    exchange(p, latest, root(1), directory(1, 0, "dir", children=1))
    p.hear_until(WANT_LISTING, WANT_TREE)
    p.hear_until(WANT_LISTING, WANT_TREE)
    os.rename(latest + "/dir", latest + "/away")
    os.symlink("../../../outside", latest + "/dir")
    p.say(listing(1, regular("file", 3)), directory(2, 1, "sub"), listing(2), file(1, 0, "file", 3), message(DATA, bytes(3)),
          file_end(1, 0), listing(0), end())
    p.hear_until(OK)


@client
def everything_twice(p, latest, top):
    begin(p, latest)
    for _ in range(2):
        p.say(update())
        assert p.hear()[0] == LIMITS
        p.say(root(), listing(0, regular("zeros", 70000)))
        assert p.hear_until(WANT_FILES, DONE, WANT_HASH, WANT_DELTA)[0] != ERROR
        p.say(file(0, 0, "zeros", 70000), message(HOLE, varint(70000)), file_end(0, 0), end())
        if p.hear_until(OK)[0] == ERROR:
            return
    for one in (SNAPSHOT, SNAPSHOT, LIST, LIST, RELEASE):
        p.say(message(one))
        p.hear_until(OK, SNAPSHOTS)


@client
def below_without_end(p, latest, top):
    exchange(p, latest, root(1), *[directory(i, i - 1, "d", children=1) for i in range(1, 2000)])


@client
def changes_of_long_paths(p, latest, top):
    """What is told takes more than what is said."""
    deep = [directory(i, i - 1, "d" * 250, children=1) for i in range(1, 100)]
    exchange(p, latest, root(1), *deep, flags=BACKUP | CHANGES)
    p.say(listing(99, b"".join(entry("%05d" % k, 0o10644) for k in range(4000))))


# ---- agents

agents = {}


def agent(f):
    agents[f.__name__.replace("_", "-")] = f
    return f


def place(parent="/srv", count=0, extra=b""):
    return message(OK, text("boot") + text(parent) + b"\0" + varint(count) + extra)


def limits():
    """All of it can be kept."""
    return message(LIMITS, varint(0x3f2) + signed(-(1 << 40)) + signed(1 << 40) + varint(1) + varint(0o644) + varint(0o755) +
                   b"\0\0\0" + b"\0" + signed(0) + b"\0")


def greet(p):
    p.raw(hello())
    assert p.hear()[0] == PREPARE


def until_update(p):
    greet(p)
    p.say(place())
    assert p.hear()[0] == UPDATE
    p.say(limits())


def flood(p, one, times):
    for _ in range(times):
        p.say(*one)


@agent
def says_something_else(p):
    p.raw(b"Welcome to \033[31mthe machine\033[0m\n" * 100)


@agent
def silent_end(p):
    p.raw(hello())


@agent
def logs_without_end(p):
    greet(p)
    flood(p, [message(LOG, b"\2" + text("x" * 1000))] * 1000, 50)


@agent
def logs_escapes(p):
    greet(p)
    p.say(*[message(LOG, bytes([level]) + text(b"\033]0;title\007\n\r\0\xff")) for level in range(6)])


@agent
def news_without_sense(p):
    greet(p)
    p.say(message(COUNT, varint(1 << 63) + varint((1 << 64) - 1)), message(STAGE, b"\xff" + varint((1 << 64) - 1)),
          message(CHANGE, b"\xff\xff" + b"\xff" * 9 + b"\x01" + text(b"../\033x")), message(COUNT, b"\xff"))


@agent
def absurd_place(p):
    greet(p)
    p.say(place(count=1 << 60))


@agent
def long_place(p):
    greet(p)
    p.say(place("/" + "x" * 100000))


@agent
def error_of_nothing(p):
    greet(p)
    p.say(message(ERROR, b"\0\0\0\0"))


@agent
def error_with_escapes(p):
    greet(p)
    p.say(message(ERROR, b"\2\1" + text(b"\033[2Jx\n") + text(b"\033[2J")))


@agent
def packet_too_large(p):
    p.raw(hello() + struct.pack("<I", (1 << 20) + 1))


@agent
def packet_bomb(p):
    p.raw(hello(features=1) + packet(b"\x28\xb5\x2f\xfd\0\x58" + (b"\x02\0\x10A" * 250000), 1 << 24))


@agent
def limits_without_sense(p):
    greet(p)
    p.say(place())
    p.hear()
    p.say(message(LIMITS, b"\xff" * 40))


def asks(*messages):
    def f(p):
        until_update(p)
        p.hear_until(DIRECTORY)
        p.say(*messages)
        p.hear_until(99)
    return f


for name, asked in {
        "unknown-directory": [message(WANT_LISTING, varint(99))],
        "absurd-number": [message(WANT_LISTING, varint((1 << 64) - 1))],
        "listing-twice": [message(WANT_LISTING, b"\0"), message(WANT_LISTING, b"\0"), message(WANT_TREE, b"\0")],
        "files-beyond": [message(WANT_FILES, b"\0" + varint(1 << 40) + varint(1))],
        "files-absurd": [message(WANT_FILES, b"\0\0" + varint((1 << 64) - 1))],
        "hash-beyond": [message(WANT_HASH, b"\0" + varint(1 << 31))],
        "hash-of-a-directory": [message(WANT_HASH, b"\0\1")] * 10,
        "trees-that-are-none": [message(WANT_DIRECTORIES, b"\0")],
        "done-twice": [message(DONE, b"\0"), message(DONE, b"\0")],
        "after-done": [message(DONE, b"\0"), message(WANT_LISTING, b"\0")],
        "done-with-nothing": [message(DONE, varint(1 << 50))],
        "delta-without-signature": [message(WANT_DELTA, b"\0\0\0")],
        "delta-with-garbage": [message(WANT_DELTA, b"\0\0\0" + b"garbage" * 100)],
        "signature-without-end": [message(WANT_DELTA, b"\0\0\1" + bytes(200000))] * 2000,
        "deltas-without-end": [message(WANT_DELTA, b"\0" + varint(i) + b"\1") for i in range(100000)],
        "hashes-without-end": [message(WANT_HASH, b"\0\0")] * 300000,
        "cut-off": [message(WANT_FILES, b"\0")],
        "too-long": [message(DONE, b"\0more")],
        "unknown": [message(60)],
        "of-a-sender": [message(DATA, b"data")],
        "ok-at-once": [message(OK, b"\0")],
        "ok-that-is-none": [message(OK, b"\xff" * 100)]}.items():
    agents["asks-" + name] = asks(*asked)


@agent
def again_and_again(p):
    """An UPDATE has to be done once more, each time."""
    greet(p)
    p.say(place())
    for _ in range(100):
        if p.hear_until(UPDATE, SNAPSHOT, RELEASE)[0] != UPDATE:
            return
        p.say(limits(), message(DONE, b"\0"), message(OK, b"\1"))


def rotates(*answers):
    def f(p):
        greet(p)
        p.say(place())
        kind = p.hear()[0]
        while kind not in (LIST, RELEASE):
            p.say(limits() if kind == UPDATE else message(OK, text("2026-01-01 00:00:00")))
            if kind == UPDATE:
                p.say(message(OK, b"\0"))
            kind = p.hear_until(SNAPSHOT, LIST, RELEASE)[0]
        for one in answers:
            p.say(one)
        p.hear_until(99)
    return f


def snapshots(more, count, *names):
    return message(SNAPSHOTS, bytes([more]) + signed(1 << 31) + varint(count) +
                   b"".join(text(name) + signed(k) + b"\1" for k, name in enumerate(names)))


for name, answered in {"absurd": [snapshots(0, 1 << 60)], "names": [snapshots(0, 3, "../..", "/etc", b"\033[2J")],
                       "without-end": [snapshots(1, 4000, *["2020-01-01 00:00:00"] * 4000)] * 2000}.items():
    agents["lists-" + name] = rotates(*answered)


# ---- trying all clients

def facts(*paths):
    """All that must stay; the link count and the ctime of what a snapshot shares may move."""
    out = []
    for path in paths:
        for above, directories, files in os.walk(path):
            for name in [above] + [os.path.join(above, name) for name in directories + files]:
                st = os.lstat(name)
                is_lock = name.endswith("/lock")  # which tells who wanted it last
                is_file = os.path.isfile(name) and not os.path.islink(name)
                content = open(name, "rb").read() if is_file and not is_lock else None
                what = (0, 0) if is_lock else (st.st_size, st.st_mtime_ns)
                out.append((name, st.st_ino, st.st_mode, st.st_uid, st.st_gid) + what + (content,))
    return sorted(out, key=lambda one: one[0])


class Trial:
    def __init__(self, command, log):
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def peer(self):
        return Peer(self.child.stdout.fileno(), self.child.stdin.fileno())

    def wait(self):
        """Its status and its peak, or None when it does not end."""
        until = time.time() + PATIENCE_S
        while time.time() < until:
            pid, status, usage = os.wait4(self.child.pid, os.WNOHANG)
            if pid:
                self.child.returncode = os.waitstatus_to_exitcode(status)
                return self.child.returncode, usage.ru_maxrss
            if select.select([self.child.stdout], [], [], 0.02)[0] and not os.read(self.child.stdout.fileno(), 1 << 20):
                time.sleep(0.02)
        self.child.kill()
        return None

    def stop(self, most_kib):
        """None, or what is wrong."""
        try:
            self.child.stdin.close()
        except BrokenPipeError:
            pass
        ended = self.wait()
        self.child.stdout.close()
        if not ended:
            return "it does not end"
        if ended[0] not in (0, 1):
            return "it ends with %d" % ended[0]
        return "it takes %d KiB" % ended[1] if ended[1] > most_kib else None


def try_client(name, top, command, most_kib):
    with open(os.path.join(top, "agent.log"), "w+b") as log:
        trial = Trial(command, log)
        peer = trial.peer()
        wrong = None
        latest = os.path.join(top, "srv/own/latest")
        subprocess.check_call(["rm", "-rf", latest])  # deeper than any path
        shutil.copytree(os.path.join(top, "source"), latest, symlinks=True)
        try:
            clients[name](peer, latest, top)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass
        except TimeoutError:
            wrong = "it is silent"
        except AssertionError as e:
            wrong = "unexpected: %r" % (e,)
        wrong = trial.stop(most_kib) or wrong
        log.seek(0)
        said = log.read()
        if not wrong and (b"Sanitizer" in said or b"runtime error" in said or b"\033" in said):
            wrong = "it says"
        return wrong and "%s: %s\n%s" % (name, wrong, said.decode(errors="replace")[-4000:])


def try_clients(top, command, selected):
    own = os.path.join(top, "srv/own")
    kept = [os.path.join(top, "outside"), os.path.join(top, "srv/other"), os.path.join(top, "srv/files")]
    kept += [os.path.join(own, name) for name in os.listdir(own) if name[0] == "2"]
    has_sanitizer = b"__asan_init" in open(os.environ["RSB_PROGRAM"], "rb").read()
    before, failed = facts(*kept), 0
    for name in selected or clients:
        if os.environ.get("RSB_HOSTILE_SHOW"):
            print(time.strftime("%T"), name, flush=True)
        wrong = try_client(name, top, command, 4 << 20 if has_sanitizer else 700 << 10)
        now = facts(*kept)
        if now != before:
            wrong = (wrong or "") + "%s has changed %s" % (name, [one[:7] for one in set(before) ^ set(now)])
            before = now
        if wrong:
            print(wrong, flush=True)
            failed += 1
    print("%d of %d clients were dealt with" % (len(selected or clients) - failed, len(selected or clients)))
    return failed


def main():
    if sys.argv[1] == "cases":
        print("\n".join(agents))
        return 0
    if sys.argv[1] == "agent":
        try:
            agents[sys.argv[2]](Peer(0, 1, 4))
        except (EOFError, BrokenPipeError, AssertionError, TimeoutError):
            pass
        return 0
    selected = os.environ.get("RSB_HOSTILE", "").split()
    return 1 if try_clients(sys.argv[2], [sys.argv[3], "--server"] + sys.argv[4:], selected) else 0


sys.exit(main())
