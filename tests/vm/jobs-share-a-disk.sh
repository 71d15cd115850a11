#!/bin/bash
# Two jobs on one disk, which end in either order: the last one closes it. What a killed job left open is closed by the
# next one. A dry run that has it mounted read-only does not stand in the way of a backup.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=disks.sh
. "$(dirname "$0")/disks.sh"
# shellcheck source=../integration/faults.sh
. "$here/faults.sh"
need_program
need_tracing
make_disk ext4

# second [OPTIONS]: another job on the same disk.
second() {
        run_backup --crypto=backups --mount=$point "$@" "$source" $point/second/latest
}

# first_until CALL WHEN [OPTIONS]: a job of which the process is $stopped (and $stopped_run) there. Directories: the source.
first_until() {
        local call=$1 when=$2 path=
        shift 2

        [ "$call" != getdents64 ] || path=$source
        stop_at "$path" "$call" "$when" --crypto=backups --mount=$point "$@" "$source" "$parent/latest"
}

# first_leaves_before_second [OPTIONS]: the one that is stopped came first; another one comes with these options and a
# --mount, and stays longer.
first_leaves_before_second() {
        local one=$stopped two

        stop_at '' syncfs 1 "$@" --mount=$point "$source" $point/second/latest
        two=$stopped
        stopped=$one stopped_run=$one
        go_on 0
        opened
        stopped=$two stopped_run=$two
        go_on 0
        closed
}

expect_status 0 back_up
expect_status 0 second

# The one that came first leaves last.
first_until syncfs 1
opened
expect_status 0 second
opened
go_on 0
closed

# The one that came first leaves first.
first_until syncfs 1
first_leaves_before_second --crypto=backups

# A job on the same destination fails at once, and closes nothing.
first_until syncfs 1
expect_status 1 back_up
says "another run on this destination is under way (process $stopped)"
opened
go_on 0
closed

# Killed.
first_until syncfs 1
kill -9 "$stopped"
wait "$stopped" || true
opened
expect_status 0 second
closed
open_by_hand
same "$source" $point/second/latest
# What was open by hand when the note of a killed job was still there is somebody's.
first_until syncfs 1
kill -9 "$stopped"
wait "$stopped" || true
close_by_hand
open_by_hand
expect_status 0 second
opened
close_by_hand

# Killed while it unlocks or mounts, which may take long: what it left open is known to be ours.
for call in /dev/mapper/control:ioctl:5 :mount:1; do
        IFS=: read -r path name when <<<"$call"
        stop_at "$path" "$name" "$when" --crypto=backups --mount=$point "$source" "$parent/latest"
        kill -9 "$stopped"
        wait "$stopped" || true
        expect_status 0 back_up
        closed
done

# Somebody mounts it by hand at the same moment, whoever is faster: it stays.
unlock /dev/ubda secret backups
stop_at $point newfstatat 1 --crypto=backups --mount=$point "$source" "$parent/latest"
! is_mounted $point || fail "it is mounted already"
mount $point
go_on 0
opened
unmount "$point"
expect_status 0 second
! is_mounted $point || fail "what another run has mounted is still mounted"
cryptsetup close backups
closed

# One mount point by two names.
ln -s $point /mnt/link
stop_at '' syncfs 1 --crypto=backups --mount=/mnt/link "$source" /mnt/link/laptop/latest
first_leaves_before_second --crypto=backups

# One that says less about it: it is the last, and the disk was left to it.
first_until syncfs 1
first_leaves_before_second

# One that has mounts of its own, as a service may.
expect_status 0 unshare --mount --propagation private "$RSB" --disable-notifications --crypto=backups --mount=$point \
        "$source" "$parent/latest"
closed
first_until syncfs 1
expect_status 0 unshare --mount --propagation private "$RSB" --disable-notifications --crypto=backups --mount=$point \
        "$source" $point/second/latest
opened
go_on 0
closed

# No room for the notes: told, and closed all the same.
mkdir -p /run/rsync-system-backup
for n in 1 2 3 4 5 6; do
        with_fault '' pwrite64 "error=ENOSPC:when=$n" --crypto=backups --mount=$point "$source" $point/second/latest \
                2>"$tmp/err" || says 'No space left'
        closed
done
expect_status 0 back_up
closed

# A dry run holds it.
first_until getdents64 1 --dry-run
findmnt -no OPTIONS $point | grep -qw ro || fail "a dry run has it writable"
echo new >"$source/new"
expect_status 0 second
opened
go_on 0
closed
# A backup holds it, and a dry run comes by.
first_until syncfs 1
expect_status 0 second --dry-run
opened
go_on 0
closed
expect_status 0 back_up
open_by_hand
same "$source" "$parent/latest"
