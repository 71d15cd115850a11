#!/bin/bash
# --status when the disk is away: what is remembered answers, and the snapshots are not seen because the disk is not there
# or not mounted, whatever is known of it: its filesystem, an entry of fstab, what the job says. A destination that is
# named by a symlink to what is not there is the same one. Without a memory nothing is known.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 300m
cd "$tmp"

make_fs disk ext4 50m
export LIBMOUNT_FSTAB=$tmp/fstab
: >fstab
mkdir source && echo 1 >source/file
mkdir -m 700 disk/parent
ln -s disk alias && ln -s alias/parent way
expect_status 0 run_backup -q source way/latest

# says PATTERN OPTIONS...: of the snapshots; and what is remembered is told as well.
says() {
        local pattern=$1
        shift

        expect_status 0 "$RSB" --status --max-age=1d "$@"
        head -n 1 out | grep -q '^OK: ' || fail "what is remembered does not answer: $(cat out)"
        grep -q "^snapshots: *$pattern\$" out || fail "no '$pattern' with $*: $(cat out)"
}

says 1 disk/parent/latest
umount disk
says "the disk is not there" disk/parent/latest
says "the disk is not there" way/latest
echo "$tmp/disk.img $tmp/disk ext4 loop,noauto 0 0" >fstab
says "the disk is not there, or not mounted at '$tmp/disk'" way/latest
cat >job.ini <<END
[job]
source = $tmp/source
destination = $tmp/disk/parent/latest
mount = $tmp/disk
END
says "the disk is not there, or not mounted at '$tmp/disk'" --config=job.ini
echo "crypto = no-such-disk" >>job.ini
says "the disk is not there, or not unlocked ('no-such-disk')" --config=job.ini
expect_status 0 "$RSB" --status --report=r.json --config=job.ini
grep -q '"snapshots_unseen": *"the disk is not there, ' r.json || fail "the document says something else: $(cat r.json)"
expect_status 3 env STATE_DIRECTORY="$tmp/other" "$RSB" --status --max-age=1d way/latest
grep -q "^snapshots: *the disk is not there, or not mounted at '$tmp/disk'" out || fail "not told without a memory: $(cat out)"

# The mount point is gone with it, as desktops have it; and only the directory, which is no matter of the disk.
: >fstab
rmdir disk
says "the disk is not there" way/latest
mkdir disk && mount -o loop disk.img disk
says 1 way/latest
mv disk/parent disk/other
says "cannot open directory '$tmp/disk/parent': No such file or directory" disk/parent/latest
