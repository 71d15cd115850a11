#!/bin/bash
# docs/unattended-backups-to-an-encrypted-usb-disk.md is true: every command and every file in it, in their order, on a
# machine with systemd and udev. Different is only what the line below `substitutes` says: the names of this machine's disks,
# what is backed up, and keys that are derived quickly.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program
need systemd-creds systemd-tty-ask-password-agent
# shellcheck source=how-to.sh
. "$(dirname "$0")/how-to.sh"

source=$tmp/source
parent=/mnt/backups/laptop
quick='--pbkdf pbkdf2 --pbkdf-force-iterations 1000'
substitutes=(/dev/sdX1 /dev/ubda1 'source = /' "source = $source" luksFormat "luksFormat $quick" luksAddKey "luksAddKey $quick")
mkdir "$source"
echo one >"$source/file"
make_partition /dev/ubda
make_partition /dev/ubdb
read_how_to unattended-backups-to-an-encrypted-usb-disk.md

locked() {
        udevadm settle
        ! is_mounted /mnt/backups || fail "it is still mounted"
        ! is_unlocked backups || fail "it is still unlocked"
        [ -z "$(ls -A /mnt/backups)" ] || fail "something was written to the root filesystem"
}

# look COMMAND...: with the disk open.
look() {
        cryptsetup open --key-file /etc/keys/backups.key "${disk:-/dev/ubda1}" backups
        mount /mnt/backups
        "$@" || fail "not so: $*"
        unmount /mnt/backups
        cryptsetup close backups
}

has_snapshots() {
        [ "$(snapshots $parent | wc -l)" = "$1" ]
}

# ---- the disk and the job ----

follow 'cryptsetup luksUUID*'
uuid=$(cryptsetup luksUUID /dev/ubda1)
grep -qx "$uuid" <(tr -d '\r' <"$tmp/out") || fail "the UUID is not shown"
substitutes+=(THE-UUID "$uuid")
follow 'systemctl daemon-reload'
[ -z "$(find /run/systemd/generator -path '*.target.*' -name '*backups*')" ] || fail "the disk is opened at boot"
follow '*--dry-run'
grep -q 'file' "$tmp/out" || fail "a dry run does not list: $(cat "$tmp/out")"
locked
look [ ! -e $parent ]
follow 'rsync-system-backup *laptop.ini'
locked
follow 'lsblk /dev/sdX1'
! grep -q backups "$tmp/out" || fail "it is shown as unlocked: $(cat "$tmp/out")"

look has_snapshots 1
cryptsetup luksOpen --test-passphrase --key-file <(printf %s "$passphrase") /dev/ubda1 || fail "the passphrase does not open it"
cryptsetup isLuks /root/backups-header.img || fail "the copy of the header is none"

# ---- by itself ----

follow 'journalctl*'
locked
runs 1 'backup complete'
! systemd-analyze verify --man=no $unit rsync-system-backup@laptop.timer 2>&1 | grep . || fail "systemd complains"
systemctl is-active -q rsync-system-backup@laptop.timer || fail "the timer is not started"
systemctl is-enabled -q rsync-system-backup@laptop.timer || fail "the timer is not started when the machine boots"
systemctl show -p TimersCalendar rsync-system-backup@laptop.timer | grep -q '00/4:00:00\|0/4' || fail "when?"
follow '*--list*'
grep -q '2 snapshots' "$tmp/out" || fail "they are not listed: $(cat "$tmp/out")"
locked

# ---- with the disk open ----

follow 'mount /mnt/backups'
expect_status 0 systemctl daemon-reload
udevadm settle
[ "$(stat -c %a $parent)" = 700 ] || fail "others can look into it"
same "$source" $parent/latest
newest=$(snapshots $parent | tail -n 1)
run 'rsync-system-backup --config=/etc/rsync-system-backup/laptop.ini'
{ is_mounted /mnt/backups && [ "$(snapshots $parent | tail -n 1)" != "$newest" ]; } || fail "a backup does not leave it open"
follow 'cryptsetup close*'
locked

host unplug 0
expect_status 0 systemctl start --wait rsync-system-backup@laptop.service
runs 2 "the disk of 'backups' is not plugged in"
echo two >"$source/file"
host plug 0
runs 3 'backup complete'
locked
look same "$source" $parent/latest

# ---- without a key file ----

follow systemd-tty-ask-password-agent
[ ! -s "$tmp/out" ] || fail "somebody is asked already: $(cat "$tmp/out")"
asked() {
        ls /run/systemd/ask-password/ask.* >"$tmp/asked" 2>&1
}
run 'rsync-system-backup --config=/etc/rsync-system-backup/laptop.ini'
expect_status 0 systemctl start --no-block $unit
await asked
again systemd-tty-ask-password-agent
runs 4 'backup complete'
run 'systemctl start --wait rsync-system-backup@laptop.service'
runs 5 'backup complete'
sed -i s/10min/1s/ /etc/crypttab
expect_status 1 systemctl start --wait --no-ask-password $unit
runs 6 'no passphrase was given'
locked

follow 'systemctl start --wait rsync-system-backup@laptop.service'
runs 7 'backup complete'
[ "$(times '^asking')" = 3 ] || fail "it asks although there is a credential: $(journal)"
rm /etc/keys/backups.cred
sed -i 's/Encrypted=\(.*\)\.cred/=\1.key/' /etc/systemd/system/$unit.d/key.conf
expect_status 0 systemctl daemon-reload
expect_status 0 systemctl start --wait rsync-system-backup@laptop.service
runs 8 'backup complete'
rm -r /etc/systemd/system/$unit.d
expect_status 0 systemctl daemon-reload

write /etc/crypttab "backups UUID=$uuid none luks,keyscript=/bin/true"
expect_status 1 systemctl start --wait rsync-system-backup@laptop.service
runs 9 'keyscript'

if command -v mkfs.vfat >/dev/null && modprobe vfat; then
        mkfs.vfat /dev/ubdb1 >"$tmp/mkfs.log"
else
        make_filesystem /dev/ubdb1 ext4
fi
mount /dev/ubdb1 /mnt/backups
cp /etc/keys/backups.key /mnt/backups/
unmount /mnt/backups
substitutes+=(UUID-OF-THE-STICK "$(uuid_of /dev/ubdb1)")
take "${steps[step]}"
step=$((step + 1))
expect_status 0 systemctl start --wait rsync-system-backup@laptop.service
runs 10 'backup complete'
host unplug 1
expect_status 0 systemctl start --wait rsync-system-backup@laptop.service
runs 11 "the disk with the key of 'backups' is not plugged in"
locked

# ---- several disks ----

follow 'udevadm control --reload'
host unplug 0
host plug 0
runs 12 'backup complete'
locked
host unplug 0
host plug 1
substitutes[1]=/dev/ubdb1
disk=/dev/ubdb1
again 'cryptsetup luksFormat*' 'cryptsetup luksAddKey*' 'cryptsetup open * /dev/sdX1 backups' 'mkfs*'
expect_status 0 cryptsetup close backups
again 'cryptsetup config*'
expect_status 1 systemctl start --wait rsync-system-backup@laptop.service
runs 13 'another disk'
locked
follow '*--force'
grep -q 'backup complete' "$tmp/out" || fail "the second disk is not taken: $(cat "$tmp/out")"
look same "$source" $parent/latest
host unplug 1
host plug 1
runs 14 'backup complete'
host unplug 1
host plug 0
runs 15 'backup complete'
locked
follow

! journalctl --no-pager -q | grep 'Starting systemd-cryptsetup@' || fail "systemd opens the disk as well"
