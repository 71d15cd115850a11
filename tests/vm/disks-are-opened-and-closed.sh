#!/bin/bash
# disks-are-opened-and-closed.sh ext4|xfs|btrfs [udevd]: a run unlocks and mounts its disk and undoes both; what was open
# before stays open. What is missing of the destination is made below the mount point. A dry run changes nothing.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=disks.sh
. "$(dirname "$0")/disks.sh"
need_program
need rsync
make_disk "$1"
[ "${2:-}" != udevd ] || start_udevd
parent=$point/of/several/parts

expect_status 0 back_up
says "unlocked 'backups'"
says "mounted '$point'"
closed

echo more >"$source/more"
expect_status 0 back_up --verbose
says 'destination: .* are free'
closed

open_by_hand
same "$source" "$parent/latest"
[ "$(snapshots "$parent" | wc -l)" = 2 ] || fail "not two snapshots: $(ls "$parent")"
[ "$(stat -c %a "$point/of" "$point/of/several" "$parent" | sort -u)" = 700 ] || fail "others may look into it"
expect_status 0 back_up
opened
unmount "$point"
expect_status 0 back_up
is_unlocked backups || fail "it was locked"
! is_mounted $point || fail "it is still mounted"
expect_status 0 run_backup --mount=$point "$source" "$parent/latest"
! is_mounted $point || fail "it is still mounted"
mount $point
expect_status 0 run_backup --crypto=backups "$source" "$parent/latest"
opened
close_by_hand

# Only what ext4 is known to leave alone when it is mounted read-only.
sum() {
        [ "$1" != ext4 ] || sha256sum /dev/ubda
}
before=$(sum "$1")
rm "$source/more"
echo dry >"$source/dry"
expect_status 0 back_up --dry-run
says "mounted '$point' read-only"
[ "$(grep -c -x -e 'deleted  more' -e 'new      dry' "$tmp/out")" = 2 ] || fail "it does not list the changes"
closed
[ "$(sum "$1")" = "$before" ] || fail "a dry run has changed something on the disk"

expect_status 0 back_up
open_by_hand
same "$source" "$parent/latest"
close_by_hand
check_disk() {
        unlock /dev/ubda secret backups
        check_filesystem /dev/mapper/backups "$1"
        cryptsetup close backups
}
check_disk "$1"
