#!/bin/bash
# Immutable and append-only files and directories of the destination (chattr +i, +a) cannot be replaced: that is told for
# each, leads to status 23, and the rest is done; only that is listed. In an append-only directory no temporary is left,
# and what of ours cannot be removed gets into no snapshot. The snapshot holds copies of files that take no
# link. Snapshots with such files leave their names when they are removed, and are gone once the attribute is.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync chattr
# shellcheck source=tests/integration/faults.sh
. "$here/faults.sh"
need_tracing
in_memory 300m

make_fs disk ext4 100m
source=$tmp/source parent=$tmp/disk/parent
mkdir -p "$source"/{dir,closed,shut,gone} "$parent"
for name in plain fixed appended dir/fixed closed/one gone/one gone/two group; do
        echo "$name" >"$source/$name"
done
ln "$source/group" "$source/group-2"
setfattr -n user.note -v kept "$source/fixed"
chown 12345:12345 "$source/fixed"
chmod 4711 "$source/fixed"
expect_status 0 run_backup -b "$source" "$parent/latest"
chattr +i "$parent"/latest/{fixed,dir/fixed,closed,shut,gone/one} 2>/dev/null || skip "no immutable files here"
chattr +a "$parent/latest/appended"

# Nothing to change: nothing to tell, and a snapshot all the same.
expect_status 0 run_backup -b -s "$source" "$parent/latest"
same "$source" "$parent/$(snapshots "$parent" | tail -n 1)"
frozen "$parent"

# Content, metadata, deletion, addition.
echo changed >"$source/fixed"
echo changed >"$source/appended"
chmod 600 "$source/dir/fixed"
chmod 700 "$source/shut"
echo changed >"$source/plain"
echo new >"$source/closed/two"
ln -s target "$source/closed/link"
mkfifo "$source/closed/fifo"
ln "$source/closed/two" "$source/closed/three"
ln "$source/group" "$source/closed/four"
rm -r "$source/gone"
expect_status 23 run_backup -v -b -s "$source" "$parent/latest"
diff - <(grep -v ^snapshot "$tmp/out" | LC_ALL=C sort) <<'EOF' || fail "the list is not of what was done"
changed  plain
deleted  gone/two
metadata ./
EOF
grep -qx 'changes: 1 changed, 1 metadata only, 1 deleted' "$tmp/err" || fail "the count is wrong: $(cat "$tmp/err")"
for name in fixed appended dir/fixed closed shut closed/{two,three,four,link,fifo} gone/one; do
        grep -q "^warning: .*'$name'" "$tmp/err" || fail "not told: $name: $(cat "$tmp/err")"
done
! grep -q 'could not be kept' "$tmp/err" || fail "it is the filesystem that is blamed: $(cat "$tmp/err")"
[ "$(cat "$parent/latest/plain")" = changed ] || fail "the rest was not done"
[ ! -e "$parent/latest/gone/two" ] || fail "beside what cannot be deleted something stayed"
[ "$(cat "$parent/latest/fixed")" = fixed ] || fail "an immutable file changed"
[ -z "$(find "$parent/latest" -name '.rsync-system-backup.*')" ] || fail "temporaries are left"
newest=$(snapshots "$parent" | tail -n 1)
same "$parent/latest" "$parent/$newest"
grep -qx "incomplete $newest" "$parent/.rsync-system-backup/state" || fail "the outcome is not recorded as incomplete"
frozen "$parent"

# A group of hard links that takes no link falls apart in the snapshot, which is told.
chattr -i "$parent"/latest/{fixed,dir/fixed,closed,shut,gone/one}
chattr -a "$parent/latest/appended"
expect_status 0 run_backup -b -s "$source" "$parent/latest"
same "$source" "$parent/latest"
chattr +i "$parent/latest/group"
expect_status 23 run_backup -b -s "$source" "$parent/latest"
grep -q "^warning: .*hard links could not be kept" "$tmp/err" || fail "not told: $(cat "$tmp/err")"
chattr -i "$parent/latest/group"
frozen "$parent"

# Only additions are possible, and the first name of a group is reached before them. What an older run may have left there
# goes when that is.
left=.rsync-system-backup.tmp-0123456789abcdef
leftovers() {
        find "$parent" -name '.rsync-system-backup.tmp-*'
}
mkdir "$source/open" "$source/becomes-file"
echo 1 | tee "$source"/open/{,-}{file,gone,link,name} "$source/becomes-file/fixed" "$source/early" >"$source/open/kept"
expect_status 0 run_backup -b -s "$source" "$parent/latest"
frozen "$parent"
echo changed | tee "$source"/open/{,-}file >"$source/open/new"
rm "$source"/open/{,-}{gone,link}
ln -s target "$source/open/link"
ln -s target "$source/open/-link"
ln -f "$source/early" "$source/open/name"
ln -f "$source/early" "$source/open/-name"
echo cut >"$parent/latest/open/$left"
chattr +a "$parent/latest/open"
for _ in 1 2; do
        expect_status 23 run_backup -b -s "$source" "$parent/latest"
        for name in {,-}{file,gone,link,name} "$left"; do
                [ "$(grep -c "^warning: .*'open/$name'" "$tmp/err")" = 1 ] || fail "not told once: $name: $(cat "$tmp/err")"
        done
        grep -q "'open/file'.*see chattr(1)" "$tmp/err" || fail "the reason is not told: $(cat "$tmp/err")"
        ! grep -q 'could not be kept' "$tmp/err" || fail "it is the filesystem that is blamed: $(cat "$tmp/err")"
        cmp "$source/open/new" "$parent/latest/open/new"
        leftovers | diff - <(echo "$parent/latest/open/$left") || fail "more temporaries, or in a snapshot"
        frozen "$parent"
done
chattr -a "$parent/latest/open"
expect_status 0 run_backup -b -s "$source" "$parent/latest"
same "$source" "$parent/latest"
! leftovers | grep . || fail "it was not swept"

# The directory is closed when the temporary is there.
ln -sfn elsewhere "$source/open/link"
stop_at "$parent/latest/open" symlinkat 1 -b -s "$source" "$parent/latest"
chattr +a "$parent/latest/open"
go_on 23
settle
left=$(leftovers)
[ "${left%/*}" = "$parent/latest/open" ] || fail "not one temporary: $left"
for name in link "${left##*/}"; do
        grep -q "^warning: .*'open/$name'" "$tmp/err" || fail "not told: $name: $(cat "$tmp/err")"
done
chattr -a "$parent/latest/open"
expect_status 0 run_backup -b -s "$source" "$parent/latest"
same "$source" "$parent/latest"
! leftovers | grep . || fail "it was not swept"
frozen "$parent"

# A directory made way for a file, but not all that was in it.
rm -r "$source/becomes-file"
echo file >"$source/becomes-file"
chattr +i "$parent/latest/becomes-file/fixed"
expect_status 23 run_backup -b -s "$source" "$parent/latest"
grep -q "^warning: .*'becomes-file/fixed'" "$tmp/err" || fail "not told: $(cat "$tmp/err")"
left=$(leftovers)
[ "${left%/*}" = "$parent/latest" ] || fail "not one temporary directory: $left"
expect_status 23 run_backup -b -s "$source" "$parent/latest"
leftovers | diff - <(echo "$left") || fail "it is in a snapshot"
cmp "$source/becomes-file" "$parent/$(snapshots "$parent" | tail -n 1)/becomes-file"
chattr -i "$left/fixed"
expect_status 0 run_backup -b -s "$source" "$parent/latest"
same "$source" "$parent/$(snapshots "$parent" | tail -n 1)"
! leftovers | grep . || fail "it was not swept"
frozen "$parent"

# Removal.
old="$parent/2001-01-01 00:00:00"
mkdir -p "$old/deep" "$parent/2001-01-02 00:00:00"
touch "$old/deep/fixed" "$old/deep/other"
chattr +i "$old/deep/fixed" "$parent/2001-01-02 00:00:00"
expect_status 23 run_backup -r --yearly=1 "$parent/latest"
grep -q "^warning: .*2001-01-01 00:00:00/deep/fixed" "$tmp/err" || fail "what stays is not named: $(cat "$tmp/err")"
grep -q "^warning: .*2001-01-02 00:00:00" "$tmp/err" || fail "the snapshot that stays is not named: $(cat "$tmp/err")"
[ ! -e "$old" ] || fail "a snapshot that is half removed has its name"
find "$parent" -type d,f -exec chattr -i {} +
expect_status 0 run_backup -r --yearly=1 "$parent/latest"
[ -z "$(find "$parent" -maxdepth 1 -name '2001*' -o -maxdepth 1 -name '.rsync-system-backup.*')" ] || fail "it is still there"

# The copy that an ordinary user's snapshot gets lacks what he may not give; that is no reason to have no snapshot.
prepare_for_user
install -d -m 755 -o "$ordinary_user" "$tmp/own"
as_user sh -c "mkdir $tmp/own/source && echo 1 >$tmp/own/source/file"
expect_status 0 as_user "$RSB" -b --no-sudo "$tmp/own/source" "$tmp/own/parent/latest"
setcap cap_net_raw+ep "$tmp/own/parent/latest/file"
chattr +i "$tmp/own/parent/latest/file"
expect_status 0 as_user "$RSB" -s --no-sudo "$tmp/own/parent/latest"
cmp "$tmp/own/source/file" "$tmp/own/parent/$(snapshots "$tmp/own/parent")/file" || fail "the user's snapshot lacks a file"
