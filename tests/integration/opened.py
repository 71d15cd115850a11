#!/usr/bin/env python3
"""opened.py LOG PATH...: write to LOG each of these that is opened from now on, under whatever name, until a SIGTERM.

"ready" is printed when all are watched. What is only looked at, or found with O_PATH, is not opened.
"""
import ctypes
import os
import signal
import struct
import sys

IN_OPEN = 0x20
libc = ctypes.CDLL(None, use_errno=True)


def main():
    log = open(sys.argv[1], "w", encoding="utf-8", buffering=1)
    fd = libc.inotify_init1(os.O_CLOEXEC)
    watched = {}
    for path in sys.argv[2:]:
        number = libc.inotify_add_watch(fd, os.fsencode(path), IN_OPEN)
        if number < 0:
            raise OSError(ctypes.get_errno(), path)
        watched[number] = path
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print("ready", flush=True)
    while True:
        data = os.read(fd, 65536)
        while data:
            number, _, _, length = struct.unpack_from("iIII", data)
            log.write("%s\n" % watched.get(number, "(too many events)"))
            data = data[16 + length:]


main()
