#!/bin/bash
# An rsync daemon that listens on a server's loopback alone is reached through SSH, with an account that may do nothing
# else there. What the server does not permit is told, and a connection that is cut is made again, until all is exact.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 300m
. "$here/ssh.sh"
. "$here/rsyncd.sh"

account=$(getent passwd "$ordinary_user" | cut -d: -f1)
case $(getent passwd "$ordinary_user" | cut -d: -f7) in
*/nologin | */false) ;;
*) skip "$account has a shell" ;;
esac
start_rsyncd main 'timeout = 60'
add_module ours
at=rsync://127.0.0.1:$port/ours ours=$modules/ours daemon_port=$port
new_key "$keys/plain"
config "IdentityFile $keys/plain"
mkdir -p source/dir
head -c 3000000 /dev/urandom >source/dir/large
for i in $(seq 300); do
        echo "$i" >"source/dir/$i"
done

# server NAME [LINE...]: an sshd, as $tunnel.
server() {
        start_sshd "$@"
        known "$1"
        cp "$keys/plain.pub" "$tmp/$1.authorized"
        chmod 644 "$tmp/$1.authorized"
        tunnel=$account@127.0.0.1:$port
}

# Times of the same second are the same to rsync.
serial=0
change() {
        head -c 1500000 /dev/urandom >>source/dir/large
        echo "$((++serial))" >source/dir/7
        find source -exec touch -hd "2020-01-01 00:00:$((10 + serial))" {} +
}

exact() {
        "$PYTHON" "$judge/listing.py" --holes=ignore source "$ours" >"$tmp/same.log" || fail "$(cat "$tmp/same.log")"
}

# push STATUS [OPTIONS] URL
push() {
        local status=$1
        shift
        expect_status "$status" run_backup --tunnel="$tunnel" --retries=0 "${@:1:$#-1}" source "${*: -1}" </dev/null
}

echo "-- an account without a shell"
server main 'AllowTcpForwarding local'
change
push 0 "$at"
exact
main=$tunnel

echo "-- one that may do nothing else, by its key"
server restricted
printf 'restrict,port-forwarding,permitopen="127.0.0.1:%s" %s\n' "$daemon_port" "$(cat "$keys/plain.pub")" \
        >"$tmp/restricted.authorized"
change
push 0 "$at"
exact
push 1 "rsync://localhost:$daemon_port/ours"
says "localhost port $daemon_port"
says 'prohibited'

echo "-- a server that permits this connection"
server open 'AllowTcpForwarding yes' "PermitOpen 127.0.0.1:$daemon_port"
change
push 0 "$at"
exact

echo "-- others that do not"
server elsewhere "PermitOpen 127.0.0.1:1"
push 1 "$at"
says 'prohibited'
says "127.0.0.1 port $daemon_port"
server none 'AllowTcpForwarding no'
push 1 "$at"
says 'prohibited'
says 'AllowTcpForwarding'
server remote 'AllowTcpForwarding remote'
push 1 "$at"
says 'prohibited'

echo "-- nobody listens there"
tunnel=$main
close_port
push 1 "rsync://127.0.0.1:$closed_port/ours"
says 'refused'

echo "-- an account that is not let in"
server strangers
: >"$tmp/strangers.authorized"
push 1 "$at"
says "$account"

echo "-- what the daemon refuses"
tunnel=$main
push 1 "rsync://127.0.0.1:$daemon_port/nothing"
says "Unknown module 'nothing'"

# sessions: the processes of sshd that serve us, the one with privileges and the one without.
sessions() {
        local first

        first=$(pgrep -d, -P "$(cat "$tmp/main.pid")") || return 0
        echo "${first//,/ }" "$(pgrep -d ' ' -P "$first" || true)"
}

# arrives: something of the large file does.
arrives() {
        compgen -G "$ours/dir/.large.*" >/dev/null
}

# While it goes slowly, the session is killed when something arrives, twice.
cut_twice() {
        local pid part i

        while [ -n "$(sessions)" ] || arrives; do
                sleep 0.02
        done
        run_backup --tunnel="$main" --bwlimit=250k "$@" source "$at" >"$tmp/out" 2>"$tmp/err" </dev/null &
        waiting=$!
        for i in 1 2; do
                until arrives; do
                        kill -0 $waiting || break 2
                        sleep 0.02
                done
                part=$(compgen -G "$ours/dir/.large.*" || true)
                pid=$(sessions)
                # shellcheck disable=SC2086
                kill -KILL $pid 2>/dev/null || true
                # shellcheck disable=SC2086
                while kill -0 $pid || [ -e "$part" ]; do
                        sleep 0.02
                done 2>/dev/null
        done
        status=0
        wait $waiting || status=$?
}

echo "-- sessions that are killed"
change
cut_twice --retries=0
[ "$status" = 1 ] || fail "status $status of a connection that was cut: $(cat "$tmp/err")"
! cmp -s source/dir/large "$ours/dir/large" || fail "it was cut too late"
cut_twice --retries=5
[ "$status" = 0 ] || fail "status $status: $(cat "$tmp/err")"
[ "$(grep -c 'trying again' "$tmp/err")" = 2 ] || fail "not tried again twice: $(cat "$tmp/err")"
exact

echo "-- a daemon that falls silent"
change
run_backup --tunnel="$main" --bwlimit=250k --timeout=5 --retries=0 source "$at" >"$tmp/out" 2>"$tmp/err" </dev/null &
waiting=$!
until arrives; do
        kill -0 $waiting || fail "$(cat "$tmp/err")"
        sleep 0.05
done
pids=$(pgrep -P "${rsyncd_pids[main]}")
pids="$pids $(pgrep -P "${pids//$'\n'/,}" || true)"
# shellcheck disable=SC2086
kill -STOP $pids 2>/dev/null || true # of another connection, and gone
status=0
wait $waiting || status=$?
# shellcheck disable=SC2086
kill -KILL $pids 2>/dev/null || true
[ "$status" = 1 ] || fail "status $status of a silent daemon: $(cat "$tmp/err")"
says 'silent for 5 seconds'
tunnel=$main
push 0 --timeout=30 "$at"
exact
