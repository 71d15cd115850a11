#!/bin/bash
# Whatever ends one of the two sides, the other one notices, cleans up and ends: the lock is free, the disk is unmounted, no
# snapshot is half-made, and the next run goes on from what was stored. While a run is under way another one is refused.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 500m
. "$here/ssh.sh"
. "$here/agent.sh"

start_far
mkdir -m 700 source
mkdir -m 700 parent disk
to=$tmp/parent/latest
for i in $(seq 30); do
        head -c 1M /dev/urandom >"source/$i"
done

# start OPTION...: a run in the background that takes half a minute, $client; return when it is in the transfer.
start() {
        rm -f "$tmp/agent.pid"
        "$RSB" --disable-notifications --remote-command="$agent" --bwlimit=1000 "$@" >"$tmp/client.out" 2>"$tmp/client.err" &
        client=$!
        for _ in $(seq 600); do
                kill -0 $client 2>/dev/null || break
                grep -qs '^running' parent/.rsync-system-backup/state disk/.rsync-system-backup/state &&
                        [ "$(find parent/latest disk/latest -name '.rsync*' -o -size +0 2>/dev/null | wc -l)" -gt 2 ] &&
                        return
                sleep 0.05
        done
        cat "$tmp/client.err" >&2
        fail "the run does not begin"
}

# ended STATUS: the client has ended so, the agent has too, and nothing is left of them.
ended() {
        local status=0

        wait $client || status=$?
        [ "$status" = "$1" ] || fail "status $status instead of $1: $(cat "$tmp/client.err")"
        agent_has_ended
        mountpoint -q disk && fail "the disk is still mounted"
        [ ! -e parent/.rsync-system-backup.new ] || fail "half a snapshot is there"
        [ -z "$(snapshots parent)" ] || fail "there is a snapshot"
}

# heals: the next run is right, and then everything begins anew.
heals() {
        expect_status 0 far_backup source "$to"
        same source parent/latest
        rm -rf parent
        mkdir -m 700 parent
}

client_says() {
        grep -qF -- "$1" "$tmp/client.err" || fail "the client does not say '$1': $(cat "$tmp/client.err")"
}

# A second run, of another client or on the server itself.
start -b source "far:$to"
expect_status 1 far_backup -b source "$to"
says "error: far: another run"
says "(process $(head -n 1 parent/.rsync-system-backup/lock))"
expect_status 1 run_backup -b source parent/latest
says "error: another run"

# The client is told to end, in each way.
kill -TERM $client
ended 143
client_says 'stopped by signal TERM'
client_says 'backup ended by signal TERM'
heals
start source "far:$to"
kill -HUP $client
ended 129
heals

# The client dies, or its connection does.
start source "far:$to"
kill -KILL $client
ended 137
heals

# The agent is told to end: that is no broken connection, nobody tries again.
start source "far:$to"
kill -TERM "$(cat agent.pid)"
ended 1
client_says 'error: far: stopped by signal TERM'
heals

# The agent dies: the client connects again and goes on; or it does not, and says why.
start --retries=0 source "far:$to"
kill -KILL "$(cat agent.pid)"
ended 1
client_says 'was killed by signal KILL'
heals
start -b source "far:$to"
first=$(cat agent.pid)
kill -KILL "$first"
status=0
wait $client || status=$?
[ "$status" = 0 ] || fail "it did not go on: $(cat client.err)"
client_says 'trying again in 1 s (1 of 3)'
[ "$(cat agent.pid)" != "$first" ] || fail "there was no other agent"
same source parent/latest
rm -rf parent
mkdir -m 700 parent

# What was mounted for the run is unmounted, also when nobody is there to say so.
need mkfs.ext4
truncate -s 100M disk.img
mkfs.ext4 -q disk.img
echo "$tmp/disk.img $tmp/disk ext4 noauto,loop 0 0" >fstab
sed -i "2i LIBMOUNT_FSTAB='$tmp/fstab'; export LIBMOUNT_FSTAB" "$agent"
for signal in TERM KILL; do
        start --mount="$tmp/disk" source "far:$tmp/disk/latest"
        mountpoint -q disk || fail "the disk is not mounted"
        kill -$signal $client
        if [ $signal = KILL ]; then ended 137; else ended 143; fi
done
expect_status 0 far_backup --mount="$tmp/disk" source "$tmp/disk/latest"
says "far: mounted '$tmp/disk'"
says "far: unmounted '$tmp/disk'"

# Whoever ends the client does not wait for what a low limit of the rate still keeps back.
rm -rf parent source/*
mkdir -m 700 parent
head -c 20M /dev/urandom >source/large
"$RSB" --disable-notifications --remote-command="$agent" --bwlimit=10K --compress=never source "far:$to" \
        >client.out 2>client.err &
client=$!
until grep -qs '^running' parent/.rsync-system-backup/state; do
        kill -0 $client || fail "it does not begin: $(cat client.err)"
        sleep 0.05
done
sleep 2 # until there is something to keep back
kill -TERM $client
timeout 60 tail --pid=$client -f /dev/null || fail "it does not end"
ended 143
