#!/usr/bin/env python3
"""File lists as rsync is sent them: three independent judges of src/transfer/rsync/rsync_entry.c and rsync_lists.c.

    rsync-list.py PROBE TREE [RSYNC]

1. What tests/unit/rsync-list-probe.c makes of TREE is taken apart here, and each field compared with what the kernel says.
2. The real client is made to send its list of TREE to a server that is this script. The probe has to write the same bytes.
3. A real server is told the probe's list, with a copy of a part of TREE as its destination and --dry-run: what it asks for
   by number has to be what is missing there, and nothing else.

Each for protocols 30 to 32, with flags as varints and without, as one list and with incremental recursion. All that is
known of the protocol is in docs/rsync-protocol.md.
"""
import hashlib
import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import tempfile

TOP, SAME_MODE, TWO_BYTES, SAME_UID, SAME_GID, SAME_NAME, LONG_NAME, SAME_TIME = (1 << i for i in range(8))
SAME_MAJOR = NO_CONTENT = 0x100
LINKED, LINKED_FIRST, NANOSECONDS = 0x200, 0x1000, 0x2000
INCREMENTAL, VARINT_FLAGS = 0x01, 0x80
DONE, LISTS_END, DELETED, LIST = -1, -2, -3, -101
TRANSFER, XNAME, BASIS, XATTR = 0x8000, 0x1000, 0x0800, 0x0100


class Reader:
    """Bytes from a list of them, or from a function that brings more."""

    def __init__(self, data=b"", more=None):
        self.data, self.at, self.more = data, 0, more
        self.positive, self.negative = -1, 1

    def take(self, size):
        while len(self.data) - self.at < size:
            piece = self.more() if self.more else b""
            if not piece:
                raise EOFError(f"{size} bytes wanted at {self.at} of {len(self.data)}")
            self.data += piece
        self.at += size
        return self.data[self.at - size:self.at]

    def byte(self):
        return self.take(1)[0]

    def int(self):
        return struct.unpack("<i", self.take(4))[0]

    def short(self):
        return struct.unpack("<H", self.take(2))[0]

    def number(self, least):
        first = self.byte()
        extra = 0
        while extra < 6 and first & (0x80 >> extra):
            extra += 1
        low = self.take(least - 1 + extra)
        top = first & (0xff >> min(extra + 1, 6))
        return int.from_bytes(low, "little") | top << (8 * len(low))

    def varint(self):
        return self.number(1)

    def varlong(self, least):
        n = self.number(least) & (1 << 64) - 1
        return n - (1 << 64) if n >> 63 else n

    def string(self):
        size = self.byte()
        if size & 0x80:
            size = (size & 0x7f) << 8 | self.byte()
        return self.take(size)

    def index(self):
        first = self.byte()
        if first == 0:
            return DONE
        negative = first == 0xff
        if negative:
            first = self.byte()
        base = self.negative if negative else self.positive
        if first == 0xfe:
            high = self.byte()
            if high & 0x80:
                low = self.take(3)
                n = (high & 0x7f) << 24 | int.from_bytes(low, "little")
            else:
                n = base + (high << 8 | self.byte())
        else:
            n = base + first
        if negative:
            self.negative = n
            return -n
        self.positive = n
        return n


class Decoder:
    """One stream of lists."""

    def __init__(self, reader, protocol, compat):
        self.reader, self.protocol, self.compat = reader, protocol, compat
        self.name, self.mode, self.mtime, self.uid, self.gid, self.major = b"", 0, 0, None, None, 0
        self.entries = []       # of all lists, as they came
        self.by_number = {}
        self.tables = {"access": [], "default": [], "xattrs": []}

    def flags(self):
        """None at the end of a list, whose errors are self.io_error then."""
        r = self.reader
        self.io_error = 0
        if self.compat & VARINT_FLAGS:
            flags = r.varint()
            if flags == 0:
                self.io_error = r.varint()
                return None
            return flags & ~TWO_BYTES
        flags = r.byte()
        if flags & TWO_BYTES:
            flags |= r.byte() << 8
        if flags == LINKED_FIRST | TWO_BYTES:
            self.io_error = r.varint()
            return None
        return flags & ~TWO_BYTES if flags else None

    def list(self, start):
        """The entries of one list, whose first has the number @start."""
        first = len(self.entries)
        self.start = start
        while True:
            self.number = start + len(self.entries) - first
            flags = self.flags()
            if flags is None:
                return self.entries[first:]
            e = self.entry(flags)
            self.entries.append(e)
            self.by_number[self.number] = e

    def entry(self, flags):
        r = self.reader
        prefix = r.byte() if flags & SAME_NAME else 0
        assert prefix <= len(self.name)
        self.name = self.name[:prefix] + r.take(r.varint() if flags & LONG_NAME else r.byte())
        e = {"name": self.name, "flags": flags, "first": None}
        if flags & LINKED and not flags & LINKED_FIRST:
            e["first"] = r.varint()
            assert e["first"] < self.number, "a link to what comes later"
        if e["first"] is not None and e["first"] >= self.start:
            # All else is that of the first; the entry before is, too.
            told = self.by_number[e["first"]]
            assert told["flags"] & LINKED_FIRST
            for field in ("size", "mtime", "nanoseconds", "mode", "uid", "gid", "device", "target"):
                e[field] = told[field]
            self.mode, self.mtime, self.uid, self.gid = e["mode"], e["mtime"], e["uid"], e["gid"]
        else:
            self.fields(e, flags)
        self.attributes(e)
        return e

    def fields(self, e, flags):
        r = self.reader
        assert self.entries or not flags & (SAME_UID | SAME_GID)
        e["size"] = r.varlong(3)
        if not flags & SAME_TIME:
            self.mtime = r.varlong(4)
        e["nanoseconds"] = r.varint() if flags & NANOSECONDS else 0
        if not flags & SAME_MODE:
            self.mode = r.int()
        if not flags & SAME_UID:
            self.uid = r.varint()
        if not flags & SAME_GID:
            self.gid = r.varint()
        e["mtime"], e["mode"], e["uid"], e["gid"] = self.mtime, self.mode, self.uid, self.gid
        e["device"] = e["target"] = None
        special = stat.S_ISFIFO(self.mode) or stat.S_ISSOCK(self.mode)
        if stat.S_ISBLK(self.mode) or stat.S_ISCHR(self.mode) or (special and self.protocol < 31):
            if not flags & SAME_MAJOR:
                self.major = r.varint()
            minor = r.varint()
            if not special:
                e["device"] = self.major, minor
        if stat.S_ISLNK(self.mode):
            e["target"] = r.take(r.varint())

    def known(self, kind, literal):
        number = self.reader.varint()
        table = self.tables[kind]
        if number == 0:
            table.append(literal())
        return table[number - 1]

    def acl(self):
        r = self.reader
        flags = r.byte()
        plain = {bit: r.varint() for bit in (1, 2, 4, 8) if flags & bit}
        named = []
        for _ in range(r.varint() if flags & 0x10 else 0):
            ident, access = r.varint(), r.varint()
            assert not access & 1
            named.append((not access & 2, ident, access >> 2))
        return plain, named

    def xattrs(self):
        r = self.reader
        found = []
        for _ in range(r.varint()):
            name_size, size = r.varint(), r.varint()
            name = r.take(name_size)
            assert name[-1:] == b"\0"
            found.append((name[:-1], size, r.take(size if size <= 32 else 16)))
        return found

    def attributes(self, e):
        e["access"] = None if stat.S_ISLNK(e["mode"]) else self.known("access", self.acl)
        e["default"] = self.known("default", self.acl) if stat.S_ISDIR(e["mode"]) else None
        e["xattrs"] = self.known("xattrs", self.xattrs)


# ---- what the kernel says ----

def kernel_acl(path, name):
    try:
        value = os.getxattr(path, name)
    except OSError:
        return None
    plain, named = {}, []
    for tag, access, ident in struct.iter_unpack("<HHI", value[4:]):
        if tag in (2, 8):
            named.append((tag == 8, ident, access))
        else:
            plain[{1: 1, 4: 2, 0x10: 4, 0x20: 8}[tag]] = access
    return plain, sorted(named)


def stripped(acl, mode):
    """Of an access ACL, what is not in the mode."""
    if acl is None:
        return {}, []
    plain, named = dict(acl[0]), acl[1]
    group = mode >> 3 & 7
    mask = plain.get(4)
    del plain[1], plain[8]
    if mask is None or plain[2] == group:
        del plain[2]
    if mask == group and named:
        del plain[4]
    return plain, named


def kept(name):
    return not (name.startswith((b"system.", b"user.rsync.%", b"trusted.SGI_ACL_")) or name == b"security.evm")


def kernel_xattrs(path):
    try:
        names = [os.fsencode(n) for n in os.listxattr(path, follow_symlinks=False)]
    except OSError:
        names = []
    found = []
    for name in sorted(filter(kept, names)):
        value = os.getxattr(path, name, follow_symlinks=False)
        found.append((name, len(value), value if len(value) <= 32 else hashlib.md5(value).digest()))
    return found


def compare_with_kernel(tree, decoder):
    for e in decoder.entries:
        path = os.path.join(tree, e["name"])
        st = os.lstat(path)
        mode = st.st_mode
        device = stat.S_ISBLK(mode) or stat.S_ISCHR(mode)
        special = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        nanoseconds = st.st_mtime_ns % 10**9 if decoder.protocol >= 31 else 0
        wanted = {
            "mode": mode, "uid": st.st_uid, "gid": st.st_gid, "size": 0 if device or special else st.st_size,
            "mtime": st.st_mtime_ns // 10**9, "nanoseconds": nanoseconds,
            "device": (os.major(st.st_rdev), os.minor(st.st_rdev)) if device else None,
            "target": os.readlink(path) if stat.S_ISLNK(mode) else None,
            "access": None, "default": None, "xattrs": kernel_xattrs(path),
        }
        if not stat.S_ISLNK(mode):
            wanted["access"] = stripped(kernel_acl(path, "system.posix_acl_access"), mode)
        if stat.S_ISDIR(mode):
            wanted["default"] = kernel_acl(path, "system.posix_acl_default") or ({}, [])
        for field, value in wanted.items():
            assert e[field] == value, f"{e['name']}: {field} is {e[field]}, not {value}"
        assert bool(e["flags"] & LINKED) == (not stat.S_ISDIR(mode) and st.st_nlink > 1), e["name"]
        if e["first"] is not None:
            assert os.path.samestat(st, os.lstat(os.path.join(tree, decoder.by_number[e["first"]]["name"]))), e["name"]


def sort_key(e):
    parts = e["name"].split(b"/")
    if e["name"] == b".":
        return [(0, b"")]
    if stat.S_ISDIR(e["mode"]):
        return [(1, part + b"/") for part in parts]
    return [(1, part + b"/") for part in parts[:-1]] + [(0, parts[-1] + b"\0")]


def everything(tree):
    """Paths below @tree that can be told of."""
    found, todo = {b"."}, [b""]
    while todo:
        above = todo.pop()
        for entry in os.scandir(os.path.join(tree, above)):
            path = above + b"/" + entry.name if above else entry.name
            found.add(path)
            if entry.is_dir(follow_symlinks=False):
                todo.append(path)
    return found


# ---- lists of all shapes ----

def decode_lists(decoder, reader):
    """All lists of a stream of them; how they are announced and numbered."""
    incremental = decoder.compat & INCREMENTAL
    start = 1 if incremental else 0
    entries = decoder.list(start)
    lists = [(start, None, entries)]
    directories = []
    number_directories(directories, entries)
    while incremental:
        n = reader.index()
        if n == LISTS_END:
            break
        assert n <= LIST, n
        start += len(entries) + 1
        entries = decoder.list(start)
        owner = directories[LIST - n]
        for e in entries:
            above, _, _ = e["name"].rpartition(b"/")
            assert above == owner["name"], (e["name"], owner["name"])
        lists.append((start, owner, entries))
        number_directories(directories, entries)
    return lists, directories


def number_directories(directories, entries):
    directories.extend(e for e in sorted(entries, key=sort_key) if stat.S_ISDIR(e["mode"]))


def numbers_of(lists):
    """Number -> entry, as the receiver has it."""
    numbers = {}
    for start, owner, entries in lists:
        if owner:
            numbers[start - 1] = owner
        for i, e in enumerate(sorted(entries, key=sort_key)):
            numbers[start + i] = e
    return numbers


class Session:
    def __init__(self, probe, tree, protocol, compat, work):
        self.probe, self.tree, self.protocol, self.compat, self.work = probe, tree, protocol, compat, work

    def run_probe(self, *extra, orders=b""):
        done = subprocess.run([self.probe, str(self.protocol), str(self.compat), self.tree, *extra], input=orders,
                              stdout=subprocess.PIPE, check=False)
        assert done.returncode == 0, "the probe has failed"
        return done.stdout

    def judge_alone(self):
        """What the probe writes of the tree, and what it says that numbers lead to."""
        told = os.path.join(self.work, b"numbers")
        self.data = self.run_probe(told)
        reader = Reader(self.data)
        decoder = Decoder(reader, self.protocol, self.compat)
        lists, directories = decode_lists(decoder, reader)
        assert reader.at == len(self.data), "something is left over"
        compare_with_kernel(self.tree, decoder)
        names = [e["name"] for e in decoder.entries]
        wanted = {name for name in everything(self.tree) if len(name) < 4096}
        assert len(names) == len(set(names)) and set(names) == wanted, set(names) ^ wanted
        if self.compat & INCREMENTAL:
            assert len(lists) == len(directories)
        self.numbers = numbers_of(lists)
        with open(told, "rb") as file:
            for line in file.read().split(b"\0")[:-1]:
                number, kind, path = line.split(b" ", 2)
                if int(number) == 0 and self.compat & INCREMENTAL:
                    assert (kind, path) == (b"d", b".")
                    continue
                e = self.numbers.pop(int(number))
                assert path == e["name"], (number, path, e["name"])
                assert (kind == b"d") == stat.S_ISDIR(e["mode"]) and (kind == b"f") == stat.S_ISREG(e["mode"]), path
        assert not self.numbers, "numbers that lead nowhere"
        self.numbers = numbers_of(lists)
        self.list_count = len(lists)
        return len(names)

    def judge_by_client(self, rsync):
        """The real client's list, in its own order: byte by byte."""
        record = os.path.join(self.work, b"record")
        shell = f"{sys.executable} {os.path.abspath(__file__)} serve {os.fsdecode(record)} {self.protocol} {self.compat}"
        options = ["-aHAXx", "--numeric-ids", "--delete", f"--protocol={self.protocol}"]
        if not self.compat & INCREMENTAL:
            options.append("--no-inc-recursive")
        if os.path.exists(record):
            os.unlink(record)
        # It ends with an error, since the server goes away.
        run = subprocess.run([rsync, *options, "--rsh", shell, self.tree + b"/", b"there:to/"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        assert os.path.exists(record), run.stderr
        with open(record, "rb") as file:
            data = file.read()
        reader = Reader(data)
        decoder = Decoder(reader, self.protocol, self.compat)
        lists, _ = decode_lists(decoder, reader)
        orders, pieces = [], []
        # The same again, list by list, without what announces them.
        reader = Reader(data)
        decoder = Decoder(reader, self.protocol, self.compat)
        for i, (start, _, _) in enumerate(lists):
            if i > 0:
                reader.index()
            begin = reader.at
            entries = decoder.list(start)
            pieces.append(data[begin:reader.at])
            orders.append(b"b%d" % start)
            for e in entries:
                flags = (e["flags"] & TOP) | (2 if stat.S_ISDIR(e["mode"]) and e["flags"] & NO_CONTENT else 0)
                orders.append(b"e%d:%s" % (flags, e["name"]))
            orders.append(b"z%d" % decoder.io_error)
        ours = self.run_probe(orders=b"".join(order + b"\0" for order in orders))
        theirs = b"".join(pieces)
        if ours != theirs:
            differ(ours, theirs, self.protocol, self.compat, [start for start, _, _ in lists])

    def judge_by_server(self, rsync, seed):
        """What a real server asks for, that has a part of the tree."""
        rng = random.Random(seed)
        to = os.path.join(self.work, b"to")
        if not os.path.exists(to):
            subprocess.run([rsync, "-aHAX", "--numeric-ids", self.tree + b"/", to], check=True)
        gone = set()
        for number, e in self.numbers.items():
            path = os.path.join(to, e["name"])
            if stat.S_ISREG(e["mode"]) and not e["flags"] & LINKED and os.path.exists(path) and rng.random() < 0.1:
                os.unlink(path)
            if not os.path.lexists(path):
                gone.add(number)
        asked = converse(self, [rsync, "--server", "-nlHogDtpAXrx" + ("e.iLsfxCIvu" if self.compat & INCREMENTAL else
                                                                      "e.LsfxCIvu"),
                                "--numeric-ids", "--log-format=%i", ".", to + b"/"])
        wrong = {n: f for n, f in asked.items() if not f & TRANSFER and f & 0x7fff and not self.is_above(n, gone)}
        assert {n for n, f in asked.items() if f & TRANSFER} == gone, "other files are asked for than are missing"
        assert not wrong, "what is there is not as it was told: " + ", ".join(
            f"{self.numbers[n]['name']} {f:#06x}" for n, f in wrong.items())

    def is_above(self, number, gone):
        """A directory of which something was removed has another mtime."""
        name = self.numbers[number]["name"]
        return any((os.path.dirname(self.numbers[n]["name"]) or b".") == name for n in gone)


def differ(ours, theirs, protocol, compat, starts):
    """Show the first entry that is not the same."""
    a, b = (Decoder(Reader(data), protocol, compat) for data in (ours, theirs))
    for start in starts:
        for d in (a, b):
            d.start, d.number = start, start
        while True:
            begins = a.reader.at, b.reader.at
            flags = a.flags(), b.flags()
            entries = [d.entry(f) if f is not None else None for d, f in zip((a, b), flags)]
            pieces = ours[begins[0]:a.reader.at], theirs[begins[1]:b.reader.at]
            assert pieces[0] == pieces[1], f"\n ours  {pieces[0].hex(' ')} {entries[0]}\n theirs {pieces[1].hex(' ')} {entries[1]}"
            if entries[0] is None:
                break
            for d, e in zip((a, b), entries):
                d.entries.append(e)
                d.by_number[d.number] = e
                d.number += 1
    raise AssertionError("they differ somewhere")


# ---- conversations ----

def frame(data):
    pieces = [data[i:i + 30000] for i in range(0, len(data), 30000)]
    return b"".join(struct.pack("<I", 7 << 24 | len(piece)) + piece for piece in pieces)


def unframe(read):
    """A function that brings the data of the next frame."""
    raw = Reader(more=read)

    def more():
        while True:
            head = struct.unpack("<I", raw.take(4))[0]
            data = raw.take(head & 0xffffff)
            raw.data, raw.at = raw.data[raw.at:], 0
            code = (head >> 24) - 7
            if code == 0 and data:
                return data
            if code in (1, 3, 4):
                sys.stderr.write(os.fsdecode(data))
    return more


def put_index(base, n):
    """As Reader.index() reads it, in the long form where that is allowed."""
    if n == DONE:
        return b"\0"
    return b"\xfe" + bytes([0x80 | n >> 24]) + struct.pack("<I", n)[:3]


def converse(session, command):
    """Number -> flags of what the server asks for."""
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    raw = Reader(more=lambda: server.stdout.read(65536))
    server.stdin.write(struct.pack("<i", session.protocol))
    assert raw.int() >= session.protocol
    compat = raw.varint()
    assert compat & (INCREMENTAL | VARINT_FLAGS) == session.compat & (INCREMENTAL | VARINT_FLAGS), hex(compat)
    server.stdin.write(b"\x03md5")
    raw.string()
    raw.int()
    rest = [raw.data[raw.at:]]
    data = Reader(more=unframe(lambda: rest.pop() if rest and rest[0] else server.stdout.read(65536)))
    pending = frame(session.data)
    pid = os.fork()
    if pid == 0:        # so that both sides may write
        while pending:
            pending = pending[os.write(server.stdin.fileno(), pending):]
        os._exit(0)
    asked, answer, done = {}, b"", 0
    total = 5 if not session.compat & INCREMENTAL else session.list_count + 4
    if session.protocol < 31:
        total -= 1
    while True:
        n = data.index()
        if n == DONE:
            if done == 0:
                os.waitpid(pid, 0)
            done += 1
            if done == total:
                break
            server.stdin.write(frame(answer + b"\0"))
            answer = b""
            continue
        if n == DELETED:
            for _ in range(5):
                data.varint()
            continue
        flags = data.short()
        answer += put_index(None, n) + struct.pack("<H", flags)
        if flags & BASIS:
            answer += data.take(1)
        if flags & XNAME:
            name = data.string()
            answer += (bytes([len(name)]) if len(name) < 128 else struct.pack(">H", 0x8000 | len(name))) + name
        asked[n] = asked.get(n, 0) | flags
    server.stdin.close()
    server.wait()
    return asked


def serve(record, protocol, compat):
    """As the remote shell of a client: keep its lists."""
    out, read = sys.stdout.buffer, lambda: os.read(0, 65536)
    out.write(struct.pack("<i", protocol))
    out.write(bytes([0x80 | compat >> 8, compat & 0xff]) if compat > 0x7f else bytes([compat]))
    if compat & VARINT_FLAGS:
        out.write(b"\x03md5")
    out.write(struct.pack("<i", 1))
    out.flush()
    raw = Reader(more=read)
    raw.int()
    if compat & VARINT_FLAGS:
        raw.string()
    rest = [raw.data[raw.at:]]
    reader = Reader(more=unframe(lambda: rest.pop() if rest and rest[0] else read()))
    while (size := reader.int()) > 0:
        reader.take(size)
    begin = reader.at
    decoder = Decoder(reader, protocol, compat)
    decode_lists(decoder, reader)
    with open(record + ".new", "wb") as file:
        file.write(reader.data[begin:reader.at])
    os.rename(record + ".new", record)


def parts(tree, compat):
    """With incremental recursion the client waits after a thousand files until the server is done with some."""
    if not compat & INCREMENTAL:
        return [tree]
    return [e.path for e in os.scandir(tree) if e.is_dir(follow_symlinks=False) and len(everything(e.path)) < 800]


def main():
    if sys.argv[1] == "serve":
        return serve(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    probe, tree = sys.argv[1], os.fsencode(sys.argv[2])
    rsync = sys.argv[3] if len(sys.argv) > 3 else None
    work = os.fsencode(tempfile.mkdtemp(prefix="rsync-list-"))
    try:
        for protocol in (30, 31, 32):
            for compat in (0x1fe, 0x1ff, 0x3e, 0x3f, 0x0e, 0x0f):
                session = Session(probe, tree, protocol, compat, work)
                what = f"protocol {protocol}, compat flags {compat:#x}"
                try:
                    count = session.judge_alone()
                    if rsync:
                        for part in parts(tree, compat):
                            Session(probe, part, protocol, compat, work).judge_by_client(rsync)
                        if compat & VARINT_FLAGS:       # which a server of today has always
                            session.judge_by_server(rsync, protocol * 1000 + compat)
                except Exception:
                    print(f"FAILED: {what}", file=sys.stderr)
                    raise
                print(f"{what}: {count} entries, {len(session.data)} bytes")
    finally:
        shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
