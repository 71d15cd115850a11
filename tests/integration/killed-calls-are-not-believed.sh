#!/bin/bash
# killed-calls-are-not-believed.sh: btrfs shows an owner, mode or time that SIGKILL kept it from recording. What a run that
# was killed may have left so is written by the next one, or the snapshot would have what was there before.
. "$(dirname "$0")/lib.sh"
. "$here/faults.sh"
need_root "$@"
need_program
need_tracing
need rsync btrfs
in_memory 400m
make_fs disk btrfs 300m

source=$tmp/source parent=$tmp/disk/parent
mkdir -p "$source/files" "$source/directories" "$parent"
(
        cd "$source"
        touch files/{1..1500}
        mkdir directories/{1..500}
)

# How many of them show the new owner, while a snapshot has the old one?
count_torn() {
        local probe=$tmp/disk/probe

        btrfs -q subvolume snapshot "$parent/latest" "$probe"
        comm -23 <(owned_in "$parent/latest") <(owned_in "$probe") | wc -l
        btrfs -q subvolume delete -c "$probe"
}

owned_in() {
        (cd "$1" && find "$kind" -mindepth 1 -uid 77 | sort)
}

# Up to so many times, for each kind of entry.
tear() {
        local chowner

        for _ in {1..60}; do
                "$PYTHON" "$judge/killed_chown.py" "$parent/latest/$kind" 77 &
                chowner=$!
                sleep "0.$((RANDOM % 4 + 1))"
                kill -KILL $chowner
                wait $chowner 2>/dev/null || true
                torn=$(count_torn)
                [ "$torn" = 0 ] || return 0
        done
        echo "this kernel records the $kind that it shows"
}

run_backup "$source" "$parent/latest"
chown -R 77:77 "$source"/*
touch "$source/new"
with_fault "$parent/latest" openat signal=KILL "$source" "$parent/latest" >"$tmp/out" 2>&1 || was_killed $? ||
        fail "the run was not killed"
grep -q '^running' "$parent/.rsync-system-backup/state" || fail "it was killed too early"
for kind in files directories; do
        tear
done
run_backup "$source" "$parent/latest"
same "$source" "$parent/latest"
same "$source" "$parent/$(snapshots "$parent" | tail -n 1)"
