#!/usr/bin/env python3
"""A full listing of a tree: one JSON line per entry with everything a backup has to keep.

    listing.py [options] ROOT           print the listing
    listing.py [options] ROOT COPY      print how COPY differs from ROOT; exit status 1 if it does

Deterministic, and independent of the filesystem: no inode numbers, link counts, ctimes or atimes (--inodes adds the
first two, for debugging). Hard links show as "group", the first path of all that are the same inode within ROOT. The
hash covers position and bytes of all 64 KiB chunks that are not zero, so that holes cost nothing. "data" is the map of
what is not a hole, rounded to 4 KiB, and stands only at sparse files: those that have fewer blocks than their size
needs. A preallocated file is none.
"""
import argparse
import hashlib
import json
import os
import stat
import sys

import tree

CHUNK = 64 * 1024
BLOCK = 4096
ZEROS = bytes(CHUNK)
# XFS shows root its ACLs a second time under these names, in its own format.
TWICE = ("trusted.SGI_ACL_FILE", "trusted.SGI_ACL_DEFAULT")


def _open(name):
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(name, flags | os.O_NOATIME)
    except PermissionError:
        return os.open(name, flags)


def _hash(fd, ranges):
    digest, done = hashlib.blake2b(digest_size=16), 0
    for start, end in ranges:
        offset = max(start - start % CHUNK, done)
        while offset < end:
            chunk = os.pread(fd, CHUNK, offset)
            if not chunk:
                break
            if chunk != ZEROS[:len(chunk)]:
                digest.update(b"%d:%d:" % (offset, len(chunk)))
                digest.update(chunk)
            offset += CHUNK
        done = offset
    return digest.hexdigest()


def _blocks(ranges):
    merged = []
    for start, end in ranges:
        start, end = start - start % BLOCK, end + -end % BLOCK
        if merged and merged[-1][1] >= start:
            merged[-1][1] = end
        else:
            merged.append([start, end])
    return merged


def _content(name, st):
    try:
        fd = _open(name)
    except PermissionError:
        return {"hash": "unreadable"}
    try:
        # XFS takes holes that were read lately for data where it has space in reserve, as long as they are cached.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        ranges = tree.data_ranges(fd, st.st_size)
        facts = {"hash": _hash(fd, ranges)}
        if st.st_blocks * 512 < st.st_size:
            facts["data"] = _blocks(ranges)
        return facts
    finally:
        os.close(fd)


def _facts(name, st):
    """All that belongs to the inode rather than to the path."""
    facts = {
        "type": tree.kind(st), "mode": "%04o" % stat.S_IMODE(st.st_mode), "uid": st.st_uid, "gid": st.st_gid,
        "mtime": st.st_mtime_ns,
    }
    if stat.S_ISREG(st.st_mode):
        facts["size"] = st.st_size
        facts.update(_content(name, st))
    elif stat.S_ISLNK(st.st_mode):
        facts["target"] = tree.show(os.readlink(name))
    elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        facts["device"] = "%d:%d" % (os.major(st.st_rdev), os.minor(st.st_rdev))
    attributes = {key: value for key, value in tree.xattrs(name).items() if key not in TWICE}
    if attributes:
        facts["xattrs"] = {tree.show(os.fsencode(key)): value.hex() for key, value in attributes.items()}
    return facts


def _narrow(facts, times, skip, owner):
    facts = dict(facts)
    if not times:
        del facts["mtime"]
    if not owner:
        del facts["uid"], facts["gid"]
    if skip and "xattrs" in facts:
        facts["xattrs"] = {key: value for key, value in facts["xattrs"].items() if not key.startswith(tuple(skip))}
        if not facts["xattrs"]:
            del facts["xattrs"]
    return facts


def listing(root, times=True, skip=(), owner=True, inodes=False, cache=None):
    """{path: facts} in walking order; the root is ".".

    skip: prefixes of xattr names to leave out. cache: a dict shared between listings of trees that share inodes and do
    not change meanwhile, so that each inode is read once.
    """
    entries, groups = {}, {}
    cache = {} if cache is None else cache
    prefixes = {0: ""}
    root = os.fsencode(root)
    tree.sync(root)
    for components, st, listable in tree.walk(root):
        name = components[-1] if components else b"."
        path = prefixes[len(components) - 1] + tree.show(name) if components else "."
        if stat.S_ISDIR(st.st_mode):
            prefixes[len(components)] = path + "/" if components else ""
        key = (st.st_dev, st.st_ino)
        facts = cache.get(key)
        if facts is None:
            facts = _facts(name, st)
            if st.st_nlink > 1 and not stat.S_ISDIR(st.st_mode):
                cache[key] = facts
        facts = _narrow(facts, times, skip, owner)
        if not listable:
            facts["listable"] = False
        if inodes:
            facts["inode"], facts["links"] = st.st_ino, st.st_nlink
        entries[path] = facts
        if st.st_nlink > 1 and not stat.S_ISDIR(st.st_mode):
            groups.setdefault(key, []).append(path)
    for members in groups.values():
        if len(members) > 1:
            for path in members:
                entries[path]["group"] = members[0]
    return entries


def _coarse(ranges):
    """The numbers of all 128 KiB pieces that hold data: what XFS reserves at a time around shared data."""
    return {piece for start, end in ranges for piece in range(start >> 17, (end + (1 << 17) - 1) >> 17)}


def _holes_differ(a, b, holes):
    """Of two files; where a is not sparse it does not matter how b is stored."""
    if holes == "ignore" or "data" not in a or a["data"] == b.get("data"):
        return False
    return holes == "exact" or not _coarse(b.get("data", [[0, b["size"]]])) <= _coarse(a["data"])


def _short(value):
    text = "absent" if value is None else str(value)
    return text if len(text) <= 120 else "%s...(%d)" % (text[:100], len(text))


def _entry_diff(a, b, holes):
    for key in sorted(set(a) | set(b)):
        if key == "data":
            if a["type"] == b["type"] == "file" and _holes_differ(a, b, holes):
                yield "data %s != %s" % (_short(a.get(key)), _short(b.get(key)))
        elif key == "xattrs":
            old, new = a.get(key, {}), b.get(key, {})
            for name in sorted(set(old) | set(new)):
                if old.get(name) != new.get(name):
                    yield "xattr %s %s != %s" % (_short(name), _short(old.get(name)), _short(new.get(name)))
        elif a.get(key) != b.get(key):
            yield "%s %s != %s" % (key, _short(a.get(key)), _short(b.get(key)))


def diff(a, b, holes="coarse"):
    """Lines that tell how listing b differs from listing a; none if they are equal.

    holes: "exact" wants the same map of sparse files, "coarse" wants b to have no data far from where a has some: what
    can be asked of copy-on-write filesystems, where SEEK_DATA does not always give the same answer.
    """
    lines = []
    for path, facts in a.items():
        if path not in b:
            lines.append("- %s (%s)" % (_short(path), facts["type"]))
            continue
        found = list(_entry_diff(facts, b[path], holes))
        if found:
            lines.append("! %s: %s" % (_short(path), "; ".join(found)))
    lines += ["+ %s (%s)" % (_short(path), facts["type"]) for path, facts in b.items() if path not in a]
    return lines


def dump(entries, file):
    for path, facts in entries.items():
        file.write(json.dumps({"path": path, **facts}) + "\n")


def load(file):
    entries = {}
    for line in file:
        facts = json.loads(line)
        entries[facts.pop("path")] = facts
    return entries


def print_lines(lines, limit=60):
    for line in lines[:limit]:
        print(line)
    if len(lines) > limit:
        print("... and %d more" % (len(lines) - limit))


def main():
    parser = argparse.ArgumentParser(description="list a tree in full, or compare two")
    parser.add_argument("root")
    parser.add_argument("copy", nargs="?")
    parser.add_argument("--no-times", dest="times", action="store_false")
    parser.add_argument("--ignore-owner", dest="owner", action="store_false")
    parser.add_argument("--skip", action="append", default=[], metavar="PREFIX", help="xattrs to leave out")
    parser.add_argument("--holes", choices=("exact", "coarse", "ignore"), default="coarse")
    parser.add_argument("--inodes", action="store_true")
    args = parser.parse_args()
    options = {"times": args.times, "skip": args.skip, "owner": args.owner, "inodes": args.inodes}
    entries = listing(args.root, **options)
    if args.copy is None:
        dump(entries, sys.stdout)
        return 0
    lines = diff(entries, listing(args.copy, **options), args.holes)
    print_lines(lines)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
