#!/bin/bash
# A connection that carries nothing any more is noticed within --timeout, in whatever direction, and so is an agent that is
# frozen; a pause that is shorter does no harm. A server that is restarted is found again, and so is an agent by a client that
# was frozen for longer than that waits. An agent that loses its client
# while it makes or removes a snapshot ends, leaves nothing half-made, and the next run works.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 300m
. "$here/ssh.sh"
. "$here/agent.sh"
. "$here/faulty.sh"

round=0
start_far
start_proxy
source=$tmp/source parent=$tmp/parent
mkdir -m 700 "$source" "$parent"

change() {
        "$PYTHON" "$judge/busy.py" "$source" $((round += 1))
        head -c 3M /dev/urandom >"$source/large"
}

backup() {
        far_backup "$@" "$source" "$parent/latest"
}

start() {
        rm -f "$tmp/agent.pid"
        "$RSB" --disable-notifications --remote-command="$agent" "$@" "$source" "far:$parent/latest" \
                >"$tmp/out" 2>"$tmp/err" &
        client=$!
}

heals() {
        agent_has_ended
        frozen "$parent" --gone-ok
        plan
        expect_status 0 backup
        same "$source" "$parent/latest"
        same "$source" "$parent/$(snapshots "$parent" | tail -n 1)"
        frozen "$parent" --gone-ok
        [ -z "$(find "$parent" -maxdepth 1 -name '.rsync-system-backup.*')" ] || fail "something is left over"
}

# fails_within FROM TO OPTION...: so many seconds.
fails_within() {
        local from=$1 to=$2 began=$SECONDS
        shift 2

        expect_status 1 backup --retries=0 "$@"
        began=$((SECONDS - began))
        ((began >= from - 1 && began <= to)) || fail "it took $began s: $(cat "$tmp/err")"
        grep -qE '^error: .*(not answered for|said nothing for|silent for) [0-9]+ s' "$tmp/err" ||
                fail "it does not tell why: $(cat "$tmp/err")"
}

# in_the_transfer: what was started has come there.
in_the_transfer() {
        for _ in $(seq 600); do
                kill -0 $client 2>/dev/null || break
                [ ! -s "$tmp/agent.pid" ] || [ -z "$(find "$parent/latest" -name '.rsync-system-backup.tmp-*' -print -quit)" ] ||
                        return 0
                sleep 0.05
        done
        fail "it does not come to the transfer: $(cat "$tmp/err")"
}

end_agent() {
        kill -KILL "$(cat "$tmp/agent.pid")" 2>/dev/null || true
}

change
plan
expect_status 0 backup
frozen "$parent"

echo "-- it carries nothing any more"
for fault in up:1000000:0 down:4500:0; do
        change
        plan "stall=$fault"
        fails_within 4 20 --timeout=4
        end_agent
        heals
done

echo "-- not even the login"
plan stall=up:1000:0
fails_within 3 20 --timeout=3

echo "-- for a while"
change
plan stall=up:1000000:3
expect_status 0 backup --timeout=20
says_nothing_of 'trying again'
heals

echo "-- the agent is frozen, at the transfer"
change
plan
start --retries=0 --timeout=7 --bwlimit=500
in_the_transfer
kill -STOP "$(cat "$tmp/agent.pid")"
began=$SECONDS status=0
wait $client || status=$?
began=$((SECONDS - began))
kill -CONT "$(cat "$tmp/agent.pid")"
[ "$status" = 1 ] || fail "status $status"
((began >= 5 && began <= 30)) || fail "it took $began s: $(cat "$tmp/err")"
says 'silent for 7 s'
heals

echo "-- the client is frozen, longer than its agent waits, by a clock that is fast"
library=$(find /usr/lib* -name libfaketimeMT.so.1 2>/dev/null | head -n 1)
if [ -n "$library" ] && ! grep -q '__[atm]san_init' "$RSB_PROGRAM"; then
        sed -i "2i LD_PRELOAD='$library' FAKETIME='+0 x6' NO_FAKE_STAT=1 FAKE_UTIME=0\n\
export LD_PRELOAD FAKETIME NO_FAKE_STAT FAKE_UTIME" "$agent"
        usual=$parent parent=$tmp/elsewhere
        mkdir -m 700 "$parent"
        plan
        expect_status 0 backup -b
        change
        plan
        start -b --bwlimit=500
        in_the_transfer
        kill -STOP $client
        agent_has_ended
        kill -CONT $client
        status=0
        wait $client || status=$?
        [ "$status" = 0 ] || fail "status $status: $(cat "$tmp/err")"
        says 'the client has been silent for 60 seconds; trying again in 1 s (1 of 3)'
        ! grep '^error' "$tmp/err" || fail "what was done again is told as an error"
        same "$source" "$parent/latest"
        parent=$usual
        write_agent "$agent"
else
        echo "not tried: no library of faketime, or one that does not go with sanitizers"
fi

echo "-- the server is restarted"
change
plan
start -b --retries=9 --bwlimit=1000
in_the_transfer
server=$(cat "$tmp/far.pid")
sessions=$(pgrep -P "$server")
# shellcheck disable=SC2086
kill "$server" $sessions
timeout 30 tail --pid="$server" -f /dev/null || fail "the server does not end"
sleep 1
for _ in $(seq 60); do
        ! sshd_listens "$tmp/far.conf" "$tmp/far.log" "$tmp/far.pid" || break
        sleep 1 # somebody else's connection has got its port
done
status=0
wait $client || status=$?
[ "$status" = 0 ] || fail "status $status: $(cat "$tmp/err")"
says 'trying again in 1 s (1 of 9)'
same "$source" "$parent/latest"
heals

# lost_at WHAT PATTERN OPTION...: the client is gone when there is something of that name.
lost_at() {
        local what=$1 pattern=$2 first
        shift 2

        echo "-- the client is gone at $what"
        # It may be over before anybody has seen it.
        for _ in $(seq 20); do
                change
                plan
                rm -f "$tmp/agent.pid"
                "$PYTHON" "$here/stop-when.py" "$tmp/agent.pid" "$pattern" &
                first=$!
                start "$@"
                while kill -0 $first 2>/dev/null && kill -0 $client 2>/dev/null; do
                        sleep 0.05
                done
                kill $first 2>/dev/null || true
                if wait $first; then
                        kill -KILL $client 2>/dev/null || true
                        wait $client 2>/dev/null || true
                        sleep 0.5
                        kill -CONT "$(cat "$tmp/agent.pid")" 2>/dev/null || true
                        heals
                        return
                fi
                wait $client || fail "it does not end well: $(cat "$tmp/err")"
        done
        fail "it does not come to $what: $(cat "$tmp/err")"
}

for i in $(seq 3); do
        mkdir -p "$source/many/$i"
        for j in $(seq 500); do
                echo "$i $j" >"$source/many/$i/$j"
        done
done
lost_at 'the snapshot' "$parent/.rsync-system-backup.new/*/*"
expect_status 0 backup -s
lost_at 'the removal' "$parent/.rsync-system-backup.trash-*" --relaxed --minutely=1
