#!/bin/bash
# SIGINT, SIGTERM and SIGHUP at any stage of a run end it within a second, with 128+N and a last line that says so. No
# temporary stays in `latest`, snapshots are as they were, and the next run is exact. What the parent ignores stays ignored.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 1500m

rounds=${1:-15}
source=$tmp/source parent=$tmp/parent
mkdir -m 700 "$source" "$parent"
"$PYTHON" - "$source" <<'END'
import os, sys
for d in range(40):
    os.makedirs("%s/%d" % (sys.argv[1], d))
    for f in range(50):
        with open("%s/%d/%d" % (sys.argv[1], d, f), "wb") as file:
            file.write(b"%d" % f * 200)
END
head -c 100M /dev/zero | tr '\0' x >"$source/large"
expect_status 0 run_backup "$source" "$parent/latest"
frozen "$parent"
old="$parent/2001-01-01 00:00:00"
numbers=([1]=HUP [2]=INT [15]=TERM)

# interrupt NUMBER DELAY(ms): in the middle of a run that has something to do at every stage; it takes $ended ms to end.
interrupt() {
        local status=0 before pid

        touch "$source/large" "$source/7/"*
        rm -rf "$source/1" "$source/new" && cp -r "$source/7" "$source/new" && cp -r "$source/8" "$source/1"
        rm -f "$tmp/frozen.store/2001-01-01 00:00:00"
        [ -e "$old" ] || cp -r "$parent/latest/2" "$old"
        # The shell has what it starts in the background ignore SIGINT.
        env --default-signal=INT "$RSB" --yearly=1 "$source" "$parent/latest" >"$tmp/out" 2>"$tmp/err" &
        pid=$!
        sleep "$(printf '%d.%03d' $(($2 / 1000)) $(($2 % 1000)))"
        before=$(date +%s%N)
        kill "-$1" $pid 2>/dev/null || true
        wait $pid || status=$?
        ended=$((($(date +%s%N) - before) / 1000000))
        [ $status = 0 ] && ended=0 && return
        [ $status = $((128 + $1)) ] || fail "status $status after signal $1: $(cat "$tmp/err")"
        stopped[$1]=$((stopped[$1] + 1))
        # Before there is a handler, nothing has been touched and nothing is said.
        [ ! -s "$tmp/err" ] || tail -n 1 "$tmp/err" | grep -q "ended by signal ${numbers[$1]}" ||
                fail "the last line does not tell of the signal: $(cat "$tmp/err")"
        left=$(find "$parent/latest" -name '.rsync-system-backup.*')
        [ -z "$left" ] || fail "temporaries are left: $left"
        ! grep -q '^error: .*cannot' "$tmp/err" || fail "a signal is told as an error: $(cat "$tmp/err")"
}

stopped=([1]=0 [2]=0 [15]=0)
for ((round = 0; round < rounds; round++)); do
        signals=(2 15 1)
        # It may be the machine that takes a second, but not each time.
        for _ in 1 2 3 4; do
                interrupt "${signals[round % 3]}" $((round * round * 2 + 3))
                [ "$ended" -ge 1000 ] || break
        done
        [ "$ended" -lt 1000 ] || fail "it took $ended ms to end after signal ${signals[round % 3]}"
        "$PYTHON" "$judge/frozen.py" check "$parent" "$tmp/frozen.store" --gone-ok || fail "a snapshot has changed"
        ((round % 5 == 4)) || continue
        expect_status 0 run_backup "$source" "$parent/latest"
        same "$source" "$parent/latest"
        [ -z "$(find "$parent" -name '.rsync-system-backup.*')" ] || fail "leftovers were not swept"
done
for number in "${!stopped[@]}"; do
        [ "${stopped[number]}" -ge 1 ] || fail "no run could be stopped by signal $number on the way"
done
expect_status 0 run_backup "$source" "$parent/latest"
same "$source" "$parent/latest"
same "$source" "$parent/$(snapshots "$parent" | tail -n 1)"

# nohup(1).
touch "$source/large"
trap '' HUP
"$RSB" -b "$source" "$parent/latest" 2>"$tmp/err" &
pid=$!
trap 'exit 129' HUP
sleep 0.1
kill -HUP $pid 2>/dev/null || true
wait $pid || fail "a run that is to ignore SIGHUP ended with $?: $(cat "$tmp/err")"
