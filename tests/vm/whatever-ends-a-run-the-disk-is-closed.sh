#!/bin/bash
# Signals at every stage, a full disk, one that is read-only, one that is pulled out: the run undoes what it did. Only who
# uses the disk keeps it open; the message names him, and the next run closes it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=disks.sh
. "$(dirname "$0")/disks.sh"
# shellcheck source=../integration/faults.sh
. "$here/faults.sh"
need_program
need_tracing
make_disk ext4
expect_status 0 back_up

# stopped_by_signal PATH CALL WHEN [STATUS]
stopped_by_signal() {
        date +%N >"$source/changing"
        rm -rf "$point"/x
        stop_at "$1" "$2" "$3" --crypto=backups --mount=$point --yearly=1 "$source" "$parent/latest"
        kill -TERM "$stopped"
        go_on "${4:-143}"
        [ -n "${4:-}" ] || says 'ended by signal TERM'
        closed
}
# Looking at the disk, unlocking, mounting, the transfer, the commit, the snapshot, its name, rotation, unmounting, locking.
stopped_by_signal /dev/ubda openat 1
stopped_by_signal /dev/mapper/control ioctl 1
stopped_by_signal /dev/mapper/control ioctl 4
stopped_by_signal '' mount 1
stopped_by_signal '' linkat 1
stopped_by_signal '' syncfs 1
stopped_by_signal '' renameat2 1
# All was done already.
stopped_by_signal '' umount2 1 0
expect_status 0 back_up --yearly=1
closed

# Another signal than those that are meant for it.
for signal in USR1 ALRM XCPU; do
        stop_at '' syncfs 1 --crypto=backups --mount=$point "$source" "$parent/latest"
        kill -$signal "$stopped"
        go_on $((128 + $(kill -l $signal)))
        closed
done

# While it asks.
mkdir -p /run/systemd/ask-password
describe_disk /dev/ubda none luks
"$RSB" --disable-notifications --crypto=backups --mount=$point "$source" "$parent/latest" >"$tmp/out" 2>"$tmp/err" &
asking=$!
while ! ls /run/systemd/ask-password/ask.* >/dev/null 2>&1; do
        kill -0 $asking || fail "it does not ask: $(cat "$tmp/err")"
        sleep 0.05
done
kill -TERM $asking
status=0
wait $asking || status=$?
[ $status = 143 ] || fail "exit status $status: $(cat "$tmp/err")"
[ -z "$(ls /run/systemd/ask-password)" ] || fail "the question is still there"
closed
describe_disk /dev/ubda

# Full.
head -c 80M /dev/urandom >"$source/large"
expect_status 1 back_up
says 'more are needed'
closed
rm "$source/large"

# Somebody uses it.
stop_at '' syncfs 1 --crypto=backups --mount=$point -b -s "$source" "$parent/latest"
before=$(snapshots "$parent" | wc -l)
(cd $point && exec sleep 1000) &
holder=$!
while [ "$(cat /proc/$holder/comm)" != sleep ]; do
        kill -0 $holder || fail "nobody uses it"
        sleep 0.05
done
go_on 1
says "sleep ($holder)"
opened
[ "$(snapshots "$parent" | wc -l)" = $((before + 1)) ] || fail "the run that could not close made no snapshot"
kill $holder
wait $holder || true
expect_status 0 back_up
closed

# Read-only.
open_by_hand
mount -o remount,ro $point
expect_status 1 back_up
says 'is mounted read-only'
opened
close_by_hand

# Pulled out in the middle.
plug_in 64
encrypted_disk "$pluggable" secret ext4
describe_disk "$pluggable"
expect_status 0 back_up --force
head -c 20M /dev/urandom >"$source/large"
for call in renameat syncfs; do
        stop_at '' $call 1 --crypto=backups --mount=$point "$source" "$parent/latest"
        pull_out
        go_on 1
        closed
        put_back
        expect_status 0 back_up
        closed
done
unlock "$pluggable" secret backups
mount $point
same "$source" "$parent/latest"
close_by_hand
