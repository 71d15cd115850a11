#!/usr/bin/env python3
"""phases.py PROGRAM [--files N] [--rounds N] [--filesystem ext4|xfs|btrfs] [--source DIR]

Each phase of a backup against the program that is known for it, in the same run: rounds alternate, the table shows
medians of wall and processor time and their ratios. Needs root, since it works on a filesystem image of its own; the
machine's root filesystem may have peculiar options. Times mean nothing by themselves, ratios little on a busy machine.
"""
import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import tree


class Bench:
    def __init__(self, options, top):
        self.options, self.top = options, top
        self.source, self.theirs, self.ours = (os.path.join(top, n) for n in ("source", "theirs", "ours"))
        self.times = {}

    def time(self, phase, side, *command):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.times.setdefault(phase, {}).setdefault(side, []).append((wall, cpu))

    def run_theirs(self):
        rsync = ["rsync", "-aHAX", "--numeric-ids"]
        source, latest, snapshot = self.source + "/", self.theirs + "/latest/", self.theirs + "/snapshot"
        os.mkdir(self.theirs)
        shell = f"{' '.join(rsync)} {source} {latest} && sync -f {self.theirs}"
        self.time("first backup", "theirs", "sh", "-c", shell)
        self.time("unchanged", "theirs", *rsync, "--delete", source, latest)
        self.time("snapshot", "theirs", "cp", "--archive", "--link", latest, snapshot)
        self.time("removal", "theirs", "rm", "-rf", snapshot)

    def run_ours(self):
        latest = self.ours + "/latest"
        program = [self.options.program, "--disable-notifications"]
        os.mkdir(self.ours, 0o700)
        self.time("first backup", "ours", *program, "--backup", self.source, latest)
        self.time("unchanged", "ours", *program, "--backup", self.source, latest)
        self.time("snapshot", "ours", *program, "--snapshot", latest)
        made = [name for name in os.listdir(self.ours) if name.startswith("2")][0]
        # A name that is swept: removal and nothing else.
        os.rename(f"{self.ours}/{made}", f"{self.ours}/.rsync-system-backup.trash-1")
        self.time("removal", "ours", *program, "--rotate", latest)

    def clear(self):
        for parent in self.theirs, self.ours:
            shutil.rmtree(parent, ignore_errors=True)
        os.sync()

    def run(self):
        if self.options.source:
            subprocess.run(["cp", "-a", self.options.source, self.source], check=True)
        else:
            tree.make(self.source, self.options.files)
        # What is younger than the first backup by the slack of clocks is compared by content in the second.
        time.sleep(6)
        for round_ in range(self.options.rounds):
            self.clear()
            for run in (self.run_theirs, self.run_ours)[::-1 if round_ % 2 else 1]:
                run()

    def whole(self):
        """A run on an unchanged tree with a snapshot and the removal of one: the sum of its phases."""
        phases = ["unchanged", "snapshot", "removal"]
        for side in "theirs", "ours":
            rounds = zip(*(self.times[phase][side] for phase in phases))
            summed = [tuple(map(sum, zip(*parts))) for parts in rounds]
            self.times.setdefault("all three", {})[side] = summed

    def show(self):
        print(f"{'':14}{'wall s':>17}{'ratio':>8}{'cpu s':>17}{'ratio':>8}   against")
        against = {"first backup": "rsync and sync", "unchanged": "rsync --delete", "snapshot": "cp --archive --link",
                   "removal": "rm -rf", "all three": "the three in sequence"}
        for phase, sides in self.times.items():
            wall = [statistics.median(t[0] for t in sides[side]) for side in ("theirs", "ours")]
            cpu = [statistics.median(t[1] for t in sides[side]) for side in ("theirs", "ours")]
            print(f"{phase:14}{wall[0]:8.2f} {wall[1]:8.2f}{wall[0] / wall[1]:7.1f}x"
                  f"{cpu[0]:8.2f} {cpu[1]:8.2f}{cpu[0] / cpu[1]:7.1f}x   {against[phase]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program")
    parser.add_argument("--files", type=int, default=300000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--filesystem", default="ext4", choices=["ext4", "xfs", "btrfs"])
    parser.add_argument("--source", help="a directory to copy instead of the made-up tree, /usr for instance")
    options = parser.parse_args()
    options.program = os.path.abspath(options.program)
    if os.geteuid() != 0:
        sys.exit("phases.py works on a filesystem image of its own, which needs root")
    with tempfile.TemporaryDirectory(prefix="rsb-bench.") as top:
        os.environ["STATE_DIRECTORY"] = top + "/state"
        image, mount = top + "/image", top + "/mount"
        subprocess.run(["truncate", "--size=24G", image], check=True)
        flags = {"ext4": ["-q", "-F", "-i", "8192"], "xfs": ["-q"], "btrfs": ["-q"]}[options.filesystem]
        subprocess.run([f"mkfs.{options.filesystem}", *flags, image], check=True)
        os.mkdir(mount)
        subprocess.run(["mount", "-o", "loop", image, mount], check=True)
        try:
            bench = Bench(options, mount)
            bench.run()
        finally:
            subprocess.run(["umount", mount], check=True)
    bench.whole()
    bench.show()


if __name__ == "__main__":
    main()
