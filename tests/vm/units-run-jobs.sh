#!/bin/bash
# units-run-jobs.sh UNIT-DIRECTORY SOURCE-DIRECTORY: what systemd makes of the units that are installed. The timer fires; a
# service unlocks its disk, backs up, and closes it; it tells what it does, and answers the watchdog; who kills it loses
# nothing; an incomplete backup is a failure; a disk that is plugged in starts its job. Nothing is mounted over the source, and
# what confines the services stands in the way of no kind of destination.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program
# shellcheck source=../integration/ssh.sh
. "$here/ssh.sh"
# shellcheck source=../integration/agent.sh
. "$here/agent.sh"
# shellcheck source=../integration/rsyncd.sh
. "$here/rsyncd.sh"
# shellcheck source=disks.sh
. "$(dirname "$0")/disks.sh"
need rsync setfattr systemd-sysusers ip
built=$1 shipped=$2
units=/etc/systemd/system
jobs=/etc/rsync-system-backup
unset STATE_DIRECTORY XDG_RUNTIME_DIR DBUS_SYSTEM_BUS_ADDRESS DBUS_SESSION_BUS_ADDRESS
export HOME=/root

step() {
        echo "$SECONDS s: $*"
}

await() {
        local end=$((SECONDS + 300))

        until "$@"; do
                [ $SECONDS -le $end ] || fail "still not: $*: $(journalctl --no-pager -q -n 40)"
                sleep 0.1
        done
}

job() {
        printf '%s\n' "[$1]" "${@:2}" >"$jobs/$1.ini"
}

# property NAME: of the service $unit.
property() {
        systemctl show --value -p "$1" "$unit"
}

# ends_with STATUS: $unit is started, and its process ends so; a failure where that is none.
ends_with() {
        local state=inactive

        [ "$1" = 0 ] || state=failed
        systemctl start --wait "$unit" >"$tmp/out" 2>&1 || [ "$1" != 0 ] || fail "it fails: $(cat "$tmp/out"); $(journal)"
        [ "$(property ExecMainStatus)" = "$1" ] || fail "the status is not $1: $(journal)"
        [ "$(property ActiveState)" = $state ] || fail "after status $1 it is not $state: $(systemctl show "$unit")"
}

journal() {
        journalctl --sync
        journalctl --no-pager -q -o cat -u "$unit"
}

# tells PATTERN: the last run did.
tells() {
        journal | awk '/^Starting/ { last = "" } { last = last $0 "\n" } END { print last }' >"$tmp/run.log"
        grep -q -e "$1" "$tmp/run.log" || fail "it does not say '$1': $(journal)"
}

# ---- what is installed ----

step install
program=$(sed -n 's/^ExecStart=\([^ ]*\) .*/\1/p' "$built/rsync-system-backup@.service")
mkdir -p "$(dirname "$program")" $jobs
ln -sf "$RSB_PROGRAM" "$program" # without the launcher, whose filter the service's own does not permit
cp "$built"/*.service "$shipped"/*.timer $units
cp "$shipped"/*.rules /etc/udev/rules.d/
systemd-sysusers "$shipped/rsync-system-backup.sysusers" >"$tmp/out" 2>&1 || fail "$(cat "$tmp/out")"
for name in rsync-system-backup@ rsync-system-backup-push@; do
        mkdir "$units/$name.service.d"
        printf '[Unit]\nStartLimitIntervalSec=0\n' >"$units/$name.service.d/test.conf"
done
systemctl daemon-reload
! systemd-analyze verify --man=no $units/rsync-system-backup{,-push}@x.{service,timer} 2>&1 | grep . || fail "systemd complains"
make_disk ext4
udevadm control --reload
udevadm settle

# ---- of the root directory, as without a unit ----

step root
mkdir "$tmp/other"
mount -t tmpfs -o mode=700 rsb-test "$tmp/other"
excludes=(--exclude='/*/*/*' --exclude='/root/[!m]*' --exclude='/boot/[!m]*' --exclude='/home/[!m]*')
for top in /* /.[!.]*; do
        case $top in
        /bin | /boot | /etc | /home | /lib* | /opt | /root | /sbin | /srv | /usr | /var) [ ! -d "$top" ] || echo "here" >"$top/marker" ;;
        *) excludes+=("--exclude=$top") ;;
        esac
done
job root 'source = /' "destination = $tmp/other/unit/latest" "${excludes[@]/#--exclude=/exclude = }"
unit=rsync-system-backup@root.service
ends_with 0
expect_status 0 "$program" --disable-notifications "${excludes[@]}" / "$tmp/other/shell/latest"
same "$tmp/other/shell/latest" "$tmp/other/unit/latest"
for top in boot etc home root usr var; do
        [ -s "$tmp/other/unit/latest/$top/marker" ] || fail "/$top is not backed up"
done
umount "$tmp/other"

# ---- an encrypted disk ----

step disk
job laptop "source = $source" "destination = $parent/latest" 'crypto = backups' "mount = $point"
unit=rsync-system-backup@laptop.service
mkdir "$units/rsync-system-backup@laptop.timer.d"
printf '[Timer]\nOnCalendar=\nOnActiveSec=0\nRandomizedDelaySec=0\nAccuracySec=1ms\n' \
        >"$units/rsync-system-backup@laptop.timer.d/test.conf"
systemctl daemon-reload
expect_status 0 systemctl start rsync-system-backup@laptop.timer
before=0
# shellcheck disable=SC2317 # it is called
has_run() {
        [ "$(property InactiveEnterTimestampMonotonic)" -gt "$before" ] && [ "$(property ActiveState)" = inactive ]
}
await has_run
tells 'backup complete'
closed
open_by_hand
same "$source" $parent/latest
close_by_hand

step 'watchdog'
echo "backups UUID=$(uuid_of /dev/ubda) none luks,noauto" >/etc/crypttab
mkdir $units/$unit.d
printf '[Service]\nWatchdogSec=12s\n' >$units/$unit.d/watchdog.conf
systemctl daemon-reload
expect_status 0 systemctl start $unit
[ "$(property ActiveState)" = active ] || fail "it is not active: $(systemctl show $unit)"
[ "$(readlink "/proc/$(property MainPID)/ns/mnt")" = "$(readlink /proc/1/ns/mnt)" ] || fail "it has mounts of its own"
await compgen -G '/run/systemd/ask-password/ask.*' >"$tmp/out"
[ -n "$(property StatusText)" ] || fail "it does not tell what it does"
before=$(property WatchdogTimestampMonotonic)
is_later() {
        [ "$(property WatchdogTimestampMonotonic)" -gt "$before" ]
}
await is_later
systemctl stop $unit
[ "$(property ActiveState)" = inactive ] || fail "to be stopped is a failure: $(systemctl show $unit)"
tells 'signal TERM'
closed

step credential
rm $units/$unit.d/watchdog.conf
echo "[Service]
LoadCredential=rsync-system-backup.backups:$key" >$units/$unit.d/key.conf
systemctl daemon-reload
ends_with 0
closed

step kill
mkdir "$source/many"
(cd "$source/many" && seq 1500 | split -l 1 -a 4)
expect_status 0 systemctl start $unit
pid=$(property MainPID)
end=$((SECONDS + 300))
until [ -e $parent/latest/many/xaacz ]; do
        sleep 0.01 # it is idle as long as anybody else is not
        [ $SECONDS -le $end ] || fail "it does not come so far: $(journal)"
done
kill -KILL "$pid"
has_ended() {
        [ "$(property ActiveState)" = failed ]
}
await has_ended
[ ! -e $parent/latest/many/xacfr ] || fail "it was killed too late"
opened
before=$(snapshots $parent | tail -n 1)
ends_with 0
closed
open_by_hand
same "$source" $parent/latest
[ "$(snapshots $parent | tail -n 1)" != "$before" ] || fail "there is no new snapshot: $(ls $parent)"

step 'busy, incomplete'
rm -r "$source/many"
setfattr -n trusted.large -v "$(printf '%05000d' 0)" "$source/one" # which ext4 cannot hold
close_by_hand
(until cd $parent; do sleep 0.1; done 2>/dev/null; touch "$tmp/inside"; exec sleep 1000) &
sleeper=$!
ends_with 1
[ -e "$tmp/inside" ] || fail "nobody was inside"
tells "in use by sleep"
opened
kill $sleeper
wait $sleeper 2>/dev/null || true
ends_with 23
tells "incomplete"
closed
setfattr -x trusted.large "$source/one"

# ---- elsewhere ----

step elsewhere
ip link set lo up
sed -i 's|^\(root:.*:\).*|\1/bin/sh|' /etc/passwd
mkdir -p "$HOME/.ssh"
start_far
mv "$HOME/.ssh/config" /etc/ssh/ssh_config
mv "$HOME/.ssh/known_hosts" /etc/ssh/ssh_known_hosts
echo 'secret' >"$source/secret"
chmod 0 "$source/secret"
chown 12345:23456 "$source/secret"
job ssh "source = $source" "destination = far:$tmp/far/latest" "remote-command = $agent"
start_rsyncd daemon
add_module module
job daemon "source = $source" "destination = 127.0.0.1::module/latest"
sed -i "s|127.0.0.1::|rsync://127.0.0.1:$port/|" $jobs/daemon.ini
chmod 711 "$tmp"
for name in rsync-system-backup rsync-system-backup-push; do
        unit=$name@ssh.service
        ends_with 0
        same "$source" "$tmp/far/latest"
        rm -r "$tmp/far"
        unit=$name@daemon.service
        ends_with 0
        same "$source" "$modules/module/latest"
        # What root has sent there is not in the user's way.
        rm "$modules/module/latest/secret"
done
rm -r "$modules/module/latest"
find /var/lib/rsync-system-backup-push ! -user rsync-system-backup | grep . && fail "root has a hand in what the user keeps"

# ---- plugged in ----

step 'plug in'
unit=rsync-system-backup@laptop.service
echo "ENV{ID_FS_UUID}==\"$(uuid_of /dev/ubda)\", ENV{RSYNC_SYSTEM_BACKUP}=\"laptop\"" >/etc/udev/rules.d/80-backup.rules
udevadm control --reload
host unplug 0
udevadm settle
ends_with 0
tells 'not plugged in'
before=$(property InactiveEnterTimestampMonotonic)
starts=$(journal | grep -c '^Starting')
host plug 0
await has_run
tells 'backup complete'
udevadm settle
[ "$(journal | grep -c '^Starting')" = $((starts + 1)) ] || fail "it has started itself: $(journal)"
closed
