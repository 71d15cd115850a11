#!/bin/bash
# A dry run changes nothing at all: not in the source (atimes included), not in the destination, its state and its parent,
# not on the machine. It lists every kind of change in the documented format, and the run that follows with -vv makes the
# very changes that were listed.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync setfacl

facts() {
        "$PYTHON" "$here/facts.py" "$@"
}

# What was listed, in an order that does not depend on threads; the snapshot that is made has another name each time.
lines() {
        local made

        made=$(sed -n 's/^snapshot //p' "$tmp/out")
        sed "s/^\(.*\) ${made:-none}/\1 MADE/" "$tmp/out" | LC_ALL=C sort
}

in_memory 200m
umask 022
make_fs disk ext4 64m
mkdir -p disk/source disk/parent
source=$tmp/disk/source parent=$tmp/disk/parent

# compare OPTIONS...: a dry run, then the run, as said above.
compare() {
        local before

        lasts hour 60
        before=$(facts "$source" "$parent" "$STATE_DIRECTORY" "$HOME")
        expect_status 0 run_backup -n "$@" "$source" "$parent/latest"
        diff <(echo "$before") <(facts "$source" "$parent" "$STATE_DIRECTORY" "$HOME") ||
                fail "the dry run changed something: $*"
        lines >"$tmp/listed"
        expect_status 0 run_backup -vv "$@" "$source" "$parent/latest"
        diff "$tmp/listed" <(lines) || fail "the run does not do what the dry run listed: $*"
        [[ " $* " = *" -x "* ]] || same "$source" "$parent/latest"
}

# Nothing there yet: not the parent either.
echo one >"$source/one"
rmdir "$parent"
compare
expect_status 0 run_backup -n "$source" "$tmp/disk/other/latest"
[ ! -e "$tmp/disk/other" ] || fail "a dry run created the parent"

cd "$source" || exit
mkdir -p a/b kept gone/below will-be-file
for name in size mtime mode owner xattr acl kept/file gone/file gone/below/file will-be-file/x will-be-link split-1 \
        will-be-dir hidden Lonely; do
        echo "$name" >"$name"
done
printf 'odd' >$'odd \n\\"\xff name'
ln split-1 split-2
ln -s old link
mknod device c 1 3
mkfifo fifo
# Which name of a group is met first does not depend on threads: subdirectories come after what sorts before them.
ln Lonely a/Lonely
compare
compare

touch -d '2020-01-01 00:00:00.5' mtime
cp -p hidden stamp
sleep 0.1
echo HIDDEN >hidden
touch -r stamp hidden
rm stamp
echo longer >>size
chmod 711 mode
chown 12345:54321 owner
setfattr -n user.note -v x xattr
setfacl -m u:12345:r acl
setfacl -d -m u:12345:rx kept
ln -sfn new link
rm device && mknod device c 1 5
rm -r gone will-be-file will-be-link will-be-dir fifo
echo now >will-be-file
ln -s target will-be-link
mkdir -p will-be-dir/below
echo x >will-be-dir/below/x
cp -p split-2 copy && mv copy split-2
ln a/Lonely a/b/another
touch -d 2010-01-01 kept
rm $'odd \n\\"\xff name'
compare
grep -Fxq 'type     will-be-file' "$tmp/out" || fail "a directory that became a file: $(cat "$tmp/out")"

# Each documented line, from the first list; reasons as documented.
cd "$tmp" || exit
for line in 'changed  size (size, mtime)' 'changed  mtime (mtime)' 'changed  hidden (content)' 'metadata mode (mode)' \
        'metadata owner (owner, group)' 'metadata xattr (xattrs)' 'metadata acl (acl)' 'changed  link (target)' \
        'changed  device (device)' 'deleted  gone/' 'deleted  gone/below/file' 'type     will-be-file' \
        'type     will-be-link' 'type     will-be-dir/' 'new      will-be-dir/below/' 'linked   a/b/another (links)' \
        'deleted  odd \n\\\"\377 name'; do
        grep -Fxq -e "$line" -e "${line%)}, mtime)" "$tmp/out" || fail "not listed: '$line'; there is: $(cat "$tmp/out")"
done
grep -Evq '^(new     |changed |metadata|linked  |type    |deleted |snapshot|removed |kept    ) [^ ]' "$tmp/out" &&
        fail "a line has another format: $(cat "$tmp/out")"
! grep -q rsync-system-backup "$tmp/out" || fail "a temporary name is listed"

compare -x /kept/file
grep -Fxq 'deleted  kept/file' "$tmp/out" || fail "what is excluded now is not deleted: $(cat "$tmp/out")"

# The root of the source is an entry like all others.
compare -b
chmod 711 "$source"
compare -b
grep -qx 'metadata ./ (mode)' "$tmp/out" || fail "the root's metadata are not listed: $(cat "$tmp/out")"
grep -qx 'changes: 1 metadata only' "$tmp/err" || fail "the root's metadata are not counted: $(cat "$tmp/err")"

# Removal, and the sweeping that a dry run leaves out.
mkdir "$parent/2020-01-01 00:00:00" "$parent/2020-01-02 00:00:00" "$parent/.rsync-system-backup.new"
compare --daily=1
grep -q '^removed  2020-01-01 00:00:00$' "$tmp/out" || fail "removal is not listed"
compare -b
compare -s
compare -r
