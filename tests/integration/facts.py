#!/usr/bin/env python3
"""facts.py PATH...: all that stat(2) tells of everything there, one line each, without moving a single atime.

Unlike judge/listing.py this holds what belongs to one place alone (inodes, ctimes, atimes, link counts): the same output
before and after means that nothing at all was done to a tree. What does not exist is told as such.
"""
import os
import stat
import sys


def show(path, st):
    # Nobody can read a symlink without moving its atime.
    atime = 0 if stat.S_ISLNK(st.st_mode) else st.st_atime_ns
    print(ascii(os.fsencode(path)), oct(st.st_mode), st.st_dev, st.st_ino, st.st_nlink, st.st_uid, st.st_gid, st.st_size,
          atime, st.st_mtime_ns, st.st_ctime_ns)


def walk(path, st):
    show(path, st)
    if not os.path.isdir(path) or os.path.islink(path):
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOATIME)
    with os.scandir(fd) as entries:
        names = sorted(e.name for e in entries)
    os.close(fd)
    for name in names:
        below = os.path.join(path, name)
        walk(below, os.lstat(below))


for root in sys.argv[1:]:
    try:
        walk(root, os.lstat(root))
    except FileNotFoundError:
        print(ascii(root), "does not exist")
