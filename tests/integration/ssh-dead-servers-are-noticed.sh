#!/bin/bash
# A server that dies, freezes or was never there ends a session within the time that is promised, in every state of it;
# so does a request to stop.
. "$(dirname "$0")/lib.sh"
. "$here/ssh.sh"

start_sshd main
known main
new_key "$keys/plain"
cp "$keys/plain.pub" "$tmp/main.authorized"
config "IdentityFile $keys/plain"
target=127.0.0.1:$port

# Two pipes to know when the command on the server runs, and which process serves it.
mkfifo "$tmp/runs"

# start COMMAND [OPTION...]: the probe runs COMMAND; $server are the processes that serve it.
start() {
        local command=$1
        shift

        start_probe "$@" run "$target" "echo \$PPID >'$tmp/runs'; $command"
        read -r server <"$tmp/runs"
        # As root the connection is held by a parent of its own.
        server="$server $(ps -o ppid= -p "$server" | tr -d ' ')"
        server=${server% "$(cat "$pid_file")"}
        began=$SECONDS
}

# ends_within LEAST MOST STATUS: in seconds since $began, which is when it was started, or what ends it begins.
ends_within() {
        local least=$1 most=$2 expected=$3 status=0

        wait "$probe_pid" || status=$?
        [ "$status" = "$expected" ] || fail "status $status instead of $expected: $(cat "$tmp/err")"
        [ $((SECONDS - began)) -ge "$least" ] || fail "it took only $((SECONDS - began)) s"
        [ $((SECONDS - began)) -le "$most" ] || fail "it took $((SECONDS - began)) s"
}

echo "-- killed"
start 'exec sleep 100'
# shellcheck disable=SC2086
kill -KILL $server
ends_within 0 5 105
says 'lost: '
says 'the connection was lost: '

echo "-- frozen, idle"
start 'exec sleep 100' -t 4
# shellcheck disable=SC2086
kill -STOP $server
ends_within 2 12 105
says 'the server has not answered for 4 s'
# shellcheck disable=SC2086
kill -KILL $server

echo "-- frozen while it is sent to"
input=/dev/zero
start 'exec cat >/dev/null' -t 4
# shellcheck disable=SC2086
kill -STOP $server
ends_within 2 12 105
says 'the server has not answered for 4 s'
# shellcheck disable=SC2086
kill -KILL $server

echo "-- frozen while it sends"
input=
start 'exec cat /dev/zero' -t 4 -r 2000000000000
# shellcheck disable=SC2086
kill -STOP $server
ends_within 2 12 105
# shellcheck disable=SC2086
kill -KILL $server

echo "-- as the configuration says"
config "IdentityFile $keys/plain" 'ServerAliveInterval 1' 'ServerAliveCountMax 2'
start 'exec sleep 100'
# shellcheck disable=SC2086
kill -STOP $server
ends_within 1 10 105
says 'the server has not answered for 3 s'
# shellcheck disable=SC2086
kill -KILL $server

echo "-- one that only has nothing to say is not dead"
expect_status 0 probe run "$target" 'sleep 6; echo alive' </dev/null
prints alive

echo "-- frozen before it says who it is"
kill -STOP "$(cat "$pid_file")"
began=$SECONDS
start_probe -t 3 run "$target" true
ends_within 1 10 1
says "the server has said nothing for 3 s"
kill -CONT "$(cat "$pid_file")"
config "IdentityFile $keys/plain" 'ConnectTimeout 2'
kill -STOP "$(cat "$pid_file")"
began=$SECONDS
start_probe run "$target" true
ends_within 1 10 1
says "the server has said nothing for 2 s"
kill -CONT "$(cat "$pid_file")"

echo "-- not there at all"
close_port
began=$SECONDS
start_probe run "127.0.0.1:$closed_port" true
ends_within 0 5 1
says 'Connection refused'
began=$SECONDS
start_probe run no-such-host.invalid true
ends_within 0 30 1
says "cannot find the address of 'no-such-host.invalid'"

echo "-- no SSH server"
"$PYTHON" -c '
import socket, sys
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
c, _ = s.accept()
c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
c.close()' >"$tmp/runs" &
peer=$!
read -r other <"$tmp/runs"
began=$SECONDS
start_probe run "127.0.0.1:$other" true
ends_within 0 10 1
says 'cannot connect to '
wait "$peer" # which has the pipe open as well

echo "-- a request to stop, at work and while it connects"
config "IdentityFile $keys/plain"
start 'exec sleep 100'
began=$SECONDS
kill -TERM "$probe_pid"
ends_within 0 3 1
says 'stopped by signal TERM'
input=/dev/zero
start 'exec sleep 100'
began=$SECONDS
kill -HUP "$probe_pid"
ends_within 0 3 1
says 'stopped by signal HUP'
input=
kill -STOP "$(cat "$pid_file")"
start_probe run "$target" true
# Until it is connected: the kernel's doing, so a stopped server does as well.
while ! grep -q "$(printf ' 0100007F:%04X 01 ' "$port")" /proc/net/tcp; do
        kill -0 "$probe_pid" || fail "it has ended: $(cat "$tmp/err")"
        sleep 0.05
done
began=$SECONDS
kill -TERM "$probe_pid"
ends_within 0 3 1
says 'stopped by signal TERM'
kill -CONT "$(cat "$pid_file")"

echo "-- a jump host that dies takes with it what goes through it"
jump_port=$port
start_sshd far
known far
cp "$keys/plain.pub" "$tmp/far.authorized"
config "IdentityFile $keys/plain" 'ServerAliveInterval 1' 'Host far' 'HostName 127.0.0.1' "Port $port" \
        "ProxyJump 127.0.0.1:$jump_port"
target=far
start 'exec sleep 100'
pid_file=$tmp/main.pid
jumps=$(pgrep -P "$(cat "$pid_file")")
began=$SECONDS
# shellcheck disable=SC2086
kill -KILL $jumps
ends_within 0 5 105
says 'lost: '
