#!/bin/bash
# What speaks against a run is found before anything is changed or deleted, said with what to do about it, and ends with
# status 1: swapped arguments, a source in the destination or the other way round, a source that lost everything, another
# destination beside, a destination that is no directory. What can be forced says so, and can be.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync

in_memory 200m
umask 022
mkdir -p source/sub
echo one >source/one
echo two >source/sub/two

# Everything of a tree that a run could change, atimes and ctimes included.
facts() {
        "$PYTHON" "$here/facts.py" "$@"
}

# refused PATTERN COMMAND...: status 1, one error that matches, and nothing is changed but what the lock says. A dry run
# is refused alike.
refused() {
        local pattern=$1 before
        shift

        before=$(facts source parent photos | grep -v /lock)
        expect_status 1 "$@"
        [ "$before" = "$(facts source parent photos | grep -v /lock)" ] || fail "a refused run changed something: $*"
        grep -q "^error: .*$pattern" "$tmp/err" || fail "no error matches '$pattern': $(cat "$tmp/err")"
        [ ! -s "$tmp/out" ] || fail "a refused run prints something on standard output"

        before=$(facts source parent photos)
        expect_status 1 "$@" -n
        grep -q "^error: .*$pattern" "$tmp/err" || fail "a dry run is not refused as the run is: $(cat "$tmp/err")"
       [ "$before" = "$(facts source parent photos)" ] || fail "a refused dry run changed something: $*"
}

forcible() {
        refused "$@"
        grep -q -e '--force' "$tmp/err" || fail "it is not said that this can be forced: $(cat "$tmp/err")"
}

not_forcible() {
        refused "$@"
        ! grep -q -e '--force' "$tmp/err" || fail "it is said that this can be forced: $(cat "$tmp/err")"
        refused "$@" --force
}

# Swapped arguments: never used and not empty.
mkdir -p photos/2019
echo dear >photos/2019/dear
forcible 'swapped' run_backup source photos
expect_status 0 run_backup source parent/latest
forcible 'swapped' run_backup parent/latest source
[ "$(stat -c %a parent parent/.rsync-system-backup | sort -u)" = 700 ] || fail "others may look into what was created"

# A parent serves one destination, also when its first transfer has not been completed.
mkdir parent/photos
cp -a photos/. parent/photos
forcible "backups beside '.*/parent/photos' go to 'latest'" run_backup source parent/photos
make_fs second tmpfs 1m
cp -a photos second/photos
mkdir big
head -c 2M /dev/urandom >big/file
expect_status 1 run_backup big second/latest
forcible "backups beside '.*/second/photos' go to 'latest'" run_backup source second/photos
rm -r parent/photos
expect_status 0 run_backup source parent/latest
grep -qx 'latest latest' parent/.rsync-system-backup/state || fail "the state does not name its destination"

# The directory above a destination in its place: its snapshots would be in snapshots, and the next transfer delete them.
for action in '-s' '-r' '-sr' '-b' '-bs'; do
        forcible "is '.*/parent/latest' meant?" run_backup $action source parent
done
[ ! -e .rsync-system-backup ] || fail "the directory above a destination became one"
# A new one with a name that the rotation of another one knows, or that the program keeps for itself.
for at in 2001-01-01/latest .rsync-system-backup.new/latest .rsync-system-backup.trash-1/latest; do
        forcible 'inside of what another destination keeps' run_backup source "parent/$at"
        [ ! -e "parent/${at%/*}" ] || fail "parent/$at was begun"
done
# A copy of all that is a destination like others.
expect_status 0 run_backup parent copies/latest
expect_status 0 run_backup parent copies/latest
expect_status 0 run_backup -s copies/latest
rm -r copies

# The source in the destination, however it is named.
newest=$(snapshots parent | tail -n 1)
ln -s parent/latest link
mkdir bound
for at in parent/latest parent/latest/sub parent/latest/sub/../sub link link/sub parent/.rsync-system-backup \
        "parent/$newest" "parent/$newest/sub"; do
        not_forcible 'inside of it or its snapshots' run_backup "$at" parent/latest
done
for at in parent/latest "parent/$newest"; do
        mount --bind "$at" bound
        not_forcible 'inside of it or its snapshots' run_backup bound parent/latest
        not_forcible 'inside of it or its snapshots' run_backup bound/sub parent/latest
        umount bound
done

# A source that lost everything.
mkdir -p empty unmounted
mv source full
mkdir source
forcible 'source .*is empty' run_backup source parent/latest
sed -i 's/^end/End/' parent/.rsync-system-backup/state
forcible 'source .*is empty' run_backup source parent/latest
mv parent/.rsync-system-backup aside
forcible 'source .*is empty' run_backup source parent/latest
mv aside parent/.rsync-system-backup
sed -i 's/^End/end/' parent/.rsync-system-backup/state
rmdir source
refused 'source' run_backup source parent/latest
echo file >source
refused 'source' run_backup source parent/latest
rm source
mv full source
expect_status 0 run_backup source parent/latest
same source parent/latest
# Nothing to protect: it was empty from the beginning.
expect_status 0 run_backup empty first/latest
expect_status 0 run_backup empty first/latest

# A source whose root cannot be read.
prepare_for_user
install -d -m 755 -o "$ordinary_user" own
as_user cp -r source own/source
expect_status 0 as_user "$RSB" --no-sudo own/source own/parent/latest
chmod 000 own/source
before=$(facts own/parent | grep -v /.rsync-system-backup)
expect_status 1 as_user "$RSB" --no-sudo own/source own/parent/latest
grep -q "^error: .*own/source.*Permission denied" "$tmp/err" || fail "an unreadable source: $(cat "$tmp/err")"
[ "$before" = "$(facts own/parent | grep -v /.rsync-system-backup)" ] || fail "an unreadable source changed the backup"

# A snapshot is none, nor what the program keeps beside it; an agent sees to that by itself.
before=$(facts parent)
for at in "$newest" .rsync-system-backup .rsync-system-backup.new; do
        expect_status 2 run_backup --force source "parent/$at"
        grep -q "^error: the destination cannot be '$at'.*such as 'latest'" "$tmp/err" || fail "$at: $(cat "$tmp/err")"
done
[ "$before" = "$(facts parent)" ] || fail "a snapshot, or what is beside it, was taken for a destination"

# A destination that cannot be one.
echo file >file
refused 'must be a directory' run_backup source file
refused 'no symbolic link' run_backup source link
refused 'parent are created' run_backup source missing/parent/latest
refused 'no backup yet' run_backup -s first/none
refused 'no backup yet, or a disk is missing there' run_backup -s missing/latest
refused 'file' run_backup source file/latest
[ ! -e missing ] || fail "a directory was created on the way to an error"
for at in / //; do
        expect_status 2 run_backup source "$at"
        grep -q 'root directory' "$tmp/err" || fail "the root directory as destination: $(cat "$tmp/err")"
done
make_fs readonly tmpfs 10m
mkdir -p readonly/parent/latest
mount -o remount,ro readonly
for at in readonly/parent/latest readonly/new/latest readonly/latest; do
        expect_status 1 run_backup source "$at"
        grep -q "^error: .*$tmp/readonly.*is mounted read-only" "$tmp/err" || fail "a read-only disk: $(cat "$tmp/err")"
done

# Forced.
cp -a photos photos2
expect_status 0 run_backup --force source photos2
same source photos2
mv source full
mkdir source
expect_status 0 run_backup --force source parent/latest
same source parent/latest
rmdir source
mv full source
mkdir parent/another
expect_status 0 run_backup --force source parent/another
forcible "go to 'another'" run_backup source parent/latest

# An existing parent that others may search.
mkdir -m 755 open
expect_status 0 run_backup source open/latest
grep -q "^warning: .*open.*chmod 700" "$tmp/err" || fail "no warning of a parent that everybody may search"
[ "$(stat -c %a open)" = 755 ] || fail "the mode of an existing parent was changed"
