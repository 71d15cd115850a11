#!/bin/bash
# No agent on the other machine, a shell that talks, an account that runs no commands, a version that does not go together,
# an agent that breaks the protocol, is silent or ends: each has a message that says what it is and what can be done, and
# no run is believed to be done.
. "$(dirname "$0")/lib.sh"
need_program
. "$here/ssh.sh"
. "$here/agent.sh"
cd "$tmp"

start_far
mkdir -m 700 source parent
echo data >source/file
to=$tmp/parent/latest
# Root need not be sought, and whoever runs this test need not be root.
options=(-b --no-sudo)

# far_is COMMAND: what is run on the other side instead.
far_is() {
        expect_status 1 run_backup "${options[@]}" "${@:2}" --remote-command="$1" source "far:$to"
        [ "$(grep -c '^error: ' err)" = 2 ] || fail "not one error and the end: $(cat err)"
        tail -n 1 err | grep -q '^error: backup failed' || fail "the last line is not the end: $(cat err)"
        [ -z "$(ls -A parent)" ] || fail "something was made"
}

far_is "$tmp/nothing-there"
says 'the command is not there (status 127)'
needed='rsync-system-backup must be installed on that machine, where its PATH finds it or --remote-command says'
says "$needed"
far_is true
says "the command ended with status 0, and printed nothing; $needed"
far_is 'printf "\r\n\n"; sleep 0.2; printf "  \033[1mUsage:\033[0m thing [OPTIONS]\n  --more\n"; exit 2 #'
says "or its shell prints something: '\033[1mUsage:\033[0m thing [OPTIONS]'; $needed"
far_is 'printf "error: unknown option\0 --server\007\nusage: thing\n\n  more\n" >&2; exit 2 #'
says "the command ended with status 2: error: unknown option --server\a ... more; $needed"
far_is "$PYTHON -c 'print(\"x\" * 100000)' #"
says "prints something: 'xxxxxxx"
[ "$(wc -c <err)" -lt 1000 ] || fail "it is not shortened"
far_is 'echo Welcome to far; exec cat #'
says "error: far: the other side is no rsync-system-backup, or its shell prints something: 'Welcome to far'"
says 'a login script there must be silent'
far_is 'echo "This account is currently not available."; exit 1 #'
says 'error: '
far_is 'echo out of order >&2; exit 3 #'
says 'status 3'
says 'out of order'
far_is 'kill -KILL $$ #'
says 'signal KILL'
far_is 'exit 0 #'
says 'far'
says 'status 0'
far_is 'sleep 600 #' --timeout=2
says 'silent'

# A hello of another version, by a program that has one.
cat >hello.py <<END
import struct, sys, time
magic = b"\x89RSBP\r\n\x1a"
oldest, newest, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
sys.stdout.buffer.write(magic + struct.pack("<HHIB", oldest, newest, 0, len(name)) + name)
sys.stdout.buffer.write(bytes.fromhex("".join(sys.argv[4:])))
sys.stdout.buffer.flush()
time.sleep(30)
END
far_is "$PYTHON $tmp/hello.py 2 3 9.9.9 #"
says 'rsync-system-backup 9.9.9'
says 'speaks versions 2 to 3 of the protocol, this one ('
says 'install the same version on both sides'

# Answers that are none, and an agent that goes silent in the middle of it.
for packet in 02000000ff00 0500000010040000ff 00000000 ffffff00 0400000011020102 020000001000 0200000012 \
        06000000130400000000 0400000014020909 040000001502ffff 030000001601ff; do
        far_is "$PYTHON $tmp/hello.py 1 1 1 $packet #" --timeout=3
        says 'far: '
done
# Longer than any login takes on a busy machine.
far_is "$PYTHON $tmp/hello.py 1 1 1 #" --timeout=10
says 'far: the server has been silent for 10 seconds'

# The other way round: a client of another version, or something that is no client, on the agent's input.
agent_gets() {
        expect_status "$1" sh -c "printf '$2' | timeout 60 $agent --server"
        says "$3"
}
agent_gets 1 'GET / HTTP/1.0\r\n\r\n' 'the other side is no rsync-system-backup'
agent_gets 1 '' 'the connection to the client has ended'
agent_gets 1 '\211RSBP\r\n\032\005\000\006\000\000\000\000\000\0035.0' 'speaks versions 5 to 6'
grep -aqF RSBP out || fail "the agent has not said hello"
agent_gets 1 '\211RSBP\r\n\032\001\000\001\000\000\000\000\000\0011\002\000\000\000\002\000' 'breaks the protocol'
agent_gets 1 '\211RSBP\r\n\032\001\000\001\000\000\000\000\000\0011\377\377\377\000' 'breaks the protocol'

# By hand it is no use.
expect_status 2 "$PYTHON" -c 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' "$RSB" --server
grep -q 'nothing for a terminal' out || fail "a terminal is not told: $(cat out)"
expect_status 2 "$RSB" --server /dst
says '--server takes no SOURCE and no DESTINATION'

# It is called as it was typed, whoever speaks of it: the agent, the end of the command, the connection.
mkdir file-here
touch file-here/file
for name in far "$user@far"; do
        expect_status 1 run_backup "${options[@]}" --remote-command='exit 3 #' source "$name:$to"
        says "error: $name: the command ended with status 3"
        expect_status 1 run_backup "${options[@]}" --remote-command='echo hello #' source "$name:$to"
        says "error: $name: the other side is no"
        expect_status 1 run_backup "${options[@]}" --remote-command="$agent" source "$name:$tmp/file-here"
        says "error: $name: '$tmp/file-here' is not empty"
done
mv "$tmp/far.authorized" "$tmp/authorized"
touch "$tmp/far.authorized"
for name in "far as $user" "$user@far"; do
        expect_status 1 run_backup "${options[@]}" source "${name% as *}:$to"
        says "error: cannot log in to $name: "
done

# Nobody listens where it is sought.
close_port
config 'Host far' 'HostName 127.0.0.1' "Port $closed_port"
for name in far "$user@far"; do
        expect_status 1 run_backup "${options[@]}" source "$name:$to"
        says "error: $name: cannot connect to 127.0.0.1 port"
        says 'refused'
done
[ -z "$(ls -A parent)" ] || fail "something was made"
