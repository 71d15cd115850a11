# shellcheck shell=bash disable=SC2154
# Faults at chosen system calls of the program, by strace(1): the call fails, or the program is killed or stopped there.
# Source it after lib.sh and call need_tracing.
#
# A PATH (several: A:B) chooses the calls that name it or work on a descriptor of it, '' takes all. A WHEN counts the calls of one
# thread. What was traced is in $tmp/trace, with the paths of descriptors.
#
# Over SSH (over-ssh.sh) the fault is the client's when the PATH is in $tmp/source or only a name, or when $side is client,
# else the agent's.
: "${tmp:?lib.sh comes first}"

need_tracing() {
        need strace
        strace -f -qq -o /dev/null -e trace=getcwd -e inject=getcwd:error=EIO sh -c 'exit 7' 2>/dev/null || [ $? = 7 ] ||
                skip "cannot trace here"
        # The leak sanitizer wants to trace as well.
        export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
}

# is_far PATH: does the agent do what is done there?
is_far() {
        [ "${RSB_OVER:-}" = ssh ] && [ "${side:-agent}" = agent ] || return
        case $1 in
        "$tmp/source"* | [!/]*) return 1 ;;
        esac
}

# traced PATH STRACE-OPTIONS... -- OPTIONS...: run it with these options below strace, which gets the others.
traced() {
        local path=$1 with=(-f -y -o "$tmp/trace") some one
        shift

        IFS=: read -ra some <<<"$path"
        for one in "${some[@]}"; do
                with+=(-P "$one")
        done

        while [ "$1" != -- ]; do
                with+=("$1")
                shift
        done
        shift
        if [ "${RSB_OVER:-}" != ssh ]; then
                exec strace "${with[@]}" "$RSB_PROGRAM" --disable-notifications "$@"
        elif is_far "$path"; then
                write_over_agent "$over/traced" "strace $(printf '%q ' "${with[@]}") '$over/program'"
                RSB_AGENT=$over/traced exec "$RSB" --disable-notifications --retries=0 "$@"
        else
                exec strace "${with[@]}" "$over/plain" --disable-notifications "$@"
        fi
}

# with_fault PATH CALL WHAT OPTIONS...: run it with these options; WHAT as in strace's -e inject=CALL:WHAT.
with_fault() {
        local path=$1 call=$2 what=$3
        shift 3

        (traced "$path" -qq -e trace="$call" -e inject="$call:$what" -- "$@")
}

# was_killed STATUS: did the fault kill what ended with that status?
was_killed() {
        [ "$1" = 137 ] || grep -qs 'killed by SIGKILL' "$tmp/trace"
}

# was_injected: did the fault come about?
was_injected() {
        grep -q '(INJECTED)$' "$tmp/trace"
}

# stop_at PATH CALL WHEN OPTIONS...: run it in the background until the end of that call, and leave it stopped there. Its
# process is $stopped (over SSH the agent's, or the client's); go_on lets it go on and waits for it, what it said is in
# $tmp/err.
stop_at() {
        local path=$1 call=$2 when=$3 lines end=$((SECONDS + 60))
        shift 3

        rm -f "$tmp/trace"
        ! is_far "$path" || : >"$over/agent.pid"
        traced "$path" -D -q -e trace="$call" -e inject="$call:signal=STOP:when=$when" -- "$@" >"$tmp/out" 2>"$tmp/err" &
        stopped_run=$!
        stopped=$stopped_run
        while [ $SECONDS -lt $end ]; do
                # A line for each thread, when it has stopped.
                kill -0 "$stopped_run" 2>/dev/null || break
                ! is_far "$path" || stopped=$(cat "$over/agent.pid")
                [ -n "$stopped" ] || { sleep 0.01 && continue; }
                lines=$(grep -c -e '--- stopped by SIGSTOP ---' "$tmp/trace" 2>/dev/null) || true
                [ "${lines:-0}" -lt 1 ] || [ "$lines" -lt "$(find "/proc/$stopped/task" -mindepth 1 -maxdepth 1 | wc -l)" ] ||
                        return 0
                sleep 0.01
        done
        cat "$tmp/err" >&2
        fail "it did not come to call $when of $call${path:+ on $path}"
}

# let_go: let it go on, and return the status with which it ends.
let_go() {
        local state

        # Again and again: another thread may come to such a call for the first time and stop as well.
        while read -r _ _ state _ <"/proc/$stopped/stat" && [ "$state" != Z ]; do
                kill -CONT "$stopped" || true # it may have ended just now
                sleep 0.02
        done 2>/dev/null
        wait "$stopped_run"
}

# go_on STATUS: the same; it ends with that status.
go_on() {
        local status=0

        let_go || status=$?
        [ "$status" = "$1" ] && return
        cat "$tmp/err" >&2
        fail "exit status $status instead of $1"
}
