#!/usr/bin/env python3
"""at-prompt.py SET-UP SHELL [ARGUMENTS]: type at the prompt of an interactive shell, and press the tabulator.

The shell first reads the commands of the file SET-UP, which end its prompt in "@> " and define the command `it`. Each line
of standard input is typed then, with a tabulator behind it, and entered; what `it` prints, a line of its arguments, is
printed. A line that ends in "?" (which is not typed) is answered with all choices, one per line.
"""
import os
import pty
import re
import select
import sys
import time

PATIENCE = 60
LIST = {"bash": b"\x1b?", "zsh": b"\x04"}


class Prompt:
    def __init__(self, set_up, command):
        self.shell = os.path.basename(command[0])
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="dumb", COLUMNS="200", LINES="1000")
            os.execvp(command[0], command)
        self.type(f"stty cols 200 rows 1000 -onlcr; . {set_up}\n".encode())
        self.until(rb"READY.*@> $")

    def type(self, keys):
        os.write(self.fd, keys)

    def read(self, seconds):
        """What comes within so much time; nothing when it is still."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return b""
        try:
            return os.read(self.fd, 65536)
        except OSError:
            return b""

    def until(self, pattern):
        told, end = b"", time.monotonic() + PATIENCE
        while not re.search(pattern, told, re.DOTALL):
            more = self.read(max(0, end - time.monotonic()))
            if not more:
                sys.exit(f"{self.shell} did not answer, only: {told!r}")
            told += more
        return told

    def settle(self, quiet):
        """The first answer may take time; then it is quick."""
        told = more = self.read(PATIENCE)
        while more:
            more = self.read(quiet)
            told += more
        return told

    def choices(self, line):
        self.type(line.encode())
        self.until(re.escape(line.encode()) + b"$")
        self.type(LIST[self.shell])
        told = self.settle(1)
        # What was late comes before the answer to what is typed next.
        self.type(b"\x15it over\n")
        return (told + self.until(rb"\{over\}.*@> $")).decode()

    def completed(self, line):
        self.type(line.encode())
        self.until(re.escape(line.encode()) + b"$")
        self.type(b"\t")
        self.settle(0.15)  # what is typed next is read behind it in any case
        self.type(b"\n")
        told = self.until(rb"\{.*?\}.*@> $").decode()
        return re.search(r"\{(.*?)\}", told).group(1)


def main():
    prompt = Prompt(sys.argv[1], sys.argv[2:])
    for line in sys.stdin.read().splitlines():
        print(prompt.choices(line[:-1]) if line.endswith("?") else prompt.completed(line), flush=True)
    os.close(prompt.fd)
    os.waitpid(prompt.pid, 0)


main()
