#!/bin/bash
# A run is skipped, before anything is touched, on battery or where the network is metered, if it was told so; --force
# runs it anyway. While a run changes something the machine stays awake. A machine that knows nothing of all this, or
# does not answer, keeps no run from being made.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 50m
. "$here/buses.sh"
mount -t tmpfs -o mode=755 class /sys/class || skip "cannot mount a tmpfs over /sys/class"
mkdir source
touch source/file

# skipped WHY ARGUMENTS...
skipped() {
        local why=$1
        shift

        expect_status 0 run_backup "$@" source parent/latest
        printf '%s: the run is skipped; --force runs it anyway\nnothing was done\n' "$why" | diff - err ||
                fail "it is told otherwise: $*"
        [ ! -e parent ] || fail "something was touched: $*"
}

# done_by ARGUMENTS...
done_by() {
        expect_status 0 run_backup "$@" -b source parent/latest
        [ -e parent/latest/file ] || fail "nothing was done: $*"
        rm -r parent
}

# Power.
done_by --only-on-ac --min-battery=100
mkdir -p /sys/class/power_supply/BAT0
echo Battery >/sys/class/power_supply/BAT0/type
echo Discharging >/sys/class/power_supply/BAT0/status
echo 39 >/sys/class/power_supply/BAT0/capacity
skipped 'the machine runs on battery (--only-on-ac)' --only-on-ac
skipped 'the battery is down to 39 % (--min-battery=40)' --min-battery=40
skipped 'the battery is down to 39 % (--min-battery=40)' --min-battery=40 --dry-run
printf 'destination = %s/parent/latest\nsource = %s/source\nmin-battery = 40\nbackup = yes\nforce = yes\n' "$tmp" "$tmp" | sed '1i [laptop]' >laptop.ini
expect_status 0 run_backup --config=laptop.ini
[ ! -e parent ] || fail "the file's condition does not hold"
expect_status 0 run_backup --config=laptop.ini --force
rm -r parent
expect_status 0 run_backup --config=laptop.ini --min-battery=0
rm -r parent
expect_status 0 run_backup --config=laptop.ini --report=why.json
grep -q '"skipped": *"the battery is down to 39 % (--min-battery=40)"' why.json || fail "no reason: $(cat why.json)"
"$RSB" --status parent/latest | grep -A 1 '^skipped: ' | grep -q 'the battery is down to 39 %' || fail "--status does not say why"
done_by --only-on-ac --min-battery=40 --force
done_by --min-battery=39
expect_status 2 run_backup --min-battery=101 source parent/latest

# The network. The destination is a machine that is not there: with status 1 it was asked for.
start_bus "$tmp/system"
export DBUS_SYSTEM_BUS_ADDRESS=$bus
elsewhere=(run_backup --retries=0 --timeout=5 --not-on-metered source "rsync://127.0.0.1:1/module")
expect_status 1 "${elsewhere[@]}"
start_peers networks metered=1 logind
unhurried expect_status 0 "${elsewhere[@]}"
grep -q '^the network is metered (--not-on-metered): the run is skipped; --force runs it anyway$' err || fail "it is not told why: $(cat err)"
grep -q '"interface": "org.freedesktop.NetworkManager", "name": "Metered"' networks || fail "something else was asked: $(cat networks)"
expect_status 1 "${elsewhere[@]}" --force
: >networks
done_by --not-on-metered
! grep -q get networks || fail "the network is asked for although the destination is local"
for metered in 0 2 3 4; do
        kill "${bus_processes[1]}"
        wait "${bus_processes[1]}" || true
        unset "bus_processes[1]"
        bus_processes=("${bus_processes[@]}")
        start_peers networks "metered=$metered" logind
        unhurried expect_status $((metered == 3 ? 0 : 1)) "${elsewhere[@]}"
done

# The machine stays awake.
: >networks
done_by
wait_for 60 grep -q release networks
[ "$(happened networks | tr '\n' ' ')" = "inhibit:sleep release: " ] || fail "there is another lock: $(cat networks)"
grep -q '"who": "rsync-system-backup", "why": "a backup is being made", "mode": "block"' networks || fail "another lock: $(cat networks)"
: >networks
expect_status 0 run_backup --dry-run source parent/latest
skipped 'the machine runs on battery (--only-on-ac)' --only-on-ac
[ ! -s networks ] || fail "the machine stays awake for nothing: $(cat networks)"
# held: as long as the run lasts, that is for some seconds.
held() {
        : >networks
        expect_status 0 strace -f -o /dev/null -e trace=syncfs -e inject=syncfs:delay_enter=1000000 \
                "$RSB_PROGRAM" --disable-notifications -b source parent/latest
        wait_for 60 grep -q release networks
        "$PYTHON" -c '
import json, sys
taken, released = [json.loads(line)["at"] for line in open("networks")]
sys.exit(released - taken < 0.9)' || fail "the lock is not held as long as the run lasts: $(cat networks)"
}
if command -v strace >/dev/null && ! grep -q '__[atm]san_init' "$RSB_PROGRAM"; then
        unhurried held
        rm -r parent
fi

# Nobody who answers.
end_buses
rm -f system
done_by
start_silence system
began=${EPOCHREALTIME/./}
done_by
took=$((${EPOCHREALTIME/./} - began))
[[ $took -gt 900000 && $took -lt 15000000 ]] || fail "a bus that says nothing costs something else than a second: $took us"
