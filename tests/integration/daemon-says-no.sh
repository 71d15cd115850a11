#!/bin/bash
# What an rsync daemon does not want or cannot do is told in one line, in its own words, with what can be done about it,
# and never looks like a success; what may pass is tried again. A dry run tells what the daemon would do, and changes
# nothing there.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 200m
. "$here/rsyncd.sh"

mkdir source
echo content >source/file
start_rsyncd main
at=rsync://127.0.0.1:$port
unset RSYNC_PASSWORD

# push STATUS [OPTIONS] URL: without a terminal.
push() {
        local status=$1
        shift
        expect_status "$status" run_backup --retries=0 "${@:1:$#-1}" source "${*: -1}" </dev/null
}

# says_once TEXT: a line has it, and just one: all of it is in one place.
says_once() {
        says "$1"
        [ "$(grep -cF -- "$1" "$tmp/err")" = 1 ] || fail "it says it more than once: $(cat "$tmp/err")"
}

# nothing_in MODULE: it did not take part in it.
nothing_in() {
        [ -z "$(ls -A "$modules/$1")" ] || fail "something arrived in $1"
}

echo "-- no such module"
push 1 "$at/nothing"
says_once "Unknown module 'nothing'"
says 'rsyncd.conf'

echo "-- passwords"
add_module secret 'auth users = bob, eve:ro, mallory:deny' "secrets file = $tmp/secrets"
add_secrets "$tmp/secrets" 'bob:pass word' 'eve:x' 'mallory:y'
bob=rsync://bob@127.0.0.1:$port/secret
push 1 "$bob"
says_once 'wants a password'
says --password-file
RSYNC_PASSWORD=wrong push 1 "$bob"
says_once 'auth failed on module secret'
RSYNC_PASSWORD='pass word' push 1 "rsync://nobody@127.0.0.1:$port/secret"
says_once 'auth failed on module secret'
RSYNC_PASSWORD=y push 1 "rsync://mallory@127.0.0.1:$port/secret"
says_once 'auth failed on module secret'
RSYNC_PASSWORD=x push 1 "rsync://eve@127.0.0.1:$port/secret"
says_once 'module is read only'
nothing_in secret
RSYNC_PASSWORD='pass word' push 0 "$bob"
[ -f "$modules/secret/file" ] || fail "nothing has arrived"
for mode in 644 640 604 620 666; do
        (umask 077 && echo 'pass word' >"$tmp/password")
        chmod "$mode" "$tmp/password"
        case $mode in
        640) push 0 --password-file="$tmp/password" "$bob" ;;
        *)
                push 2 --password-file="$tmp/password" "$bob"
                says_once 'others may read or change the password file'
                says "chmod 600 '$tmp/password'"
                ;;
        esac
done
chmod 600 "$tmp/password"
push 0 --password-file="$tmp/password" "$bob"
printf 'pass word\r\nmore\n' >"$tmp/password"
push 0 --password-file="$tmp/password" "$bob"
RSYNC_PASSWORD=wrong push 0 --password-file="$tmp/password" "$bob"
chown "$ordinary_user" "$tmp/password"
push 2 --password-file="$tmp/password" "$bob"
says_once "must be root's"
push 1 --password-file="$tmp/none" "$bob"
says_once "cannot read the password file '$tmp/none'"
expect_status 0 run_backup --password-file=- source "$bob" < <(echo 'pass word')
expect_status 1 run_backup --password-file=- source "$bob" < <(echo 'pass')
says_once 'auth failed'
printf '%s' 'pass word' >"$tmp/answer"
"$PYTHON" "$here/on-terminal.py" 'Password for' 'pass word' -- "$RSB" --disable-notifications source "$bob" >"$tmp/out" 2>&1 ||
        fail "it does not ask on a terminal: $(cat "$tmp/out")"
! grep -q 'pass word' "$tmp/out" || fail "the password is shown"

echo "-- read only"
add_module fixed 'read only = yes'
push 1 "$at/fixed"
says_once 'module is read only'
says 'read only = false'

echo "-- options that are refused"
for option in delete xattrs hard-links acls perms links delete-excluded numeric-ids one-file-system recursive; do
        add_module "no-$option" "refuse options = $option"
        touch "$modules/no-$option/old"
        push 1 --force "$at/no-$option"
        says 'refuse'
        says 'refuse options'
        [ "$(grep -cF 'configured to refuse' "$tmp/err")" = 1 ] || fail "not one line: $(cat "$tmp/err")"
        [ "$(ls "$modules/no-$option")" = old ] || fail "it changes something"
done
add_module no-compress 'refuse options = compress'
push 1 --compress=always "$at/no-compress"
says 'configured to refuse'
push 0 "$at/no-compress"

echo "-- all connections in use: tried again"
add_module narrow 'max connections = 1'
"$RSB_RSYNC_PROBE" -k 600 daemon 127.0.0.1 "$port" narrow >"$tmp/held" 2>&1 &
holder=$!
while [ ! -s "$tmp/held" ]; do
        kill -0 $holder || fail "$(cat "$tmp/held")"
        sleep 0.05
done
push 1 "$at/narrow"
says_once 'max connections (1) reached'
: >"$tmp/err"
run_backup --retries=9 source "$at/narrow" >"$tmp/out" 2>"$tmp/err" &
waiting=$!
while ! grep -q 'trying again' "$tmp/err"; do
        kill -0 $waiting || fail "it does not try again: $(cat "$tmp/err")"
        sleep 0.05
done
kill $holder
wait $holder || true
wait $waiting || fail "it was tried in vain: $(cat "$tmp/err")"
[ -f "$modules/narrow/file" ] || fail "nothing has arrived"

echo "-- hosts"
add_module closed 'hosts deny = *'
push 1 "$at/closed"
says_once 'access denied to closed'
says 'hosts allow'

echo "-- nobody listens there"
close_port
push 1 "rsync://127.0.0.1:$closed_port/x"
says_once 'Connection refused'
push 1 "rsync://no-such-host.invalid/x"
says_once "cannot find the address of 'no-such-host.invalid'"

echo "-- what listens there is something else"
"$PYTHON" - "$tmp/other.port" <<'PY' &
import os, socket, sys
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(5)
open(sys.argv[1] + ".new", "w").write(str(s.getsockname()[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
c = s.accept()[0]
c.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
c.recv(100)
c.close()
PY
other=$!
while [ ! -s "$tmp/other.port" ]; do
        kill -0 $other || fail "nothing listens"
        sleep 0.05
done
push 1 "rsync://127.0.0.1:$(cat "$tmp/other.port")/x"
says '127.0.0.1::x: '
wait $other

echo "-- no directory there"
add_module gone
rmdir "$modules/gone"
push 1 "$at/gone"
says_once 'chdir failed'
add_module blocked
touch "$modules/blocked/sub"
push 1 "$at/blocked/sub/dir"
says '127.0.0.1::blocked: '
[ -f "$modules/blocked/sub" ] || fail "a file made way for a directory above the destination"

echo "-- directories of the destination are made"
add_module deep
push 0 "$at/deep/new/dir/latest"
[ -f "$modules/deep/new/dir/latest/file" ] || fail "nothing has arrived"

echo "-- its disk is full"
add_module small
mount -t tmpfs -o size=1m rsb-small "$modules/small"
cp -a source large
"$PYTHON" -c 'import os, sys; open(sys.argv[1], "wb").write(os.urandom(3 << 20))' large/much
expect_status 1 run_backup --retries=0 large "$at/small"
says 'No space left on device'
says "the server's disk is full"
[ ! -e "$modules/small/much" ] || fail "half a file is there"
rm large/much
# What it has begun it goes on with, without --force.
[ -n "$(ls -A "$modules/small")" ] || fail "nothing has arrived"
expect_status 0 run_backup large "$at/small"

echo "-- it excludes by itself"
add_module picky 'exclude = *.secret hidden/'
mkdir -p picked/hidden
touch picked/a picked/b.secret picked/hidden/c
expect_status 23 run_backup --report=r.json picked "$at/picky"
says 'daemon refused to receive file "b.secret"'
grep -q '"message": ".*daemon refused to receive file .*"b.secret.*"' r.json || fail "the report says $(cat r.json)"
[ -f "$modules/picky/a" ] || fail "what it does not exclude has not arrived"
[ ! -e "$modules/picky/b.secret" ] || fail "it took what it excludes"

echo "-- it changes modes by itself"
add_module modes 'incoming chmod = a=r,u+w,D+x'
chmod 600 source/file
push 0 "$at/modes"
[ "$(stat -c %a "$modules/modes/file")" = 644 ] || fail "incoming chmod has no effect"
push 0 "$at/modes"

echo "-- a dry run"
add_module dry 'munge symlinks = no'
mkdir -p tree/dir/deeper
"$PYTHON" -c 'import os, sys; open(sys.argv[1], "wb").write(os.urandom(300000))' tree/large
touch tree/{new,same,dir/a,dir/b} tree/dir/mode
ln tree/new tree/dir/linked
ln -s target tree/symlink
ln -s same tree/unchanged
mknod tree/device c 1 3
find tree -exec touch -hd 2020-01-01 {} +
rm -rf "$modules/dry"
cp -a tree "$modules/dry"
rm "$modules/dry/new" "$modules/dry/dir/linked"
echo old >"$modules/dry/large"
ln -sf elsewhere "$modules/dry/symlink"
rm "$modules/dry/device"
mknod "$modules/dry/device" c 1 5
mkdir -p "$modules/dry/gone/below"
touch "$modules/dry/gone/below/file" "$modules/dry/superfluous"
chmod 700 "$modules/dry/dir/mode"
"$PYTHON" "$judge/listing.py" "$modules/dry" >"$tmp/before"
expect_status 0 run_backup --force -v -n tree "$at/dry"
"$PYTHON" "$judge/listing.py" "$modules/dry" >"$tmp/after"
cmp -s "$tmp/before" "$tmp/after" || fail "a dry run changes something"
cp "$tmp/out" "$tmp/dry.out"
cp "$tmp/err" "$tmp/dry.err"
expect_status 0 run_backup --force -v -v tree "$at/dry"
diff <(LC_ALL=C sort "$tmp/dry.out") <(LC_ALL=C sort "$tmp/out") || fail "the dry run lists other changes"
diff <(grep changes: "$tmp/dry.err") <(grep changes: "$tmp/err") || fail "the dry run counts other changes"
grep -q ' 4 deleted' "$tmp/err" || fail "not 4 deleted: $(cat "$tmp/err")"
for change in 'changed  large (size, mtime)' 'changed  symlink (mtime, target)' 'changed  device (mtime, device)' 'linked   new' \
        'new      dir/linked' 'metadata dir/mode (mode)' 'deleted  gone/below/file'; do
        grep -qF "$change" "$tmp/out" || fail "it does not list $change: $(cat "$tmp/out")"
done
expect_status 0 run_backup -v -n tree "$at/dry"
[ ! -s "$tmp/out" ] || fail "a dry run without any change finds some: $(cat "$tmp/out")"
