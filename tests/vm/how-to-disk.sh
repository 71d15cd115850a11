#!/bin/bash
# docs/unattended-backups-to-a-disk.md is true as far as step 4, both ways: the system mounts the disk, or the backup does.
# Different are the UUID, what is backed up, the
# pager, and for how long a disk is waited for.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program
# shellcheck source=how-to.sh
. "$(dirname "$0")/how-to.sh"

source=$tmp/source
parent=/mnt/backups/laptop
mkdir "$source"
echo one >"$source/file"
make_filesystem /dev/ubda ext4
substitutes=('0f3a4c1e-...' "$(uuid_of /dev/ubda)" 'source = /' "source = $source" '| less' '| cat' timeout=10s timeout=1s)
udevadm settle
read_how_to unattended-backups-to-a-disk.md

# cron: the command of the line, as cron runs it, has nothing to mail.
cron() {
        sh -c "$(sed -n 's/^.* root  //p' /etc/cron.d/backup-laptop)" </dev/null >"$tmp/mail" 2>&1 || true
        [ ! -s "$tmp/mail" ] || fail "cron has something to mail: $(cat "$tmp/mail")"
}

# ---- the system mounts it ----

follow '*--dry-run*'
grep -q file "$tmp/out" || fail "a dry run does not list: $(cat "$tmp/out")"
[ -z "$(ls -A $parent)" ] || fail "a dry run leaves something"
follow 'journalctl*'
runs 1 'backup complete'
same "$source" $parent/latest
systemd-analyze verify /etc/systemd/system/backup-laptop.{service,timer} 2>&1 | grep . && fail "systemd complains"
systemctl is-active -q backup-laptop.timer || fail "there is no timer"

echo two >"$source/file"
umount /mnt/backups
expect_status 0 systemctl start backup-laptop.service
runs 2 'backup complete'
is_mounted /mnt/backups || fail "it is not mounted"
same "$source" $parent/latest
echo three >"$source/file"
follow '=/etc/cron.d/*'
cron
same "$source" $parent/latest
follow 'ls -d *'
grep -q "^$parent/" "$tmp/out" || fail "the newest snapshot is not shown"

umount /mnt/backups
host unplug 0
cron
expect_status 1 systemctl start backup-laptop.service
grep -q dependency "$tmp/err" || fail "the result is another: $(cat "$tmp/err")"
[ -z "$(ls -A /mnt/backups)" ] || fail "something was written to the root filesystem"
host plug 0
udevadm settle

# ---- the backup mounts it ----

substitutes+=(nofail 'noauto,nofail' 'destination =' $'mount = /mnt/backups\ndestination =' $'\nRequiresMountsFor=/mnt/backups/laptop' ''
        $'\nConditionPathIsMountPoint=/mnt/backups' '' 'mountpoint -q /mnt/backups && ' '')
again '=/etc/*'
systemctl daemon-reload
! is_mounted /mnt/backups || umount /mnt/backups
echo four >"$source/file"
again 'rsync-system-backup*'
! is_mounted /mnt/backups || fail "it is still mounted"
expect_status 0 systemctl start backup-laptop.service
runs 3 'unmounted'
cron
mount /mnt/backups
same "$source" $parent/latest
umount /mnt/backups
host unplug 0
expect_status 1 systemctl start backup-laptop.service
runs 4 'is the disk plugged in'
[ -z "$(ls -A /mnt/backups)" ] || fail "something was written to the root filesystem"
