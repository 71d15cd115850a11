#!/bin/bash
# A backup lands on the disk that it is meant for, or nowhere: not on the root filesystem, not on what a symlink leads
# to, not on a disk that somebody mounted there, not on a new one without --force.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=disks.sh
. "$(dirname "$0")/disks.sh"
need_program
make_disk ext4

# Outside of the mount point: told before anything is touched.
expect_status 2 run_backup --crypto=backups --mount=$point "$source" /mnt/elsewhere/latest
says "would not be on what is mounted at '$point'"
expect_status 2 run_backup --crypto=backups --mount=$point "$source" "${point}2/latest"
expect_status 2 run_backup --crypto=backups --mount=$point "$source" $point
! grep -q unlocked "$tmp/err" || fail "it was unlocked for nothing"
closed

expect_status 0 back_up

# Not mounted, and without --mount.
mkdir $parent
expect_status 1 run_backup "$source" "$parent/latest"
says 'another disk than before'
rmdir $parent
expect_status 1 run_backup "$source" "$parent/latest"
closed

# Nor to another name beside the one that was there.
expect_status 1 run_backup "$source" "$parent/other"
closed

# No entry in fstab: told before it is unlocked.
expect_status 2 run_backup --crypto=backups --mount=/mnt "$source" /mnt/laptop/latest
says 'no entry for .*/mnt.* in /etc/fstab'
! grep -q unlocked "$tmp/err" || fail "it was unlocked for nothing"

# What is mapped under that name is no encrypted disk, or another one.
dmsetup create backups --table "0 1000 linear /dev/ubdb 0"
dmsetup mknodes
expect_status 1 back_up
says 'no encrypted disk'
dmsetup remove backups
luks_format /dev/ubdb other
unlock /dev/ubdb other backups
expect_status 1 back_up
says 'another one than crypttab says'
cryptsetup close backups
closed

# A symlink on the disk leads away from it.
mkdir /root/elsewhere
open_by_hand
ln -s /root/elsewhere "$point/away"
close_by_hand
expect_status 1 run_backup --crypto=backups --mount=$point "$source" "$point/away/parent/latest"
says "is not on the filesystem that is mounted at '$point'"
[ -z "$(ls -A /root/elsewhere)" ] || fail "it followed the symlink"
closed

# Something else is mounted there, by hand.
make_filesystem /dev/ubdb ext4
mount /dev/ubdb $point
expect_status 1 back_up
is_mounted $point || fail "it unmounted what is somebody else's"
[ "$(ls $point)" = lost+found ] || fail "it wrote to another disk"
unmount "$point"
closed

# fstab has another disk there, on which all could be read: at once for a destination that nobody knows.
cp /etc/fstab "$tmp/fstab"
sed -i "s|^/dev/mapper/backups|/dev/ubdb|" /etc/fstab
new=(--crypto=backups "--mount=$point" "$source" "$point/new/latest")
expect_status 1 run_backup "${new[@]}"
says "what is mounted at '$point' is not on the encrypted disk 'backups'.*--force"
closed
expect_status 1 run_backup --dry-run "${new[@]}"
closed
expect_status 0 run_backup --force "${new[@]}"
says "^warning: what is mounted at '$point' is not on the encrypted disk"
closed
# On something between that is on the right one it is.
unlock /dev/ubda secret backups
dmsetup create volume --table "0 $(blockdev --getsz /dev/mapper/backups) linear /dev/mapper/backups 0"
dmsetup mknodes
sed -i "s|^/dev/ubdb|/dev/mapper/volume|" /etc/fstab
expect_status 0 back_up
dmsetup remove volume
cp "$tmp/fstab" /etc/fstab
# One that answers nobody is told of, and not waited for.
dmsetup suspend backups
expect_status 1 timeout -k 1 60 "$RSB" --disable-notifications --crypto=backups --mount=$point "$source" "$parent/latest"
says "the encrypted disk 'backups' is suspended.*luksResume"
dmsetup resume backups
cryptsetup close backups
closed

# A second disk for the same job: people swap them. Both are known once the new one was accepted.
encrypted_disk /dev/ubdc secret ext4
cryptsetup config /dev/ubda --label pair
cryptsetup config /dev/ubdc --label pair
sed -i 's/UUID=[^ ]*/LABEL=pair/' /etc/crypttab
host unplug 0
expect_status 1 back_up
says 'another disk than before.*--force'
closed
expect_status 0 back_up --force
expect_status 0 back_up
host unplug 2
host plug 0
expect_status 0 back_up
closed
