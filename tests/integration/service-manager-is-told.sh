#!/bin/bash
# A service of Type=notify: it is ready, tells what it is doing, how far it is and how it ended; the watchdog is answered
# while the disk is waited for, and more time is asked for then. Without a manager, or with one that does not listen, a
# run goes on as ever.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 50m

mkdir -m 700 source parent
for i in $(seq 60); do
        mkdir "source/$i"
        touch "source/$i/file"
done

# managed LOG [NAME=VALUE...] -- COMMAND...
managed() {
        "$PYTHON" "$here/notified.py" "$@"
}

# told LOG: the messages without their times.
told() {
        cut -d ' ' -f 2- "$1"
}

# times LOG PATTERN: when messages were sent.
times() {
        sed -n "s/^\([0-9.]*\) $2.*/\1/p" "$1"
}

expect_status 0 managed log -- "$RSB" --disable-notifications source parent/latest
[ "$(told log | head -n 1)" = READY=1 ] || fail "the first is something else: $(cat log)"
for what in 'STATUS=preparing' 'STATUS=transfer' 'STATUS=snapshot' 'STATUS=waiting for the disk' 'STATUS=rotation' \
        'STOPPING=1' 'STATUS=complete after '; do
        told log | grep -q "^$what" || fail "'$what' is not told: $(cat log)"
done
told log | tail -n 1 | grep -q '^STATUS=complete after ' || fail "the last is something else: $(cat log)"
! told log | grep -q WATCHDOG || fail "nobody asked for the watchdog: $(cat log)"

# How it ended, in the abstract namespace too.
expect_status 1 managed @log -- "$RSB" --disable-notifications missing parent/latest
told log | tail -n 1 | grep -q "^STATUS=failed after .*cannot read the source directory '.*/missing'" ||
        fail "it is not told how it failed: $(cat log)"

# Somebody who does not read, and nobody.
expect_status 0 env NOTIFY_SOCKET=/nowhere WATCHDOG_USEC=1000000 "$RSB" --disable-notifications source parent/latest
expect_status 0 env NOTIFY_SOCKET=relative "$RSB" --disable-notifications source parent/latest

# The rest takes time, which strace makes it take.
command -v strace >/dev/null || skip "needs strace for the second half"
! grep -q '__[atm]san_init' "$RSB_PROGRAM" || exit 0
# busy_disk: a run that waits for it.
busy_disk() {
        status=0
        managed log WATCHDOG_USEC=2000000 -- strace -f -o /dev/null -e trace=getdents64,syncfs -e inject=syncfs:delay_enter=3000000 \
                -e inject=getdents64:delay_enter=15000 "$RSB_PROGRAM" --disable-notifications -b source parent/latest \
                >out 2>err || status=$?
        [ $status = 0 ] || fail "status $status: $(cat err)"
}
# is_answered: not later than the half of it and what a busy machine takes.
is_answered() {
        times log WATCHDOG=1 | awk 'NR > 1 && $1 - last > most { most = $1 - last } { last = $1 }
                END { exit !(NR >= 4 && most < 1.9) }'
}
# A machine that is busier than that is so not each time.
for _ in 1 2 3 4; do
        busy_disk
        ! is_answered || break
done
is_answered || fail "the watchdog is not answered twice as often: $(cat log)"
told log | grep -q '^STATUS=transfer: [0-9]* entries ([0-9]* %)' || fail "the percentage is not told: $(cat log)"
[ "$(told log | grep -c '^EXTEND_TIMEOUT_USEC=60000000$')" -ge 1 ] || fail "no more time is asked for: $(cat log)"

# It means another process.
managed log WATCHDOG_USEC=1000 WATCHDOG_PID=1 -- "$RSB" --disable-notifications source parent/latest 2>err
! told log | grep -q WATCHDOG || fail "another's watchdog is answered: $(cat log)"
