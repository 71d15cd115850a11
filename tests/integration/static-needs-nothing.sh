#!/bin/bash
# The program that was built with -Dstatic=true does backups where it is the only file: in a directory that is its root,
# into another directory, to a daemon, over SSH by address and by name. There it is the agent of a backup over SSH, too.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 200m
: "${RSB_SSH_PROBE:=none}" "${RSB_RSYNC_PROBE:=none}" # not used here
# shellcheck source=ssh.sh
. "$here/ssh.sh"
# shellcheck source=rsyncd.sh
. "$here/rsyncd.sh"
need rsync readelf
! readelf -l "$RSB_PROGRAM" | grep -q INTERP || fail "it is linked dynamically"

mkdir -p root/source/directory root/backups/2020-01-01 bare
install -s -m 755 "$RSB_PROGRAM" root/backup
for i in $(seq 50); do
        echo "$i" >"root/source/directory/$i"
done
ln -s nowhere root/source/link
ln root/source/directory/1 root/source/hard
setfattr -n trusted.name -v value root/source/directory
chown 12345:23456 root/source/directory/2

# In there, where the environment is as empty.
inside() {
        env -i HOME=/ USER=root PATH="$PATH" "$@"
}

# ---- here ----

expect_status 0 inside chroot root /backup --force --daily=1 /source /backups/latest
same root/source root/backups/latest
rm root/source/directory/3
echo more >root/source/more
sleep 1
expect_status 0 inside chroot root /backup --verbose --hourly=1 --prefer-recent /source /backups/latest
same root/source root/backups/latest
[ "$(snapshots root/backups | wc -l)" = 1 ] || fail "it does not rotate: $(ls root/backups)"
same root/source "root/backups/$(snapshots root/backups)"
expect_status 2 inside chroot root /backup --crypto=disk --mount=/mnt /source /mnt/latest
for option in --crypto=disk --mount=/mnt; do
        expect_status 2 inside chroot root /backup $option /source /mnt/latest
        grep -q "^error: ${option%%=*} is not in this build" err || fail "$option: $(cat err)"
done

# ---- elsewhere ----

start_rsyncd daemon
add_module module 'munge symlinks = no'
expect_status 0 inside chroot root /backup /source "rsync://127.0.0.1:$port/module/latest"
same root/source "$modules/module/latest"

# Over SSH, with a root directory of its own at the other end as well.
start_sshd far
new_key "$keys/client"
cp "$keys/client.pub" "$tmp/far.authorized"
mkdir -p root/.ssh root/etc
cp "$keys/client" root/.ssh/id_ed25519
known far root/.ssh/known_hosts
printf '[far-away]:%s %s\n' "$port" "$(cut -d' ' -f1-2 "$keys/host-far.pub")" >>root/.ssh/known_hosts
printf 'Host *\n  Port %s\n  User root\n' "$port" >root/.ssh/config
echo '127.0.0.1 far-away' >root/etc/hosts
cp root/backup bare/
for host in 127.0.0.1 far-away; do
        expect_status 0 inside chroot root /backup --remote-command="chroot $tmp/bare /backup" /source "$host:/backups/latest"
        same root/source bare/backups/latest
        [ "$(snapshots bare/backups | wc -l)" = 1 ] || fail "there is not one snapshot: $(ls bare/backups)"
        rm -r bare/backups
done
expect_status 1 inside chroot root /backup --retries=0 /source nobody-knows-it:/backups/latest
