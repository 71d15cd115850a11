#!/bin/bash
# What a backup copied does not stay in memory: neither large files nor many small ones push out what others use. What
# was in memory before it was backed up remains there, at least of small files.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need fincore

# resident DIRECTORY: MiB of its files that are in memory.
resident() {
        find "$1" -type f -print0 | xargs -0 fincore --bytes --noheadings --output RES |
                awk '{ sum += $1 } END { printf "%d\n", sum / 1048576 }'
}

# expect_resident DIRECTORY LEAST MOST
expect_resident() {
        local found

        found=$(resident "$1")
        if [ "$found" -lt "$2" ] || [ "$found" -gt "$3" ]; then
                fail "of $1 $found MiB are in memory, not $2 to $3"
        fi
}

# files DIRECTORY COUNT SIZE
files() {
        local i

        mkdir -p "$1"
        for ((i = 0; i < $2; i++)); do
                head -c "$3" /dev/urandom >"$1/$i"
        done
}

# A control group of ours with little memory, of either version.
make_group() {
        local above=/sys/fs/cgroup limit=memory.max

        if grep -qs cgroup2 <(stat -f -c %T /sys/fs/cgroup); then
                echo +memory >"$above/cgroup.subtree_control" 2>/dev/null || true
        else
                above=$above/memory limit=memory.limit_in_bytes
        fi
        mkdir "$above/rsb-test-$$" 2>/dev/null || skip "no control group can be made"
        control_group=$above/rsb-test-$$
        echo 512M >"$control_group/$limit" || skip "there is no memory controller"
}

in_group() (
        echo "$BASHPID" >"$control_group/cgroup.procs"
        exec "$@"
)

make_group
make_fs source ext4 320M
make_fs disk ext4 320M
files "$tmp/source/used" 32 1M
files "$tmp/source/small" 128 1M
files "$tmp/source/large" 2 24M
umount "$tmp/source"
mount -o loop "$tmp/source.img" "$tmp/source"
cat "$tmp/source/used"/* | wc -c >/dev/null
expect_resident "$tmp/source/used" 32 32
expect_resident "$tmp/source/small" 0 0

mkdir -m 700 "$tmp/disk/parent"
expect_status 0 in_group "$RSB" --disable-notifications --backup "$tmp/source" "$tmp/disk/parent/latest"
expect_resident "$tmp/source/used" 31 32
expect_resident "$tmp/source/small" 0 4
expect_resident "$tmp/source/large" 0 2
# It is lenient about small files at the beginning, a sixteenth of the memory.
expect_resident "$tmp/disk/parent/latest" 16 36
same "$tmp/source" "$tmp/disk/parent/latest"
