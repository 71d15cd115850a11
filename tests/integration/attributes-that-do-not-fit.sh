#!/bin/bash
# A file has more extended attributes than the destination can hold: it gets all that fit, its ACL, capability and mode
# too, and the run says so. It stays one file for all snapshots while it does not change (but for one with capabilities,
# which only a copy may get), and is not listed as changed. The same for links and special files.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync setfacl getfacl setcap getfattr setfattr
in_memory 700m
make_fs source xfs 320M
make_fs disk ext4 64M
source=$tmp/source/tree parent=$tmp/disk/parent

mkdir "$source"
ln -s target "$source/link"
ln -s target "$source/names"
ln "$source/names" "$source/names-2"
mknod "$source/device" c 1 3
mkfifo "$source/fifo"
head -c 400K /dev/urandom >"$source/file"
mkdir "$source/directory"
cp /bin/true "$source/power"
setcap cap_net_raw+ep "$source/power"
setfacl -m u:7:rw,g::-,o::- "$source/file" "$source/power"
setfacl -m u:7:rwx,d:u:8:rx "$source/directory"
large=$(head -c 3000 /dev/zero | tr '\0' x)
for name in file directory power; do
        for attribute in a:1 large1:"$large" large2:"$large" z:2; do
                setfattr -n "user.${attribute%%:*}" -v "${attribute#*:}" "$source/$name"
        done
done

for name in link names device fifo; do
        setfattr -h -n trusted.large -v "$large$large" "$source/$name"
        setfattr -h -n trusted.note -v kept "$source/$name"
done

# Everything but the attributes that were too large.
facts() {
        (cd "$1" && getfacl directory file power &&
                getfattr -h -d -m '^(user[.](a|z)|trusted[.]note|security[.]capability)$' -e hex ./* &&
                stat -c '%N %A %u %g %t %T %Y' ./*)
}

expect_status 23 run_backup -b -s "$source" "$parent/latest"
grep -q "attributes of 'file'.*filesystem holds no more" err || fail "it is not told: $(cat err)"
facts "$source" >wanted
facts "$parent/latest" >found
diff wanted found || fail "more than what does not fit is missing"
inodes() {
        (cd "$parent/latest" && stat -c '%n %i' file directory link names names-2 device fifo)
}
inodes >before
frozen "$parent"
for _ in 1 2; do
        expect_status 23 run_backup -v -b -s "$source" "$parent/latest"
        for name in file directory power link names device fifo; do
                [ "$(grep -c "attributes of '$name'" err)" = 1 ] || fail "not told once of $name: $(cat err)"
        done
        inodes | diff before - || fail "what is unchanged became something else"
        ! grep -Ev '^(changed|metadata) +power|^snapshot ' out || fail "what is unchanged is listed"
        frozen "$parent"
done

# They are one no longer, and so are they in the backup.
rm "$source/names-2"
cp -a "$source/names" "$source/names-2"
[ "$(stat -c %h "$source/names")" = 1 ] || fail "the test's own names are one still"
expect_status 23 run_backup -b -s "$source" "$parent/latest"
inodes | grep names | awk '{ print $2 }' | sort | uniq -d | diff /dev/null - || fail "what was split is one inode still"
inodes >before
expect_status 23 run_backup -b -s "$source" "$parent/latest"
inodes | diff before - || fail "what was split becomes another each time"
frozen "$parent"

echo changed >"$source/file"
expect_status 23 run_backup -b -s "$source" "$parent/latest"
cmp "$source/file" "$parent/latest/file"
frozen "$parent"
for name in file directory power; do
        setfattr -x user.large2 "$source/$name"
done
for name in link names names-2 device fifo; do
        setfattr -h -x trusted.large "$source/$name"
done
expect_status 0 run_backup -b -s "$source" "$parent/latest"
facts "$source" >wanted
facts "$parent/latest" >found
diff wanted found
frozen "$parent"
