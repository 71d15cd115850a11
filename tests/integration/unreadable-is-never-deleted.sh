#!/bin/bash
# What cannot be read is named, leads to status 23 and an outcome that is recorded as incomplete, and never to a deletion:
# nothing below the counterpart of an unreadable directory goes. Rotation does not let an incomplete snapshot displace the
# newest complete one.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 300m
prepare_for_user

install -d -m 755 -o "$ordinary_user" "$tmp/own"
cd "$tmp/own" || exit

backup() {
        as_user "$RSB" --no-sudo "$@" "$tmp/own/source" "$tmp/own/parent/latest"
}

# lossy OPTIONS...: a run that ends with 23, as the dry run before it has told: the same changes, and the same losses.
lossy() {
        expect_status 23 backup -n "$@"
        LC_ALL=C sort "$tmp/out" >"$tmp/listed"
        grep "^warning: cannot" "$tmp/err" | LC_ALL=C sort >"$tmp/foreseen"
        expect_status 23 backup -vv "$@"
        diff "$tmp/listed" <(LC_ALL=C sort "$tmp/out") || fail "the run does not do what the dry run listed"
        diff "$tmp/foreseen" <(grep "^warning: cannot" "$tmp/err" | LC_ALL=C sort) || fail "a loss was not foreseen"
}

# The program's own names: a parent that the user may not enter is one that he may not.
as_user mkdir -p source/closed/deep source/dir source/linked
for name in closed/one closed/deep/two dir/file dir/other linked/a plain; do
        as_user sh -c "echo $name >source/$name"
done
as_user ln source/linked/a source/linked/b
as_user ln source/linked/a source/linked/c
expect_status 0 backup -b -s
complete=$(snapshots parent)
frozen parent

# Unreadable; and each has changed in some way.
chmod 000 source/closed
chmod 000 source/dir/file
touch -d 2001-01-01 source/dir/file
rm source/dir/other
echo changed >source/plain
lossy -b
[ -s "$tmp/foreseen" ] || fail "nothing was lost"
expect_status 23 backup -v -b -s
grep -q "^warning: .*'closed'" "$tmp/err" || fail "the directory is not named: $(cat "$tmp/err")"
grep -q "^warning: .*'dir/file'" "$tmp/err" || fail "the file is not named: $(cat "$tmp/err")"
grep -q 'incomplete: 2 entries could not be read' "$tmp/err" || fail "the end does not tell: $(cat "$tmp/err")"
for name in closed/one closed/deep/two dir/file; do
        [ "$(cat "parent/latest/$name" 2>&1)" = "$name" ] || chmod 700 parent/latest/closed
        [ "$(cat "parent/latest/$name")" = "$name" ] || fail "what could not be read was deleted: $name"
done
[ ! -e parent/latest/dir/other ] || fail "what is gone beside what is unreadable was not deleted"
[ "$(cat parent/latest/plain)" = changed ] || fail "the rest was not done"
newest=$(snapshots parent | tail -n 1)
grep -qx "incomplete $newest" parent/.rsync-system-backup/state || fail "the outcome is not recorded as incomplete"
frozen parent

# A snapshot of it alone is no more complete than the transfer was.
expect_status 0 as_user "$RSB" --no-sudo -s "$tmp/own/parent/latest"
grep -qx "incomplete $(snapshots parent | tail -n 1)" parent/.rsync-system-backup/state || fail "-s turned it complete"

# The newest complete one stays, whatever the scheme says.
expect_status 0 as_user "$RSB" --no-sudo -vv -r --yearly=1 --prefer-recent "$tmp/own/parent/latest"
[ -e "parent/$complete" ] || fail "the newest complete snapshot was removed: $(cat "$tmp/out")"
grep -q "^kept .*$complete (.*complete" "$tmp/out" || fail "the reason is not told: $(cat "$tmp/out")"

# A group of hard links of which nothing can be read, and a closed directory that is listed but not searched.
chmod 755 source/closed
chmod 644 source/dir/file
chmod 000 source/linked/a
chmod 444 source/closed/deep
rm source/linked/c
as_user sh -c 'echo secret >source/new; chmod 000 source/new'
# A dry run opens nothing that is closed at the destination.
chmod 755 parent/latest/closed
lossy -b
[ ! -e parent/latest/new ] || fail "what could not be read was made"
rm -f source/new
[ "$(ls parent/latest/linked)" = $'a\nb' ] || fail "an unreadable group of hard links was deleted"
chmod 700 parent/latest/closed/deep
[ -e parent/latest/closed/deep/two ] || fail "below a directory that cannot be searched something was deleted"
chmod 644 source/linked/a
chmod 755 source/closed/deep
expect_status 0 backup -b -s
same source parent/latest
grep -qx "complete $(snapshots parent | tail -n 1)" parent/.rsync-system-backup/state || fail "a whole run counts as incomplete"
