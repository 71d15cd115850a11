#!/bin/bash
# latest-shares-nothing-with-the-source.sh: where somebody has made `latest` by hard links to the source, as `cp -al` does, all
# gets inodes of its own before a snapshot links to them; what is written at the source later is in no snapshot.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 100m

source=$tmp/source parent=$tmp/parent
mkdir -p "$source/sub" "$parent"
echo one | tee "$source/file" >"$source/sub/file"
ln "$source/file" "$source/sub/linked"
ln -s target "$source/symlink"
mkfifo "$source/fifo"
cp -al "$source" "$parent/latest"
expect_status 0 run_backup --force -v "$source" "$parent/latest"
snapshot=$(snapshots "$parent")
same "$source" "$parent/latest"
same "$source" "$parent/$snapshot"
shared=$(find "$source" "$parent" ! -type d -printf '%i %p\n' | sed "s|$tmp/||" | awk '{ sub("/.*", "", $2); print $1, $2 }' |
        sort -u | awk '{ print $1 }' | uniq -d)
[ -z "$shared" ] || fail "these inodes are the source's: $(find "$tmp" -inum "${shared%%$'\n'*}")"
frozen "$parent"
for name in file sub/file; do
        echo two >>"$source/$name"
done
frozen "$parent"
expect_status 0 run_backup -v "$source" "$parent/latest"
same "$source" "$parent/latest"
expect_status 0 run_backup -v -b "$source" "$parent/latest"
[ ! -s "$tmp/out" ] || fail "changes, where nothing changed: $(cat "$tmp/out")"
