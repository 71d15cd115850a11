#!/bin/bash
# harness-works.sh [systemd]: what the tests in guests stand on: disks that come and go, dm-crypt, the filesystems,
# udev, systemd as process 1.
. "$(dirname "$0")/lib.sh"
need_program

[ "$(id -u)" = 0 ] || fail "not root"
if [ "${1:-}" = systemd ]; then
        [ "$(cat /proc/1/comm)" = systemd ] || fail "process 1 is not systemd"
        echo "[Service]
Type=oneshot
LoadCredential=word:/etc/word
PrivateTmp=yes
ExecStart=/bin/sh -c 'cat \$CREDENTIALS_DIRECTORY/word; touch /tmp/private'" >/etc/systemd/system/say.service
        echo "said with credentials" >/etc/word
        systemctl daemon-reload
        expect_status 0 systemctl start say
        [ ! -e /tmp/private ] || fail "a unit is not confined"
        journalctl --no-pager -u say >"$tmp/journal"
        grep -q "said with credentials" "$tmp/journal" || fail "the journal lacks what a unit said"
        encrypted_disk /dev/ubda secret ext4
        unlock /dev/ubda secret disk
        udevadm settle
        [ -L /dev/mapper/disk ] || fail "udev has not made /dev/mapper/disk"
        [ -L "/dev/disk/by-uuid/$(uuid_of /dev/mapper/disk)" ] || fail "udev has not made a link in /dev/disk/by-uuid"
        exit
fi

expect_status 0 "$RSB" --version
touch "${RSB%/*}/written-by-a-guest" || fail "the root directory cannot be written"
echo shared >"$SHARE/file"

for type in ext4 xfs btrfs; do
        encrypted_disk /dev/ubda secret $type
        is_unlocked in-the-making && fail "encrypted_disk leaves it unlocked"
        unlock /dev/ubda secret disk
        make_filesystem /dev/mapper/disk $type
        mkdir -p /mnt/disk
        mount /dev/mapper/disk /mnt/disk
        is_mounted /mnt/disk || fail "is_mounted does not see it"
        echo "$type" >/mnt/disk/file
        setfattr -n user.note -v "$type" /mnt/disk/file
        umount /mnt/disk
        check_filesystem /dev/mapper/disk $type
        cryptsetup close disk
done
(check_filesystem /dev/ubdb ext4) 2>/dev/null && fail "check_filesystem takes anything for a filesystem"

host unplug 1
[ ! -e /dev/ubdb ] || fail "the disk is still there"
host plug 1
[ -b /dev/ubdb ] || fail "the disk has not come back"

plug_in 64
make_filesystem "$pluggable" ext4
mount "$pluggable" /mnt/disk
echo before >/mnt/disk/before
sync /mnt/disk/before
pull_out
! sync /mnt/disk/before 2>/dev/null || ! cp "$0" /mnt/disk/after || ! sync /mnt/disk/after 2>/dev/null ||
        fail "the disk is still there"
umount /mnt/disk

start_udevd
unlock /dev/ubda secret disk
[ -L "/dev/disk/by-uuid/$(uuid_of /dev/ubda)" ] || fail "udev has not made a link in /dev/disk/by-uuid"
[ -L /dev/mapper/disk ] || fail "udev has not made /dev/mapper/disk"
cryptsetup close disk
stop_udevd
