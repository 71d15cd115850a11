#!/bin/bash
# hostile-daemons.sh [STEP]: rsync daemons that do not keep to the protocol, that ask for what is not there, tell of what
# cannot be, say too much or nothing at all, do not read, give up, or whose connection ends behind each STEP-th byte. The
# client says what is wrong and ends, in time, without a crash and without much memory, and does not say that all is well
# when it is not; the source is what it was. RSB_HOSTILE chooses some of them, RSB_HOSTILE_SHOW=1 tells what each came to.
. "$(dirname "$0")/lib.sh"
need_program

cd "$tmp"
"$PYTHON" "$here/hostile-daemons.py" source 2>err || { grep -q 'not supported' err && skip "no extended attributes here"; fail "$(cat err)"; }
before=$("$PYTHON" "$here/facts.py" source)
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}exitcode=99"
"$PYTHON" "$here/hostile-daemons.py" source "$RSB" "${1:-1}" || fail "hostile daemons"
after=$("$PYTHON" "$here/facts.py" source)
[ "$before" = "$after" ] || fail "the source was changed: $(diff <(echo "$before") <(echo "$after"))"
