#!/bin/bash
# What goes through a session arrives, in both directions at once, whoever is slow, while keys are exchanged anew, also
# in several sessions at the same time and within one another; and how the command ended is told.
. "$(dirname "$0")/lib.sh"
. "$here/ssh.sh"

start_sshd main "AllowTcpForwarding yes"
known main
new_key "$keys/plain"
cp "$keys/plain.pub" "$tmp/main.authorized"
config "IdentityFile $keys/plain"
target=127.0.0.1:$port

echo "-- 200 MB there and back"
expect_status 0 probe echo "$target" 1 200

echo "-- the same with new keys all the time, asked for by us"
main_port=$port
start_sshd patient 'LogLevel DEBUG'
known patient
cp "$keys/plain.pub" "$tmp/patient.authorized"
config "IdentityFile $keys/plain" 'RekeyLimit 1M'
expect_status 0 probe echo "127.0.0.1:$port" 1 64
config "IdentityFile $keys/plain"
[ "$(grep -c 'KEXINIT received' "$tmp/patient.log")" -gt 3 ] || fail 'there were no new keys'

echo "-- and by the server"
start_sshd rekeying 'RekeyLimit 1M' 'LogLevel DEBUG'
known rekeying
cp "$keys/plain.pub" "$tmp/rekeying.authorized"
expect_status 0 probe echo "127.0.0.1:$port" 1 64
[ "$(grep -c 'KEXINIT received' "$tmp/rekeying.log")" -gt 3 ] || fail 'there were no new keys'
port=$main_port

echo "-- four sessions at once"
expect_status 0 probe echo "$target" 4 24

echo "-- other ciphers"
for cipher in chacha20-poly1305@openssh.com aes128-ctr; do
        config "IdentityFile $keys/plain" "Ciphers $cipher"
        expect_status 0 probe echo "$target" 1 16
done
config "IdentityFile $keys/plain"

echo "-- who does not read holds the other one up, and nothing is lost"
expect_status 0 probe slow "$target" 200
[ "$(cat "$tmp/out")" -lt 100000000 ] || fail "$(cat "$tmp/out") bytes were taken before any was read"

echo "-- nothing at all, and a little"
expect_status 0 probe run "$target" cat </dev/null
prints ''
expect_status 0 probe run "$target" 'tr a-z A-Z' <<<"hello"
prints HELLO

echo "-- the end of input is passed on, and output may go on"
expect_status 0 probe run "$target" 'cat >/dev/null; sleep 0.2; echo behind' <<<"input"
prints behind

echo "-- the end of output is passed on, while input is still taken"
dd if=/dev/zero of="$tmp/zeros" bs=1M count=8 status=none
expect_status 0 probe run "$target" "exec >&-; wc -c >'$tmp/counted'" <"$tmp/zeros"
[ "$(cat "$tmp/counted")" = 8388608 ] || fail "$(cat "$tmp/counted") bytes arrived"

echo "-- a command that does not read"
expect_status 0 probe run "$target" 'exec <&-; echo done' <"$tmp/zeros"
prints 'done'

echo "-- a caller who has enough"
expect_status 4 probe -r 1000 run "$target" 'head -c 30000000 /dev/zero; exit 4' </dev/null
[ "$(stat -c %s "$tmp/out")" = 1000 ] || fail "$(stat -c %s "$tmp/out") bytes"

echo "-- and does not wait for ever"
expect_status 106 probe -r 1 -w 1 run "$target" 'echo x; exec sleep 30' </dev/null
says 'running: '
says 'has not ended within 1 s'

echo "-- how it ended"
expect_status 0 probe run "$target" true </dev/null
says "status: $target: the command ended with status 0"
expect_status 3 probe run "$target" 'echo first >&2; printf "last one" >&2; exit 3' </dev/null
says 'heard: first'
says 'heard: last one'
says "status: $target: the command ended with status 3: first ... last one"
expect_status 127 probe run "$target" 'no-such-command --server' </dev/null
says 'no command: '
says '(status 127)'
expect_status 103 probe run "$target" 'kill -KILL $$' </dev/null
says 'signal: '
says 'was killed by signal KILL'

echo "-- much on standard error holds nothing up, and does not fill the memory"
# shellcheck disable=SC2016
expect_status 0 probe run "$target" 'for i in $(seq 20000); do echo "line $i of many that nobody reads" >&2; done; echo out' </dev/null
prints out
[ "$(grep -c '^heard: line' "$tmp/err")" = 20000 ] || fail 'lines are missing'
says 'status 0: line 1 of many that nobody reads ... line 20000 of many'
expect_status 0 probe run "$target" 'head -c 100000 /dev/zero | tr "\0" x >&2; printf "\n\033[31mred\n" >&2' </dev/null
says '\033[31mred'

echo "-- a connection from there"
"$PYTHON" - "$tmp/there" >/dev/null <<'END' &
import socket, sys
s = socket.create_server(("127.0.0.1", 0))
open(sys.argv[1] + ".new", "w").write(str(s.getsockname()[1]))
import os
os.rename(sys.argv[1] + ".new", sys.argv[1])
c, _ = s.accept()
total = 0
while data := c.recv(65536):
    total += len(data)
c.sendall(b"got %d" % total)
c.close()
END
there=$!
while [ ! -f "$tmp/there" ]; do
        kill -0 $there || fail "nobody is there"
        sleep 0.05
done
expect_status 104 probe forward "$target" 127.0.0.1 "$(cat "$tmp/there")" <"$tmp/zeros"
prints 'got 8388608'
says 'closed: '
close_port
expect_status 1 probe forward "$target" 127.0.0.1 "$closed_port" </dev/null
says "cannot reach 127.0.0.1 port"

echo "-- sessions within sessions"
start_sshd inner
known inner
cp "$keys/plain.pub" "$tmp/inner.authorized"
config "IdentityFile $keys/plain" 'Match host jump' 'HostName 127.0.0.1' "Port $main_port" 'HostKeyAlias jump' \
        'Host far' 'HostName 127.0.0.1' "Port $port" 'ProxyJump jump'
printf 'jump %s\n' "$(cat "$keys/host-main.pub")" >>"$HOME/.ssh/known_hosts"
expect_status 0 probe echo far 1 64
expect_status 0 probe echo far 3 8
expect_status 5 probe run far 'exit 5' </dev/null
