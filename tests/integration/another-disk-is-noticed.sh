#!/bin/bash
# another-disk-is-noticed.sh FSTYPE: a disk that is missing or another one at the same place is noticed before anything is
# written to it; it can be forced once, and from then on both are known and may alternate.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
type=$1
need "mkfs.$type"
in_memory 200m

for disk in a b; do
        case $type in
        ext4) truncate -s 16M "$disk.img" && mkfs.ext4 -q -F "$disk.img" ;;
        btrfs) truncate -s 120M "$disk.img" && mkfs.btrfs -q "$disk.img" >mkfs.log 2>&1 ;;
        esac
done
mkdir -p source point
echo one >source/one
change_to() {
        ! mountpoint -q point || umount point
        [ "$1" = none ] || mount -o loop "$1.img" point || skip "cannot mount an image of $type"
}
refused() {
        local before

        before=$(find point | sort)
        expect_status 1 run_backup source "$1"
        grep -q "^error: $far$2" err || fail "the message does not tell: $(cat err)"
        [ "$before" = "$(find point | sort)" ] || fail "something was written to a disk that was refused"
        expect_status 1 run_backup -n source "$1"
}

for at in point/latest point/laptop/latest; do
        change_to a
        expect_status 0 run_backup source $at
        expect_status 0 run_backup -b source $at
        change_to none
        case $at in
        # The filesystem below is a tmpfs, whose identity is as good as another.
        point/latest) refused $at "'.*/point' is on another disk" ;;
        *)
                refused $at "'.*/point/laptop' is on another disk"
                mkdir point/laptop
                refused $at "'.*/point/laptop' is on another disk"
                rmdir point/laptop
                ;;
        esac
        # One that cannot be told from any other of its kind.
        mount -t ramfs none point
        refused $at "'.*' is on another disk .*filesystem without-uuid"
        umount point
        change_to b
        refused $at "'.*' is on another disk .*filesystem [0-9a-f]"
        expect_status 0 run_backup --force source $at
        for disk in a b a a b b a; do
                change_to $disk
                expect_status 0 run_backup -b source $at
        done
        change_to none
        if [ $at = point/latest ]; then
                refused $at "'.*/point' is on another disk"
        fi
done
# Below a missing mount point directory nothing is made up.
change_to none
expect_status 1 run_backup source point/elsewhere/laptop/latest
[ -z "$(ls -A point)" ] || fail "something was created where a disk is missing"
