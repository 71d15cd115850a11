#!/bin/bash
# package-comes-and-goes.sh PACKAGE.deb: it is installed on a machine with systemd, and starts nothing by itself; its units
# run a job; an upgrade leaves alone what runs and what was set up; removed and purged, nothing is left of it but jobs and
# backups. The examples that it brings are valid.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need dpkg
package=$1
unset STATE_DIRECTORY XDG_RUNTIME_DIR
export HOME=/root DEBIAN_FRONTEND=noninteractive

# listed: what carries its name where programs leave something behind, and what is newer than the beginning and systemd's.
listed() {
        {
                find /etc /run -xdev -name '*rsync-system-backup*'
                find /var/lib -maxdepth 1 -name '*rsync-system-backup*'
                find /etc/systemd /var/lib/systemd -xdev -newer "$tmp/beginning" ! -type d
        } | grep -v -e "^$tmp" -e '^/run/systemd' -e '^/run/udev' -e '^/run/credentials' | sort -u
}

# Without the triggers of others: to build an index of manuals anew takes minutes here.
dpkg_does() {
        dpkg --no-triggers "$@" >"$tmp/dpkg.log" 2>&1 || fail "dpkg $*: $(cat "$tmp/dpkg.log")"
}

# Far from midnight, when its timer would run a job.
date -s 'tomorrow 09:05' >/dev/null
touch "$tmp/beginning"
sleep 0.1
# What this machine has of its own.
rm -rf /var/lib/rsync-system-backup /etc/rsync-system-backup
[ -z "$(listed)" ] || skip "it is installed here already: $(listed)"
dpkg_does --install "$package"
dpkg-query -L rsync-system-backup | while read -r path; do [ -d "$path" ] || echo "$path"; done >"$tmp/files"
[ "$(wc -l <"$tmp/files")" -gt 20 ] || fail "hardly anything is installed"
id rsync-system-backup >"$tmp/id" || fail "its user is not there"
! systemctl list-timers --all --no-legend | grep rsync-system-backup || fail "a timer is started"
! systemctl list-unit-files --state=enabled --no-legend | grep rsync-system-backup || fail "something is enabled"

# The disk that one of them is about, which is not there.
echo '/dev/mapper/backups /mnt/backups auto noauto 0 0' >/etc/fstab
echo 'backups /dev/disk/by-label/backups none luks,noauto' >/etc/crypttab
mkdir -p /mnt/backups
for example in /usr/share/doc/rsync-system-backup/examples/*.ini; do
        status=0 options=(--dry-run)
        ! grep -q '^destination = .*:' "$example" || options+=(--retries=0)
        rsync-system-backup --config="$example" "${options[@]}" >"$tmp/out" 2>&1 </dev/null || status=$?
        [ $status != 2 ] || fail "the example $example is not valid: $(cat "$tmp/out")"
done

# Each file of this machine that was opened is held open by the guest's kernel as long as it is remembered.
echo 2 >/proc/sys/vm/drop_caches
mkdir "$tmp/source" "$tmp/backups"
echo one >"$tmp/source/one"
printf '%s\n' '[job]' "source = $tmp/source" "destination = $tmp/backups/latest" >/etc/rsync-system-backup/job.ini
expect_status 0 systemctl start rsync-system-backup@job.service
while systemctl is-active -q rsync-system-backup@job.service; do
        sleep 0.2
done
! systemctl is-failed -q rsync-system-backup@job.service || fail "the job fails: $(journalctl -q --no-pager -u rsync-system-backup@job)"
same "$tmp/source" "$tmp/backups/latest"
expect_status 0 systemctl enable --now rsync-system-backup@job.timer

# An upgrade, while the timer waits and a backup is under way: one that asks for a passphrase and gets none.
need cryptsetup
modprobe dm-crypt
luks_format /dev/ubda secret
echo "disk UUID=$(uuid_of /dev/ubda) none luks,noauto,timeout=1h" >/etc/crypttab
printf '%s\n' '[held]' "source = $tmp/source" "destination = $tmp/backups/held" 'crypto = disk' >/etc/rsync-system-backup/held.ini
expect_status 0 systemctl start rsync-system-backup@held.service
held=$(systemctl show --value -p MainPID rsync-system-backup@held.service)
dpkg_does --install "$package"
grep -q 'Unpacking rsync-system-backup .* over' "$tmp/dpkg.log" || fail "that is no upgrade: $(cat "$tmp/dpkg.log")"
systemctl is-active -q rsync-system-backup@job.timer || fail "the timer is no longer active"
systemctl is-enabled -q rsync-system-backup@job.timer || fail "the timer is no longer enabled"
[ "$(systemctl show --value -p MainPID rsync-system-backup@held.service)" = "$held" ] || fail "the backup was ended"
systemctl stop rsync-system-backup@held.service

dpkg_does --remove rsync-system-backup
! systemctl is-active -q rsync-system-backup@job.timer || fail "its timer is still active"
while read -r path; do
        [ ! -e "$path" ] || fail "it is still there: $path"
done <"$tmp/files"
dpkg_does --purge rsync-system-backup
listed >"$tmp/left"
[ "$(cat "$tmp/left")" = /etc/rsync-system-backup ] || fail "left behind: $(cat "$tmp/left")"
[ "$(ls /etc/rsync-system-backup)" = $'held.ini\njob.ini' ] || fail "jobs were touched: $(ls /etc/rsync-system-backup)"
same "$tmp/source" "$tmp/backups/latest"
