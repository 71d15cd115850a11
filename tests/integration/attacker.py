#!/usr/bin/env python3
"""attacker.py [--once=SECONDS] A B [A B]...: let each two names change places, at full speed, until a signal ends it.

"ready" is printed when a signal may come, "first" when two names have changed places, and in the end how often. With --once
each pair changes places one time, so long after both names are there, and nothing but the end is told.
"""
import ctypes
import os
import signal
import sys
import time

AT_FDCWD = -100
RENAME_EXCHANGE = 2
libc = ctypes.CDLL(None, use_errno=True)


def exchange(a, b):
    return libc.renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0


def main():
    arguments = sys.argv[1:]
    once = arguments[0].startswith("--once=")
    names = [os.fsencode(name) for name in arguments[once:]]
    pairs = list(zip(names[::2], names[1::2]))
    ended = []
    told = once
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.append(True))
    swaps = 0
    if not told:
        print("ready", flush=True)
    while pairs and not ended:
        for pair in list(pairs):
            if once:
                if not all(map(os.path.lexists, pair)):
                    continue
                time.sleep(float(arguments[0].partition("=")[2]))
                pairs.remove(pair)
            swaps += exchange(*pair)
            if swaps and not told:
                told = True
                print("first", flush=True)
    print(swaps)


main()
