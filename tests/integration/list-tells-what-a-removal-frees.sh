#!/bin/bash
# list-tells-what-a-removal-frees.sh ext4|xfs|btrfs: --list says how much room the removal of each snapshot would give back:
# on ext4 to the byte, on XFS and btrfs up to what those take for inodes and the like, whatever the snapshots share by hard
# links, reflinks or as subvolumes. It changes nothing, not even the time of the last access.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
type=$1
in_memory 900m
case $type in
xfs) make_fs disk xfs 400m -m reflink=1 ;;
btrfs) need btrfs && make_fs disk btrfs 400m --metadata single ;;
*) make_fs disk "$type" 200m ;;
esac

source=$tmp/source parent=$tmp/disk/parent
mkdir -p "$source"/{many,few}
for i in {1..300}; do
        echo "$i" >"$source/many/$i"
done
for i in {1..20}; do
        head -c $((i * 50000 + 7)) /dev/urandom >"$source/few/$i"
        ln "$source/few/$i" "$source/many/link $i"
        ln -s "$(printf '%0200d' "$i")" "$source/few/symlink $i"
done
truncate -s 10M "$source/few/holes"
echo end >>"$source/few/holes"

# back_up DAY: a backup, whose snapshot gets a date of its own.
back_up() {
        expect_status 0 run_backup -b -s "$source" "$parent/latest"
        name_newest "$parent" "2001-02-0$1"
}
back_up 1
# Content, metadata alone (which copies share their blocks for, where that can be), names, links, a deep directory.
head -c 2000000 /dev/urandom >"$source/few/13"
chmod 600 "$source/few/4" "$source"/many/1*
rm "$source/few/15" "$source/many/2"* "$source/few/symlink 7"
mkdir -p "$source/a/b/c/d"
for i in {1..100}; do
        echo "$i" >"$source/a/b/c/d/$(printf '%0100d' "$i")"
done
back_up 2
rm -r "$source/a"
head -c 3000000 /dev/urandom >"$source/only third"
ln "$source/only third" "$source/few/of third"
back_up 3
rm "$source/only third" "$source/few/of third"
head -c 1000 /dev/urandom >>"$source/few/19"
back_up 4
# A file that shares all of its blocks with one elsewhere.
if [ "$type" = xfs ]; then
        cp --reflink=always "$parent/latest/few/20" "$parent/2001-02-03/shared"
fi

# And one with nothing elsewhere, which is freed with this snapshot although it is shared.
within=0
if [ "$type" != ext4 ]; then
        within=1000000
        [ "$type" != btrfs ] || btrfs property set "$parent/2001-02-04" ro false
        head -c $within /dev/urandom >"$parent/2001-02-04/one"
        cp --reflink=always "$parent/2001-02-04/one" "$parent/2001-02-04/other"
        sync -f "$parent" # what is not written yet is not known to be shared
fi

# free: bytes, when all is written and what was removed is cleaned up.
free() {
        sync -f "$parent"
        [ "$type" != btrfs ] || btrfs subvolume sync "$tmp/disk" >"$tmp/log"
        # XFS frees what was removed in the background; to be frozen it has to be done with that.
        [ "$type" != xfs ] || { fsfreeze -f "$tmp/disk" && fsfreeze -u "$tmp/disk"; }
        sync -f "$parent"
        stat -f -c '%f %S' "$parent" | awk '{ print $1 * $2 }'
}
list() {
        expect_status 0 run_backup --list -v "$parent/latest"
}
# column NAME N: of a table of exact numbers; they stand behind the age, which is two words.
column() {
        awk -v name="$1" -v n="$2" '$1 == name { gsub(",", ""); print $(n + 3) }' "$tmp/out"
}
facts() {
        find "$tmp/disk" -printf '%P %i %n %m %s %T@ %C@\n' | sort
}

# Nothing is changed, nor is it noted that it was read. (On btrfs a snapshot has no such note.)
looked_at=("$parent/latest" "$parent"/{latest,2001-02-02}/{few,many,few/3})
[ "$type" != btrfs ] || looked_at=("$parent/latest"{,/few,/many,/few/3})
facts >"$tmp/before"
list
facts | diff "$tmp/before" - || fail "the list changed something"
touch -a -d 2001-01-01 "${looked_at[@]}"
list
[ "$(stat -c %x "${looked_at[@]}" | sort -u | cut -c 1-10)" = 2001-01-01 ] || fail "it shows that they were read"

# Each in turn, from the middle, with another look in between.
for name in 2001-02-03 2001-02-01 2001-02-04 2001-02-02; do
        list
        told=$(column "$name" 3) mark=
        [[ $told != '>'* ]] || mark=1 told=${told#'>'}
        entries=$(find "$parent/$name" | wc -l)
        [ "$(column "$name" 1)" = "$entries" ] || fail "$name has $entries entries: $(cat "$tmp/out")"
        bytes=$(find "$parent/$name" -type f -printf '%i %s\n' | sort -u | awk '{ s += $2 } END { print s }')
        [ "$(column "$name" 2)" = "$bytes" ] || fail "$name has $bytes bytes: $(cat "$tmp/out")"
        inodes=$(find "$parent/$name" -printf '%i\n' | sort -u | wc -l)
        before=$(free)
        if [ "$type" = btrfs ]; then
                btrfs subvolume delete -c "$parent/$name" >"$tmp/log"
        else
                rm -r "${parent:?}/$name"
        fi
        freed=$(($(free) - before))
        echo "$name: $told bytes told, $freed bytes freed, $inodes inodes"
        case $type in
        # An inode takes 512 bytes, and goes with the 63 beside it; the trees of the filesystem move by some blocks.
        xfs) slack=$((inodes * 512 + 64 * 1024)) ;;
        # Names, inodes, and small files within are metadata, of which some hundred bytes each are right.
        btrfs) slack=$((inodes * 800 + 64 * 1024)) ;;
        *) slack=0 ;;
        esac
        inside=0
        [ "$name" != 2001-02-04 ] || inside=$within
        if [ "$inside" -gt 0 ]; then
                [ "$mark" ] || fail "$name has no mark, although files share blocks in it"
                grep -q '^> at least: what files of one snapshot share' "$tmp/out" || fail "the mark is not explained"
                [ "$freed" -ge $((told + inside / 2)) ] || fail "what was shared within is not freed: is this test wrong?"
        fi
        [ "$type" != ext4 ] || [ ! "$mark" ] || fail "$name has a mark where nothing can be shared"
        [ "$freed" -ge "$told" ] || [ $((told - freed)) -le $((slack / 4)) ] || fail "less was freed than was told"
        [ $((freed - told - inside)) -le $((slack + inside / 100)) ] || fail "more was freed than was told"
done

# The sum of all is that of du(1), where nothing is shared in other ways.
[ "$type" = ext4 ] || exit 0
back_up 5
echo new >"$source/new"
back_up 6
list
sum=$(du -s --block-size=1 "$parent/latest" "$parent"/2001-* | awk '{ s += $1 } END { print s }')
[ "$(sed -n 's/^2 snapshots; with the latest backup \(.*\) on the disk;.*/\1/p' "$tmp/out" | tr -d ,)" = "$sum" ] ||
        fail "all take $sum: $(cat "$tmp/out")"
