"""stop-when.py PID_FILE PATTERN...: wait until one of the patterns names something, then stop (SIGSTOP) the process of PID_FILE,
and end. Ends with 1 when nothing comes within 30 seconds.
"""
import glob
import os
import signal
import sys
import time

until = time.monotonic() + 30
while time.monotonic() < until:
    for pattern in sys.argv[2:]:
        if glob.glob(pattern):
            with open(sys.argv[1], encoding="ascii") as file:
                os.kill(int(file.read()), signal.SIGSTOP)
            sys.exit(0)
sys.exit(1)
