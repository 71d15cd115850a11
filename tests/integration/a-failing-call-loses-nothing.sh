#!/bin/bash
# a-failing-call-loses-nothing.sh [POINTS]: any single system call of a run fails, with one error or another. The run ends
# with a message or with an exact copy; nothing is deleted that is still there, snapshots stay as they were, one that
# exists is whole, and the next run heals. In order, of a small tree and of all that a run touches; any-call-may-fail.sh
# draws by lot, from a larger tree.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need strace
# The leak sanitizer and strace want to be the only one who traces.
! grep -q '__[atm]san_init' "$RSB_PROGRAM" || skip "the program has a sanitizer in it"
in_memory 100m
strace --seccomp-bpf -f -o /dev/null -e trace=fsync -e inject=fsync:error=EIO true 2>/dev/null ||
        skip "this strace cannot make calls fail"
"$PYTHON" "$here/failures.py" calls "$RSB_PROGRAM" "$@"
