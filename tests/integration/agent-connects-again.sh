#!/bin/bash
# agent-connects-again.sh CUTS [SEED]: a connection that breaks, at whatever byte and in whichever direction, or that carries
# nothing any more, is made again; the run goes on from what is stored and ends as if nothing had been. When it breaks too
# often the run fails, nothing half-made is there, and the next one is right.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 500m
. "$here/ssh.sh"
. "$here/agent.sh"

cuts=$1
RANDOM=${2:-1}
start_far
server_port=$port
mkdir -m 700 source parent
torture make source --seed 1 --size small
head -c 3M /dev/urandom >source/large
to=$tmp/parent/latest

# through RULE...: from now on connections go through a proxy with these rules.
proxy=
through() {
        [ -z "$proxy" ] || kill "$proxy" 2>/dev/null || true
        rm -f proxy-port
        "$PYTHON" "$here/cutting-proxy.py" proxy-port "$server_port" "$@" &
        proxy=$!
        for _ in $(seq 600); do
                [ -f proxy-port ] && break
                sleep 0.05
        done
        port=$(cat proxy-port)
        known far
        config 'Host far' 'HostName 127.0.0.1' "Port $port" "IdentityFile $keys/client" "User $user"
}
trap 'status=$?; [ -z "$proxy" ] || kill "$proxy" 2>/dev/null; stop_sshds; clean_up "$status"' EXIT

# How much goes over the wire when all is well, for one that is new.
through
expect_status 0 far_backup -b source "$to"
sent=$(sed -n 's/^connection: \([0-9.]*\) MiB sent.*/\1/p' err)
[ -n "$sent" ] || fail "it is not told how much was sent: $(cat err)"
most=$("$PYTHON" -c "print(int($sent * 1048576))")

same_again() {
        same source parent/latest
        [ ! -e parent/.rsync-system-backup.new ] || fail "half a snapshot is there"
}

for ((i = 0; i < cuts; i++)); do
        rm -rf parent
        mkdir -m 700 parent
        # Behind the login, which is some kilobytes, for the way up; what comes down is little in all.
        if [ $((i % 3)) = 2 ]; then
                through "down:$((5000 + RANDOM % 6000))"
        else
                through "up:$((4500 + (RANDOM * 32768 + RANDOM) % most))"
        fi
        status=0
        far_backup source "$to" >out 2>err || status=$?
        if [ "$status" = 0 ]; then
                same_again
        else
                # It broke before the agent had answered for the first time: that is told, not tried again.
                [ "$status" = 1 ] || fail "status $status"
                grep -q '^error: ' err || fail "it is not told why"
        fi
        expect_status 0 far_backup source "$to"
        same_again
        frozen parent
        rm -rf "$tmp/frozen.store"
done

# Again and again: as often as is asked for, and no more.
rm -rf parent
mkdir -m 700 parent
through "up:$((most / 4))" "up:$((most / 4))" "up:$((most / 4))" "up:$((most / 4))"
expect_status 1 far_backup --retries=2 source "$to"
says 'trying again in 1 s (1 of 2)'
says 'trying again in 2 s (2 of 2)'
[ "$(grep -c 'trying again' err)" = 2 ] || fail "it was tried $(grep -c 'trying again' err) times"
[ -z "$(snapshots parent)" ] || fail "there is a snapshot"
through
expect_status 0 far_backup source "$to"
same_again

# One that carries nothing any more.
rm -rf parent
mkdir -m 700 parent
through "freeze-up:$((most / 2))"
expect_status 0 far_backup --timeout=4 source "$to"
says 'trying again in 1 s (1 of 3)'
same_again

# While a snapshot is made or snapshots are removed: what comes twice does no harm.
for bytes in 6000 6200 6400 6600 6800; do
        through "up:$bytes"
        status=0
        far_backup -s -r --minutely=2 "$to" >out 2>err || status=$?
        [ "$status" = 0 ] || grep -q '^error: ' err || fail "status $status: $(cat err)"
        frozen parent --gone-ok
        for name in $(snapshots parent | tr ' ' '_'); do
                same source "parent/${name/_/ }"
        done
done
