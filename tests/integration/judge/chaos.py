#!/usr/bin/env python3
"""chaos.py ROOT SEED: a live system below ROOT, for as long as the caller lives: everything changes all the time.

    ROOT/live    files and directories come, go, grow, shrink, change their type, are moved about and linked
    ROOT/whole   files that are only ever replaced as a whole, by rename: 20,000 bytes, all of them equal

chaos.py check DIR: DIR is a copy of ROOT that was made meanwhile; exit status 1 when a file of `whole` is not.
"""
import contextlib
import os
import random
import shutil
import sys

WHOLE_SIZE = 20000


class Chaos:
    def __init__(self, root, seed):
        self.root, self.random = root, random.Random(seed)

    def pick(self):
        parts = [str(self.random.randrange(6)) for _ in range(self.random.randrange(3))]
        return "/".join([self.root, "live"] + parts + [str(self.random.randrange(60))])

    def parent(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)

    def write(self):
        path = self.pick()
        self.parent(path)
        self.append(path, os.O_CREAT | os.O_TRUNC, self.random.randrange(20), 10000)

    def grow(self):
        self.append(self.pick(), os.O_APPEND, 1, 100000)

    def append(self, path, flags, times, most):
        # What is opened may be a FIFO without a reader.
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | flags)
        with contextlib.closing(os.fdopen(fd, "wb", buffering=0)) as file:
            for _ in range(times):
                file.write(b"x" * self.random.randrange(most))

    def shrink(self):
        path = self.pick()
        if os.path.isfile(path) and not os.path.islink(path):
            os.truncate(path, self.random.randrange(os.path.getsize(path) + 1))

    def remove(self):
        path = self.pick()
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)

    def retype(self):
        path = self.pick()
        with contextlib.suppress(OSError):
            os.unlink(path)
        self.random.choice([os.mkfifo, os.mkdir, lambda p: os.symlink("../../outside/file", p),
                            lambda p: os.symlink("/dev/zero", p)])(path)

    def move(self):
        new = self.pick()
        self.parent(new)
        os.rename(self.pick(), new)

    def link(self):
        os.link(self.pick(), self.pick(), follow_symlinks=False)

    def adorn(self):
        path = self.pick()
        if os.path.islink(path):
            return
        os.chmod(path, self.random.choice([0o600, 0o755, 0o4711]))
        os.setxattr(path, "user.note", b"z" * self.random.randrange(200))

    def replace(self):
        with open(self.root + "/whole.new", "wb") as file:
            file.write(bytes([self.random.randrange(256)]) * WHOLE_SIZE)
        os.rename(self.root + "/whole.new", "%s/whole/%d" % (self.root, self.random.randrange(30)))

    def step(self):
        verbs = [self.write, self.write, self.write, self.grow, self.shrink, self.remove, self.retype, self.move,
                 self.move, self.link, self.adorn, self.replace]
        with contextlib.suppress(OSError):
            self.random.choice(verbs)()


def check(copy):
    status = 0
    for entry in os.scandir(copy + "/whole"):
        with open(entry.path, "rb") as file:
            data = file.read()
        if len(data) != WHOLE_SIZE or len(set(data)) != 1:
            print("%s is a mixture of %d bytes" % (entry.path, len(data)))
            status = 1
    return status


def main():
    if sys.argv[1] == "check":
        return check(sys.argv[2])
    os.makedirs(sys.argv[1] + "/whole", exist_ok=True)
    chaos = Chaos(sys.argv[1], int(sys.argv[2]))
    parent = os.getppid()
    while os.getppid() == parent:
        chaos.step()


if __name__ == "__main__":
    sys.exit(main())
