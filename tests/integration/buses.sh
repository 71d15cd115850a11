# shellcheck shell=bash disable=SC2154 # from lib.sh
# Sourced by tests that need buses: real ones, and on them what the program talks to (bus-peers.py).
: "${tmp:?lib.sh comes first}"

need dbus-daemon
"$PYTHON" -c 'import dbus, gi' 2>/dev/null || skip "needs dbus and gi for $PYTHON"

bus_processes=()

end_buses() {
        [ ${#bus_processes[@]} = 0 ] || kill "${bus_processes[@]}" 2>/dev/null || true
        wait 2>/dev/null || true
        bus_processes=()
}
trap 'status=$?; end_buses; clean_up "$status"' EXIT

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
        local end=$((SECONDS + $1))
        shift

        until "$@"; do
                [ $SECONDS -lt $end ] || fail "waited in vain for: $*"
                sleep 0.05
        done
}

# start_bus SOCKET [COMMAND...]: a bus of its own, run by means of COMMAND; where it listens is $bus.
start_bus() {
        local socket=$1
        shift

        bus=unix:path=${socket// /%20}
        rm -f "$tmp/listens"
        # It tells its address when it listens there.
        "$@" dbus-daemon --session --nofork --nopidfile --nosyslog --address="$bus" --print-address </dev/null >"$tmp/listens" 2>&1 &
        bus_processes+=($!)
        wait_for 60 grep -qs "^unix:" "$tmp/listens"
}

# start_silence SOCKET: who connects is let in, and hears nothing.
start_silence() {
        "$PYTHON" -c '
import os, socket, sys, time
with socket.socket(socket.AF_UNIX) as s:
    s.bind(sys.argv[1] + ".new")
    s.listen(9)
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    kept = [s.accept() for _ in range(9)]
    time.sleep(999)' "$1" &
        bus_processes+=($!)
        wait_for 60 test -S "$1"
}

# start_peers LOG ROLE...: on $bus, by means of the words in $peers_by.
peers_by=()
start_peers() {
        local log=$1
        shift

        : >"$log"
        chmod 666 "$log"
        "${peers_by[@]}" "$PYTHON" "$here/bus-peers.py" "$bus" "$log" "$@" </dev/null >"$tmp/peers.log" 2>&1 &
        bus_processes+=($!)
        wait_for 60 grep -q '"event": "ready"' "$log"
}

# unhurried COMMAND...: it says so, with fail, when something is not as it should be. Where that took longer than the second
# that the program waits for an answer, the machine was too busy to give one: that proves nothing, and is tried again.
unhurried() {
        local began _

        for _ in 1 2 3 4; do
                began=${EPOCHREALTIME/./}
                ! ("$@") || return 0
                [ $((${EPOCHREALTIME/./} - began)) -gt 900000 ] || break
                sleep 3 # what is late comes
        done
        fail "not so: $*"
}

# happened LOG: one word of each thing.
happened() {
        "$PYTHON" -c '
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    what = json.loads(line)
    if what["event"] != "ready":
        print(what["event"], what.get("summary", what.get("what", "")), sep=":")' "$1"
}
