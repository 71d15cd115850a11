#!/bin/bash
# daemon-connects-again.sh CUTS [SEED]: a connection to an rsync daemon that breaks, at whatever byte and in whichever
# direction and way, that carries nothing any more, or whose daemon is killed, is made again, and what arrives is exact in the
# end; without another attempt the run fails and says why. A limit of the rate is kept.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 500m
. "$here/rsyncd.sh"

cuts=$1
RANDOM=${2:-1}
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
start_rsyncd main
add_module backup

mkdir proxy
echo 0 >proxy/open
"$PYTHON" "$here/faulty-proxy.py" "$tmp/proxy" "$port" 2>proxy/log &
proxy_pid=$!
trap 'status=$?; kill "$proxy_pid" 2>/dev/null; stop_rsyncds; (exit "$status"); clean_up' EXIT
for _ in $(seq 200); do
        [ -f proxy/port ] && break
        sleep 0.05
done
proxy_port=$(cat proxy/port)

# plan [LINE...]: what happens to the next connections.
plan() {
        for _ in $(seq 100); do
                [ "$(cat proxy/open)" != 0 ] || break
                sleep 0.05
        done
        : >proxy/counts
        [ $# = 0 ] || printf '%s\n' "$@" >proxy/plan
        [ $# != 0 ] || rm -f proxy/plan
}

push() {
        run_backup --force "$@" source "rsync://127.0.0.1:$proxy_port/backup/latest"
}

# The server's own rsync finds nothing that is to be done.
exact() {
        local left

        left=$(rsync -aHAXn --numeric-ids --delete --itemize-changes --checksum source/ "rsync://127.0.0.1:$port/backup/latest/")
        [ -z "$left" ] || fail "$1: it is not exact: $left"
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

echo '-- how much goes when all is well'
plan
old_tree
expect_status 0 push
exact 'without faults'
for _ in $(seq 100); do
        [ ! -s proxy/counts ] || break
        sleep 0.05
done
read -r up down <proxy/counts

echo '-- cut once'
for ((i = 0; i < cuts; i++)); do
        way=up most=$up kind=rst
        [ $((i % 3)) != 2 ] || way=down most=$down
        [ $((i % 2)) = 0 ] || kind=fin
        at=$(((RANDOM * 32768 + RANDOM) % most))
        old_tree
        plan "cut=$way:$at:$kind"
        expect_status 0 push --retries=2
        exact "after a cut ($kind) of $at bytes $way"

        old_tree
        plan "cut=$way:$at:$kind"
        expect_status 1 push --retries=0
        [ "$(grep -c '^error: ' "$tmp/err")" = 2 ] || fail "it is told so: $(cat "$tmp/err")"
        grep -q '^error: .*127\.0\.0\.1' "$tmp/err" || fail "it is not told who: $(cat "$tmp/err")"
        plan
        expect_status 0 push
        exact "in the run after one that was cut after $at bytes $way"
done

echo '-- cut again and again, and too often'
plan "cut=up:$((up / 2)):rst" "cut=up:$((up / 3)):fin" "cut=down:$((down / 2)):rst"
old_tree
expect_status 1 push --retries=2
says 'trying again in 2 s (2 of 2)'
plan "cut=up:$((up / 2)):rst" "cut=up:$((up / 3)):fin"
old_tree
expect_status 0 push --retries=2
exact 'after two cuts'

echo '-- nothing more comes'
for where in "up:$((up / 2))" "down:$((down / 2))" up:100 down:30; do
        plan "stall=$where:0"
        old_tree
        expect_status 1 push --retries=0 --timeout=2
        says 'silent for 2 seconds'
        plan "stall=$where:0"
        expect_status 0 push --retries=1 --timeout=2
        exact "after a stall, $where"
done
echo '-- for a while only'
plan "stall=up:$((up / 2)):3"
old_tree
expect_status 0 push --retries=0 --timeout=10
exact 'after a short stall'
says_nothing_of 'trying again'

echo '-- the daemon is killed'
# What serves a connection is a child of the daemon, and has another.
plan
for seconds in 0.1 0.4 0.8; do
        old_tree
        push --retries=0 --bwlimit=1M >out 2>"$tmp/err" &
        client=$!
        sleep "$seconds"
        pkill -9 -P "${rsyncd_pids[main]}" || true
        status=0
        wait "$client" || status=$?
        [ "$status" = 1 ] || fail "status $status with a daemon that was killed after $seconds s: $(cat "$tmp/err")"
        grep -q '^error: .*127\.0\.0\.1' "$tmp/err" || fail "it is not told: $(cat "$tmp/err")"
        expect_status 0 push
        exact "in the run after the daemon was killed after $seconds s"
done

echo '-- a limit of the rate'
rm -rf "$modules/backup/latest"
head -c 6M /dev/urandom >source/large
began=$(date +%s%N)
expect_status 0 push --bwlimit=2M
took_ms=$((($(date +%s%N) - began) / 1000000))
exact 'with a limit'
for _ in $(seq 100); do
        [ "$(cat proxy/open)" != 0 ] || break
        sleep 0.05
done
sent=$(tail -n 1 proxy/counts | cut -d' ' -f1)
least_ms=$((sent * 900 / (2 * 1024 * 1024)))
[ "$took_ms" -ge "$least_ms" ] || fail "$sent bytes in $took_ms ms with a limit of 2 MiB a second"
[ "$took_ms" -le $((sent * 1100 / (2 * 1024 * 1024) + 1000)) ] || fail "$sent bytes take $took_ms ms with a limit of 2 MiB a second"
