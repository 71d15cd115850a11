#!/usr/bin/env python3
"""on-terminal.py [EXPECTED ANSWER]... -- COMMAND...

Runs COMMAND on a terminal of its own, waits until EXPECTED is shown, types ANSWER and the enter key, and so on. What the
terminal showed goes to standard output; ends with COMMAND's status, or 124 when something is not shown.
"""
import os
import pty
import select
import sys

PATIENCE = 60


def read_more(terminal):
    """Return what it shows next; b"" at the end."""
    ready, _, _ = select.select([terminal], [], [], PATIENCE)
    if not ready:
        return b""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""  # Linux says EIO when the last process has left


def converse(terminal, dialogue):
    shown, seen = b"", 0
    for expected, answer in dialogue:
        while expected not in shown[seen:]:
            more = read_more(terminal)
            if not more:
                return shown, False
            shown += more
        seen = shown.index(expected, seen) + len(expected)
        os.write(terminal, answer + b"\n")
    while more := read_more(terminal):
        shown += more
    return shown, True


def main():
    split = sys.argv.index("--")
    words = [os.fsencode(word) for word in sys.argv[1:split]]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(sys.argv[split + 1], sys.argv[split + 1:])
    shown, was_shown = converse(terminal, list(zip(words[::2], words[1::2])))
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    sys.stdout.buffer.write(shown)
    sys.stdout.flush()
    sys.exit(os.waitstatus_to_exitcode(status) % 256 if was_shown else 124)


main()
