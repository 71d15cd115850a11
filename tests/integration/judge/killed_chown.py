#!/usr/bin/env python3
"""killed_chown.py DIRECTORY ID: change owner and group of its files between 0 and ID, until killed.

In four threads, which also make and remove files there, so that the filesystem is short of reserved room.
"""
import contextlib
import os
import random
import sys
import threading

top, other = sys.argv[1], int(sys.argv[2])
files = [os.path.join(top, name) for name in os.listdir(top) if not name.startswith("extra-")]


def write(path):
    with open(path, "wb") as file:
        file.write(b"x" * random.randrange(20000))


def change():
    while True:
        path, owner, kind = random.choice(files), random.choice([0, other]), random.randrange(8)
        os.chown(path, owner, owner)
        if kind < 2:
            write(os.path.join(top, "extra-" + os.path.basename(path)))
        elif kind < 3:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(top, "extra-" + os.path.basename(path)))


for _ in range(4):
    threading.Thread(target=change).start()
