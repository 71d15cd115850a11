#!/usr/bin/python3
"""
rsync daemons that do not keep to docs/rsync-protocol.md, each in a way of its own.

    hostile-daemons.py SOURCE                     make what there is to back up
    hostile-daemons.py SOURCE PROGRAM [STEP]      all of them; those of the names in $RSB_HOSTILE alone

Each speaks properly up to a point. The client ends by itself, with the status and the words that are expected, in time,
without a crash and without much memory, and changes nothing. At last connections end behind every STEP-th byte of what a
proper daemon says. RSB_HOSTILE_SHOW=1 tells what each came to.
"""
import concurrent.futures
import itertools
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

DATA, ERROR_XFER, INFO, ERROR, WARNING, IO_ERROR, IO_TIMEOUT, NOOP = 0, 1, 2, 3, 4, 22, 33, 42
ERROR_EXIT, SUCCESS, DELETED, NO_SEND = 86, 100, 101, 102
BASIS, NAME, NEW, LOCAL, XATTR, TRANSFER = 0x800, 0x1000, 0x2000, 0x4000, 0x100, 0x8000
DONE, DELETED_COUNTS = b"\0", b"\xff\x02"
HELLO = b"@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n"
SINGLE, INCREMENTAL = b"\x81\xfe", b"\x81\xff"

# What the client has, by its numbers in a single list, and in lists that come one by one.
ROOT, A, BIG, LINK, XATTRS, DIRECTORY, INSIDE = range(7)
SEVERAL = {ROOT: 1, A: 2, BIG: 3, LINK: 4, XATTRS: 5, DIRECTORY: 6, INSIDE: 8}
BIG_SIZE = 16 << 20

MOST_S = 5
HAS_SANITIZER = len(sys.argv) > 2 and b"__asan_init" in open(os.environ.get("RSB_PROGRAM", sys.argv[2]), "rb").read()
SLOWNESS = 4 if HAS_SANITIZER else 1
MOST_KIB = (1 << 20) if HAS_SANITIZER else (96 << 10)


def make_source(top):
    os.makedirs(top + "/dir")
    for name, data in {"a": b"hello\n", "xattrs": b"x", "dir/inside": b"in\n"}.items():
        with open(os.path.join(top, name), "wb") as file:
            file.write(data)
    with open(top + "/big", "wb") as file:
        file.truncate(BIG_SIZE)
    os.symlink("a", top + "/link")
    for number in range(3):
        os.setxattr(top + "/xattrs", "user.big%d" % number, b"v" * 1000)


def frame(payload, code=DATA):
    return struct.pack("<I", len(payload) | (7 + code) << 24) + payload


def varint(n):
    data = n.to_bytes(4, "little").rstrip(b"\0") or b"\0"
    room = 1 << (8 - len(data))
    if data[-1] < room:
        return bytes([~(2 * room - 1) & 0xff | data[-1]]) + data[:-1]
    return bytes([~(room - 1) & 0xff]) + data


def sums(count=0, size=0, strong=0, remainder=0):
    return struct.pack("<iiii", count, size, strong, remainder)


class Over(Exception):
    """As many bytes were sent as should be."""


class Daemon:
    def __init__(self, connection, most=None, is_reset=False):
        self.socket, self.most, self.is_reset = connection, most, is_reset
        self.unread, self.base, self.arguments, self.sent = b"", -1, [], 0
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(20)

    def raw(self, data):
        if self.most is not None and self.sent + len(data) >= self.most:
            self.socket.sendall(data[:self.most - self.sent])
            raise Over
        self.socket.sendall(data)
        self.sent += len(data)

    def say(self, data, code=DATA):
        self.raw(frame(data, code))

    def fill(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError
        self.unread += data

    def until(self, mark):
        while mark not in self.unread:
            self.fill()
        taken, self.unread = self.unread.split(mark, 1)
        return taken

    def take(self, size):
        while len(self.unread) < size:
            self.fill()
        taken, self.unread = self.unread[:size], self.unread[size:]
        return taken

    def listen(self, quiet_s=0.03, first_s=2.0):
        """Hear what it says until it says nothing for a while, and forget it."""
        self.unread = b""
        select.select([self.socket], [], [], first_s)
        while select.select([self.socket], [], [], quiet_s)[0]:
            if not self.socket.recv(1 << 20):
                raise EOFError

    def aside(self):
        """From now on what it says is read as it comes, by a process of the daemon's own; return how to wait for its end."""
        heard = [time.monotonic()]

        def read():
            try:
                while self.socket.recv(1 << 20):
                    heard[0] = time.monotonic()
            except OSError:
                pass

        def wait(quiet_s=0.8 * SLOWNESS):
            heard[0] = time.monotonic()
            while time.monotonic() < heard[0] + quiet_s:
                time.sleep(0.05)
        threading.Thread(target=read, daemon=True).start()
        return wait

    def wait_for_end(self):
        self.socket.settimeout(15)
        try:
            while self.socket.recv(1 << 20):
                pass
        except OSError:
            pass

    def greet(self, hello=HELLO, ok=b"@RSYNCD: OK\n"):
        self.raw(hello)
        self.until(b"\n")
        self.until(b"\n")
        self.raw(ok)
        self.arguments = self.until(b"\0\0").split(b"\0")

    def agree(self, compat=SINGLE, names=b"md5"):
        self.raw(compat)
        if compat in (SINGLE, INCREMENTAL):
            self.take(self.take(1)[0])
            self.raw(bytes([len(names)]) + names)
        self.raw(struct.pack("<i", 1))

    def begin(self, compat=SINGLE, hello=HELLO):
        """Until it has the list."""
        self.greet(hello)
        self.agree(compat)
        self.listen()
        self.numbers = SEVERAL if compat[-1] & 1 else {n: n for n in SEVERAL}

    def index(self, number):
        step = number - self.base
        self.base = number
        if 0 < step < 254:
            return bytes([step])
        return b"\xfe" + bytes([0x80 | number >> 24 & 0x7f]) + struct.pack("<I", number & 0xffffffff)[:3]

    def item(self, which, flags=TRANSFER, rest=None):
        rest = (sums() if flags & TRANSFER else b"") if rest is None else rest
        return self.index(self.numbers.get(which, which)) + struct.pack("<H", flags) + rest

    def ask(self, which, flags=TRANSFER, rest=None):
        self.say(self.item(which, flags, rest))

    def proper(self):
        """The rest of a conversation that goes well."""
        self.say(b"warn\n", WARNING)
        self.say(b"old", DELETED)
        self.ask(ROOT, 8)
        self.say(self.item(A, TRANSFER | NEW) + self.item(DIRECTORY, NEW))
        self.ask(XATTRS, XATTR, b"\1\1\0")
        self.ask(INSIDE, TRANSFER | NEW)
        self.listen()
        self.end()

    def end(self, wait=None):
        wait = wait or self.listen
        self.say(DONE * 3)
        wait()
        self.say(DELETED_COUNTS + b"\1\0\0\0\0" + DONE)
        wait()
        self.say(DONE)


# A process of its own, since what this one takes would be counted as its child's.
MEASURE = '''
import os, sys
pid = os.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
open("hostile.usage", "w").write("%d %d" % (os.waitstatus_to_exitcode(status), usage.ru_maxrss))
'''

cases = {}


class Case:
    def __init__(self, play, words="", statuses=(1,), options=(), most_s=MOST_S, most_kib=MOST_KIB, never="", path=""):
        self.play, self.words, self.statuses, self.options, self.path = play, words, statuses, options, path
        self.most_s, self.most_kib, self.never = most_s, most_kib, never


def daemon(words="", **more):
    def add(play):
        cases[play.__name__.replace("_", "-")] = Case(play, words, **more)
        return play
    return add


# ---- nothing is wrong

@daemon(statuses=(0,))
def proper(d):
    d.begin()
    d.proper()


@daemon(statuses=(0,))
def proper_with_old_end(d):
    """Version 30: neither counts of what was deleted nor a DONE for them."""
    d.begin(hello=b"@RSYNCD: 30.0\n")
    d.ask(A)
    d.say(DONE * 3)
    d.listen()
    d.say(DONE)


@daemon(statuses=(0,))
def proper_with_many_lists(d):
    d.begin(INCREMENTAL)
    d.ask(A)
    d.ask(INSIDE)
    d.say(DONE)
    d.listen(0.2)
    d.end()


@daemon(statuses=(0,))
def said_goodbye_and_was_gone(d):
    """What comes last and the end of the connection come together."""
    d.begin()
    d.end()
    d.socket.shutdown(socket.SHUT_WR)


# ---- the beginning

def answers(data, words, **more):
    def play(d):
        d.raw(data)
        d.wait_for_end()
    return Case(play, words, **more)


def says_without_end(piece, before=b"", stage="hello"):
    def play(d):
        if stage == "hello":
            d.raw(before)
        elif stage == "motd":
            d.raw(HELLO + before)
        else:
            d.begin()
        while True:
            d.raw(piece)
    return play


cases.update({
    "no-rsync": answers(b"HTTP/1.1 400 Bad \033[31mRequest\r\n\r\n", "no rsync daemon"),
    "greeting-of-nul": answers(b"\0" * 1000, "no rsync daemon"),
    "greeting-too-old": answers(b"@RSYNCD: 29\n", "version 29"),
    "greeting-absurd": answers(b"@RSYNCD: 99999999999999999999.0 md5\n", "makes no sense"),
    "greeting-without-end": Case(says_without_end(b"x" * 65536, b"@RSYNCD: 32.0 "), "line without an end"),
    "motd-without-end": Case(says_without_end(b"be welcome\n" * 1000, stage="motd"), "no end"),
    "motd-of-nothing": Case(says_without_end(b"\n" * 10000, stage="motd"), "no end"),
    "motd-line-without-end": Case(says_without_end(b"x" * 65536, stage="motd"), "line without an end"),
    "motd-with-escapes": answers(HELLO + b"\033]0;title\007\n@ERROR: no \033[31m\x9b\n", "refuses"),
    "questions-without-end": answers(HELLO + b"@RSYNCD: AUTHREQD x\n" * 3, "password"),
    "question-of-nothing": answers(HELLO + b"@RSYNCD: AUTHREQD \n", "makes no sense"),
    "nothing-at-all": answers(b"", "silent", options=["--timeout=1"]),
})


def agrees_on(data, words):
    def play(d):
        d.greet()
        d.raw(data)
        d.wait_for_end()
    return Case(play, words)


cases.update({
    "compat-of-64-bits": agrees_on(b"\xff" * 100, "compat"),
    "compat-endless": agrees_on(b"\xf8" * 100, "compat"),
    "names-unknown": agrees_on(SINGLE + b"\x04none" + b"\1\0\0\0", "no checksum"),
    "names-of-escapes": agrees_on(SINGLE + b"\x06\033[31m!" + b"\1\0\0\0", "no checksum"),
    "names-of-32767": agrees_on(SINGLE + b"\xff\xff" + b"x" * 32767, "no checksum"),
})


@daemon("incremental", options=["--dry-run"])
def begins_with_an_exit(d):
    d.greet()
    d.raw(b"\x06" + b"\1\0\0\0" + frame(b"rsync: on remote machine: --x: unknown option\n", ERROR) +
          frame(struct.pack("<i", 4), ERROR_EXIT))
    d.wait_for_end()


cases["begins-with-an-exit"].words = "unknown option"


# ---- frames

def goes_on_with(data, words="protocol", **more):
    def play(d):
        d.begin()
        d.raw(data)
        d.wait_for_end()
    return Case(play, words, **more)


cases.update({
    "code-%d" % code: goes_on_with(frame(b"1234", code), "code %d" % code)
    for code in (5, 6, 7, 8, 9, 10, 11, 41, 43, 103, 200, 248)})
cases.update({
    "code-below-data": goes_on_with(b"\0\0\0\0", "code -7"),
    "message-too-large": goes_on_with(struct.pack("<I", 0xffffff | (7 + ERROR) << 24), "16777215 bytes"),
    "timeout-too-short": goes_on_with(frame(b"12", IO_TIMEOUT), "2 bytes"),
    "timeout-too-long": goes_on_with(frame(b"12345", IO_TIMEOUT), "5 bytes"),
    "exit-of-3-bytes": goes_on_with(frame(b"123", ERROR_EXIT), "3 bytes"),
    "largest-frame-of-zeros": goes_on_with(struct.pack("<I", 0xffffff | 7 << 24) + bytes(0xffffff), "the server"),
})


def for_a_while(data, seconds=1.0):
    """Again and again, and then an orderly end."""
    def play(d):
        d.begin()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            d.raw(data)
        d.ask(ROOT, 8)
        d.listen(first_s=30) # it has much to read before it answers
        d.proper()
    return play


cases.update({
    "signs-of-life": Case(for_a_while(frame(b"") * 1000), statuses=(0,)),
    "noops": Case(for_a_while(frame(b"", NOOP) * 1000), statuses=(0,)),
    "words-without-end": Case(for_a_while(frame(b"\033[31mso it is\n" * 1000, INFO)), statuses=(0,)),
    "deleted-without-end": Case(for_a_while(frame(b"\033[31m\n" * 1000 + b"\0", DELETED) * 10), statuses=(0,),
                                options=["-vv"]),
    "pieces-of-one-byte": Case(lambda d: [d.begin(), d.ask(ROOT, 0), [d.raw(bytes([b])) for b in frame(b"\xfe\0\0\0\0") * 1000],
                                          d.listen(), d.end()], statuses=(0,)),
})


@daemon("", statuses=(23,), never="\033")
def words_with_escapes(d):
    d.begin()
    for code in (ERROR_XFER, INFO, ERROR, WARNING):
        d.say(b"\033]0;title\007\r\0\xff\x9b31m \xe2\x80\xae\n\n\033[2J", code)
    d.proper()


def times_out(seconds, **more):
    def play(d):
        d.begin()
        d.say(struct.pack("<i", seconds), IO_TIMEOUT)
        d.proper()
    return Case(play, statuses=(0,), **more)


cases.update({"timeout-of-%d" % n: times_out(n) for n in (0, -1, -1 << 31, (1 << 31) - 1, 1)})


@daemon("silent for 1 second")
def timeout_that_it_asks_for(d):
    d.begin()
    d.say(struct.pack("<i", 1), IO_TIMEOUT)
    d.wait_for_end()


@daemon("", statuses=(23,))
def io_error_of_its_own(d):
    """It could not do all of it, and says so by this alone."""
    d.begin()
    d.say(struct.pack("<i", 1), IO_ERROR)
    d.proper()


@daemon("", statuses=(0, 23))
def io_error_of_all_bits(d):
    d.begin()
    d.say(struct.pack("<i", -1), IO_ERROR)
    d.proper()


def gives_up_after(stage):
    def play(d):
        d.greet()
        d.agree(INCREMENTAL)
        if stage > 0:
            d.listen()
        d.numbers = SEVERAL
        for done in (lambda: d.ask(A), lambda: d.ask(BIG), lambda: d.say(DONE), lambda: d.say(DONE), lambda: d.say(DONE),
                     lambda: d.say(DONE))[:max(stage - 1, 0)]:
            done()
            d.listen()
        d.say(b"rsync error: out of \033[1mluck (code 14) at there.c(1)\n", ERROR)
        d.say(struct.pack("<i", 14), ERROR_EXIT)
        d.wait_for_end()
    return play


cases.update({"gives-up-at-stage-%d" % stage: Case(gives_up_after(stage), "out of .*luck") for stage in range(8)})


@daemon("out of luck")
def gives_up_and_does_not_read(d):
    d.begin()
    d.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    d.ask(BIG)
    time.sleep(0.5)
    d.say(b"out of luck\n", ERROR)
    d.say(struct.pack("<i", 14), ERROR_EXIT)
    time.sleep(8)


@daemon("gave up|luck")
def gives_up_and_goes_on(d):
    d.begin()
    d.say(struct.pack("<i", 14), ERROR_EXIT)
    while True:
        d.raw(frame(b"\1\0\0" * 10000))


# ---- requests

def asks(*data, compat=SINGLE, words="the server|protocol", **more):
    def play(d):
        d.begin(compat)
        for one in data:
            d.say(one(d) if callable(one) else one)
        d.wait_for_end()
    return Case(play, words, **more)


def item(which, flags=TRANSFER, rest=None):
    return lambda d: d.item(which, flags, rest)


for kind, compat in {"": SINGLE, "-of-many": INCREMENTAL}.items():
    cases.update({
        name + kind: one for name, one in {
            "index-beyond": asks(item(99), compat=compat),
            "index-beyond-without-content": asks(item(99, 8), compat=compat),
            "index-at-the-end": asks(item(9), compat=compat),
            "index-at-the-end-without-content": asks(item(9, 8), compat=compat),
            "index-largest": asks(b"\xfe\xff\xff\xff\xff" + b"\0\x80" + sums(), compat=compat),
            "index-largest-and-one": asks(b"\xfe\xff\xff\xff\xff\0\0\1\0\0", compat=compat),
            "index-negative": asks(b"\xff\x07", compat=compat),
            "index-of-a-list": asks(b"\xff\x64", compat=compat),
            "index-of-lists-end": asks(b"\xff\x01", compat=compat),
            "index-most-negative": asks(b"\xff\xfe\xff\xff\xff\xff", compat=compat),
            "index-minus-nothing": asks(b"\xff\xfe\x80\0\0\0", compat=compat),
            "content-of-the-root": asks(item(ROOT), compat=compat),
            "content-of-a-directory": asks(item(DIRECTORY), compat=compat),
            "content-of-a-symlink": asks(item(LINK), compat=compat),
            "dones-too-many": asks(DONE * 100000, compat=compat),
            "dones-too-many-at-once": asks(DONE * 6, compat=compat),
        }.items()})
cases["content-of-nothing-before-the-first"] = asks(b"\xfe\x80\0\0\0" + b"\0\x80" + sums(), compat=INCREMENTAL)


def sum_head(*head, data=b""):
    return asks(item(A, TRANSFER, sums(*head) + data), words="no request")


cases.update({
    "count-negative": sum_head(-1, 700, 2, 0),
    "count-most-negative": sum_head(-1 << 31, 700, 2, 0),
    "block-negative": sum_head(1, -1, 2, 0),
    "block-too-large": sum_head(1, 131073, 2, 0),
    "block-of-nothing": sum_head(1, 0, 2, 0),
    "strong-too-long": sum_head(1, 700, 17, 0),
    "strong-huge": sum_head(1, 700, (1 << 31) - 1, 0),
    "strong-negative": sum_head(1, 700, -1, 0),
    "remainder-too-large": sum_head(1, 700, 2, 701),
    "remainder-negative": sum_head(1, 700, 2, -1),
})


def asks_and_ends(which, *head, data=b""):
    def play(d):
        d.begin()
        wait = d.aside()
        d.ask(which, TRANSFER, sums(*head))
        for at in range(0, len(data), 1 << 20):
            d.say(data[at:at + (1 << 20)])
        wait()
        d.end(wait)
    return Case(play, statuses=(0,), most_s=25)


cases.update({
    "strong-of-nothing": asks_and_ends(A, 1, 700, 0, 0, data=b"1234"),
    "blocks-of-one-byte": asks_and_ends(BIG, 1000, 1, 2, 0, data=bytes(6000)),
    "sums-of-megabytes-for-a-small-file": asks_and_ends(A, 1 << 20, 8, 16, 0, data=bytes(20 << 20)),
    "sums-that-collide": asks_and_ends(BIG, 100000, 131072, 2, 0, data=b"\0\0\0\0ab" * 100000),
})


def sums_without_end(count, megabytes, **more):
    """For a file of a few megabytes."""
    def play(d):
        d.begin()
        wait = d.aside()
        d.ask(BIG, TRANSFER, sums(count, 131072, 16, 0))
        for _ in range(megabytes):
            d.say(bytes(1 << 20))
        wait()
        if megabytes << 20 == count * 20:
            d.end(wait)
        else:
            d.socket.shutdown(socket.SHUT_WR)
    return Case(play, most_s=25, **more)


cases["sums-of-a-gigabyte"] = sums_without_end((1000 << 20) // 20, 1000, statuses=(0,))
cases["sums-of-40-gibibytes"] = sums_without_end((1 << 31) - 1, 1500, words="has ended")
cases["sums-that-do-not-come"] = asks(item(BIG, TRANSFER, sums((1 << 31) - 1, 131072, 16, 0)), words="silent for 1 second",
                                      options=["--timeout=1"])


def wishes(*numbers):
    return b"".join(varint(n & 0xffffffff) for n in numbers) + b"\0"


def wants(data, flags=XATTR, which=XATTRS, statuses=(1, 23)):
    def play(d):
        d.begin()
        d.ask(which, flags, data)
        d.listen(0.2)
        d.end()
    return Case(play, statuses=statuses)


cases.update({
    "wishes-in-order": wants(wishes(1, 1, 1), statuses=(0,)),
    "wish-beyond": wants(wishes(4), statuses=(23,)),
    "wish-negative": wants(wishes(-1), statuses=(23,)),
    "wish-largest": wants(wishes((1 << 31) - 1, (1 << 31) - 1), statuses=(23,)),
    "wishes-of-a-symlink": wants(wishes(1), which=LINK, statuses=(23,)),
    "wish-broken": wants(b"\xff" * 100, statuses=(1,)),
    "wishes-again-and-again": wants(wishes(*[1, -1] * 1000000), statuses=(1,)),
})


@daemon()
def wishes_without_end(d):
    d.begin()
    d.ask(XATTRS, XATTR, b"\1")
    while True:
        d.say(b"\1" * 65536)


@daemon(options=["--timeout=2"])
def name_that_does_not_come(d):
    d.begin()
    d.ask(A, NAME | TRANSFER, b"\xff\xff")
    d.wait_for_end()


@daemon("content of what has none|the server")
def content_after_it_was_over(d):
    d.begin()
    d.say(DONE * 2)
    d.ask(A)
    d.wait_for_end()


@daemon("the server")
def deleted_counts_twice(d):
    d.begin()
    d.say(DONE * 3 + DELETED_COUNTS + b"\1\0\0\0\0" + b"\xff\xfe\x80\3\0\0" + b"\1\0\0\0\0" + DONE)
    d.listen()
    d.say(DONE)


@daemon("the server")
def deleted_counts_of_64_bits(d):
    d.begin()
    d.say(DONE * 3 + DELETED_COUNTS + b"\xff" * 50)
    d.wait_for_end()


@daemon("the server")
def over_before_the_list(d):
    """Nothing was asked for, and all of it is over before it was told of."""
    d.greet()
    d.raw(SINGLE + b"\3md5" + b"\1\0\0\0" + frame(DONE * 5))
    d.wait_for_end()


@daemon("the server")
def over_before_the_content(d):
    d.begin()
    d.say(d.item(BIG) + DONE * 5)
    time.sleep(1)
    d.wait_for_end()


@daemon("does not say why", options=["--timeout=0"], path="/directory")
def lists_nothing_and_says_nothing(d):
    """It is asked what is there first, and has an empty list and no error."""
    d.greet()
    d.agree()
    d.listen()
    d.say(b"\0\0")
    d.wait_for_end()


@daemon("mkstemp \"a\\\\nrsync error: .* Permission denied", statuses=(23,))
def words_about_a_name_with_a_newline(d):
    d.begin()
    d.say(b'rsync: [receiver] mkstemp "a\nrsync error: \nrsync: [receiver] mkdir "b" failed: No space left on device (28)'
          b'\n" failed: Permission denied (13)\n', ERROR_XFER)
    d.proper()


def is_full(call):
    def play(d):
        d.begin()
        d.ask(A, TRANSFER | NEW)
        d.say(b'rsync: [receiver] %s "/x/.a.fAjDu2" (in m) failed: No space left on device (28)\n' % call, ERROR_XFER)
        d.listen()
        d.proper()
    return play


cases["full-of-files"] = Case(is_full(b"mkstemp"), "the server says: .*No space left")
cases["full-of-attributes"] = Case(is_full(b"rsync_xal_set: lsetxattr"), statuses=(23,))


@daemon("has ended")
def dones_too_few(d):
    d.begin()
    d.say(DONE * 3)
    d.listen()


@daemon("has ended")
def half_closed(d):
    """It sends nothing more, and takes nothing."""
    d.begin()
    d.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    d.ask(BIG)
    d.socket.shutdown(socket.SHUT_WR)
    time.sleep(8)


# ---- patience and memory

@daemon("silent for 1 second", options=["--timeout=1"])
def reads_and_does_not_answer(d):
    d.begin()
    d.wait_for_end()


@daemon("silent for 1 second", options=["--timeout=1"])
def does_not_read(d):
    d.begin()
    d.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    d.ask(BIG)
    time.sleep(8)


@daemon("silent for 1 second", options=["--timeout=1"], most_s=10)
def asks_without_reading(d):
    d.begin()
    d.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    d.ask(BIG)
    data = frame(b"\xfe\0\0\0\0" * 10000)
    while True:
        d.raw(data)


@daemon("has ended", most_s=15)
def asks_without_end(d):
    """And reads all of it."""
    d.begin()
    threading.Thread(target=d.wait_for_end, daemon=True).start()
    d.ask(ROOT, 8)
    data, until = frame(b"\xfe\0\0\x08\0" * 10000), time.monotonic() + 2
    while time.monotonic() < until:
        d.raw(data)
    d.socket.shutdown(socket.SHUT_RDWR)


@daemon(statuses=(0,), most_s=15)
def reads_slowly(d):
    """What waits to go does not pile up, although it never comes to an end."""
    d.begin()
    d.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    d.say(b"".join(d.item(BIG) if n == 0 else b"\xfe\0\0\0\x80" + sums() for n in range(12)))
    left = 12 * BIG_SIZE
    while left > 0:
        left -= len(d.socket.recv(65536))
        time.sleep(0.0005)
    d.listen(0.2)
    d.end()


# ---- running them

class Trial:
    """One client and its daemon, in a directory of their own."""

    count = itertools.count()

    def __init__(self, source, program, case, most=None, is_reset=False):
        place = "trial-%d" % next(self.count)
        os.mkdir(place)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.case, self.most, self.is_reset = case, most, is_reset
        self.error, self.sent = None, 0
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        port = self.listener.getsockname()[1]
        began = time.monotonic()
        with open(place + "/out", "wb") as out, open(place + "/err", "wb") as err:
            child = subprocess.Popen([sys.executable, "-I", "-S", "-c", MEASURE, program, "--disable-notifications",
                                      # Without it the first conversation is a look at what is there.
                                      *([] if case.path else ["--force"]),
                                      "--retries=0", *case.options, source, "rsync://127.0.0.1:%d/module%s" % (port, case.path)],
                                     stdout=out, stderr=err, start_new_session=True, cwd=place)
        try:
            child.wait(case.most_s * SLOWNESS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        self.seconds = time.monotonic() - began
        try:
            os.killpg(child.pid, signal.SIGKILL)
            self.error = "a process is left"
        except ProcessLookupError:
            pass
        with open(place + "/hostile.usage", encoding="ascii") as file:
            words = file.read().split()
        self.status, self.peak_kib = (int(words[0]), int(words[1])) if child.returncode == 0 else ("still running", 0)
        self.said = b"".join(open(place + name, "rb").read() for name in ("/out", "/err")).decode(errors="surrogateescape")
        self.listener.close()
        self.thread.join(20)

    def serve(self):
        try:
            connection = self.listener.accept()[0]
        except OSError:
            return
        d = Daemon(connection, self.most)
        try:
            self.case.play(d)
            # Whoever has ended in order waits for the other one.
            if self.most is None:
                d.socket.shutdown(socket.SHUT_WR)
                d.wait_for_end()
        except Over:
            if self.is_reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (EOFError, ConnectionError, OSError):
            pass
        except Exception as e:  # the test's own
            self.error = repr(e)
        self.sent = d.sent
        connection.close()

    def wrong(self, statuses, words=None):
        """What is, or None."""
        case, errors = self.case, [
            line for line in self.said.splitlines() if re.match("error: (?!(backup|dry run) failed after)", line)]
        if self.error:
            return "the test: " + self.error
        if self.status not in statuses:
            return "status %s instead of %s" % (self.status, statuses)
        if "Sanitizer" in self.said or "runtime error" in self.said:
            return "the sanitizer has something to say"
        if self.peak_kib > case.most_kib:
            return "it takes %d KiB" % self.peak_kib
        if re.search("[\0-\x08\x0b-\x1f\x7f]", self.said):
            return "control characters get through"
        if self.status == 1 and len(errors) != 1:
            return "%d lines of errors" % len(errors)
        if self.status == 1 and not re.search(case.words if words is None else words, errors[0]):
            return "it does not say '%s'" % case.words
        if self.status == 23 and not re.search(case.words, self.said):
            return "it does not say '%s'" % case.words
        return None


def tell(name, trial, wrong):
    if os.environ.get("RSB_HOSTILE_SHOW") or wrong:
        last = [line for line in trial.said.splitlines() if "error: " in line] or trial.said.splitlines()[-1:]
        print("%s%s: %s, %.1f s, %d KiB: %s" % (name, ": " + wrong if wrong else "", trial.status, trial.seconds,
                                                trial.peak_kib, ascii(" ".join(last))[:300]), flush=True)
    if wrong:
        print(ascii(trial.said[-2000:]), flush=True)


def together(one, them):
    """Most of them wait most of the time."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        yield from pool.map(one, them)


def cut(source, program, step):
    """A proper conversation that ends behind each byte."""
    failed, play = 0, cases["proper"].play
    whole = Trial(source, program, Case(play), most=1 << 40)

    def one(most):
        return most, most // step % 2 == 1, Trial(source, program, Case(play), most, most // step % 2 == 1)

    for most, is_reset, trial in list(together(one, range(0, whole.sent, step))):
        wrong = trial.wrong((1,), "")
        if wrong: # see main()
            trial = one(most)[2]
            wrong = trial.wrong((1,), "")
        if wrong or os.environ.get("RSB_HOSTILE_SHOW"):
            tell("%s after %d of %d bytes" % ("reset" if is_reset else "end", most, whole.sent), trial, wrong)
        failed += wrong is not None
    return failed


def main():
    if len(sys.argv) == 2:
        make_source(sys.argv[1])
        return 0
    source, program, step = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    selected, failed = os.environ.get("RSB_HOSTILE", "").split(), 0
    names = [name for name in selected or cases if name != "cut"]
    for name, trial in list(together(lambda name: (name, Trial(source, program, cases[name])), names)):
        wrong = trial.wrong(cases[name].statuses)
        tell(name, trial, wrong)
        if wrong: # on a busy machine the others may be the reason: alone it counts
            trial = Trial(source, program, cases[name])
            wrong = trial.wrong(cases[name].statuses)
            tell(name + ", alone", trial, wrong)
        failed += wrong is not None
    if not selected or "cut" in selected:
        failed += cut(source, program, step)
    print("%d daemons, %d of them too much" % (len(selected or cases), failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
