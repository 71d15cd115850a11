#!/bin/bash
# The promise: times that the destination cannot hold (ext4 with small inodes: whole seconds, nothing behind 2038) are
# compared as it holds them, told once, and nothing is taken for changed because of them.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program

make_fs destination ext4 64m -I 128
src=$tmp/source latest=$tmp/destination/b/latest
mkdir "$src"
echo one >"$src/one"
ln "$src/one" "$src/two"
ln -s one "$src/link"
touch -d '2020-02-02 02:02:02.123456789' "$src/one" "$src"

expect_status 0 run_backup "$src" "$latest"
grep -q 'keeps times to 1 s' "$tmp/err" || fail "the granularity was not told"
! grep -q 'changed each time' "$tmp/err" || fail "a fitted time was taken for a change while reading"
[ "$(stat -c %.9Y "$latest/one")" = "$(date -d '2020-02-02 02:02:02' +%s).000000000" ] || fail "not the whole second"
expect_status 0 run_backup "$src" "$latest"
grep -q 'changes: none' "$tmp/err" || fail "an unchanged tree was taken for changed"

touch -d '2050-01-01 00:00:00' "$src/one"
expect_status 23 run_backup -b "$src" "$latest"
grep -q 'time of modification could not be kept for 2 entries' "$tmp/err" || fail "a time out of range was not told"
expect_status 23 run_backup -b "$src" "$latest"
grep -q 'changes: none' "$tmp/err" || fail "a time out of range was taken for a change"
