#!/usr/bin/env python3
"""tree.py ROOT FILES: a tree of small files as on a laptop, the same each time.

FILES names in FILES/20 directories, 0 to 16 KiB each and most of them small, 3.3 KiB on average; of a hundred names
five have a user attribute, five an ACL (of 50 different ones each: rsync's time grows with the square of their number),
three are hard links of another one, three symbolic links.
"""
import os
import random
import struct
import sys


def acl(user):
    """user::rw-, user:USER:r--, group::r--, mask::r--, other::--- as linux/posix_acl_xattr.h has it."""
    none = 0xFFFFFFFF
    entries = [(1, 6, none), (2, 4, user), (4, 4, none), (16, 4, none), (32, 0, none)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def make(root, count):
    draw = random.Random(count)
    noise = draw.randbytes(1 << 20)
    directories, files = [root], []
    os.makedirs(root)
    for i in range(count // 20):
        directories.append(f"{draw.choice(directories[-200:])}/d{i}")
        os.mkdir(directories[-1])
    for i in range(count):
        path, kind = f"{draw.choice(directories)}/f{i}", draw.random()
        if kind < 0.03 and files:
            os.link(draw.choice(files), path)
        elif kind < 0.06:
            os.symlink(f"target-{i}", path)
        else:
            start = draw.randrange(len(noise) // 2)
            with open(path, "wb") as file:
                file.write(noise[start:start + int(16384 * draw.random() ** 4)])
            files.append(path)
            if kind < 0.11:
                os.setxattr(path, "user.bench", b"value %d" % (i % 50))
            elif kind < 0.16:
                os.setxattr(path, "system.posix_acl_access", acl(1000 + i % 50))


if __name__ == "__main__":
    make(sys.argv[1], int(sys.argv[2]))
