#!/usr/bin/env python3
"""Messages that go to the journal carry fields, and each kind of event its MESSAGE_ID, as docs/systemd.md lists them.

Usage: journal-carries-fields.py DOCS USER, in an empty directory, with $RSB, where /run can be
written and the machine runs on battery. It is the journal: at the
socket of its native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL).
"""
import os
import re
import socket
import subprocess
import sys

RSB = os.environ["RSB"]
SOCKET = "/run/systemd/journal/socket"


def fail(what, shown):
    print("FAILED: %s: %s" % (what, ascii(shown)))
    sys.exit(1)


def parse(datagram):
    fields = {}
    while datagram:
        line, datagram = datagram.split(b"\n", 1)
        if b"=" in line:
            name, value = line.split(b"=", 1)
        else:
            name, size = line, int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8:8 + size], datagram[8 + size + 1:]
        fields[name.decode()] = value.decode()
    return fields


def run(journal, *arguments, status=0, user=None):
    """What it sent, and what it wrote instead."""
    with open("stderr", "wb") as file:
        at = os.fstat(file.fileno())
        ended = subprocess.run([RSB, "--disable-notifications", *arguments], stderr=file, stdout=subprocess.DEVNULL,
                               check=False, user=user, group=user, extra_groups=None if user is None else [], env={**os.environ, "JOURNAL_STREAM": "%d:%d" % (at.st_dev, at.st_ino)})
    entries = []
    while True:
        try:
            entries.append(parse(journal.recv(1 << 20, socket.MSG_DONTWAIT)))
        except BlockingIOError:
            break
    with open("stderr", encoding="utf-8") as file:
        written = file.read()
    if ended.returncode != status:
        fail("status %d" % ended.returncode, (written, entries))
    return entries, written


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        ids = re.findall(r"^\| `([0-9a-f]{32})` \|", file.read(), re.MULTILINE)
    if len(set(ids)) != 10:
        fail("the page does not list ten identifiers", ids)
    started, ended, incomplete, failed, skipped, error, lost, _, made, removed = ids
    os.makedirs("/run/systemd/journal")
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    os.mkdir("source")
    with open("source/file", "w", encoding="ascii") as file:
        file.write("x")
    os.umask(0o077)
    os.makedirs("parent/2001-01-01 00:00:00")

    # Without its socket: lines, as ever.
    entries, written = run(journal, "-n", "source", "parent/latest")
    if entries or not re.search("^<6>transfer", written, re.MULTILINE):
        fail("without the journal's socket messages are lost", written)
    journal.bind(SOCKET)

    entries, written = run(journal, "--force", "--yearly=1", "--prefer-recent", "source", "parent/latest")
    if written:
        fail("messages are also written", written)
    for entry in entries:
        if entry.get("SYSLOG_IDENTIFIER") != "rsync-system-backup" or entry.get("PRIORITY") not in "46":
            fail("an entry lacks fields", entry)
        if not entry.get("MESSAGE") or set(entry) & {"CODE_FILE", "CODE_LINE", "CODE_FUNC"}:
            fail("an entry says too little or too much", entry)
    events = {entry["MESSAGE_ID"]: entry for entry in entries if "MESSAGE_ID" in entry}
    if list(events) != [started, made, removed, ended]:
        fail("other events than expected", entries)
    here = os.getcwd()
    if events[started]["RSB_SOURCE"] != here + "/source" or events[started]["RSB_DESTINATION"] != here + "/parent/latest":
        fail("the start does not say of what", events[started])
    if events[removed]["RSB_SNAPSHOT"] != "2001-01-01 00:00:00" or events[removed]["RSB_STEP"] != "rotation":
        fail("what was removed is not said", events[removed])
    end = events[ended]
    wanted = {"RSB_OUTCOME": "complete", "RSB_STATUS": "0", "RSB_ENTRIES": "2", "RSB_NEW": "2", "RSB_BYTES": "1",
              "RSB_COPIED_BYTES": "1", "RSB_LOST": "0", "RSB_SNAPSHOT": events[made]["RSB_SNAPSHOT"],
              "RSB_SNAPSHOTS_REMOVED": "1", "RSB_SNAPSHOTS_PRESERVED": "1", "RSB_SOURCE": here + "/source"}
    if any(end.get(name) != value for name, value in wanted.items()) or float(end["RSB_TRANSFER_SECONDS"]) < 0:
        fail("the end lacks fields", end)

    # With -v the list has it, which the journal gets as lines without fields.
    os.makedirs("parent/2002-01-01 00:00:00")
    entries, _ = run(journal, "-vr", "--yearly=1", "--prefer-recent", "parent/latest")
    if [entry.get("RSB_SNAPSHOT") for entry in entries if entry.get("MESSAGE_ID") == removed] != ["2002-01-01 00:00:00"]:
        fail("with -v the removal is no event", entries)

    # What fails, what is missing, what is skipped.
    entries, _ = run(journal, "-b", "nothing", "parent/latest", status=1)
    events = {entry.get("MESSAGE_ID"): entry for entry in entries}
    if list(events) != [error, failed] or events[error].get("ERRNO") != "2" or events[error]["PRIORITY"] != "3":
        fail("a failure is told otherwise", entries)
    if events[error].get("RSB_PATH") != here + "/nothing" or events[failed]["RSB_REASON"] != events[error]["MESSAGE"]:
        fail("a failure is told with other fields", entries)
    os.chmod("source/file", 0)
    os.chmod(SOCKET, 0o666)
    entries, _ = run(journal, "--no-sudo", "-b", "source", "run/parent/latest", status=23, user=int(sys.argv[2]))
    events = {entry.get("MESSAGE_ID"): entry for entry in entries}
    if lost not in events or events[lost].get("ERRNO") != "13" or events[lost]["RSB_PATH"] != "file":
        fail("a lost entry is told otherwise", entries)
    if events[lost]["RSB_STEP"] != "transfer" or events[incomplete]["RSB_LOST"] != "1":
        fail("it is not known when an entry was lost", entries)
    entries, _ = run(journal, "--only-on-ac", "source", "parent/latest")
    if [entry.get("MESSAGE_ID") for entry in entries] != [None, skipped]:
        fail("a run that is skipped is told otherwise", entries)


main()
