#!/bin/bash
# btrfs has used up its room for metadata while there is much for data: the message of the full disk says so, and what it
# advises helps. One that has no room for data is told as any full disk is.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need btrfs
in_memory 600m
make_fs disk btrfs 200m -n 4096
source=$tmp/source parent=$tmp/disk/parent

mkdir -m 700 "$source" "$parent"
head -c 1M /dev/zero >"$source/file"
expect_status 0 run_backup -b -s "$source" "$parent/latest"

# All is set aside for data.
seq 400 | while read -r i; do
        head -c 1M /dev/zero >"$tmp/disk/$i" || break
done 2>/dev/null
sync -f "$tmp/disk"
head -c 20M /dev/zero >"$source/large"
expect_status 1 run_backup -b "$source" "$parent/latest"
grep -q '^error: .*No space left on device; [0-9.]* [a-zA-Z]* free, about .* more are needed; ' "$tmp/err" ||
        fail "a lack of data is told otherwise: $(cat "$tmp/err")"
rm "$source/large"

# Half of it is free, in pieces everywhere; and small files, which lie in metadata, are all that comes.
for i in $(seq 1 2 400); do
        rm -f "$tmp/disk/$i"
done
mkdir "$tmp/disk/small"
sync -f "$tmp/disk"
"$PYTHON" - "$tmp/disk/small" <<'EOF'
import sys
try:
    for i in range(100000):
        with open(f"{sys.argv[1]}/{i}", "wb") as f:
            f.write(b"x" * 2000)
except OSError:
    pass
EOF
sync -f "$tmp/disk"
for i in $(seq 3000); do
        echo "$i" >"$source/$i"
done
expect_status 1 run_backup -b -s "$source" "$parent/latest"
grep -q "^error: .*No space left on device; btrfs has no room left for metadata, but [0-9.]* MiB for data (" "$tmp/err" ||
        fail "the message does not tell of metadata: $(cat "$tmp/err")"
! grep -q 'are needed' "$tmp/err" || fail "what is missing of data has nothing to do with it: $(cat "$tmp/err")"
grep -q '1 snapshot and .* hold .*; remove snapshots, .*; what was transferred stays$' "$tmp/err" ||
        fail "the message was cut off: $(cat "$tmp/err")"

# The advice.
find "$tmp/disk/small" -name '*0' -delete
sync -f "$tmp/disk"
btrfs balance start -dusage=50 "$tmp/disk" >/dev/null
expect_status 0 run_backup -b -s "$source" "$parent/latest"
same "$source" "$parent/latest"
