#!/bin/bash
# Over SSH everything is as on a local disk: transfer, snapshot, rotation, later runs, dry runs, the list of changes, the
# summary, exit statuses. What the other machine says is told as its own.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 500m
. "$here/ssh.sh"
. "$here/agent.sh"

start_far
mkdir -m 700 source parent here
to=$tmp/parent/latest

# A first run: as faithful as a local one, and it says the same.
torture make source --seed 1
expect_status 0 far_backup source "$to"
same source parent/latest
same source "parent/$(snapshots parent)"
frozen parent
says 'backup complete in'
says 'connection: '
says_nothing_of warning
grep -v '^connection' err | sed 's/[0-9.]* s$/T/; s/ in [0-9.]* s//; s/[0-9-]* [0-9:]*.,/NAME,/' >first
expect_status 0 run_backup source here/latest
sed 's/[0-9.]* s$/T/; s/ in [0-9.]* s//; s/[0-9-]* [0-9:]*.,/NAME,/' err | diff first - ||
        fail "the summary is not that of a local run"

# Later ones.
for seed in 1 2 3; do
        torture mutate source --seed $seed >/dev/null
        expect_status 0 far_backup source "$to"
        same source parent/latest
        frozen parent --gone-ok
done
expect_status 0 far_backup -b source "$to"
says 'changes: none'

# A dry run tells what will be done, and does nothing.
torture mutate source --seed 77 >/dev/null
facts() {
        find parent -printf '%P %i %n %m %U %G %s %T@ %l\n' | sort
}
facts >before
expect_status 0 far_backup -n source "$to"
facts | cmp - before || fail "a dry run changed something"
grep -E '^(new|changed|metadata|linked|type|deleted) ' out | sort >imagined
expect_status 0 far_backup -b -vv source "$to"
grep -E '^(new|changed|metadata|linked|type|deleted) ' out | sort >listed
diff imagined listed || fail "the dry run imagined something else"
[ -s listed ] || fail "no change is listed"

# The list is the one of a local run, reasons and order within a directory included. (Which name of several leads is
# chance, so there are no hard links.)
mkdir -p plain/sub/deep plain/gone/deeper
mkdir plain/becomes-file
for name in content size mode owner type becomes-directory becomes-file/d xattr time sub/a sub/deep/b gone/deeper/c; do
        echo $name >plain/$name
done
expect_status 0 run_backup -b plain near/latest
expect_status 0 far_backup -b plain "$tmp/there/latest"
sleep 1.1
echo CONTENT >plain/content
echo longer >>plain/size
chmod 600 plain/mode
chown 7:8 plain/owner
rm plain/type
ln -s target plain/type
rm -r plain/becomes-directory plain/becomes-file
mkdir plain/becomes-directory
echo file >plain/becomes-file
setfattr -n user.x -v 1 plain/xattr
touch plain/time
rm -r plain/gone
mv plain/sub/deep plain/sub/moved
printf 'x' >"plain/$(printf 'odd\033\nname')"
expect_status 0 run_backup -b -vv plain near/latest
sort out >local-list
grep '^changes: ' err >local-counts
expect_status 0 far_backup -b -vv plain "$tmp/there/latest"
sort out | diff local-list - || fail "the list is not that of a local run"
grep '^changes: ' err | diff local-counts - || fail "the counts are not those of a local run"
# What is of another type now has changed, and is not new.
grep -q "^changes: $(grep -c '^new ' out) new, $(grep -c -e '^changed ' -e '^type ' out) changed, " err ||
        fail "the summary does not count what is listed: $(cat out err)"
[ "$(grep -c '^type ' out)" = 3 ] || fail "not all types are told: $(cat out)"
same plain there/latest

# Snapshot and rotation by themselves.
expect_status 0 far_backup -s -v "$to"
grep -q '^snapshot 2' out || fail "the snapshot is not listed"
last=$(snapshots parent | tail -n 1)
expect_status 0 far_backup -r -v --hourly=1 "$to"
grep -q "^kept     $last (newest" out || fail "the newest snapshot is not kept: $(cat out)"
grep -q '^removed ' out || fail "nothing was removed"
[ "$(snapshots parent | wc -l)" -le 2 ] || fail "not rotated: $(snapshots parent)"

# The scheme is that of the client's own files, by the name of the host; the server's own are not read.
mkdir -p "$HOME/.rotate-backups.d"
printf '[far:%s]\nminutely = always\n' "$tmp/parent" >"$HOME/.rotate-backups.d/far.ini"
for _ in 1 2 3; do
        expect_status 0 far_backup -s "$to"
done
before=$(snapshots parent | wc -l)
expect_status 0 far_backup -r "$to"
[ "$(snapshots parent | wc -l)" -le "$before" ] || fail "rotation made snapshots"
printf '[far:%s]\nhourly = nonsense\n' "$tmp/parent" >"$HOME/.rotate-backups.d/far.ini"
expect_status 2 far_backup -r "$to"
rm "$HOME/.rotate-backups.d/far.ini"

# Checks are those of the destination, told with its name; what is refused there was not begun.
mkdir other
echo precious >other/file
expect_status 1 far_backup -b source "$tmp/other"
says "error: far: '$tmp/other' is not empty and was never a destination"
[ "$(cat other/file)" = precious ] || fail "something was deleted"
expect_status 1 far_backup -b source "$tmp/nowhere/at/all/latest"
says 'error: far: cannot create the destination in'
mkdir empty
expect_status 1 far_backup -b empty "$to"
says 'far: the source is empty, it was not when it was backed up last'
expect_status 2 far_backup --mount=/nonexistent/mount source /nonexistent/mount/latest
says 'far: '

# The destination may be on this very machine, inside of the source: it is not backed up into itself.
mkdir -m 700 whole
echo 1 >whole/file
expect_status 0 far_backup whole "$tmp/whole/latest"
expect_status 0 far_backup whole "$tmp/whole/latest"
[ -z "$(ls -A whole/latest/latest 2>/dev/null)" ] || fail "the destination is in the backup"
[ -z "$(find whole/latest -name '20*' -print -quit)" ] || fail "a snapshot is in the backup"
[ ! -e whole/latest/.rsync-system-backup/state ] || fail "the state is in the backup"
cmp whole/file whole/latest/file
expect_status 1 far_backup -b whole/latest "$tmp/whole/latest"
says 'is the destination itself, or inside of it'

# A relative path starts at the home directory there.
expect_status 0 far_backup -b whole 'relative/latest'
cmp whole/file "$tmp/far-home/relative/latest/file" || fail "a relative destination is elsewhere"

# No agent is left.
agent_has_ended
