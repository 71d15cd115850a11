#!/bin/bash
# disk-that-fails-midway-ends-the-run.sh ext4|xfs: when the destination's filesystem turns read-only (an error on ext4) or
# shuts down (XFS) in the middle of a run, in whatever stage, the run ends with status 1 and says why; whatever else is on
# the machine is not written instead. After a repair all snapshots are as they were, and the next run ends exact.
. "$(dirname "$0")/lib.sh"
. "$here/faults.sh"
need_root "$@"
need_program
need rsync
need_tracing

type=$1
case $type in
ext4) need e2fsck && make_fs disk ext4 64m -e remount-ro && reason='Read-only file system\|Input/output error' ;;
xfs) need xfs_io xfs_repair && make_fs disk xfs 300m && reason='Input/output error' ;;
esac
source=$tmp/source parent=$tmp/disk/parent
mkdir -m 700 "$source" "$parent"

break_disk() {
        local device

        if [ "$type" = xfs ]; then
                xfs_io -x -c 'shutdown -f' "$tmp/disk"
        else
                device=$(findmnt -n -o SOURCE "$tmp/disk")
                [ -w "/sys/fs/ext4/${device#/dev/}/trigger_fs_error" ] ||
                        skip "the kernel cannot be made to find an error"
                echo test >"/sys/fs/ext4/${device#/dev/}/trigger_fs_error"
        fi
}
repair_disk() {
        settle
        umount "$tmp/disk"
        if [ "$type" = xfs ]; then
                mount -o loop "$tmp/disk.img" "$tmp/disk" # the log is replayed
                umount "$tmp/disk"
                xfs_repair -n "$tmp/disk.img" >"$tmp/repair.log" 2>&1 || fail "$(cat "$tmp/repair.log")"
        else
                e2fsck -fy "$tmp/disk.img" >"$tmp/repair.log" 2>&1 || [ $? = 1 ] || fail "$(cat "$tmp/repair.log")"
        fi
        mount -o loop "$tmp/disk.img" "$tmp/disk"
}

# breaks PATH CALL WHEN: the disk fails right behind that call.
breaks() {
        round=$((round + 1))
        "$PYTHON" "$judge/busy.py" "$source" "$round"
        before=$(snapshots "$parent")
        mkdir -p "$parent/.rsync-system-backup.trash-7"/{1..20}
        stop_at "$1" "$2" "$3" -b -s "$source" "$parent/latest"
        break_disk
        go_on 1
        grep -q "^error: .*\($reason\)" "$tmp/err" || fail "it is not told that the disk failed: $(cat "$tmp/err")"
        [ "$(grep -c "^warning: ${far}cannot" "$tmp/err")" -lt 4 ] || fail "it went on without a disk: $(cat "$tmp/err")"
        [ -z "$(ls -A "$tmp/view/disk")" ] || fail "something was written where the disk is mounted, but not to it"
        repair_disk
        [ "$(snapshots "$parent")" = "$before" ] || fail "there is a snapshot of a run that failed"
        frozen "$parent"
        expect_status 0 run_backup -b -s "$source" "$parent/latest"
        same "$source" "$parent/latest"
        same "$source" "$parent/$(snapshots "$parent" | tail -n 1)"
        frozen "$parent"
        [ -z "$(find "$parent" -name '.rsync-system-backup.*')" ] || fail "leftovers were not swept"
}

# What lies below the mount point.
mkdir "$tmp/view"
mount --bind "$tmp" "$tmp/view"
round=0
"$PYTHON" "$judge/busy.py" "$source" 0
expect_status 0 run_backup -b -s "$source" "$parent/latest"
sync -f "$parent"
frozen "$parent"
breaks "$parent/.rsync-system-backup.trash-7" unlinkat 3
breaks '' pwrite64 5
breaks "$parent/latest/sure" renameat 3
breaks "$parent/latest/sure" unlinkat 3
breaks "$parent/.rsync-system-backup.new/sure" linkat 3
breaks "$parent/.rsync-system-backup/state.new" write 3
