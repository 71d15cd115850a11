#!/bin/bash
# how-to-disk.sh BUILT-UNITS UNITS: docs/unattended-backups-to-a-disk.md is true as far as it shows commands and files: the
# backup mounts the disk, or it is mounted already. Different are the UUID, what is backed up, the pager, and the name of a
# snapshot.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program
# shellcheck source=how-to.sh
. "$(dirname "$0")/how-to.sh"

source=$tmp/source
parent=/mnt/backups/laptop
mkdir -p "$source/etc/ssh"
echo one >"$source/etc/ssh/file"
make_filesystem /dev/ubda ext4
substitutes=('0f3a4c1e-...' "$(uuid_of /dev/ubda)" 'source = /' "source = $source" '| less' '| cat')
udevadm settle
read_how_to unattended-backups-to-a-disk.md

# cron: the command of the line, as cron runs it, has nothing to mail.
cron() {
        sh -c "$(sed -n 's/^.* root  //p' /etc/cron.d/backup-laptop)" </dev/null >"$tmp/mail" 2>&1 || true
}

closed() {
        ! is_mounted /mnt/backups || fail "it is still mounted"
        [ -z "$(ls -A /mnt/backups)" ] || fail "something was written to the root filesystem"
}

follow '*--dry-run*'
grep -q file "$tmp/out" || fail "a dry run does not list: $(cat "$tmp/out")"
closed
follow 'journalctl*'
runs 1 'unmounted'
closed
! systemd-analyze verify --man=no $unit rsync-system-backup@laptop.timer 2>&1 | grep . || fail "systemd complains"
systemctl is-active -q rsync-system-backup@laptop.timer || fail "there is no timer"
systemctl show -p TimersCalendar rsync-system-backup@laptop.timer | grep -q '0/4' || fail "it is not every four hours"

echo two >"$source/etc/ssh/file"
follow '=/etc/cron.d/*'
cron
[ ! -s "$tmp/mail" ] || fail "cron has something to mail: $(cat "$tmp/mail")"
closed
follow '*--list*'
grep -q '2 snapshots' "$tmp/out" || fail "there are others: $(cat "$tmp/out")"

# ---- restoring, and a disk that is mounted ----

follow 'mount /mnt/backups'
same "$source" $parent/latest
[ "$(stat -c %a $parent)" = 700 ] || fail "others can look into it"
expect_status 0 systemctl start --wait $unit
runs 2 'backup complete'
is_mounted /mnt/backups || fail "it was unmounted"
substitutes+=('2026-11-22 17:00:00' "$(snapshots $parent | tail -n 1)" ' /etc/' " $tmp/")
follow 'umount /mnt/backups'
same "$source/etc/ssh" "$tmp/ssh"
closed

# ---- it is missing ----

host unplug 0
expect_status 1 systemctl start --wait $unit
runs 3 'is the disk plugged in'
cron
grep -q 'is the disk plugged in' "$tmp/mail" || fail "cron mails something else: $(cat "$tmp/mail")"
closed
follow
expect_status 0 systemctl daemon-reload
systemctl reset-failed $unit
expect_status 0 systemctl start --wait $unit
[ "$(systemctl show --value -p ConditionResult $unit)" = no ] || fail "it was not skipped"
closed
host plug 0
udevadm settle
expect_status 0 systemctl start --wait $unit
runs 4 'backup complete'
closed
