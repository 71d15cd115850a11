#!/bin/bash
# A destination without a free inode or block: what the scheme removes is removed, and a run that has only deletions to
# make can make them.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program

mkdir "$tmp/disk"
mount -t tmpfs -o size=4m,nr_inodes=100,mode=755 disk "$tmp/disk"
source=$tmp/source parent=$tmp/disk/parent
mkdir "$source"
for i in 1 2 3 4; do
        head -c 100000 /dev/urandom >"$source/$i"
done

# use_up_inodes, use_up_blocks: until there is none left.
use_up_inodes() {
        local i=0

        while mkdir "$tmp/disk/inode-$i" 2>/dev/null; do
                i=$((i + 1))
        done
}
use_up_blocks() {
        head -c 100m /dev/zero >"$tmp/disk/blocks" 2>/dev/null || true
}

expect_status 0 run_backup "$source" "$parent/latest"
mkdir "$parent/2020-01-01 00:00:00" "$parent/2020-01-02 00:00:00"
use_up_inodes
expect_status 0 run_backup -r --daily=1 "$parent/latest"
[ "$(snapshots "$parent" | wc -l)" = 1 ] || fail "nothing was removed: $(snapshots "$parent")"

rm -r "$tmp/disk"/inode-*
use_up_blocks
rm "$source"/[234]
expect_status 0 run_backup -b "$source" "$parent/latest"
[ "$(ls "$parent/latest")" = 1 ] || fail "nothing was deleted: $(ls "$parent/latest")"

# What could not be stored is counted once, however many attempts the room took; what only the first attempt could not
# store, not at all.
rm "$tmp/disk/blocks"
echo 0 >"$source/0"
expect_status 0 run_backup -b "$source" "$parent/latest"
mount --bind "$source/1" "$parent/latest/0"
mkdir "$parent/2020-01-01 00:00:00"
head -c 1500000 /dev/urandom >"$parent/2020-01-01 00:00:00/large"
use_up_blocks
head -c 1000000 /dev/urandom >"$source/5"
expect_status 23 run_backup -b -r --daily=1 "$source" "$parent/latest"
cmp "$source/5" "$parent/latest/5" || fail "there was no second attempt: $(cat "$tmp/err")"
grep -q ' 1 entry could not be' "$tmp/err" || fail "not counted once: $(cat "$tmp/err")"
umount "$parent/latest/0"
