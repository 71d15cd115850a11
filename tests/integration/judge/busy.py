#!/usr/bin/env python3
"""busy.py ROOT SEED: a small tree in which much has happened since the last call, the same for the same seeds.

Files that are new, changed, gone, or have other metadata alone; hard links that move from one file to another; names that
get another type. In the directory `sure` there are eight of each in any case, so that a test can rely on them.
"""
import contextlib
import os
import random
import shutil
import sys


class Tree:
    def __init__(self, root, seed):
        self.root, self.seed = root, seed
        self.random = random.Random(seed)

    def write(self, path, size):
        with open(path, "wb") as file:
            file.write(self.random.randbytes(size))

    def clear(self, path):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)

    def files(self, base):
        return sorted(e.path for e in os.scandir(base) if e.is_file(follow_symlinks=False))

    def replace(self, base, path):
        kind = self.random.randrange(20)
        self.clear(path)
        if kind < 11:
            self.write(path, self.random.randrange(20000))
        elif kind < 13:
            os.symlink("target %d" % self.random.randrange(5), path)
        elif kind < 14:
            os.mkfifo(path)
        elif kind < 16:
            os.mkdir(path)
            self.write(path + "/below", 10)
        elif self.files(base):
            os.link(self.random.choice(self.files(base)), path)

    def adorn(self, path):
        kind = self.random.randrange(3)
        if kind == 0:
            os.chmod(path, self.random.choice([0o600, 0o644, 0o4755]))
        elif kind == 1:
            # Not every filesystem has them.
            with contextlib.suppress(OSError):
                os.setxattr(path, "user.note", self.random.randbytes(self.random.randrange(100)))
        elif os.geteuid() == 0:
            os.chown(path, self.random.randrange(1000), self.random.randrange(1000))

    def directory(self, base, count):
        os.makedirs(base, exist_ok=True)
        for _ in range(count):
            self.replace(base, "%s/%d" % (base, self.random.randrange(50)))
        for path in self.files(base):
            if self.random.randrange(20) == 0:
                self.adorn(path)
        os.chmod(base, self.random.choice([0o700, 0o755, 0o1777]))

    def surely(self):
        base = self.root + "/sure"
        self.clear(base)
        os.mkdir(base)
        for i in range(8):
            self.write("%s/gone-%d-%d" % (base, self.seed, i), 1)
            self.write("%s/changed-%d" % (base, i), 1000 + self.seed)
            os.symlink("%d" % self.seed, "%s/link-%d" % (base, i))
            os.mkdir("%s/dir-%d-%d" % (base, self.seed, i))


def change(root, seed, directories=24):
    tree = Tree(root, seed)
    for d in range(directories):
        tree.directory("%s/%d/%d" % (root, d % 6, d), 4 if os.path.exists("%s/%d/%d" % (root, d % 6, d)) else 20)
    tree.surely()


if __name__ == "__main__":
    change(sys.argv[1], int(sys.argv[2]))
