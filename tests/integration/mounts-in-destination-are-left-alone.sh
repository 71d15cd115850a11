#!/bin/bash
# Nothing that is mounted in the destination is read for, changed by or deleted with the backup, be it of another
# filesystem or of the same (`mount --bind`): not below `latest`, nor in a snapshot that is removed, nor over a name that
# the program sweeps. It is told, and the rest is done. A destination that is a mount point itself is refused, since
# snapshots could not lie beside it.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program

in_memory 200m
mkdir -p source/sub parent precious/deep
echo one >source/one
echo two >source/sub/two
echo live >precious/deep/data
chmod 700 parent precious

# mount_at KIND POINT: mount something precious there.
mount_at() {
        if [ "$1" = bind ]; then
                mount --bind precious "$2"
        else
                mount -t tmpfs -o mode=700 tmpfs "$2"
                cp -a precious/. "$2"
        fi
}

# untouched POINT: it is still there as it was, and goes away.
untouched() {
        [ "$(cat "$1/deep/data") $(stat -c %a "$1")" = "live 700" ] || fail "what was mounted at '$1' was touched"
        umount "$1"
        [ "$(cat precious/deep/data)" = live ] || fail "what was mounted at '$1' was deleted"
}

expect_status 0 run_backup source parent/latest
for kind in bind other; do
        # A directory that is in the source, one that no longer is, and one that is excluded.
        mount_at $kind parent/latest/sub
        expect_status 23 run_backup -b source parent/latest
        grep -q "mounted.*'sub'" "$tmp/err" || fail "the mount in the destination was not named: $(cat "$tmp/err")"
        untouched parent/latest/sub
        mount_at $kind parent/latest/sub
        expect_status 23 run_backup -b -x /sub source parent/latest
        untouched parent/latest/sub
        mount_at $kind parent/latest/sub
        expect_status 1 run_backup -s source parent/latest
        untouched parent/latest/sub
        expect_status 0 run_backup source parent/latest
        same source parent/latest

        # A file over a file, whose metadata would be changed in place.
        mount --bind precious/deep/data parent/latest/one
        chmod 600 source/one
        expect_status 23 run_backup -b source parent/latest
        [ "$(stat -c %a precious/deep/data)" = 644 ] || fail "a file that was mounted was touched"
        umount parent/latest/one
        expect_status 0 run_backup -b source parent/latest
        [ "$(stat -c %a parent/latest/one)" = 600 ] || fail "the file's mode was not set afterwards"
        chmod 644 source/one

        # Names that are swept.
        mkdir parent/.rsync-system-backup.trash-1
        mount_at $kind parent/.rsync-system-backup.trash-1
        expect_status 23 run_backup source parent/latest
        untouched parent/.rsync-system-backup.trash-1
        mkdir parent/.rsync-system-backup.new
        mount_at $kind parent/.rsync-system-backup.new
        expect_status 1 run_backup source parent/latest
        untouched parent/.rsync-system-backup.new
        expect_status 0 run_backup source parent/latest
        [ -z "$(find parent -maxdepth 1 -name '.rsync-system-backup.*')" ] || fail "leftovers were not swept"

        # A snapshot that is removed, with something mounted in it, or over it.
        mkdir -p 'parent/2020-01-01 00:00:00/mnt' 'parent/2020-01-02 00:00:00'
        mount_at $kind 'parent/2020-01-01 00:00:00/mnt'
        mount_at $kind 'parent/2020-01-02 00:00:00'
        expect_status 23 run_backup -r --daily=1 parent/latest
        grep -q "2020-01-02 00:00:00" "$tmp/err" || fail "the snapshot that could not be removed was not named"
        untouched 'parent/2020-01-02 00:00:00'
        untouched 'parent/.rsync-system-backup.trash-1/mnt'
        expect_status 0 run_backup -r --daily=1 parent/latest
        [ -z "$(find parent -maxdepth 1 -name '.rsync-system-backup.*' -o -maxdepth 1 -name '2020*')" ] ||
                fail "removal did not end when nothing was mounted any more"
done

# A destination that is a mount point itself.
make_fs disk tmpfs 10m
mkdir other
for action in -b ''; do
        expect_status 1 run_backup $action source disk
        grep -q "'.*/disk/latest'" "$tmp/err" || fail "the message does not help: $(cat "$tmp/err")"
        [ -z "$(ls -A disk)" ] || fail "something was written into a refused destination"
done
