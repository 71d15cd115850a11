#!/bin/bash
# kill-at-any-moment-heals.sh moments|calls ROUNDS [FSTYPE [agent]]: a run that is killed (SIGKILL) at any moment leaves
# every finished snapshot as it was and nothing half-made under a snapshot's name; the next run cleans up, heals `latest`,
# and ends exact. The kills are spread over the time of a run, or over the system calls of each of its stages, all of
# which must have been hit in the end. Every other time the power fails too: what the run wrote is lost, but for sizes and
# times. Over SSH the client is killed, or the agent.
. "$(dirname "$0")/lib.sh"
. "$here/faults.sh"
need_root "$@"
need_program
need rsync
in_memory 500m

how=${1:-moments} rounds=${2:-24} type=${3:-tmpfs} kills=${4:-client}
[ "$kills" = client ] && once=() || once=(--retries=0)
source=$tmp/source parent=$tmp/parent
if [ "$type" != tmpfs ]; then
        make_fs destination "$type" 300m
        parent=$tmp/destination/parent
fi
mkdir -m 700 "$source" "$parent"
RANDOM=$rounds

backup() {
        run_backup --relaxed --minutely=2 --hourly=1 "$name" "$parent/latest"
}

# What the run has to sweep, and a snapshot that the scheme removes.
prepare() {
        "$PYTHON" "$judge/busy.py" "$source" "$1"
        mkdir -p "$parent/.rsync-system-backup.trash-77"/{1..4} "$parent/2001-01-0"{1..9}" 00:00:00"
        touch "$parent/.rsync-system-backup.trash-77"/{a..h} "$parent/2001-01-0"{1..9}" 00:00:00"/{a..h}
        rm -f "$tmp/frozen.store/2001"*
}

# One that is being removed has left its name before.
are_whole() {
        local snapshot

        for snapshot in "$parent/2001"*; do
                [ ! -e "$snapshot" ] || [ "$(find "$snapshot" -type f | wc -l)" = 8 ] || fail "half a snapshot: $snapshot"
        done
}

# The agent has a thread of its own for each call that may take long.
[ "${RSB_OVER:-}" = ssh ] && syncs=1 || syncs=2

# Each stage: its name, a path, a call that it makes there, and how often at least (in one thread).
own=$parent/.rsync-system-backup
stages=(
        "sweep|$own.trash-77|unlinkat|8"
        "begin|$own|renameat|1"
        "begin|$own/state.new|write|1"
        "walk|$source/sure|statx|16"
        "walk|$parent/latest/sure|getdents64|2"
        "create|$parent/latest/sure|mkdirat|8"
        "copy||pwrite64|8"
        "dress|$parent/latest/sure|utimensat|1"
        "replace|$parent/latest/sure|renameat|8"
        "delete|$parent/latest/sure|unlinkat|8"
        "end|$own|renameat|2"
        "sync||syncfs|$syncs"
        "snapshot|$own.new|mkdirat|7"
        "snapshot|$own.new/sure|linkat|24"
        "snapshot|$own.new/sure|utimensat|1"
        "record|$own|fsync|3"
        "rename|$own.new|renameat2|1"
        "rename|$parent|fsync|1"
        "rotate||renameat2|6"
        "remove|$own.trash-1|unlinkat|8"
)
declare -A hits

# Kill it where round N of the list says.
kill_at_call() {
        local stage path call most

        IFS='|' read -r stage path call most <<<"${stages[$1 % ${#stages[@]}]}"
        hits[$stage]=${hits[$stage]:-0}
        with_fault "$path" "$call" "signal=KILL:when=$((RANDOM % most + 1))" \
                --relaxed --minutely=2 --hourly=1 "$name" "$parent/latest" >"$tmp/out" 2>&1 &
        wait $! 2>/dev/null || ! was_killed $? || hits[$stage]=$((hits[$stage] + 1))
}

# Kill it when part N of the time has passed that an undisturbed run takes, in milliseconds.
kill_at_moment() {
        local delay=$((whole * ($1 % rounds + 1) / rounds)) pid victim

        [ "$kills" = client ] || : >"$over/agent.pid"
        "$RSB" "${once[@]}" --relaxed --hourly=1 --minutely=2 "$name" "$parent/latest" >"$tmp/out" 2>&1 &
        pid=$!
        sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
        victim=$pid
        [ "$kills" = client ] || victim=$(cat "$over/agent.pid")
        kill -KILL ${victim:+"$victim"} 2>/dev/null || true
        wait $pid 2>/dev/null || true
}

# The same source by another name has no last transfer to refer to: then only suspicion finds what is lost.
call_it_otherwise() {
        name=$tmp/source-$1
        ln -sfn source "$name"
}

# What a transfer that did not end has written: inodes of `latest` that are no snapshot's, with a ctime since then.
lose_what_was_written() {
        grep -q '^running' "$own/state" 2>/dev/null || return 0
        "$PYTHON" - "$parent" "$tmp/began" <<'END'
import os, stat, sys
parent, began = sys.argv[1], os.stat(sys.argv[2]).st_mtime_ns

def files(top):
    for base, _, names in os.walk(top):
        for path in (os.path.join(base, name) for name in names):
            st = os.lstat(path)
            if stat.S_ISREG(st.st_mode):
                yield path, st

kept = {st.st_ino for name in os.listdir(parent) if name.startswith("2") for _, st in files(os.path.join(parent, name))}
for path, st in list(files(parent + "/latest")):
    if st.st_ino not in kept and st.st_ctime_ns >= began:
        os.truncate(path, 0)
        os.truncate(path, st.st_size)
        os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
        os.chown(path, st.st_uid, st.st_gid)
        os.chmod(path, stat.S_IMODE(st.st_mode))
END
}

case $how in
calls) need_tracing ;;
*) how=moment ;;
esac
call_it_otherwise 0
prepare 0
before=$(date +%s%N)
expect_status 0 backup
whole=$((($(date +%s%N) - before) / 1000000 + 30))
frozen "$parent"

for ((round = 1; round <= rounds; round++)); do
        prepare "$round"
        touch "$tmp/began"
        "kill_at_${how%s}" "$round"
        settle
        are_whole
        [ $((round % 2)) = 0 ] || lose_what_was_written
        frozen "$parent" --gone-ok
        # Now and then a run meets what several have left.
        ((round % 4 == 0 || round == rounds)) || continue
        expect_status 0 backup
        same "$source" "$parent/latest"
        same "$source" "$parent/$(snapshots "$parent" | tail -n 1)"
        call_it_otherwise "$round"
        frozen "$parent" --gone-ok
        left=$(find "$parent" -name '.rsync-system-backup.*')
        [ -z "$left" ] || fail "after a whole run this is left: $left"
done
for stage in "${!hits[@]}"; do
        echo "$stage: ${hits[$stage]}"
        [ "${hits[$stage]}" -gt 0 ] || [ "$rounds" -lt "${#stages[@]}" ] || fail "no run was killed in the stage: $stage"
done
