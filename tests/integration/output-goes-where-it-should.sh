#!/bin/bash
# What the program says: the list of changes on standard output, in whole lines, in order, and complete or the run is an
# error; all else on standard error, by level, without control characters off a terminal. Closed descriptors never lead
# into the backup.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync

in_memory 200m
mkdir -m 700 source parent
echo one >source/one
touch source/$'esc\033[31m'

touch_all() {
        sleep 0.01
        find source -type f -exec touch {} +
}

# Levels.
expect_status 0 run_backup -v source parent/latest
[ "$(grep -c . out)" = 5 ] || fail "-v lists something else than five changes: $(cat out)"
[ -s err ] || fail "there is no summary"
LC_ALL=C grep -q $'[\001-\011\013-\037\177]' out err && fail "there are control characters off a terminal"
tail -n 1 err | grep -q '^backup complete' || fail "the last line does not tell how it ended: $(cat err)"
chmod 755 parent
touch_all
expect_status 0 run_backup -b source parent/latest
[ ! -s out ] || fail "without -v something is listed: $(cat out)"
expect_status 0 run_backup -q -b source parent/latest
[ "$(cut -d: -f1 err | sort -u)" = warning ] || fail "-q shows more or less than warnings: $(cat err)"
expect_status 0 run_backup -qq -b source parent/latest
[ ! -s err ] || fail "-qq shows more than errors: $(cat err)"
expect_status 1 run_backup -qq source parent/none/latest/x
grep -q '^error: ' err || fail "-qq hides errors"
chmod 700 parent

# A list that does not arrive is an error, but the backup is made all the same.
for sink in '>/dev/full' '>&-' '>&- 2>&-' '<&- >&-' '<&- >&- 2>&-'; do
        touch_all
        status=0
        eval "run_backup -vv -b source parent/latest $sink" 2>err || status=$?
        [ $status = 1 ] || fail "status $status although the list was lost ($sink)"
        [ ! -s err ] || grep -q 'standard output' err || fail "the reason is not told: $(cat err)"
        same source parent/latest
done
for sink in '2>&-' '<&-' '<&- 2>&-' '2>/dev/full'; do
        touch_all
        eval "run_backup -vv -b source parent/latest $sink" >out 2>err || fail "status $? with $sink"
        grep -q '^changed  one (mtime)$' out || fail "the list is not complete with $sink"
        same source parent/latest
done
grep -lr 'transfer:\|^changed' parent && fail "messages went into files of the backup"
run_backup --help >/dev/full 2>err && fail "help that was lost is no error"
expect_status 0 run_backup --help
[ ! -s err ] || fail "--help writes to standard error"

# A reader that goes away early.
for i in $(seq 3000); do
        echo "$i" >"source/a rather long name to fill the pipe with $i"
done
set +e
run_backup -v source parent/latest 2>err | head -n 1 >/dev/null
status=${PIPESTATUS[0]}
set -e
[ "$status" = 1 ] || fail "status $status although the reader went away"
expect_status 0 run_backup -b source parent/latest
same source parent/latest

# The list and the messages in one file: in order, and no line is cut. Each write is one of whole lines.
touch_all
expect_status 0 sh -c '"$@" 2>&1' - "$RSB" --disable-notifications -v -b source parent/latest
sed -n '/^changed  /!p' out | tr '\n' ' ' | grep -q '^destination: .* are free transfer: 3' || fail "lines are cut or come late: $(cat out)"
touch_all
"$PYTHON" - "$RSB" --disable-notifications -v -b source parent/latest 2>err <<'EOF' || fail "lines are cut: $(cat err)"
import os, subprocess, sys
end, start = os.pipe2(os.O_DIRECT)  # one read gives what one write wrote
with subprocess.Popen(sys.argv[1:], stdout=start) as run:
    os.close(start)
    writes = list(iter(lambda: os.read(end, 1 << 16), b""))
sys.exit(run.returncode or not 10 < len(writes) < 1000 or any(not w.endswith(b"\n") for w in writes))
EOF

# A snapshot's name may hold any byte between its fields: none that upsets a terminal or a log gets there.
escape=$'\e' line=$'\n'
mkdir -p "$tmp/odd/latest" "$tmp/odd/2020${escape}01-10" "$tmp/odd/2020${line}01-11" "$tmp/odd/2099${escape}01-10" \
        "$tmp/odd/2020-01-12"
for flags in -r -vr; do
        expect_status 0 run_backup "$flags" --daily=1 "$tmp/odd/latest"
        ! grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$tmp/out" "$tmp/err" || fail "control characters were shown"
        mkdir -p "$tmp/odd/2020${escape}01-10"
done
