#!/bin/bash
# daemon-connects-again.sh CUTS [SEED]: a connection to an rsync daemon that breaks, at whatever byte and in whichever
# direction and way, that carries nothing any more, or whose daemon is killed, is made again, and what arrives is exact in the
# end; without another attempt the run fails and says why. A limit of the rate is kept. Most of this is waiting, so that what
# is independent is done at the same time, each with a module and a proxy of its own.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 500m
. "$here/rsyncd.sh"

cuts=$1
seed=${2:-1}
RANDOM=$seed
mkdir -p source/{a,b,c}/{d,e}/empty
for i in $(seq 300); do
        head -c $((RANDOM % 5000)) /dev/urandom >"source/$(echo {a,b,c}/{d,e} | cut -d' ' -f$((i % 6 + 1)))/$i"
done
ln source/a/d/6 source/b/e/another
ln -s nowhere source/c/symlink
mkfifo source/a/fifo
chmod 640 source/b/*/1?
setfattr -n user.long -v "$(head -c 900 /dev/zero | tr '\0' x)" source/a/d/12 2>/dev/null || true
head -c 3M /dev/urandom >source/large

# begin NAME: a daemon, its module and a proxy before it, and a place for what is said.
begin() {
        tmp=$tmp/$1 name=$1
        RANDOM=$seed
        modules=$tmp/modules
        mkdir -p "$modules" "$tmp/proxy"
        start_rsyncd main
        add_module backup
        echo 0 >"$tmp/proxy/open"
        "$PYTHON" "$here/faulty-proxy.py" "$tmp/proxy" "$port" 2>"$tmp/proxy/log" &
        proxy_pid=$!
        trap 'kill "$proxy_pid" 2>/dev/null; stop_rsyncds' EXIT
        for _ in $(seq 600); do
                [ -f "$tmp/proxy/port" ] && break
                sleep 0.05
        done
        proxy_port=$(cat "$tmp/proxy/port")
}

# plan [LINE...]: what happens to the next connections.
plan() {
        for _ in $(seq 600); do
                [ "$(cat "$tmp/proxy/open")" != 0 ] || break
                sleep 0.05
        done
        : >"$tmp/proxy/counts"
        [ $# = 0 ] || printf '%s\n' "$@" >"$tmp/proxy/plan"
        [ $# != 0 ] || rm -f "$tmp/proxy/plan"
}

push() {
        run_backup --force "$@" source "rsync://127.0.0.1:$proxy_port/backup/latest"
}

# The server's own rsync finds nothing that is to be done.
exact() {
        local left

        left=$(rsync -aHAXn --numeric-ids --delete --itemize-changes --checksum source/ "rsync://127.0.0.1:$port/backup/latest/")
        [ -z "$left" ] || fail "$name, $1: it is not exact: $left"
}

# The tree of the last time but one, so that there is something to delete, to change and to leave alone.
old_tree() {
        rm -rf "$modules/backup/latest"
        mkdir -p "$modules/backup/latest/gone/sub"
        cp -a source/. "$modules/backup/latest/"
        echo gone >"$modules/backup/latest/gone/sub/file"
        head -c 200000 source/large >"$modules/backup/latest/large"
        find "$modules/backup/latest" -type f | sort | awk 'NR % 3 == 0' | tr '\n' '\0' | xargs -0 -r rm -f
}

# measure: how much goes when all is well, $up and $down.
measure() {
        plan
        old_tree
        expect_status 0 push
        exact 'without faults'
        for _ in $(seq 600); do
                [ ! -s "$tmp/proxy/counts" ] || break
                sleep 0.05
        done
        read -r up down <"$tmp/proxy/counts"
}

cut_once() {
        measure
        for ((i = 0; i < cuts; i++)); do
                way=up most=$up kind=rst
                [ $((i % 3)) != 2 ] || way=down most=$down
                [ $((i % 2)) = 0 ] || kind=fin
                at=$(((RANDOM * 32768 + RANDOM) % most))
                old_tree
                missing=$(($(find source | wc -l) - $(cd source && find . -print0 | (cd "$modules/backup/latest" && xargs -0 ls -d 2>/dev/null) | wc -l)))
                plan "cut=$way:$at:$kind"
                expect_status 0 push --retries=2
                exact "after a cut ($kind) of $at bytes $way"
                # What was on its way when it was cut is asked for again, and counted once.
                made=$(sed -n 's/^changes: \([0-9]*\) new.*/\1/p' "$tmp/err")
                [ "${made:-0}" -le "$missing" ] || fail "of $missing that were missing $made are new: $(cat "$tmp/err")"

                old_tree
                plan "cut=$way:$at:$kind"
                expect_status 1 push --retries=0
                [ "$(grep -c '^error: ' "$tmp/err")" = 2 ] || fail "it is told so: $(cat "$tmp/err")"
                grep -q '^error: .*127\.0\.0\.1' "$tmp/err" || fail "it is not told who: $(cat "$tmp/err")"
                plan
                expect_status 0 push
                exact "in the run after one that was cut after $at bytes $way"
        done
}

cut_again_and_again() {
        measure
        plan "cut=up:$((up / 2)):rst" "cut=up:$((up / 3)):fin" "cut=down:$((down / 2)):rst"
        old_tree
        expect_status 1 push --retries=2
        says 'trying again in 2 s (2 of 2)'
        plan "cut=up:$((up / 2)):rst" "cut=up:$((up / 3)):fin"
        old_tree
        expect_status 0 push --retries=2
        exact 'after two cuts'
}

nothing_more_comes() {
        measure
        for where in "up:$((up / 2))" "down:$((down / 2))" up:100 down:30; do
                plan "stall=$where:0"
                old_tree
                # On a busy machine the others may be silent for as long, but not all of them.
                expect_status 0 push --retries=4 --timeout=2
                says 'silent for 2 seconds'
                says 'trying again in 1 s (1 of 4)'
                exact "after a stall, $where"
        done
        plan "stall=up:$((up / 2)):0"
        old_tree
        expect_status 1 push --retries=0 --timeout=2
        says 'silent for 2 seconds'
}

nothing_comes_for_a_while() {
        measure
        plan "stall=up:$((up / 2)):3"
        old_tree
        expect_status 0 push --retries=0 --timeout=10
        exact 'after a short stall'
        says_nothing_of 'trying again'
}

# What serves a connection is a child of the daemon, and has another.
the_daemon_is_killed() {
        plan
        for seconds in 0.1 0.4 0.8; do
                old_tree
                while pgrep -P "${rsyncd_pids[main]}" >/dev/null; do # of the connection before
                        sleep 0.02
                done
                push --retries=0 --bwlimit=200k >"$tmp/out" 2>"$tmp/err" &
                client=$!
                for _ in $(seq 1500); do
                        ! pgrep -P "${rsyncd_pids[main]}" >/dev/null || break
                        sleep 0.02
                done
                sleep "$seconds"
                pkill -9 -P "${rsyncd_pids[main]}" || true
                status=0
                wait "$client" || status=$?
                [ "$status" = 1 ] || fail "status $status with a daemon that was killed after $seconds s: $(cat "$tmp/err")"
                grep -q '^error: .*127\.0\.0\.1' "$tmp/err" || fail "it is not told: $(cat "$tmp/err")"
                expect_status 0 push
                exact "in the run after the daemon was killed after $seconds s"
        done
}

a_limit_of_the_rate() {
        mkdir "$tmp/source"
        # How much longer it takes is the machine's business at times, but not each time.
        for _ in {1..10}; do
                limited
                [ "$took_ms" -gt $((sent * 1100 / (2 * 1024 * 1024) + 1000)) ] || return 0
        done
        fail "$sent bytes take $took_ms ms with a limit of 2 MiB a second"
}

# limited: $sent bytes in $took_ms, which are enough.
limited() {
        plan
        head -c 6M /dev/urandom >"$tmp/source/large"
        began=$(date +%s%N)
        expect_status 0 run_backup --force --bwlimit=2M "$tmp/source" "rsync://127.0.0.1:$proxy_port/backup/latest"
        took_ms=$((($(date +%s%N) - began) / 1000000))
        cmp "$tmp/source/large" "$modules/backup/latest/large" || fail "it is not exact with a limit"
        for _ in $(seq 600); do
                [ ! -s "$tmp/proxy/counts" ] || break
                sleep 0.05
        done
        sent=$(tail -n 1 "$tmp/proxy/counts" | cut -d' ' -f1)
        least_ms=$((sent * 900 / (2 * 1024 * 1024)))
        [ "$took_ms" -ge "$least_ms" ] || fail "$sent bytes in $took_ms ms with a limit of 2 MiB a second"
}

declare -A trials=()
for trial in cut_once cut_again_and_again nothing_more_comes nothing_comes_for_a_while the_daemon_is_killed a_limit_of_the_rate; do
        (
                begin $trial
                $trial
                echo "$trial: $SECONDS s"
        ) >"$trial.log" 2>&1 &
        trials[$trial]=$!
done
failed=''
for trial in "${!trials[@]}"; do
        wait "${trials[$trial]}" || failed+=" $trial"
        cat "$trial.log"
done
[ -z "$failed" ] || fail "it went wrong:$failed"
