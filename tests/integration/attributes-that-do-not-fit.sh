#!/bin/bash
# A file has more extended attributes than the destination can hold: it gets all that fit, its ACL, capability and mode
# too, and the run says so. It stays one file for all snapshots while it does not change (but for one with capabilities,
# which only a copy may get).
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync setfacl getfacl setcap getfattr setfattr
in_memory 700m
make_fs source xfs 320M
make_fs disk ext4 64M
source=$tmp/source/tree parent=$tmp/disk/parent

mkdir "$source"
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

# Everything but the attributes that were too large.
facts() {
        (cd "$1" && getfacl directory file power && getfattr -d -m '^(user[.](a|z)|security[.]capability)$' -e hex directory file power &&
                stat -c '%n %A %u %g %Y' file directory power)
}

expect_status 23 run_backup -b -s "$source" "$parent/latest"
grep -q "attributes of 'file'" err || fail "it is not told: $(cat err)"
facts "$source" >wanted
facts "$parent/latest" >found
diff wanted found || fail "more than what does not fit is missing"
before=$(stat -c %i "$parent/latest/file")
frozen "$parent"
for _ in 1 2; do
        expect_status 23 run_backup -b -s "$source" "$parent/latest"
        [ "$before" = "$(stat -c %i "$parent/latest/file")" ] || fail "an unchanged file became another one"
        frozen "$parent"
done
echo changed >"$source/file"
expect_status 23 run_backup -b -s "$source" "$parent/latest"
cmp "$source/file" "$parent/latest/file"
frozen "$parent"
for name in file directory power; do
        setfattr -x user.large2 "$source/$name"
done
expect_status 0 run_backup -b -s "$source" "$parent/latest"
facts "$source" >wanted
facts "$parent/latest" >found
diff wanted found
frozen "$parent"
