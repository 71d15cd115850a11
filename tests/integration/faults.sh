# shellcheck shell=bash
# Faults at chosen system calls of the program, by strace(1): the call fails, or the program is killed or stopped there.
# Source it after lib.sh and call need_tracing.
#
# A PATH chooses the calls that name it or work on a descriptor of it, '' takes all. A WHEN counts the calls of one
# thread. What was traced is in $tmp/trace, with the paths of descriptors.
: "${tmp:?lib.sh comes first}"

need_tracing() {
        need strace
        strace -f -qq -o /dev/null -e trace=getcwd -e inject=getcwd:error=EIO sh -c 'exit 7' 2>/dev/null || [ $? = 7 ] ||
                skip "cannot trace here"
        # The leak sanitizer wants to trace as well.
        export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
}

# with_fault PATH CALL WHAT OPTIONS...: run it with these options; WHAT as in strace's -e inject=CALL:WHAT.
with_fault() {
        local path=$1 call=$2 what=$3
        shift 3

        strace -f -qq -y -o "$tmp/trace" ${path:+-P "$path"} -e trace="$call" -e inject="$call:$what" \
                "$RSB_PROGRAM" --disable-notifications "$@"
}

# was_injected: did the fault come about?
was_injected() {
        grep -q '(INJECTED)$' "$tmp/trace"
}

# stop_at PATH CALL WHEN OPTIONS...: run it in the background until the end of that call, and leave it stopped there. Its
# process is $stopped; go_on lets it go on and waits for it, what it said is in $tmp/err.
stop_at() {
        local path=$1 call=$2 when=$3 lines _
        shift 3

        rm -f "$tmp/trace"
        strace -D -f -q -y -o "$tmp/trace" ${path:+-P "$path"} -e trace="$call" \
                -e inject="$call:signal=STOP:when=$when" "$RSB_PROGRAM" --disable-notifications "$@" >"$tmp/out" 2>"$tmp/err" &
        stopped=$!
        for _ in $(seq 1000); do
                # A line for each thread, when it has stopped.
                kill -0 "$stopped" 2>/dev/null || break
                lines=$(grep -c -e '--- stopped by SIGSTOP ---' "$tmp/trace" 2>/dev/null) || true
                [ "${lines:-0}" -lt 1 ] || [ "$lines" -lt "$(find "/proc/$stopped/task" -mindepth 1 -maxdepth 1 | wc -l)" ] ||
                        return 0
                sleep 0.01
        done
        cat "$tmp/err" >&2
        fail "it did not come to call $when of $call${path:+ on $path}"
}

# go_on STATUS: let it go on; it ends with that status.
go_on() {
        local status=0 state

        # Again and again: another thread may come to such a call for the first time and stop as well.
        while read -r _ _ state _ <"/proc/$stopped/stat" && [ "$state" != Z ]; do
                kill -CONT "$stopped" || true # it may have ended just now
                sleep 0.02
        done 2>/dev/null
        wait "$stopped" || status=$?
        [ "$status" = "$1" ] && return
        cat "$tmp/err" >&2
        fail "exit status $status instead of $1"
}
