#!/bin/bash
# fidelity.sh FSTYPE ROUNDS [SEED]: the promise that a backup is faithful, and that a snapshot never changes.
#
# A torture tree is backed up to a filesystem of type FSTYPE, from the same filesystem and from one of another type, and
# again after each of ROUNDS rounds of random mutations. Each time both judges compare, and all earlier snapshots have to
# be what they were. In the end a run without any change must store nothing anew.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync

type=$1 rounds=$2 seed=${3:-1}
case $type in
ext4) other=xfs ;;
xfs) other=btrfs ;;
btrfs) other=tmpfs ;;
*) other=ext4 ;;
esac

# back_up SRC PARENT: run the program, judge, and keep an eye on history.
back_up() {
        sync -f "$1" # XFS shows preallocated space as data until then
        expect_status 0 run_backup -b -s "$1" "$2/latest"
        same "$1" "$2/latest" --holes="$holes"
        same "$2/latest" "$2/$(snapshots "$2" | tail -n 1)"
        frozen "$2"
}

# rounds_from MOUNT NAME HOLES: all rounds with a source on that filesystem.
rounds_from() {
        local src=$1/source parent=$tmp/destination/$2 holes=$3 round before

        mkdir "$src" "$parent"
        rm -rf "$tmp/frozen.store"
        torture make "$src" --seed "$seed"
        back_up "$src" "$parent"
        for ((round = 1; round <= rounds; round++)); do
                torture mutate "$src" --seed $((seed * 1000 + round)) >"$tmp/mutations" || fail "cannot mutate $src"
                (back_up "$src" "$parent") 2>"$tmp/failure" || {
                        cat "$tmp/mutations" "$tmp/failure"
                        fail "from $2, seed $seed, round $round (above are its mutations)"
                }
        done
        before=$(snapshots "$parent" | tail -n 1)
        back_up "$src" "$parent"
        "$PYTHON" "$judge/frozen.py" shared "$parent/$before" "$parent/latest" || fail "unchanged files were stored anew"
        [ "$(snapshots "$parent" | wc -l)" = $((rounds + 2)) ] || fail "there should be $((rounds + 2)) snapshots"
}

make_fs destination "$type" 2g
make_fs other "$other" 1g
case $type in
ext4 | tmpfs) rounds_from "$tmp/destination" same-filesystem exact ;;
*) rounds_from "$tmp/destination" same-filesystem coarse ;;
esac
rounds_from "$tmp/other" "$other" coarse
