#!/bin/bash
# daemon-fidelity.sh ROUNDS SEED [WORD...]: what arrives at an rsync daemon is what the real client would have left there.
#
# The torture tree, and what ROUNDS rounds of random changes make of it, is backed up to one module and sent by the real
# client to another. Then both modules have to be the same in everything, and the real client must find nothing to do. In
# the end a run without any change must send nothing. WORDs: 30 or 31 (the protocol), one-list (no incremental recursion),
# bytes (flags are bytes, and no algorithms are agreed on: as servers before 3.2), compress, chroot, wide (a directory of
# 10,000 files), and the name of a checksum or a compressor that the daemon is kept to.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 900m
. "$here/rsyncd.sh"

rounds=$1 seed=$2 protocol=32 without='' wide=0 ours=() theirs=() lines=('munge symlinks = no')
shift 2
for word; do
        case $word in
        30 | 31) protocol=$word theirs+=("--protocol=$word") ;;
        one-list) without+=i theirs+=(--no-inc-recursive) ;;
        bytes) without+=vCfx ;;
        wide) wide=10000 ;;
        compress) ours+=(--compress=always) ;;
        zstd | lz4 | zlibx | zlib) export RSYNC_COMPRESS_LIST=$word ours+=(--compress=always) ;;
        xxh128 | xxh3 | xxh64 | md5) export RSYNC_CHECKSUM_LIST=$word ;;
        chroot) lines+=('use chroot = yes') ;;
        *) fail "what is $word?" ;;
        esac
done
start_rsyncd main
add_module ours "${lines[@]}"
add_module theirs "${lines[@]}"
daemon_port=$port
[ "$protocol$without" = 32 ] || look_older "$protocol" "$without"

# What they leave is compared with the other, since it is not always like the source: hard links that were split are not
# noticed, nanoseconds are not known to protocol 30.
back_up() {
        # Times of the same second are the same to rsync, and what it makes has that of now at first.
        sleep 1.1
        expect_status 0 run_backup "${ours[@]}" "$tmp/source" "rsync://127.0.0.1:$port/ours"
        rsync -aHAX -x --numeric-ids --delete --delete-excluded "${theirs[@]}" "$tmp/source/" \
                "rsync://127.0.0.1:$daemon_port/theirs/" >"$tmp/theirs.log" 2>&1 || fail "$(cat "$tmp/theirs.log")"
        "$PYTHON" "$judge/listing.py" --holes=ignore "$modules/theirs" "$modules/ours" >"$tmp/same.log" ||
                fail "it is not what rsync leaves: $(cat "$tmp/same.log")"
        for module in ours theirs; do
                rsync -aHAXn --numeric-ids --delete --itemize-changes --checksum "${theirs[@]}" "$tmp/source/" \
                        "rsync://127.0.0.1:$daemon_port/$module/" >"$tmp/$module.log" 2>&1 || fail "$(cat "$tmp/$module.log")"
        done
        # The change that hides behind an old mtime is not seen by either.
        cmp -s "$tmp/ours.log" "$tmp/theirs.log" || fail "rsync finds differences: $(diff "$tmp/theirs.log" "$tmp/ours.log")"
}

# Neither knows of paths that are longer than PATH_MAX, or of holes.
trim() {
        rm -rf "$tmp/source/beyond-path-max"
        find "$tmp/source" -type f -size +4M -delete
}

mkdir source
torture make source --seed "$seed" 2>/dev/null
"$PYTHON" -c '
import os, sys
os.mkdir("source/widest")
for number in range(int(sys.argv[1])):
    with open("source/widest/%d" % number, "w") as file:
        file.write("%d" % (number % 1000))
' "$wide"
trim
back_up
for ((round = 1; round <= rounds; round++)); do
        torture mutate source --seed $((seed * 1000 + round)) >"$tmp/mutations" || fail "cannot mutate the source"
        trim
        (back_up) 2>"$tmp/failure" || {
                cat "$tmp/mutations" "$tmp/failure"
                fail "seed $seed, round $round (above are its mutations)"
        }
done
# Names that are linked there, and here no more, are put right by turns, by either of them.
rsync -aHAX -x --numeric-ids --delete --delete-excluded --itemize-changes "${theirs[@]}" "$tmp/source/" \
        "rsync://127.0.0.1:$daemon_port/theirs/" >"$tmp/theirs.log" 2>&1 || fail "$(cat "$tmp/theirs.log")"
expect_status 0 run_backup -v "${ours[@]}" source "rsync://127.0.0.1:$port/ours"
[ "$(wc -l <"$tmp/out")" = "$(wc -l <"$tmp/theirs.log")" ] ||
        fail "a run without any change changes something: $(cat "$tmp/out") instead of $(cat "$tmp/theirs.log")"
[ -s "$tmp/theirs.log" ] || expect_status 0 run_backup -v -n "${ours[@]}" source "rsync://127.0.0.1:$port/ours"
[ "$(wc -l <"$tmp/out")" = "$(wc -l <"$tmp/theirs.log")" ] || fail "a dry run finds something else: $(cat "$tmp/out")"
