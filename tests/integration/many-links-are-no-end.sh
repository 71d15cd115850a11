#!/bin/bash
# On ext4 an inode takes 65,000 links. A file of `latest` that has as many is no reason to fail: a snapshot gets a new
# inode of it, as does `latest`; older snapshots stay as they were, groups of hard links stay together, and directories
# keep their times.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 200m

make_fs disk ext4 64m
source=$tmp/source parent=$tmp/disk/parent
mkdir -p "$source/a/deep" "$source/b" "$tmp/disk/more"

# fill FILE: give it links until it takes no more, outside of what is backed up.
fill() {
        "$PYTHON" - "$1" "$tmp/disk/more" <<'END'
import errno, os, sys
n = 0
try:
    while True:
        os.link(sys.argv[1], "%s/%d-%d" % (sys.argv[2], os.lstat(sys.argv[1]).st_ino, n), follow_symlinks=False)
        n += 1
except OSError as e:
    assert e.errno == errno.EMLINK, e
END
}

echo lonely >"$source/a/lonely"
setfattr -n user.note -v kept "$source/a/lonely"
echo group >"$source/a/one"
ln "$source/a/one" "$source/a/deep/two"
ln "$source/a/one" "$source/b/three"
ln -s target "$source/b/link"
chown -h 12345 "$source/b/link"
touch -d 2001-01-01 "$source/a/deep" "$source/a" "$source/b"
expect_status 0 run_backup -b -s "$source" "$parent/latest"
frozen "$parent"

# In the snapshot.
fill "$parent/latest/a/lonely"
fill "$parent/latest/b/three"
fill "$parent/latest/b/link"
expect_status 0 run_backup -s "$parent/latest"
frozen "$parent"
newest=$(snapshots "$parent" | tail -n 1)
same "$source" "$parent/$newest"
same "$source" "$parent/latest"
expect_status 0 run_backup -v -b -s "$source" "$parent/latest"
[ "$(grep -cv '^snapshot' "$tmp/out")" = 0 ] || fail "there was something left to heal: $(cat "$tmp/out")"
frozen "$parent"
"$PYTHON" "$judge/frozen.py" shared "$parent/$newest" "$parent/latest" || fail "the new inode is not shared"
"$PYTHON" "$judge/frozen.py" shared "$parent/$newest" "$parent/$(snapshots "$parent" | tail -n 1)" ||
        fail "a later snapshot does not link to the new inode"

# In the transfer: a fourth name for a group that is full.
rm -r "$tmp/disk/more"
mkdir "$tmp/disk/more"
fill "$parent/latest/a/one"
ln "$source/a/one" "$source/a/deep/four"
ln "$source/a/one" "$source/0"
expect_status 0 run_backup --report="$tmp/r.json" -b -s "$source" "$parent/latest"
grep -q '"source": *13[,}]' "$tmp/r.json" || fail "bytes are counted other than once, or not at all: $(cat "$tmp/r.json")"
same "$source" "$parent/latest"
same "$source" "$parent/$(snapshots "$parent" | tail -n 1)"
frozen "$parent"

# More names than half of what an inode takes: latest and a snapshot cannot both have them all on one. That is told.
"$PYTHON" - "$source/many" <<'END'
import os, sys
os.mkdir(sys.argv[1])
open(sys.argv[1] + "/0", "w").write("many")
for i in range(1, 33000):
    os.link(sys.argv[1] + "/0", "%s/%d" % (sys.argv[1], i))
END
expect_status 23 run_backup -b -s "$source" "$parent/latest"
grep -q 'hard links could not be kept' "$tmp/err" || fail "a group that was split is not told"
[ "$(find "$parent/$(snapshots "$parent" | tail -n 1)/many" -type f -size 4c | wc -l)" = 33000 ] || fail "names are missing"
frozen "$parent"
[ -z "$(find "$parent" -name '.rsync-system-backup.*')" ] || fail "temporaries were left"
