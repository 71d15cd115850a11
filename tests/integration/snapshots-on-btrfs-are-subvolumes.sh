#!/bin/bash
# On btrfs `latest` is made as a subvolume by who may remove subvolumes too, and then its snapshots are made and removed
# by the filesystem: read-only, exact, never changing, under their final names only. Trees from before go on by hard
# links, and so do ordinary users who may not remove subvolumes. What somebody mounts or nests in them is left alone and
# told.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need btrfs rsync setfacl setfattr strace
in_memory 600m
lasts year 200

# disk NAME SIZE: a btrfs that keeps little for itself.
disk() {
        make_fs "$1" btrfs "$2" --metadata single
}
# kind DIRECTORY: subvolume, read-only (subvolume) or plain (directory).
kind() {
        if [ "$(stat -c %i "$1")" != 256 ]; then
                echo plain
        elif [ "$(btrfs property get -ts "$1" ro)" = ro=true ]; then
                echo read-only
        else
                echo subvolume
        fi
}
is() {
        [ "$(kind "$2")" = "$1" ] || fail "$2 is $(kind "$2"), it should be $1"
}
newest() {
        snapshots "$parent" | tail -n 1
}
count() {
        [ "$(snapshots "$parent" | wc -l)" = "$1" ] || fail "there should be $1 snapshots: $(ls "$parent")"
        [ -z "$(find "$parent" -maxdepth 1 -name '.rsync-system-backup.*')" ] ||
                fail "something is left: $(ls -A "$parent")"
}
# exact KIND: `latest` and the newest snapshot equal the source, no snapshot has changed.
exact() {
        same "$source" "$parent/latest"
        is "$1" "$parent/$(newest)"
        same "$source" "$parent/$(newest)"
        frozen "$parent" --gone-ok
}
# change N: content, metadata alone (of the root too), links, names.
change() {
        echo "$1" >"$source/dir/file $1"
        chmod "70$1" "$source/dir/file $(($1 + 10))"
        setfattr -n user.name -v "$1" "$source/dir/file $(($1 + 13))" "$source"
        ln -f "$source/dir/file $(($1 + 16))" "$source/dir/a/link $(($1 + 19))"
        rm "$source/dir/b/$1"
        mkdir "$source/dir/b/$1"
        touch -d "2001-01-0$1" "$source"
}
told() {
        grep -q "$1" "$tmp/err" || fail "it is not told that '$1': $(cat "$tmp/err")"
}

disk disk 300m
source=$tmp/source parent=$tmp/disk/parent
# The torture tree is for the test of fidelity.
mkdir -p "$source"/dir/{a,b,c}
for i in {1..30}; do
        echo "$i" >"$source/dir/file $i"
        ln "$source/dir/file $i" "$source/dir/a/link $i"
        ln -s "$i" "$source/dir/b/$i"
done
truncate -s 10M "$source/sparse"
echo data >>"$source/sparse"
mkfifo "$source/dir/c/fifo"
setfacl -m u:54321:rwx,d:g:54321:rx "$source" "$source/dir/a"
setfattr -n user.name -v value "$source" "$source/dir/file 3"
chmod 2750 "$source"

# A first run, and what a dry run says of it.
expect_status 0 run_backup -n "$source" "$parent/latest"
[ ! -e "$parent" ] || fail "a dry run created something"
expect_status 0 run_backup -v "$source" "$parent/latest"
is subvolume "$parent/latest"
count 1
exact read-only
told 'btrfs subvolume'
[ "$(stat -c %a "$parent/.rsync-system-backup")" = 700 ] || fail "the state directory is open to others"

# Changes of all kinds; three snapshots that would all be made within one second; rotation.
for round in 1 2; do
        change "$round"
        expect_status 0 run_backup -b -s "$source" "$parent/latest"
        exact read-only
done
before=$(newest)
expect_status 0 run_backup -b -s "$source" "$parent/latest"
"$PYTHON" "$judge/frozen.py" shared "$parent/$before" "$parent/latest" || fail "unchanged files were stored anew"
expect_status 0 run_backup -s "$parent/latest"
expect_status 0 run_backup -s "$parent/latest"
exact read-only
expect_status 0 run_backup -r -n --yearly=1 "$parent/latest"
[ "$(grep -c '^removed ' "$tmp/out")" = 4 ] || fail "a dry run does not name what goes: $(cat "$tmp/out")"
count 6
expect_status 0 run_backup -r -v --yearly=1 "$parent/latest"
[ "$(grep -c '^removed ' "$tmp/out")" = 4 ] || fail "the removals are not named: $(cat "$tmp/out")"
count 2
frozen "$parent" --gone-ok
grep -c '^complete' "$parent/.rsync-system-backup/state" | grep -qx 2 || fail "the state knows of removed snapshots"

# Under another name of the parent; with the source around it.
mv "$parent" "$parent-moved"
parent=$parent-moved
expect_status 0 run_backup -b -s "$source" "$parent/latest"
exact read-only
mkdir "$tmp/disk/data"
echo one >"$tmp/disk/data/one"
expect_status 0 run_backup -b -s "$tmp/disk" "$tmp/disk/inside/latest"
[ "$(cd "$tmp/disk/inside/latest" && find . -path './*/latest' -prune -o -name one -print)" = ./data/one ] ||
        fail "a source around the destination: $(find "$tmp/disk/inside/latest")"
[ ! -e "$tmp/disk/inside/latest/inside/latest" ] || fail "the destination was backed up into itself"

# Hard links go on where `latest` is plain; snapshots of both kinds side by side.
mkdir "$tmp/disk/mixed"
parent=$tmp/disk/mixed
rm -rf "$tmp/frozen.store"
mkdir "$parent/latest"
expect_status 0 run_backup "$source" "$parent/latest"
is plain "$parent/latest"
exact plain
mv "$parent/latest" "$parent/former"
expect_status 0 run_backup -b -s "$source" "$parent/latest"
is subvolume "$parent/latest"
exact read-only
change 3
expect_status 0 run_backup -b -s "$source" "$parent/latest"
exact read-only
count 3
expect_status 0 run_backup -r --yearly=1 --prefer-recent "$parent/latest"
count 1
exact read-only

# What lies in `latest` or in a snapshot and is not ours.
btrfs -q subvolume create "$parent/latest/nested"
echo precious >"$parent/latest/nested/data"
expect_status 23 run_backup -b -s "$source" "$parent/latest"
told "'nested'.*btrfs subvolume?"
mkdir "$source/nested"
expect_status 23 run_backup -b "$source" "$parent/latest"
told "'nested'.*btrfs subvolume?"
rmdir "$source/nested"
expect_status 23 run_backup -s "$parent/latest"
told 'btrfs subvolumes inside'
[ "$(cat "$parent/latest/nested/data")" = precious ] || fail "a nested subvolume was touched"
btrfs -q subvolume delete "$parent/latest/nested"
expect_status 0 run_backup -b -s "$source" "$parent/latest"
exact read-only
count 4
old=$(snapshots "$parent" | sed -n 2p)
btrfs property set -ts "$parent/$old" ro false
btrfs -q subvolume create "$parent/$old/inner"
mkdir "$parent/$(snapshots "$parent" | sed -n 3p)/mnt" 2>/dev/null && fail "a snapshot can be written"
mounted="$parent/$(snapshots "$parent" | head -n 1)/"
mounted+=$(find "$mounted" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sed -n 1p)
mkdir -m 700 "$tmp/precious"
echo live >"$tmp/precious/data"
mount --bind "$tmp/precious" "$mounted"
expect_status 23 run_backup -r --yearly=1 --prefer-recent "$parent/latest"
told "$old.*btrfs subvolume delete"
told 'busy'
[ "$(cat "$mounted/data")" = live ] || fail "what was mounted in a snapshot was unmounted"
count 3
umount "$mounted"
btrfs -q subvolume delete "$parent/$old/inner"
btrfs subvolume set-default "$parent/$old"
expect_status 23 run_backup -r --yearly=1 --prefer-recent "$parent/latest"
told "$old.*default"
count 2
btrfs subvolume set-default 5 "$tmp/disk"
expect_status 0 run_backup -r --yearly=1 --prefer-recent "$parent/latest"
count 1

# A snapshot in the place of `latest`.
mv "$parent/latest" "$tmp/disk/away"
btrfs -q subvolume snapshot -r "$parent/$(newest)" "$parent/latest"
expect_status 1 run_backup -b "$source" "$parent/latest"
told 'read-only btrfs subvolume.*ro false'
btrfs property set -ts "$parent/latest" ro false
expect_status 0 run_backup -b -s "$source" "$parent/latest"
exact read-only

# What was cut off: a subvolume under a name that is swept, read-only or not.
btrfs -q subvolume snapshot -r "$parent/latest" "$parent/.rsync-system-backup.trash-1"
btrfs -q subvolume snapshot "$parent/latest" "$parent/.rsync-system-backup.new"
expect_status 0 run_backup -s "$parent/latest"
count 3

# Ordinary users: plain directories, unless they may remove subvolumes; and if that is taken away again, by hand.
prepare_for_user
chmod 755 "$tmp/disk"
mkdir -m 700 "$tmp/mine"
mkdir -p "$tmp/mine/a/b"
(cd "$tmp/mine" && echo one >a/b/one && ln a/b/one two && ln -s a link && mkfifo fifo && chmod 500 a/b a)
install -d -m 700 "$tmp/disk/user" "$tmp/disk/user/plain" "$tmp/disk/user/fast"
chown -R "$ordinary_user:$ordinary_user" "$tmp/mine" "$tmp/disk/user"
source=$tmp/mine
rm -rf "$tmp/frozen.store"
user_backup() {
        as_user "$RSB" --disable-notifications --no-sudo "$@"
}
parent=$tmp/disk/user/plain
expect_status 0 user_backup "$source" "$parent/latest"
is plain "$parent/latest"
exact plain
mount -o remount,user_subvol_rm_allowed "$tmp/disk"
parent=$tmp/disk/user/fast
rm -rf "$tmp/frozen.store"
for mode in 700 500 555 700; do
        as_user chmod 700 "$source"
        as_user touch "$source/$mode"
        as_user chmod $mode "$source"
        expect_status 0 user_backup -b -s "$source" "$parent/latest"
        is subvolume "$parent/latest"
        exact read-only
done
expect_status 0 user_backup -r --yearly=1 "$parent/latest"
count 2
umount "$tmp/disk"
mount -o loop "$tmp/disk.img" "$tmp/disk"
expect_status 0 user_backup "$source" --yearly=1 --prefer-recent "$parent/latest"
count 1
exact read-only
btrfs -q subvolume create "$parent/2001-01-01 00:00:00"
btrfs property set -ts "$parent/2001-01-01 00:00:00" ro true
expect_status 23 user_backup -r --yearly=1 --prefer-recent "$parent/latest"
told '2001-01-01.*its owner or root'
btrfs -q subvolume delete "$parent"/.rsync-system-backup.trash-*
count 1
as_user mkdir "$parent/2001-01-01 00:00:00"
btrfs -q subvolume create "$parent/2001-01-01 00:00:00/inner"
expect_status 23 user_backup -r --yearly=1 --prefer-recent "$parent/latest"
told "2001-01-01 00:00:00/inner'.*btrfs subvolume?"
btrfs -q subvolume delete "$parent"/.rsync-system-backup.trash-*/inner
expect_status 0 user_backup -r --yearly=1 --prefer-recent "$parent/latest"
count 1
umount "$tmp/disk"
rm "$tmp/disk.img"

# Killed before each ioctl in turn: `latest` is made, a snapshot is made, another one goes.
disk steps 160m
source=$tmp/steps/source parent=$tmp/steps/parent
btrfs -q subvolume create "$source"
echo one >"$source/one"
for ((n = 1; n < 100; n++)); do
        mkdir -m 700 "$parent"
        btrfs -q subvolume snapshot -r "$source" "$parent/2001-01-01 00:00:00"
        status=0
        ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 \
                strace -f -qq -o "$tmp/trace" -e trace=ioctl -e inject="ioctl:signal=KILL:when=$n" \
                "$RSB" --yearly=1 --prefer-recent "$source" "$parent/latest" >"$tmp/out" 2>&1 || status=$?
        [ ! -e "$parent/latest" ] || [ "$(stat -c %a "$parent/latest")" = 700 ] || [ -e "$parent/latest/one" ] ||
                fail "killed at ioctl $n, others may look into $(stat -c '%n: %a' "$parent/latest")"
        while read -r name; do
                is read-only "$parent/$name"
                diff -r "$source" "$parent/$name" || fail "killed at ioctl $n, a snapshot is not whole"
        done < <(snapshots "$parent")
        [ $status = 137 ] || [ $status = 0 ] || fail "status $status after a kill at ioctl $n: $(cat "$tmp/out")"
        [ $status != 0 ] || break
        expect_status 0 run_backup --yearly=1 --prefer-recent "$source" "$parent/latest"
        count 1
        is subvolume "$parent/latest"
        is read-only "$parent/$(newest)"
        diff -r "$source" "$parent/$(newest)" || fail "after a kill at ioctl $n the next snapshot is not whole"
        rm "$parent/.rsync-system-backup"/*
        rmdir "$parent/.rsync-system-backup"
        btrfs -q subvolume delete "$parent/latest" "$parent/$(newest)"
        rmdir "$parent"
done
[ $n -gt 5 ] || fail "only $n ioctls were met"
umount "$tmp/steps"
rm "$tmp/steps.img"

# A full disk: history stays; what the scheme removes makes room, though not at once.
disk small 160m
source=$tmp/large parent=$tmp/small/parent
rm -rf "$tmp/frozen.store"
mkdir "$source"
for round in 1 2; do
        head -c 30M /dev/urandom >"$source/large"
        expect_status 0 run_backup -b -s "$source" "$parent/latest"
        frozen "$parent"
done
room=$(df --output=avail -k "$tmp/small" | tail -n 1)
head -c $(((room - 12000) * 1024)) /dev/zero >"$tmp/small/ballast"
sync -f "$tmp/small"
head -c 30M /dev/urandom >"$source/large"
expect_status 1 run_backup -b -s "$source" "$parent/latest"
told 'No space left'
frozen "$parent"
count 2
expect_status 0 run_backup --yearly=1 --prefer-recent "$source" "$parent/latest"
told '^warning: .*rotation scheme'
exact read-only
