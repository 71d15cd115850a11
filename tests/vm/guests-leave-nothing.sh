#!/bin/bash
# guests-leave-nothing.sh: a guest's script gives the status, whatever ends a guest ends all of it, and nothing is left
# on this machine but what the script wrote to $SHARE.
# shellcheck source=../integration/lib.sh
. "$(dirname "$(readlink -f "$0")")/../integration/lib.sh"
unset RSB RSB_PROGRAM # not run here
. "$(dirname "$(readlink -f "$0")")/host.sh"
reason=$(why_no_guest)
[ -z "$reason" ] || skip "$reason"
guest=$(dirname "$(readlink -f "$0")")/guest
mkdir "$tmp/in" "$tmp/with space"
export TMPDIR=$tmp/in
echo "$TMPDIR/rsb-guest" >"$tmp/pattern"

# left: processes of a guest. Those that were killed may take a moment to go.
left() {
        grep -lsaF -f "$tmp/pattern" /proc/[0-9]*/cmdline || true
}

nothing_is_left() {
        for _ in $(seq 600); do
                [ -n "$(left)$(ls -A "$TMPDIR")" ] || return 0
                sleep 0.05
        done
        fail "processes or files are left: $(left) $(ls -A "$TMPDIR")"
}

# ends_with STATUS [OPTIONS --] COMMAND: the command is the guest's script.
ends_with() {
        local wanted=$1 script=${*: -1}

        echo "$script" >"$tmp/with space/script"
        expect_status "$wanted" "$guest" "${@:2:$#-2}" "$tmp/with space/script"
        nothing_is_left
}

# shellcheck disable=SC2016 # the guest expands it
ends_with 7 -s "$tmp/with space" 'touch "$SHARE/a file" /usr/local/written-by-a-guest; exit 7'
[ -e "$tmp/with space/a file" ] || fail "what was shared is not there"
[ ! -e /usr/local/written-by-a-guest ] || fail "the guest has written to this machine's root directory"
ends_with 125 'echo b >/proc/sysrq-trigger; sleep 60'
ends_with 125 'stty raw </dev/tty1; echo kill 0.1 >/dev/tty1; sleep 60'
ends_with 124 -t 3 'sleep 60'

# Killed without a chance to clean up.
echo "touch \$SHARE/began; sleep 60" >"$tmp/script"
"$guest" -s "$tmp" "$tmp/script" >/dev/null 2>&1 &
while [ ! -e "$tmp/began" ]; do
        kill -0 $! || fail "no guest started"
        sleep 0.1
done
kill -KILL $!
wait $! 2>/dev/null || true
nothing_is_left
