#!/bin/bash
# memory-may-run-out.sh [POINTS]: any single allocation of a run fails, or all from one on. It ends with a message or with
# an exact copy, never by a signal; nothing is deleted that is still there, snapshots stay as they were, one that exists
# is whole, and the next run heals.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
[ -n "${RSB_FAIL_MALLOC:-}" ] || skip "RSB_FAIL_MALLOC does not name the module"
# They have allocators of their own.
! grep -q '__[atm]san_init' "$RSB_PROGRAM" || skip "the program has a sanitizer in it"
in_memory 100m
"$PYTHON" "$here/failures.py" memory "$RSB_PROGRAM" "$RSB_FAIL_MALLOC" "$@"
