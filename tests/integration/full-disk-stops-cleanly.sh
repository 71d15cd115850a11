#!/bin/bash
# full-disk-stops-cleanly.sh FSTYPE [LEVELS]: on a full disk, or one without inodes, the run stops with a message that says
# so; `latest` and the snapshots are as usable as before, at whatever moment it got full, and with room the next run goes
# on to an exact end. A run that rotates removes first what the scheme removes anyway, and does not stop; it removes
# nothing else. LEVELS: so many steps from no room at all to almost enough.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 200m

type=$1 levels=${2:-3}
case $type in
ext4) make_fs disk ext4 28m -N 1500 -m 0 -J size=4 ;;
*) make_fs disk "$type" 24m && mount -o remount,nr_inodes=1500 "$tmp/disk" ;;
esac
source=$tmp/source parent=$tmp/disk/parent
mkdir -m 700 "$source" "$parent"

# fill KIB: leave about so much.
fill() {
        local free

        rm -rf "$tmp/disk/ballast"*
        free=$(df --output=avail -k "$tmp/disk" | tail -n 1)
        [ "$free" -le "$1" ] || head -c $(((free - $1) * 1024)) /dev/zero >"$tmp/disk/ballast" 2>/dev/null || true
}

# fill_inodes COUNT: leave so many.
fill_inodes() {
        local free

        rm -rf "$tmp/disk/ballast"*
        mkdir "$tmp/disk/ballast"
        free=$(df --output=iavail "$tmp/disk" | tail -n 1)
        (cd "$tmp/disk/ballast" && seq "$((free - $1))" | xargs -r touch)
}

# stops OPTIONS: status 1 and a message; history as it was; nothing half-made that would look whole.
stops() {
        expect_status 1 run_backup "$@" "$source" "$parent/latest"
        grep -q '^error: .*\(No space left\|is full\).* free, .*larger disk' "$tmp/err" || fail "the message does not tell: $(cat "$tmp/err")"
        frozen "$parent"
        find "$parent" -name '2*' -prune -o -name '.rsync-system-backup.tmp-*' -print | grep . &&
                fail "temporaries take up the room that is missing"
        return 0
}

for i in $(seq 60); do
        mkdir -p "$source/$((i % 7))"
        head -c $((i * 1000)) /dev/urandom >"$source/$((i % 7))/$i"
done
expect_status 0 run_backup -b -s "$source" "$parent/latest"
frozen "$parent"

# What is removed comes free when the filesystem has written that.
no_ballast() {
        rm -r "$tmp/disk/ballast"
        sync -f "$tmp/disk"
}

# thin_out: make room for the next level. What the scheme preserves stays, of course.
thin_out() {
        rm -f "$source"/*/new-*
        rm -rf "$tmp/frozen.store"
        expect_status 0 run_backup -r --yearly=1 "$source" "$parent/latest"
        frozen "$parent"
}

for ((level = 0; level < levels; level++)); do
        free=$((level * level * 1200 / (levels - 1) / (levels - 1)))
        [ "$levels" -le 3 ] || thin_out
        for i in $(seq 3 3 60); do
                head -c $((i * 1000)) /dev/urandom >"$source/$((i % 7))/$i"
        done
        head -c 1M /dev/urandom >"$source/5/large"
        fill "$free"
        stops -b -s
        [ "$level" != 0 ] || grep -q ' free, about .* more are needed; [0-9]* snapshots\? and .* hold' "$tmp/err" ||
                fail "the message does not tell how much is missing: $(cat "$tmp/err")"
        no_ballast
        expect_status 0 run_backup -b -s "$source" "$parent/latest"
        same "$source" "$parent/latest"
        frozen "$parent"
done
for ((level = 1; level < levels; level++)); do
        free=$((level * 18 / levels))
        [ "$levels" -le 3 ] || thin_out
        for i in $(seq 3 3 60); do
                echo "$free" >"$source/$((i % 7))/new-$free-$i"
        done
        fill_inodes "$free"
        stops -b -s
        no_ballast
        expect_status 0 run_backup -b -s "$source" "$parent/latest"
        same "$source" "$parent/latest"
        frozen "$parent"
done

# The snapshot alone finds no room, in its directories.
fill_inodes 4
stops -s
rm -r "$tmp/disk/ballast"
expect_status 0 run_backup -s "$parent/latest"
frozen "$parent"

# With rotation: for the transfer, and for the snapshot.
for step in transfer snapshot; do
        rm -rf "$tmp/frozen.store"
        expect_status 0 run_backup -r --yearly=1 "$source" "$parent/latest"
        old="$parent/2001-01-01 00:00:00"
        mkdir -m 700 "$old"
        if [ $step = transfer ]; then
                head -c 2M /dev/zero >"$old/room"
                head -c 2M /dev/urandom >"$source/5/large"
                fill 600
        else
                mkdir "$old"/{1..200} # on tmpfs each link takes an inode
                fill_inodes 4
        fi
        expect_status 0 run_backup --yearly=1 "$source" "$parent/latest"
        grep -q '^warning: .*rotation scheme' "$tmp/err" || fail "it is not told that room was made: $(cat "$tmp/err")"
        [ ! -e "$old" ] || fail "the old snapshot is still there"
        same "$source" "$parent/latest"
        same "$source" "$parent/$(snapshots "$parent" | tail -n 1)"
        rm -rf "$tmp/disk/ballast"*
done

# Nothing to gain by rotation.
head -c 3M /dev/urandom >"$source/5/large"
expect_status 0 run_backup -r --yearly=always "$source" "$parent/latest"
fill 600
stops --yearly=always
grep -q "^error: ${far}cannot .*: No space left on device, and rotation has removed no snapshot" "$tmp/err" ||
        fail "it does not tell what is full, and where: $(cat "$tmp/err")"
