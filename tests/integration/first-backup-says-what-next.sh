#!/bin/bash
# After the first backup somebody at a terminal is told where the files are and how to get one back, in commands that work;
# not after the next one, not with --quiet, not off a terminal, and not when something is missing.
. "$(dirname "$0")/lib.sh"
need_program

cd "$tmp"
mkdir source
echo one >source/one
parent="$tmp/it's a place"

# at_terminal ARGUMENTS...: what was said goes to $tmp/out.
at_terminal() {
        expect_status 0 "$PYTHON" "$here/on-terminal.py" -- "$RSB" --no-sudo --disable-notifications "$@"
        tr -d '\r' <out >said
}

silent() {
        ! grep -q 'first backup' said || fail "it says so $*: $(cat said)"
}

at_terminal source "$parent/latest"
[ "$(sed -n '/first backup/,$p' said | wc -l)" = 3 ] || fail "it does not say so in three lines: $(cat said)"
sed -n 's/.*:  \(ls .*\)/\1/p' said | sh >listed
[ "$(cat listed)" = one ] || fail "the files are not where it says: $(cat said)"
mkdir back
(cd back && sed -n 's/.*:  \(cp .*\)/\1/p' ../said | sed 's/NAME/one/' | sh)
cmp source/one back/one || fail "they do not come back by what it says: $(cat said)"

sleep 1.1
at_terminal source "$parent/latest"
silent twice
at_terminal --quiet source "$tmp/quiet/latest"
silent quietly
at_terminal -b source "$tmp/transfer/latest"
silent "without a snapshot"
at_terminal --dry-run source "$tmp/dry/latest"
silent "in a dry run"
expect_status 0 run_backup --no-sudo source "$tmp/off/latest"
cat out err >said
silent "off a terminal"
