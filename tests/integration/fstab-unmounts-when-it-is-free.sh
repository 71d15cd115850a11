#!/bin/bash
# fstab-unmounts-when-it-is-free.sh: a filesystem in use is tried again for seconds, whatever signals arrive, then those
# who use it are named; it is never detached lazily.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need findmnt losetup mkfs.ext4
in_memory 400m
. "$here/fstab.sh"

image a.img ext4 8M
mkdir point
entry "$tmp/a.img" point ext4 loop

# use COMMAND...: something that uses the filesystem, until it is ended, and is a sleep(1) in the end. Sets $user.
use() {
        "$@" >/dev/null 2>&1 &
        user=$!
        until [ "$(cat "/proc/$user/comm")" = sleep ]; do
                kill -0 "$user" || fail "nobody uses it"
                sleep 0.02
        done
}

# ---- by whom ----
answers mounted mount point
mkdir point/sub point/mounted
touch point/file
cd point/sub
use sleep 600
inside=$user
cd "$tmp"
use sh -c 'exec sleep 600 <point/file'
mount -t tmpfs none point/mounted
truncate -s 64K point/image
attach point/image
answer=$(probe unmount point) && fail "a filesystem in use was unmounted"
[[ $answer == "EBUSY: cannot unmount '$tmp/point': it is in use by "*" (end what uses it"* ]] || fail "not EBUSY: $answer"
for holder in "sleep ($inside)" "sleep ($user)" "the mount '$tmp/point/mounted'" "the device '${device#/dev/}'"; do
        [[ $answer == *"$holder"* ]] || fail "not told that $holder uses it: $answer"
done
answers yes mounted point
detach "$device"
umount point/mounted
kill "$inside" "$user"
wait "$inside" "$user" || true

# ---- free in time ----
cd point
use sleep 600
cd "$tmp"
RSB_PROGRAM=$RSB_FSTAB_PROBE "${RSB:-$RSB_FSTAB_PROBE}" unmount "$tmp/point" >unmounting &
unmounting=$!
# It blocks the signals, and has been refused once when it waits; the stop that a run was asked for is no reason to leave the disk mounted.
is_waiting() {
        awk '$1 == "SigBlk:" { blocks = substr($2, length($2) - 3, 1) ~ /[4-7c-f]/ }
                /^voluntary_ctxt/ { waits = $2 > 3 }
                END { exit !(blocks && waits) }' "/proc/$unmounting/status"
}
for _ in $(seq 600); do
        ! is_waiting || break
        sleep 0.05
done
is_waiting || fail "it does not wait: $(cat unmounting)"
kill -TERM "$unmounting"
kill -INT "$unmounting"
kill "$user"
wait "$user" || true
wait "$unmounting" || fail "it was not unmounted: $(cat unmounting)"
[ "$(cat unmounting)" = ok ] || fail "it was not unmounted: $(cat unmounting)"
answers no mounted point
no_loop a.img

# ---- in the order in which they were mounted on one another ----
answers mounted mount point
first=$(probe instance point)
mount -t tmpfs none point
[ "$first" != "$(probe instance point)" ] || fail "another mount is the same instance"
answers ok unmount point
answers "$first" instance point
answers ok unmount point
answers none instance point
