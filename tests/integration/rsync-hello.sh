#!/bin/bash
# A conversation with a real rsync daemon begins as both sides can have it: with the best version, digest, checksum and
# compressor that they share; and when the daemon does not want it, its reason and what can be done about it are told.
. "$(dirname "$0")/lib.sh"
. "$here/rsyncd.sh"

start_rsyncd main
add_module open

echo "-- what it is by default"
expect_status 0 probe open
agrees 'protocol 32 compat 0x1fe checksum xxh128 compression none seed yes'
expect_status 0 probe -i -z all open
agrees 'protocol 32 compat 0x1ff checksum xxh128 compression zstd seed yes'

echo "-- by an older version of ours"
for protocol in 30 31 32; do
        expect_status 0 probe -P "$protocol" open
        agrees "protocol $protocol compat 0x1fe checksum xxh128"
done

echo "-- each checksum and each compressor"
for checksum in xxh128 xxh3 xxh64 md5; do
        expect_status 0 probe -c "$checksum" open
        agrees "checksum $checksum compression none"
done
for compression in zstd lz4 zlibx zlib; do
        expect_status 0 probe -z "$compression" open
        agrees "compression $compression "
done
expect_status 0 probe -c md5,xxh64 -z zlib,lz4 open
agrees 'checksum xxh64 compression lz4 '

echo "-- all arguments are understood, and arrive"
add_module log 'max verbosity = 3'
mkdir -p "$modules/open/some/where" "$modules/open/what [?] is*" "$modules/open/two open"
for directory in some/where 'what [?] is*' 'two open' 'back\slash'; do
        mkdir -p "$modules/open/$directory"
        expect_status 0 probe -d -n -i -z all -t 30 -l ../latest "open/$directory"
        agrees 'protocol 32'
        for i in $(seq 600); do
                ! grep -qF "rsync to open/$directory/ from" "$tmp/main.rsyncd.log" || break
                [ "$i" != 600 ] || fail "it took it for something else: $(cat "$tmp/main.rsyncd.log")"
                sleep 0.05
        done
done
! grep -q 'unknown option' "$tmp/main.rsyncd.log" || fail "$(cat "$tmp/main.rsyncd.log")"

echo "-- a daemon's timeout, as its first message"
add_module patient 'timeout = 1'
expect_status 0 probe -m patient
says 'message 33: 1'

echo "-- no such module"
expect_status 1 probe nothing
says "ENOENT: 127.0.0.1::nothing: the daemon refuses: Unknown module 'nothing' ("

echo "-- one that is closed to us"
add_module closed 'hosts deny = *'
expect_status 1 probe closed
says 'EACCES: 127.0.0.1::closed: the daemon refuses: access denied to closed from '
says 'hosts allow'

echo "-- one that has no directory"
add_module gone
rmdir "$modules/gone"
expect_status 1 probe gone
says 'EREMOTEIO: 127.0.0.1::gone: the daemon refuses: chdir failed ('

echo "-- one whose user there is not"
if is_root; then
        add_module orphan 'uid = no-such-user'
        expect_status 1 probe orphan
        says 'EREMOTEIO: 127.0.0.1::orphan: the daemon refuses: invalid uid no-such-user'
fi

echo "-- one that is full"
add_module narrow 'max connections = 1'
"$RSB_RSYNC_PROBE" -k 60 daemon 127.0.0.1 "$port" narrow >"$tmp/held" 2>&1 &
holder=$!
while [ ! -s "$tmp/held" ]; do
        kill -0 $holder || fail "$(cat "$tmp/held")"
        sleep 0.05
done
expect_status 1 probe narrow
says 'EBUSY: 127.0.0.1::narrow: the daemon refuses: max connections (1) reached'
says 'try again later'
kill $holder
wait $holder || true

echo "-- what it does not permit is told behind the beginning"
add_module refusing 'refuse options = xattrs'
expect_status 0 probe -m refusing
says 'message 3: rsync: The server is configured to refuse --xattrs'
says 'message 86: 4'
add_module fixed 'read only = yes'
expect_status 0 probe -m fixed
says 'module is read only'

echo "-- users: each digest"
add_module secret 'auth users = bob, eve' "secrets file = $tmp/secrets"
add_secrets "$tmp/secrets" 'bob:pass word' 'eve:x'
for digest in sha512 sha256 sha1 md5 md4; do
        expect_status 0 probe -a "$digest" -u bob -p 'pass word' secret
        agrees 'protocol 32'
done
for protocol in 30 31; do
        expect_status 0 probe -P "$protocol" -u eve -p x secret
        agrees "protocol $protocol"
done

echo "-- a wrong password, an unknown user, and none at all"
expect_status 1 probe -u bob -p password secret
says 'EACCES: 127.0.0.1::secret: the daemon refuses: auth failed on module secret ('
expect_status 1 probe -u nobody -p 'pass word' secret
says 'EACCES: '
expect_status 1 probe -u bob secret
says 'EACCES: 127.0.0.1::secret: the daemon asks for a password ('
says --password-file
expect_status 1 env -u USER -u LOGNAME "$RSB_RSYNC_PROBE" -p x daemon 127.0.0.1 "$port" secret
says 'the daemon asks for a user, and there is none'
expect_status 0 env USER=eve "$RSB_RSYNC_PROBE" -p x daemon 127.0.0.1 "$port" secret

echo "-- secrets that others can read are none"
chmod 644 "$tmp/secrets"
expect_status 1 probe -u bob -p 'pass word' secret
says 'only its owner may read'
chmod 600 "$tmp/secrets"

echo "-- a digest that is too weak for it"
change_module secret 'auth users = bob' "secrets file = $tmp/secrets" 'auth digest = sha256'
expect_status 0 probe -u bob -p 'pass word' secret
expect_status 1 probe -a md5,sha1 -u bob -p 'pass word' secret
says 'EACCES: '
stop_rsyncd main

echo "-- one that is no longer there"
expect_status 1 probe open

echo "-- words to people"
printf 'Welcome!\n\n@RSYNCD: is what this is\nno newline' >"$tmp/motd"
start_rsyncd talking "motd file = $tmp/motd"
add_module open
expect_status 0 probe open
says 'motd: Welcome!'
says 'motd: @RSYNCD: is what this is'
says 'motd: no newline'
expect_status 1 probe nothing
says 'motd: Welcome!'
says 'Unknown module'
for _ in $(seq 3000); do echo 'Much to say, and nobody who listens'; done >"$tmp/motd"
expect_status 1 probe open
says "EPROTO: 127.0.0.1::open: the daemon's greeting to people has no end"

echo "-- older versions of theirs"
for protocol in 30 31; do
        rsyncd_options=(--protocol="$protocol")
        start_rsyncd "old-$protocol"
        add_module open
        add_module secret 'auth users = eve' "secrets file = $tmp/secrets"
        expect_status 0 probe -z all -d -n open/dir
        agrees "protocol $protocol compat 0x1fe checksum xxh128 compression zstd"
        expect_status 0 probe -u eve -p x secret
        agrees "protocol $protocol "
done
rsyncd_options=(--protocol=29)
start_rsyncd ancient
add_module open
expect_status 1 probe open
says 'EPROTONOSUPPORT: 127.0.0.1::open: the daemon speaks version 29'
rsyncd_options=()

echo "-- over IPv6"
if [ -e /proc/net/if_inet6 ] && "$PYTHON" -c 'import socket; socket.create_server(("::1", 0), family=socket.AF_INET6)' 2>/dev/null; then
        rsyncd_address=::1
        start_rsyncd six
        add_module open
        expect_status 0 probe open
        agrees 'protocol 32'
        expect_status 1 probe nothing
        says 'ENOENT: ::1::nothing: '
fi

echo "-- what is started by a shell"
# shellcheck disable=SC2016
for directory in plain 'with $(touch oops) "blanks" *' "it's" 'back\slash!' $'new\nline' -dash; do
        mkdir -p "$tmp/shell/$directory"
        (cd "$tmp/shell" && expect_status 0 "$RSB_RSYNC_PROBE" -z all shell rsync "$directory")
        agrees 'protocol 32 compat 0x1fe checksum xxh128 compression zstd'
done
[ ! -e "$tmp/shell/oops" ] || fail 'a shell has read what was quoted'
expect_status 1 "$RSB_RSYNC_PROBE" shell 'echo Welcome; rsync' "$tmp/shell"
says 'EPROTO: '
says 'the shell prints something: Welcome ('
expect_status 1 "$RSB_RSYNC_PROBE" shell no-such-rsync "$tmp/shell"
says 'ECONNRESET: no-such-rsync: rsync has not answered'
expect_status 1 "$RSB_RSYNC_PROBE" shell 'rsync --protocol=29' "$tmp/shell"
says 'EPROTONOSUPPORT: '
