#!/bin/bash
# live-systems-are-backed-up.sh [RUNS]: while files vanish, grow, shrink and change their type and directories are moved
# about, each run ends well, what is quiet is exact in its snapshot, a file is never a mixture of two, older
# snapshots stay as they are, and nothing outside of the source is read. When it is quiet again one run is exact.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 500m

runs=${1:-12}
mkdir -m 700 source parent outside
echo secret >outside/file
cp -r "$judge" source/quiet
before=$("$PYTHON" "$here/facts.py" outside)

"$PYTHON" "$judge/chaos.py" source 1 &
chaos=$!
# is_alive: it has done something since this was asked last.
last=''
is_alive() {
        for _ in $(seq 500); do
                now=$(stat -c %y source/whole 2>/dev/null) || now=$last
                [ "$now" = "$last" ] || break
                sleep 0.02
        done
        [ "$now" != "$last" ] || fail "the live system has died"
        last=$now
}
# What changes meanwhile, in whatever way, is no failure.
backed_up() {
        expect_status 0 run_backup "$@" source parent/latest
}
until [ -e source/whole/7 ]; do
        is_alive
done
for ((run = 0; run < runs; run++)); do
        # A snapshot takes its second; most changes are met by transfers alone.
        backed_up -b
        backed_up -b
        is_alive
        if ((run % 3 == 2)); then
                backed_up --relaxed --minutely=3
                newest=$(snapshots parent | tail -n 1)
                grep -qx "complete $newest" parent/.rsync-system-backup/state ||
                        fail "the snapshot counts as incomplete"
                same source/quiet "parent/$newest/quiet"
                "$PYTHON" "$judge/chaos.py" check "parent/$newest" || fail "a file was torn"
                ! grep -rq secret --devices=skip "parent/$newest/live" || fail "something outside was read"
                frozen parent --gone-ok
        fi
done
kill -KILL $chaos
wait $chaos 2>/dev/null || true
expect_status 0 run_backup --relaxed --minutely=3 source parent/latest
same source parent/latest
same source "parent/$(snapshots parent | tail -n 1)"
frozen parent --gone-ok
[ -z "$(find parent -name '.rsync-system-backup.*')" ] || fail "leftovers were not swept"
[ "$before" = "$("$PYTHON" "$here/facts.py" outside)" ] || fail "something outside was touched"
