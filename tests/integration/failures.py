#!/usr/bin/env python3
"""Whatever fails, and whenever: no error is lost, nothing is deleted for it, snapshots stay, and the next run heals.

    failures.py calls PROGRAM [POINTS]            a system call fails, by strace
    failures.py memory PROGRAM MODULE [POINTS]    an allocation fails, by a module that is preloaded

In the working directory, which a test gives it. A run that has something to do at every step is made again and again
from the same beginning, and each time something else fails: that call alone, or all of its kind from that one on. POINTS
are spread evenly over all that can fail; without it all are tried.
"""
import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "judge"))
import frozen   # noqa: E402
import listing  # noqa: E402

OLD = ("2020-01-01 00:00:00", "2021-01-01 00:00:00", "2021-06-01 00:00:00")
PRESERVED = OLD[:2]
OWN = ".rsync-system-backup"
DESTINATION = "parent/latest"  # which is that of a section
OPTIONS = ["--disable-notifications", "--config=job.ini", "-vv", "-x", "/left-out", "-x", "+ a?*[!b]**"]

# What cannot fail (brk tells where the end stays, poll allocates nothing for two descriptors), or is the C library's own:
# its threads do not end by an error.
NOT_TRIED = {"brk", "poll", "execve", "exit", "exit_group", "futex", "rt_sigreturn", "set_robust_list", "rseq", "getpid", "gettid",
             "geteuid", "getuid", "getegid", "getgid", "umask", "munmap", "mprotect", "arch_prctl", "set_tid_address",
             "clock_nanosleep", "rt_sigprocmask", "madvise", "restart_syscall", "sched_yield"}
MEMORY = {"mmap", "mremap", "clone", "clone3"}
# Nobody sees in a copy that these failed: with EIO there is no way round.
MUST_BE_TOLD = {"syncfs", "fsync"}
# A build that measures coverage writes its counters when all else is done. That is left alone, or the counters are lost.
COUNTERS = ".gcda"
COUNTERS_NEED = {"openat", "read", "write", "lseek", "fcntl", "close", "mkdir", "access", "getpid", "newfstatat"}
ERRORS = ("EIO", "EACCES", "ENOSPC", "EPERM", "ENOMEM", "EROFS")


class Failure(Exception):
    pass


def write(path, content):
    with open(path, "w", encoding="ascii") as file:
        file.write(content)


def acl():
    entries = ((1, 7, -1), (2, 5, 6), (4, 5, -1), (0x10, 7, -1), (0x20, 5, -1))
    return b"\2\0\0\0" + b"".join(tag.to_bytes(2, "little") + permissions.to_bytes(2, "little") +
                                  (identity & 0xffffffff).to_bytes(4, "little")
                                  for tag, permissions, identity in entries)


def make_configuration():
    """One of every kind that a run reads."""
    here = os.getcwd()
    write("job.ini", "[job]\nsource = %s/source\ndestination = %s/parent/latest\nrelaxed = yes\nyearly = 1 + 2\n"
          "exclude = *.nothing\n    /nowhere/\n[other]\ndestination = /nowhere/latest\n" % (here, here))
    write(os.path.join(os.environ["HOME"], ".rotate-backups.ini"),
          "[%s/p*]\nhourly = 24\ninclude-list = 2*, 1999*\nexclude-list = 1998*\n" % here)


def make_source():
    os.makedirs("source/a/b/c")
    os.makedirs("source/gone/deep")
    os.makedirs("source/left-out/deep")
    for name in ("a/one", "a/two", "a/b/three", "a/b/c/four", "gone/deep/five", "left-out/deep/six", "mode", "type"):
        write("source/" + name, name * 100)
    for name in ("first", "third"):
        write("source/" + name, "a group")
    os.link("source/first", "source/second")
    os.symlink("target", "source/symlink")
    os.mkfifo("source/fifo")
    os.mknod("source/device", 0o20600, os.makedev(1, 3))
    os.setxattr("source/a/one", "user.name", b"value")
    os.setxattr("source/a", "system.posix_acl_default", acl())


def change_source():
    write("source/a/two", "changed")
    write("source/a/b/new", "new")
    with open("source/sparse", "wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"middle")
    os.chmod("source/mode", 0o4755)
    os.chown("source/first", 5, 6)
    os.setxattr("source/a/one", "user.name", b"another")
    os.setxattr("source/mode", "user.other", b"value")
    os.setxattr("source/mode", "system.posix_acl_access", acl())
    os.remove("source/third")
    os.link("source/first", "source/third")
    os.remove("source/symlink")
    os.symlink("elsewhere", "source/symlink")
    os.remove("source/type")
    os.makedirs("source/type/below")
    os.mkdir("source/a/new")
    os.link("source/a/one", "source/a/new/link")
    shutil.rmtree("source/gone")


def expect_same(wanted, found, what):
    lines = listing.diff(wanted, found)
    if lines:
        raise Failure("%s is not what it should be:\n    %s" % (what, "\n    ".join(lines[:10])))


def snapshots():
    return sorted(name for name in os.listdir("parent") if frozen.NAME.fullmatch(name))


def on_one_cpu():
    """One worker: each run does the same things in the same order."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


class Scene:
    """The same beginning for every run: source, latest, old snapshots, and what a killed run has left."""

    def __init__(self, program):
        self.program = program
        make_configuration()
        make_source()
        for name in OLD:
            write("source/dated", name)
            self.clean_run("-b", "-s", DESTINATION)
            os.rename("parent/" + [made for made in snapshots() if made not in OLD][0], "parent/" + name)
        change_source()
        os.makedirs("parent/%s.trash-1/deep" % OWN)
        os.makedirs("parent/%s.new/deep" % OWN)
        os.rename("parent", "template")
        self.wanted = {path: facts for path, facts in listing.listing("source").items()
                       if not path.startswith("left-out")}
        self.before = {name: listing.listing("template/" + name) for name in OLD}
        self.untouched = listing.listing("template")
        latest = listing.listing("template/latest")
        # What changes its type is removed before the other is made.
        self.must_stay = {path for path, facts in self.wanted.items()
                          if path in latest and facts["type"] == latest[path]["type"]}

    def reset(self):
        shutil.rmtree("parent", ignore_errors=True)
        subprocess.run(["cp", "-a", "template", "parent"], check=True)

    def clean_run(self, *arguments):
        done = subprocess.run([self.program, *OPTIONS, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              preexec_fn=on_one_cpu)
        if done.returncode != 0:
            raise Failure("status %d of an undisturbed run: %s" % (done.returncode, done.stderr.decode()))

    def disturbed_run(self, before, environment=None):
        """Its status."""
        with open("out", "wb") as out, open("err", "wb") as err:
            started = subprocess.Popen([*before, self.program, *OPTIONS, DESTINATION], stdout=out, stderr=err,
                                       env={**os.environ, **(environment or {})}, preexec_fn=on_one_cpu,
                                       start_new_session=True)
            try:
                return started.wait(timeout=300)
            except subprocess.TimeoutExpired:
                os.killpg(started.pid, signal.SIGKILL)
                raise Failure("it does not end") from None

    def is_only_forgotten(self):
        """The backup is whole; what this machine remembers of it is not, and that is told."""
        with open("err", encoding="utf-8", errors="replace") as file:
            return "warning: cannot remember this run in" in file.read()

    def judge(self, status, must_be_told):
        if status == 0 and must_be_told and not self.is_only_forgotten():
            raise Failure("the error is lost")
        if status not in (0, 1, 2, 23):
            raise Failure("status %d" % status)
        if status == 2:
            expect_same(self.untouched, listing.listing("parent"), "what wrong usage does not touch")
        if status != 0 and os.path.getsize("err") == 0:
            raise Failure("status %d, and not a word" % status)
        latest = listing.listing("parent/latest")
        if self.must_stay - set(latest):
            raise Failure("deleted although it is there: %s" % (self.must_stay - set(latest)))
        if status == 0:
            expect_same(self.wanted, latest, "latest")
            if not set(snapshots()) - set(OLD):
                raise Failure("there is no new snapshot, and no error")
        self.judge_snapshots(latest)

    def judge_snapshots(self, latest):
        there = snapshots()
        for name in there:
            expect_same(self.before.get(name, latest), listing.listing("parent/" + name), name)
        if not set(PRESERVED) <= set(there):
            raise Failure("rotation has removed what is to be preserved")

    def heal(self):
        self.clean_run("-b", DESTINATION)
        latest = listing.listing("parent/latest")
        expect_same(self.wanted, latest, "latest, after the next run,")
        left = [name for name in os.listdir("parent") if name.startswith(OWN + ".")]
        if left:
            raise Failure("left after the next run: %s" % left)

    def try_one(self, what, before, environment=None, must_be_told=False):
        self.reset()
        try:
            status = self.disturbed_run(before, environment)
            self.judge(status, must_be_told)
            self.heal()
        except Failure as failure:
            with open("err", encoding="utf-8", errors="replace") as file:
                print("FAILED: %s: %s\n%s" % (what, failure, file.read()))
            return False
        return True


def spread(places, points):
    """As many of them as are wanted, evenly."""
    if points is None or points >= len(places):
        return places
    return [places[i * len(places) // points] for i in range(points)]


def count_calls(log):
    """{call: the most that one thread makes of it}"""
    counts = {}
    with open(log, encoding="utf-8", errors="replace") as file:
        for line in file:
            if COUNTERS in line:
                break
            found = re.match(r"(\d+) +(\w+)\(", line)
            if found:
                counts[found.groups()] = counts.get(found.groups(), 0) + 1
    most = {}
    for (_, call), count in counts.items():
        most[call] = max(most.get(call, 0), count)
    return most


def fail_calls(scene, points):
    """Before main() the loader makes calls, too: as many as for --version, which are left alone."""
    subprocess.run(["strace", "-f", "-o", "log", scene.program, "--version"], check=True, stdout=subprocess.DEVNULL)
    loading = count_calls("log")
    scene.reset()
    if scene.disturbed_run(["strace", "-f", "-o", "log"]) != 0:
        raise Failure("strace disturbs the run")
    with open("log", encoding="utf-8", errors="replace") as file:
        leave = COUNTERS_NEED if COUNTERS in file.read() else set()
    places = []
    for call, count in sorted(count_calls("log").items()):
        if call in NOT_TRIED:
            continue
        for number in range(loading.get(call, 0) + 1, count + 1):
            places += [(call, number, how) for how in (("",) if call in leave else ("", "+"))]
    failed = 0
    chosen = spread(places, points)
    for call, number, how in chosen:
        error = "ENOMEM" if call in MEMORY else "EIO" if call in MUST_BE_TOLD else ERRORS[number % len(ERRORS)]
        inject = "inject=%s:error=%s:when=%d%s" % (call, error, number, how)
        tracer = ["strace", "-f", "--seccomp-bpf", "-o", "log", "-e", "trace=" + call, "-e", inject]
        failed += not scene.try_one(inject, tracer, must_be_told=call in MUST_BE_TOLD)
    print("%d of %d points tried" % (len(chosen), len(places)))
    return failed


def fail_memory(scene, module, points):
    environment = {"LD_PRELOAD": module, "RSB_ALLOCATIONS": os.path.abspath("allocations")}
    scene.reset()
    if scene.disturbed_run([], environment) != 0:
        raise Failure("the module disturbs the run")
    with open("allocations", encoding="ascii") as file:
        count = int(file.read())
    places = [(number, how) for number in range(1, count + 1) for how in ("one", "all")]
    failed = 0
    chosen = spread(places, points)
    for number, how in chosen:
        failed += not scene.try_one("%s from allocation %d on" % (how, number), [],
                                    {**environment, "RSB_FAIL_" + how.upper(): str(number)})
    print("%d of %d points tried" % (len(chosen), len(places)))
    return failed


def main():
    kind, program, *rest = sys.argv[1:]
    scene = Scene(program)
    if kind == "calls":
        failed = fail_calls(scene, int(rest[0]) if rest else None)
    else:
        failed = fail_memory(scene, rest[0], int(rest[1]) if rest[1:] else None)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
