"""What the benchmarks share: filesystems of their own, commands and their cost, and what to say about the machine."""
import contextlib
import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

MIB = 1 << 20

# Nothing is left for later, when it would run behind somebody's back, and no block is given back to the image's file.
MKFS = {"ext4": ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"], "xfs": ["-q", "-f", "-K"],
        "btrfs": ["-q", "-f", "-K"]}


@dataclass
class Cost:
    wall: float  # seconds
    cpu: float   # seconds, user and system, of the process and of all its children; no kernel threads
    peak: int    # KiB resident of its largest process, 0 when it was not asked for


def run(*command, peak=False, **options):
    """Run one command and tell what it cost. Its messages are shown if it fails, which ends the benchmark."""
    with tempfile.NamedTemporaryFile("r") as told:
        if peak:
            # What Python sees would be at least its own size: a new program starts with the peak of who started it.
            command = ["time", "--quiet", "--format=%M", "--output=" + told.name, *command]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
                                   **options)
        try:
            messages = process.communicate()[1]
        except BaseException:
            # All of them, or what is still at work would keep our filesystems busy.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if process.returncode != 0:
            sys.stderr.buffer.write(messages)
            sys.exit(f"failed with {process.returncode}: {' '.join(command)}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Cost(wall, cpu, int(told.read()) if peak else 0)


def quietly(*command):
    """What is not measured."""
    run(*command)


class Image:
    """A filesystem on a loop device below @top. All of the image is written before it is used, so that its own
    allocation is not paid by whoever comes first, and the loop device does not cache it a second time."""

    def __init__(self, top, name, filesystem, size, flags=()):
        self.filesystem, self.mount, self.flags = filesystem, f"{top}/{name}", flags
        self.file, self.device, self.mounted = f"{self.mount}.image", None, False
        os.mkdir(self.mount)
        self.mebibytes = -(-size // MIB)

    def __enter__(self):
        space = shutil.disk_usage(os.path.dirname(self.file)).free // MIB
        if space < self.mebibytes + 1024:
            sys.exit(f"{self.file} needs {self.mebibytes} MiB, there are {space}; set TMPDIR, or measure less")
        quietly("dd", "if=/dev/zero", "of=" + self.file, "bs=1M", f"count={self.mebibytes}", "oflag=direct")
        attach = ["losetup", "--find", "--show"]
        for direct in ["--direct-io=on"], []:
            done = subprocess.run([*attach, *direct, self.file], capture_output=True, text=True)
            if done.returncode == 0:
                break
        if done.returncode != 0:
            sys.exit(done.stderr)
        self.device = done.stdout.strip()
        self.make()
        return self

    def __exit__(self, *_):
        self._unmount()
        if self.device:
            quietly("losetup", "--detach", self.device)
        os.unlink(self.file)

    def _mount(self):
        # btrfs discards by itself where it can.
        quietly("mount", "-o", "nodiscard", self.device, self.mount)
        self.mounted = True

    def _unmount(self):
        if self.mounted:
            quietly("umount", self.mount)
            self.mounted = False

    def make(self):
        """An empty filesystem, whatever there was; to the program it would be the wrong disk."""
        shutil.rmtree(os.environ["STATE_DIRECTORY"], ignore_errors=True)
        self._unmount()
        quietly("mkfs." + self.filesystem, *MKFS[self.filesystem], *self.flags, self.device)
        self._mount()
        os.sync()

    def forget(self):
        """Nothing of it in memory any more: mount it anew."""
        self._unmount()
        self._mount()


@contextlib.contextmanager
def workplace():
    """A directory for images; the program remembers disks below it, not among those of this machine."""
    # Mounts that nobody else sees: a process that copies them would keep a filesystem busy.
    clone_newns = 0x20000
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(clone_newns) != 0:
        sys.exit("filesystem images of our own need root")
    quietly("mount", "--make-rprivate", "/")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="rsb-bench.") as top:
        os.environ["STATE_DIRECTORY"] = top + "/state"
        yield top


def program(path, *options):
    return [os.path.abspath(path), "--disable-notifications", "--quiet", *options]


def only_snapshot(parent):
    return sorted(name for name in os.listdir(parent) if name.startswith("2"))[0]


def expire(parent):
    """Let the oldest snapshot be swept by the next run, as what a broken removal has left: removal and nothing else."""
    os.rename(f"{parent}/{only_snapshot(parent)}", f"{parent}/.rsync-system-backup.trash-1")


class Machine:
    """What to know when judging numbers: printed below them."""

    def __init__(self):
        self.load = os.getloadavg()[0]

    def __str__(self):
        rsync = subprocess.run(["rsync", "--version"], capture_output=True, text=True).stdout.split("\n")[0].split()[2]
        return (f"{os.cpu_count()} processors, Linux {os.uname().release}, rsync {rsync}; "
                f"load {self.load:.1f} at the start, {os.getloadavg()[0]:.1f} at the end")
