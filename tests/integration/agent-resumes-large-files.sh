#!/bin/bash
# agent-resumes-large-files.sh ext4|btrfs [MiB]: what has come of a large file when the connection breaks is not sent again, be
# it new, changed, sparse or in a directory of its own: not by the next run, nor by this one after it has connected again.
# On btrfs `latest` is a subvolume of its own. Nothing is left of the pieces when all has come.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync

type=$1 size=${2:-32}
in_memory $((size * 20))m
. "$here/ssh.sh"
. "$here/agent.sh"
. "$here/faulty.sh"

make_fs disk "$type" $((size * 12))m
source=$tmp/source parent=$tmp/disk/parent
mkdir -m 700 "$source" "$parent"
start_far
start_proxy

backup() {
        far_backup -b "$@" "$source" "$parent/latest"
}

kept() {
        find "$parent/.rsync-system-backup" -name 'partial-*' -printf '%s\n'
}

# Bytes that go over the wire are given in percent of the file's size.
sent() {
        echo $(($(carried up) * 100 / (size << 20)))
}

# breaks WHAT PERCENT: a run whose connection ends there. What was on its way is lost with it, which can be all.
breaks() {
        for _ in $(seq 5); do
                plan "cut=up:$(((size << 20) * $2 / 100)):rst"
                expect_status 1 backup --retries=0
                agent_has_ended
                [ "$(kept | wc -l)" = 1 ] && return
        done
        fail "$1: what came is not kept: $(cat "$tmp/err")"
}

# ends WHAT FROM TO: a run that sends so much in percent.
ends() {
        local now

        plan
        expect_status 0 backup
        now=$(sent)
        echo "$1: $now %"
        ((now >= $2 && now <= $3)) || fail "$1: $now % of it was sent"
        same "$source" "$parent/latest"
        [ -z "$(kept)" ] || fail "$1: a piece is left over"
}

random() {
        head -c "${2:-${size}M}" /dev/urandom >"$1"
}

# New, in a directory that holds nothing else.
mkdir -p "$source/a/b"
echo small >"$source/small"
random "$source/a/b/new"
breaks 'a new file' 60
ends 'a new file' 35 70

[ "$type" != btrfs ] || [ "$(stat -c %i "$parent/latest")" = 256 ] || fail "'latest' is no subvolume"

# Twice: what had come the first time is not lost the second time.
random "$source/twice"
breaks 'a file, once' 40
breaks 'a file, twice' 30
ends 'a file, after two cuts' 20 60
random "$source/soon"
breaks 'a file' 70
plan "cut=up:20000:rst"
expect_status 1 backup --retries=0
[ "$(kept | wc -l)" = 1 ] || fail "the piece is gone: $(cat "$tmp/err")"
ends 'a file, cut again soon' 25 60

# Another version: all of it is other, or the half.
random "$source/a/b/new"
breaks 'a changed file' 60
ends 'a changed file' 35 70
dd if=/dev/urandom of="$source/a/b/new" bs=1M seek=0 count=$((size / 2)) conv=notrunc status=none
breaks 'a file that is half the same' 30
ends 'a file that is half the same' 10 45

# With holes.
rm "$source/twice"
truncate -s $((size * 2))M "$source/holes"
dd if=/dev/urandom of="$source/holes" bs=1M seek=$((size / 3)) count="$size" conv=notrunc status=none
breaks 'a file with holes' 60
ends 'a file with holes' 35 70

# It changes again before the next run: what came is of no use, and does no harm.
random "$source/soon"
breaks 'one that changes' 60
random "$source/soon"
ends 'one that changes' 99 115

# Within one run.
random "$source/soon"
plan "cut=up:$(((size << 20) * 60 / 100)):fin"
expect_status 0 backup
says 'trying again in 1 s (1 of 3)'
now=$(sent)
echo "within one run: $now %"
[ "$now" -le 130 ] || fail "$now % of it was sent"
same "$source" "$parent/latest"
[ -z "$(kept)" ] || fail 'a piece is left over'

# The file is gone: what came of it goes too.
random "$source/gone"
breaks 'one that goes' 50
rm "$source/gone"
ends 'one that goes' 0 5

# A run on the server itself that makes all complete needs no pieces either.
random "$source/local"
breaks local 60
expect_status 0 run_backup -b "$source" "$parent/latest"
same "$source" "$parent/latest"
[ -z "$(kept)" ] || fail "local: a piece is left over"
