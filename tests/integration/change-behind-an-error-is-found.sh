#!/bin/bash
# A change that hides behind the old size and mtime is seen by its ctime, measured from the last transfer of that file:
# also when a run in between could not read, store or remove it, and when one in between had other filters.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need chattr rsync

source=$tmp/source latest=$tmp/backups/latest

# hide_change FILE TEXT: as many bytes, the same mtime.
hide_change() {
        touch -r "$1" "$tmp/times"
        echo "$2" >"$1"
        touch -r "$tmp/times" "$1"
}

mkdir -p "$source/d"
echo one >"$source/d/file"
echo one >"$source/other"
chattr +i "$source" 2>/dev/null || skip "the filesystem has no immutable files"
chattr -i "$source"
expect_status 0 run_backup -b "$source" "$latest"

hide_change "$source/d/file" two
sleep 6 # the slack for clocks that differ
chattr +i "$latest/d"
expect_status 23 run_backup -b "$source" "$latest"
chattr -i "$latest/d"
expect_status 0 run_backup -b "$source" "$latest"
same "$source" "$latest"

hide_change "$source/other" two
expect_status 0 run_backup -b -x /nothing "$source" "$latest"
same "$source" "$latest"

# What was left out and could not be removed is as old as before when it is let in again.
hide_change "$source/d/file" 333
hide_change "$source/other" 333
sleep 6
chattr +i "$latest/d" "$latest/other"
expect_status 23 run_backup -b -x /d/ -x /other "$source" "$latest"
chattr -i "$latest/d" "$latest/other"
expect_status 0 run_backup -b "$source" "$latest"
same "$source" "$latest"

# What a run that was cut off may have written half stays suspect until somebody has seen that it is right.
state=$tmp/backups/.rsync-system-backup/state
sleep 6
expect_status 0 run_backup -b "$source" "$latest" # all of the source is older than the reference from now on
touch -r "$latest/d/file" "$tmp/times"
printf '\0\0\0\n' >"$latest/d/file"
touch -r "$tmp/times" "$latest/d/file"
sed -i 's/^partial no$/running-since 0.000000000\n&/' "$state"
chattr +i "$latest/d"
expect_status 23 run_backup -b "$source" "$latest"
chattr -i "$latest/d"
expect_status 0 run_backup -b "$source" "$latest"
same "$source" "$latest"
! grep -q '^running-since' "$state" || fail "the suspicion never ends"
