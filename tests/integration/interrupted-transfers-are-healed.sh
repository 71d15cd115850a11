#!/bin/bash
# What a power cut leaves can have the right size and time and the wrong bytes: after an interrupted transfer, files of
# `latest` are compared by content. So are all after a damaged or lost state, with a warning. A change that hides behind an old
# mtime is seen by its newer ctime. A snapshot alone of an interrupted transfer is refused; forced it counts as
# incomplete. A clock that was put back does no harm.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 300m

source=$tmp/source parent=$tmp/parent state=$tmp/parent/.rsync-system-backup/state
mkdir -p "$source/sub"
mkdir -m 700 "$parent"
for i in $(seq 20); do
        head -c $((i * 3000)) /dev/urandom >"$source/sub/$i"
done
: >"$source/empty"
expect_status 0 run_backup -b -s "$source" "$parent/latest"
frozen "$parent"

# cut FILE...: as a power cut during a transfer that wrote these. The snapshots keep their inodes.
cut() {
        local file

        for file; do
                rm "$parent/latest/$file"
                truncate -s "$(stat -c %s "$source/$file")" "$parent/latest/$file"
                touch -r "$source/$file" "$parent/latest/$file"
        done
        sed -i "/^end/i running-since $(date +%s).000000000" "$state"
}

cut sub/3 sub/7
# Half of a file, a directory on its way out, and a user's file that has almost such a name.
head -c 100 "$source/sub/5" >"$parent/latest/sub/.rsync-system-backup.tmp-0123456789abcdef"
mkdir -p "$parent/latest/.rsync-system-backup.tmp-fedcba9876543210/deep"
echo mine | tee "$source/.rsync-system-backup.tmp-mine" >"$parent/latest/.rsync-system-backup.tmp-mine"
expect_status 1 run_backup -s "$parent/latest"
grep -q -e '--force' "$tmp/err" || fail "a snapshot of an interrupted transfer: $(cat "$tmp/err")"
expect_status 1 run_backup -s -n "$parent/latest"
complete=$(snapshots "$parent")
expect_status 0 run_backup -s --force "$parent/latest"
forced=$(snapshots "$parent" | tail -n 1)
[ "$forced" != "$complete" ] || fail "no snapshot was forced"
grep -qx "incomplete $forced" "$state" || fail "the forced snapshot counts as complete"
[ "$(cd "$parent/$forced" && find . -name '.rsync*')" = ./.rsync-system-backup.tmp-mine ] ||
        fail "a forced snapshot has what was never whole: $(find "$parent/$forced" -name '.rsync*')"
expect_status 0 run_backup -r --yearly=1 --prefer-recent "$parent/latest"
[ -e "$parent/$complete" ] || fail "the newest complete snapshot was removed"
[ -e "$parent/$forced" ] || fail "the newest snapshot was removed"
frozen "$parent"
expect_status 0 run_backup -n "$source" "$parent/latest"
grep -qx 'changed  sub/3 (content)' "$tmp/out" || fail "a dry run does not see what is to be healed: $(cat "$tmp/out")"
expect_status 0 run_backup -vv -b -s "$source" "$parent/latest"
grep -qx 'changed  sub/7 (content)' "$tmp/out" || fail "it is not listed what was healed: $(cat "$tmp/out")"
same "$source" "$parent/latest"
grep -q '^running' "$state" && fail "the state still says that a transfer is under way"
frozen "$parent"

# Interrupted once more while healing: suspicion lasts until a transfer is whole.
cut sub/4
touch "$source/large"
head -c 100M /dev/zero >"$source/large"
"$RSB" -b "$source" "$parent/latest" 2>/dev/null &
pid=$!
until [ -n "$(find "$parent/latest" -maxdepth 1 -name '.rsync-system-backup.tmp-*')" ] || ! kill -0 $pid 2>/dev/null; do
        sleep 0.005
done
kill -KILL $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
settle
rm "$source/large"
expect_status 0 run_backup -b "$source" "$parent/latest"
same "$source" "$parent/latest"

# A damaged state, in several ways.
for damage in "\$d" '1d' 's/^entries.*/entries x/' 's/^latest/l\x00test/' 's/$/ /' 'd'; do
        cut sub/9
        sed -i "$damage" "$state"
        [ "$damage" != d ] || : >"$state"
        expect_status 0 run_backup -b "$source" "$parent/latest"
        grep -q '^warning: .*damaged' "$tmp/err" || fail "no warning of a state damaged by '$damage': $(cat "$tmp/err")"
        same "$source" "$parent/latest"
done
head -c 100000 /dev/urandom >"$state"
cut sub/9 2>/dev/null
expect_status 0 run_backup -b "$source" "$parent/latest"
same "$source" "$parent/latest"
frozen "$parent"

# A state that is gone. Who was never here, has none, and is believed.
cut sub/9
rm "$state"
expect_status 0 run_backup -b -s "$source" "$parent/latest"
grep -q '^warning: .*state is missing' "$tmp/err" || fail "no warning of a lost state: $(cat "$tmp/err")"
same "$source" "$parent/latest"
grep -qx "complete $(snapshots "$parent" | tail -n 1)" "$state" || fail "a healed backup does not count as complete"
mkdir "$tmp/first"
expect_status 0 run_backup -b "$source" "$tmp/first/latest"
! grep 'missing' "$tmp/err" || fail "a first backup misses a state"
frozen "$parent"

# Behind an old mtime.
hide() {
        touch -r "$source/$1" "$tmp/stamp"
        head -c "$(stat -c %s "$source/$1")" /dev/urandom >"$tmp/other"
        cat "$tmp/other" >"$source/$1"
        touch -r "$tmp/stamp" "$source/$1"
}
sleep 5.1 # what is as new as the last transfer is compared in any case
expect_status 0 run_backup -b "$source" "$parent/latest"
hide sub/11
mv "$source/sub/12" "$tmp/kept"
hide sub/13
mv "$tmp/kept" "$source/sub/12"
expect_status 0 run_backup -vv -b -s "$source" "$parent/latest"
[ "$(grep -c '(content)$' "$tmp/out")" = 2 ] || fail "not the two files are found: $(cat "$tmp/out")"
same "$source" "$parent/latest"

# The clock was in the future when the last transfer was made, and was put back: before this boot, or in it.
sed -i -e "s/^reference .*/reference $(($(date +%s) + 100000)).000000000/" -e '/^reference-/d' "$state"
hide sub/14
echo changed >"$source/sub/1"
expect_status 0 run_backup -b "$source" "$parent/latest"
same "$source" "$parent/latest"
hide sub/15
sed -i "s/^reference .*/reference $(date +%s.%N)/" "$state"
grep -q '^reference-boot' "$state" || fail "it does not know by which clock: $(cat "$state")"
expect_status 0 run_backup -b "$source" "$parent/latest"
same "$source" "$parent/latest"
# What is of another boot was before this one, and this change was not.
hide sub/16
sed -i -e "s/^reference .*/reference $(date +%s.%N)/" -e 's/^reference-boot .*/reference-boot another/' "$state"
expect_status 0 run_backup -b "$source" "$parent/latest"
same "$source" "$parent/latest"
hide sub/2
expect_status 0 run_backup -b "$source" "$parent/latest"
same "$source" "$parent/latest"
frozen "$parent"
