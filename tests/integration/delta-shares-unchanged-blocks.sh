#!/bin/bash
# delta-shares-unchanged-blocks.sh FILESYSTEM: what did not change at its offset costs no space where the filesystem can
# share blocks: 1 % changed costs little more than 1 %. What an interrupted transfer left is shared as well. Where it
# cannot, or where content has moved, the result is the same file, and holes are holes. Memory stays small.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need cmp python3
[ -n "${RSB_DELTA_PROBE:-}" ] || skip "RSB_DELTA_PROBE does not name the probe"
in_memory 1500m
# A sanitizer takes as much again.
memory=8192
! grep -q '__[atm]san_init' "$RSB_DELTA_PROBE" || memory=32768

# used: KiB of the filesystem.
used() {
        sync -f "$tmp/disk"
        df --output=used -k "$tmp/disk" | tail -n 1
}
# becomes NEW [PARTIAL]: make a result of `old` that equals NEW; $cost is the space of it in KiB.
becomes() {
        local before
        rm -f "$tmp/disk/result"
        before=$(used)
        "$RSB_DELTA_PROBE" "$tmp/disk/old" "$1" "$tmp/disk/result" "${@:2}" >"$tmp/out" || fail "$(cat "$tmp/out")"
        cmp "$1" "$tmp/disk/result" || fail "the result is another file"
        cost=$(($(used) - before))
        # Both sides together, with 2 MiB of the probe's own: nothing grows with the file.
        [ "$(sed 's/.*peak_kib=//' "$tmp/out")" -le "$memory" ] || fail "it takes too much memory: $(cat "$tmp/out")"
        echo "$1: $cost KiB, $(cat "$tmp/out")"
}
at_most() {
        [ "$cost" -le "$1" ] || fail "it costs $cost KiB, more than $1"
}

make_fs disk "$1" 500m
"$PYTHON" - "$tmp" <<'END'
import random
import sys

top, MIB = sys.argv[1], 1 << 20
noise = random.Random(1)
old = bytearray(noise.randbytes(100 * MIB))
with open(top + "/disk/old", "wb") as file:
    file.write(old)
# 1 % of its blocks, at random.
new = bytearray(old)
for block in noise.sample(range(len(old) // 4096), len(old) // 4096 // 100):
    new[block * 4096:block * 4096 + 4096] = noise.randbytes(4096)
with open(top + "/scattered", "wb") as file:
    file.write(new)
with open(top + "/partial", "wb") as file:
    file.write(new[:75 * MIB + 5])
with open(top + "/moved", "wb") as file:
    file.write(noise.randbytes(15) + old)
# Something is inserted as it is in images: in whole blocks.
with open(top + "/moved-by-blocks", "wb") as file:
    file.write(old[:50 * MIB] + noise.randbytes(40960) + old[50 * MIB:])
with open(top + "/sparse", "wb") as file:
    file.write(old[:MIB])
    file.seek(50 * MIB)
    file.write(noise.randbytes(MIB))
    file.truncate(100 * MIB)
with open(top + "/other", "wb") as file:
    file.write(noise.randbytes(60 * MIB))
END

becomes "$tmp/scattered"
[ "$1" = ext4 ] || at_most 2048
becomes "$tmp/moved-by-blocks"
[ "$1" = ext4 ] || at_most 2048
becomes "$tmp/moved"
grep -q ' data=[0-9]\{2,5\} ' "$tmp/out" || fail "what has moved was sent: $(cat "$tmp/out")"
becomes "$tmp/sparse"
at_most 4096
# Nothing is the same, for longer than anybody searches.
becomes "$tmp/other"
cp "$tmp/partial" "$tmp/disk/partial"
becomes "$tmp/scattered" "$tmp/disk/partial"
[ "$1" = ext4 ] || at_most 3072
grep -q ' data=[0-9]\{6\} ' "$tmp/out" || fail "what is in the partial one was sent again: $(cat "$tmp/out")"
# The whole of it, unchanged.
becomes "$tmp/disk/old"
[ "$1" = ext4 ] || at_most 1024
