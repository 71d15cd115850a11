#!/usr/bin/env python3
"""Be the service manager of a command: a socket for it in $NOTIFY_SOCKET, and what it sends there, in order.

Usage: notified.py LOG [NAME=VALUE...] -- COMMAND...

LOG gets a line for each datagram, with the seconds since the start before it. "@" as LOG's first letter puts the socket
into the abstract namespace. The exit status is COMMAND's, or 128 and the signal that ended it.
"""
import os
import socket
import subprocess
import sys
import time


def main():
    split = sys.argv.index("--")
    log, settings, command = sys.argv[1], dict(s.split("=", 1) for s in sys.argv[2:split]), sys.argv[split + 1 :]
    name = log.lstrip("@") + ".socket" if log[0] != "@" else "@rsb-test-%d" % os.getpid()
    path = os.path.abspath(name) if name[0] != "@" else name
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours, open(log.lstrip("@"), "w", encoding="utf-8") as out:
        ours.bind(path if path[0] != "@" else "\0" + path[1:])
        ours.settimeout(0.05)
        began = time.monotonic()
        with subprocess.Popen(command, env={**os.environ, "NOTIFY_SOCKET": path, **settings}) as run:
            ended = False
            while True:
                try:
                    text = ours.recv(65536).decode()
                except TimeoutError:
                    if ended:
                        break
                    ended = run.poll() is not None
                    continue
                out.write("%.3f %s\n" % (time.monotonic() - began, text.replace("\n", "\\n")))
            status = run.wait()
    if path[0] != "@":
        os.unlink(path)
    sys.exit(status if status >= 0 else 128 - status)


main()
