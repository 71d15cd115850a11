#!/bin/bash
# kill-at-any-moment-heals.sh [ROUNDS [FSTYPE]]: a run that is killed (SIGKILL) at any moment leaves every finished
# snapshot as it was and nothing half-made under a snapshot's name; the next run cleans up, heals `latest`, and ends
# exact. ROUNDS kills, spread over the whole run.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 500m

rounds=${1:-24} type=${2:-tmpfs}
source=$tmp/source parent=$tmp/parent
mkdir "$source"
if [ "$type" != tmpfs ]; then
        make_fs destination "$type" 300m
        parent=$tmp/destination/parent
fi

# Every round: files that are new, changed, gone, metadata alone, links that move from one file to another.
change() {
        "$PYTHON" - "$source" "$1" <<'END'
import os, random, sys
root, seed = sys.argv[1], int(sys.argv[2])
r = random.Random(seed)
for d in range(60):
    base = "%s/%d/%d" % (root, d % 6, d)
    os.makedirs(base, exist_ok=True)
    for f in range(20 if seed == 0 else 4):
        path = "%s/%d" % (base, r.randrange(50))
        if os.path.lexists(path):
            os.unlink(path)
        kind = r.randrange(10)
        if kind < 7:
            with open(path, "wb") as file:
                file.write(r.randbytes(r.randrange(20000)))
        elif kind == 7:
            os.symlink("target %d" % r.randrange(5), path)
        else:
            files = [e.path for e in os.scandir(base) if e.is_file(follow_symlinks=False)]
            if files:
                os.link(r.choice(sorted(files)), path)
    for e in sorted(os.scandir(base), key=lambda e: e.name):
        if r.randrange(20) == 0 and e.is_file(follow_symlinks=False):
            os.chmod(e.path, r.choice([0o600, 0o644, 0o4755]))
    os.chmod(base, r.choice([0o700, 0o755, 0o1777]))
END
}

# The time of an undisturbed run, in milliseconds.
change 0
before=$(date +%s%N)
expect_status 0 run_backup --relaxed --minutely=3 --daily=1 "$source" "$parent/latest"
whole=$((($(date +%s%N) - before) / 1000000 + 30))
frozen "$parent" --gone-ok

for ((round = 1; round <= rounds; round++)); do
        change "$round"
        delay=$((whole * round / rounds))
        "$RSB" --relaxed --hourly=1 --minutely=2 "$source" "$parent/latest" >"$tmp/out" 2>&1 &
        pid=$!
        sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
        kill -KILL $pid 2>/dev/null || true
        wait $pid 2>/dev/null || true
        frozen "$parent" --gone-ok
        ((round % 4 == 0)) || continue
        expect_status 0 run_backup --relaxed --hourly=1 --minutely=2 "$source" "$parent/latest"
        same "$source" "$parent/latest"
        newest=$(snapshots "$parent" | tail -n 1)
        same "$source" "$parent/$newest"
        frozen "$parent" --gone-ok
        left=$(find "$parent" -name '.rsync-system-backup.*')
        [ -z "$left" ] || fail "after a whole run this is left: $left"
done
