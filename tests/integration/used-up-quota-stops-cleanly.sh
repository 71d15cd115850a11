#!/bin/bash
# used-up-quota-stops-cleanly.sh [LEVELS]: when a quota is used up (EDQUOT) the run stops as on a full disk: with a message
# that says so, `latest` and the snapshots as usable as before, and more room is all that the next run needs. A run that
# rotates removes first what the scheme removes anyway, and does not stop. On btrfs, whose quota holds for root as well.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync btrfs
in_memory 300m
lasts year 200

levels=${1:-4}
make_fs disk btrfs 200m
source=$tmp/source parent=$tmp/disk/parent
btrfs subvolume create "$parent" >/dev/null
btrfs quota enable "$tmp/disk" || skip "cannot enable quotas"
btrfs quota rescan -w "$tmp/disk" >"$tmp/log" 2>&1 || true # which has begun, or need not
chmod 700 "$parent"
# A subvolume of its own would have a quota of its own.
mkdir -m 700 "$parent/latest" "$source"

# leave KIB: the quota is what is used and so much more.
leave() {
        local used

        sync -f "$parent"
        used=$(btrfs qgroup show --raw "$parent" | awk '$1 ~ "^0/" && $1 != "0/5" { print $2 }')
        btrfs qgroup limit $((used + $1 * 1024)) "$parent"
}
change() {
        local i

        for i in $(seq 3 3 60); do
                head -c $((i * 1000)) /dev/urandom >"$source/$((i % 7))/$i"
        done
        head -c 3M /dev/urandom >"$source/5/large"
}

for i in $(seq 60); do
        mkdir -p "$source/$((i % 7))"
        head -c $((i * 1000)) /dev/urandom >"$source/$((i % 7))/$i"
done
expect_status 0 run_backup -b -s "$source" "$parent/latest"
frozen "$parent"

for ((level = 1; level <= levels; level++)); do
        # The disk itself is to have room.
        [ $((level % 8)) != 0 ] || expect_status 0 run_backup -r --yearly=1 "$source" "$parent/latest"
        change
        leave $((level * 2500 / levels))
        before=$(snapshots "$parent")
        expect_status 1 run_backup -b -s "$source" "$parent/latest"
        grep -q '^error: .*Disk quota exceeded' "$tmp/err" || fail "the message does not tell: $(cat "$tmp/err")"
        [ "$(snapshots "$parent")" = "$before" ] || fail "there is a snapshot of a transfer that did not end"
        frozen "$parent" --gone-ok
        btrfs qgroup limit none "$parent"
        expect_status 0 run_backup -b -s "$source" "$parent/latest"
        same "$source" "$parent/latest"
        frozen "$parent" --gone-ok
        [ -z "$(find "$parent" -name '.rsync-system-backup.*')" ] || fail "leftovers are not swept"
done

# What the scheme removes makes room, in the transfer or later; what it preserves stays.
mkdir -m 700 "$parent/2001-01-01 00:00:00"
head -c 8M /dev/urandom >"$parent/2001-01-01 00:00:00/room"
oldest=$(snapshots "$parent" | sed -n 2p)
change
leave 1500
expect_status 0 run_backup --yearly=1 "$source" "$parent/latest"
grep -q '^warning: .*rotation scheme' "$tmp/err" || fail "it is not told that room was made: $(cat "$tmp/err")"
[ ! -e "$parent/2001-01-01 00:00:00" ] || fail "the old snapshot is still there"
[ -e "$parent/$oldest" ] || fail "a snapshot that the scheme preserves is gone"
same "$source" "$parent/latest"
same "$source" "$parent/$(snapshots "$parent" | tail -n 1)"
frozen "$parent" --gone-ok

# Nothing to gain by rotation, and nothing is lost by it.
change
leave 1500
before=$(snapshots "$parent")
expect_status 1 run_backup --yearly=always --minutely=always --relaxed "$source" "$parent/latest"
grep -q '^error: cannot .*: Disk quota exceeded, and rotation has removed no snapshot' "$tmp/err" ||
        fail "it is not told that there is nothing to gain: $(cat "$tmp/err")"
[ "$(snapshots "$parent")" = "$before" ] || fail "a snapshot is gone that the scheme preserves"
frozen "$parent" --gone-ok
