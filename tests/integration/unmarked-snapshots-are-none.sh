#!/bin/bash
# unmarked-snapshots-are-none.sh: where a bare rsync daemon's client keeps marks of the snapshots that are complete, what
# has none is neither counted, rotated nor removed; local runs mark their own snapshots there, and take the marks away
# with them. Without that directory nothing of this happens.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 100m

source=$tmp/source parent=$tmp/parent marks=$tmp/parent/.rsync-system-backup/complete
mkdir "$source"
echo content >"$source/file"
backup() {
        run_backup --no-sudo --hourly=1 "$@" "$source" "$parent/latest"
}

expect_status 0 backup
[ ! -e "$marks" ] || fail "there are marks"
first=$(snapshots "$parent")

# Marks come to be: one is complete, one incomplete, one is not there.
mkdir "$marks"
mkdir "$parent/2001-01-01 00:00:00" "$parent/2001-01-02 00:00:00" "$parent/2001-01-03 00:00:00"
touch "$marks/2001-01-01 00:00:00" "$marks/2001-01-02 00:00:00.incomplete" "$marks/$first"
expect_status 0 backup -v
made=$(snapshots "$parent" | tail -n 1)
[ "$made" != "$first" ] || fail "no snapshot was made"
[ -f "$marks/$made" ] || fail "it was not marked"
grep -qx "removed  2001-01-01 00:00:00" "$tmp/out" || fail "it is not told: removed  2001-01-01 00:00:00"
grep -qx "removed  2001-01-02 00:00:00" "$tmp/out" || fail "it is not told: removed  2001-01-02 00:00:00"
[ -d "$parent/2001-01-03 00:00:00" ] || fail "what is no snapshot was removed"
! grep -q 2001-01-03 "$tmp/out" || fail "it was looked at"
[ ! -e "$marks/2001-01-01 00:00:00" ] || fail "its mark is left"
[ ! -e "$marks/2001-01-02 00:00:00.incomplete" ] || fail "its mark is left"

# A mark of something else is followed nowhere.
ln -s "$tmp/elsewhere" "$marks/2001-01-03 00:00:00"
expect_status 0 backup -v
grep -qx "removed  2001-01-03 00:00:00" "$tmp/out" || fail "it is not told: removed  2001-01-03 00:00:00"
[ ! -L "$marks/2001-01-03 00:00:00" ] || fail "its mark is left"
