#!/bin/bash
# agent-survives-cuts.sh CUTS [SEED]: a connection that breaks at whatever byte, in whichever direction, by a reset or by an
# orderly end, harms nothing: no finished snapshot changes, none is half-made. Where it is made again the run ends well by
# itself, else the next one does, and nothing is left over.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 300m
. "$here/ssh.sh"
. "$here/agent.sh"
. "$here/faulty.sh"

cuts=$1 round=0 tries=0
RANDOM=${2:-1}
start_far
start_proxy
source=$tmp/source parent=$tmp/parent
mkdir -m 700 "$source" "$parent"

backup() {
        far_backup --relaxed --minutely=3 --hourly=1 "$@" "$source" "$parent/latest"
}

# Small changes in many places, and in a large file; a snapshot that the scheme removes.
change() {
        "$PYTHON" "$judge/busy.py" "$source" $((round += 1))
        head -c 1M /dev/urandom >"$source/large-$((round % 3))"
        head -c 3000 /dev/urandom | dd of="$source/image" bs=1000 seek=$((RANDOM % 4000)) conv=notrunc status=none
        mkdir -p "$parent/2001-01-0"{1..5}" 00:00:00"
        touch "$parent/2001-01-0"{1..5}" 00:00:00"/{a..h}
        rm -rf "$tmp/frozen.store/2001"*
}

# Whatever has a snapshot's name is whole; those that were there before are as they were.
all_whole() {
        local name

        frozen "$parent" --gone-ok
        comm -13 "$tmp/before" <(snapshots "$parent") | while read -r name; do
                case $name in
                2001*) [ "$(find "$parent/$name" -type f | wc -l)" = 8 ] || fail "half a snapshot: $name" ;;
                *) same "$source" "$parent/$name" ;;
                esac
        done
}

complete() {
        local left

        same "$source" "$parent/latest"
        cmp "$source/image" "$parent/latest/image"
        all_whole
        left=$(find "$parent" -name '.rsync-system-backup?*' ! -path "$parent/.rsync-system-backup/*" \
                -o -name 'partial-*' -o -name '*.new')
        [ -z "$left" ] || fail "after a whole run this is left: $left"
}

# A run of which all is carried, and how much that is; and one that is refused at its first request.
head -c 4M /dev/urandom >"$source/image"
mkdir "$tmp/other"
touch "$tmp/other/file"
: >"$tmp/before"
change
plan
expect_status 0 backup
complete
change
snapshots "$parent" | grep -v ^2001 >"$tmp/before" || true
plan
expect_status 0 backup
declare -A all first
for way in up down; do all[$way]=$(carried $way); done
complete
plan
expect_status 1 far_backup -b "$source" "$tmp/other"
for way in up down; do first[$way]=$(carried $way); done
echo "all: ${all[up]} up, ${all[down]} down; at first: ${first[up]}, ${first[down]}"

# When all is done but the goodbye: how much that is, tells a run that has next to nothing else to do.
mkdir "$tmp/little"
expect_status 0 far_backup -b "$tmp/little" "$tmp/there/latest"
plan
expect_status 0 far_backup -b "$tmp/little" "$tmp/there/latest"
last=$(carried up)
for at in 160 200 240 280 320; do
        plan "cut=up:$((last - at)):rst"
        expect_status 0 far_backup -b "$tmp/little" "$tmp/there/latest"
        ! grep -q 'trying again' "$tmp/err" || tries=$((tries + 1))
done
[ $tries -gt 1 ] || fail "no goodbye was cut off"

for ((cut = 0; cut < cuts; cut++)); do
        change
        snapshots "$parent" | grep -v ^2001 >"$tmp/before" || true
        way=up kind=rst from=${first[up]}
        [ $((cut % 2)) = 0 ] || way=down from=${first[down]}
        [ $((cut / 2 % 2)) = 0 ] || kind=fin
        [ $((cut % 6)) != 5 ] || from=0
        at=$((from + 1 + (RANDOM * 32768 + RANDOM) % (all[$way] - from)))
        retries=()
        [ $((cut % 3)) = 0 ] || retries=(--retries=0)
        echo "-- $kind after $at $way ${retries[*]}"
        plan "cut=$way:$at:$kind"
        status=0
        backup "${retries[@]}" >"$tmp/out" 2>"$tmp/err" || status=$?
        tail -n 2 "$tmp/err"
        [ $status = 0 ] || [ $status = 1 ] || fail "status $status"
        if [ $status = 0 ]; then
                complete
                continue
        fi
        grep -q '^error: .*far.*: ' "$tmp/err" || fail "it does not tell why: $(cat "$tmp/err")"
        # Before the first answer nobody knows whether it would ever go better.
        [ ${#retries[@]} != 0 ] || [ "$at" -le $((first[$way] + 200)) ] || fail "it was not tried again"
        ! grep -q 'trying again' "$tmp/err" || fail "it was tried again, and failed"
        [ ! -e "$tmp/agent.pid" ] || agent_has_ended
        all_whole
        snapshots "$parent" | grep -v ^2001 >"$tmp/before" || true
        plan
        expect_status 0 backup
        complete
done
