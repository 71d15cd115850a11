"""stop-when.py PID_FILE PATTERN...: wait until one of the patterns names something, then stop (SIGSTOP) the process of PID_FILE,
and end.
"""
import glob
import os
import signal
import sys

while True:
    for pattern in sys.argv[2:]:
        if glob.glob(pattern):
            with open(sys.argv[1], encoding="ascii") as file:
                os.kill(int(file.read()), signal.SIGSTOP)
            sys.exit(0)
