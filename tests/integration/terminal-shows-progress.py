#!/usr/bin/env python3
"""On a terminal there is a line that tells what is being done, which leaves nothing behind, and colours, unless NO_COLOR
is set; below systemd lines carry their level and syslog is left alone (SPEC: What a user sees).

Usage: terminal-shows-progress.py, in an empty directory, with $RSB.
"""
import os
import pty
import re
import shutil
import subprocess
import sys

RSB = os.environ["RSB"]
ERASED = "\r\x1b[K"


def fail(what, text):
    print("FAILED: %s: %s" % (what, ascii(text)))
    sys.exit(1)


def run_on_terminal(*arguments, **environment):
    """What a terminal of 60 columns is sent on standard error."""
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "cols", environment.pop("columns", "60"), "rows", "24"], stdin=theirs, check=True)
    settings = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}
    started = subprocess.Popen([RSB, "--disable-notifications", *arguments], stdin=theirs, stdout=subprocess.DEVNULL,
                               stderr=theirs, env={**settings, "TERM": "xterm", **environment})
    os.close(theirs)
    sent = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        sent += piece
    os.close(ours)
    started.wait()
    return sent.decode(errors="replace").replace("\r\n", "\n")


def screen(sent):
    """The lines that stay, after what was erased is gone."""
    lines = [line.split(ERASED)[-1].split("\r")[-1] for line in sent.split("\n")]
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]


def make_source():
    os.makedirs("source")
    for i in range(2000):
        with open("source/%d" % i, "w", encoding="ascii") as file:
            file.write("content" * 100)


def progress_is_shown_and_goes_away():
    shutil.rmtree("parent", ignore_errors=True)
    sent = run_on_terminal("--minutely=1", "source", "parent/latest")
    for step in ("transfer: [0-9,]+ entries", "snapshot: [0-9,]+ entries", "waiting for the disk"):
        if not re.search(r"\r" + step, sent):
            fail("no line tells of '%s'" % step, sent)
    lines = screen(sent)
    # Behind its end, what comes next after a first backup.
    end = [line.startswith("backup complete in") for line in lines]
    if lines[-1] != "" or lines[end.index(True) + 1 if any(end) else 0] != "" or any("waiting" in line for line in lines):
        fail("the line does not go away", sent)
    if "\x1b[1;3" in sent:
        fail("there is colour without a warning", sent)
    if max(len(line) for line in re.findall(r"\r([^\r\n\x1b]*)", sent)) > 59:
        fail("a line is wider than the terminal", sent)


def narrow_and_dumb_terminals():
    sent = run_on_terminal("-b", "source", "parent/latest", columns="12")
    if max(len(line) for line in re.findall(r"\r([^\r\n\x1b]*)", sent)) > 11:
        fail("a line is wider than a narrow terminal", sent)
    run_on_terminal("-b", "source", "parent/latest", columns="0")
    if "\r" in run_on_terminal("-b", "source", "parent/latest", TERM="dumb"):
        fail("there is a line on a terminal that cannot erase it", "")


def errors_are_coloured():
    sent = run_on_terminal("missing", "parent/latest")
    if not re.search("\x1b\\[1;31merror: \x1b\\[0m", sent):
        fail("an error has no colour", sent)
    sent = run_on_terminal("missing", "parent/latest", NO_COLOR="1")
    if "\x1b[1;" in sent or "error: " not in sent:
        fail("there is colour in spite of NO_COLOR", sent)


def lines_for_the_journal_carry_levels():
    with open("journal", "wb") as file:
        at = os.fstat(file.fileno())
        stream = "%d:%d" % (at.st_dev, at.st_ino)
        subprocess.run([RSB, "--disable-notifications", "missing", "parent/latest"], stderr=file, check=False,
                       env={**os.environ, "JOURNAL_STREAM": stream})
        subprocess.run([RSB, "--disable-notifications", "-b", "source", "parent/latest"], stderr=file, check=True,
                       env={**os.environ, "JOURNAL_STREAM": stream})
        subprocess.run([RSB, "--disable-notifications", "missing", "parent/latest"], stderr=file, check=False,
                       env={**os.environ, "JOURNAL_STREAM": "1:" + stream})
    with open("journal", encoding="utf-8") as file:
        lines = file.read().splitlines()
    if not lines[0].startswith("<3>cannot") or not any(line.startswith("<6>transfer: ") for line in lines):
        fail("lines for the journal do not carry their level", lines)
    if not lines[-2].startswith("error: "):
        fail("what leads elsewhere is taken for the journal", lines)


def main():
    make_source()
    progress_is_shown_and_goes_away()
    narrow_and_dumb_terminals()
    errors_are_coloured()
    lines_for_the_journal_carry_levels()


main()
