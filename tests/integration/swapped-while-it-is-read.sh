#!/bin/bash
# What happens to a file or directory between two particular system calls of a run: it is replaced, truncated, removed or
# turned into something else just after it was listed, looked at, opened, or read in part. Nothing that was put in its
# place is opened with side effects or followed to somewhere else, a hard link never gets the content of another file,
# and the next run is exact.
. "$(dirname "$0")/lib.sh"
. "$here/faults.sh"
need_root "$@"
need_program
need rsync
need_tracing
in_memory 200m

mkdir -m 700 outside
echo secret >outside/file
mkdir outside/dir
echo secret >outside/dir/below

# fresh: a source of which nothing but the names is stored.
fresh() {
        rm -rf source parent frozen.store
        mkdir -m 700 source parent
        mkdir source/dir source/dir/deep
        head -c 600000 /dev/urandom >source/dir/file
        ln source/dir/file source/dir/hard
        ln source/dir/file source/dir/zzz
        echo below >source/dir/deep/below
        echo fifo >source/special
        run_backup -q -b -s "$tmp/source" "$tmp/parent/latest"
        frozen parent
        touch source/dir/file source/special source/dir/deep/below
        mkdir source/new
        echo new >source/new/one
}

# swapped STATUS WHERE CALL WHEN COMMAND [CHECK]: WHERE is the path of what is open, or the name that the call is given. The command is done right behind that call;
# the run ends with that status, and then CHECK holds.
swapped() {
        local status=$1 path=$2 call=$3 when=$4

        fresh
        before=$("$PYTHON" "$here/facts.py" outside)
        stop_at "$path" "$call" "$when" -b "$tmp/source" "$tmp/parent/latest"
        eval "$5"
        go_on "$status"
        eval "${6:-}" || fail "not so: $*"
        [ "$before" = "$("$PYTHON" "$here/facts.py" outside)" ] || fail "something outside was touched: $*"
        ! grep -rq secret parent || fail "something outside was read: $*"
        frozen parent
        expect_status 0 run_backup -b "$tmp/source" "$tmp/parent/latest"
        same source parent/latest
        frozen parent
        [ -z "$(find parent -name '.rsync-system-backup.*')" ] || fail "leftovers were not swept: $*"
}

# A group of hard links whose first name becomes another file: before it is read, in the middle, and after it.
for at in 'file statx 1' 'file openat 1' "$tmp/source/dir/file pread64 1" "$tmp/source/dir/file pread64 3"; do
        read -r path call when <<<"$at"
        swapped 0 "$path" "$call" "$when" 'rm source/dir/file && echo other >source/dir/file' \
                'cmp source/dir/hard parent/latest/dir/hard && cmp source/dir/zzz parent/latest/dir/zzz'
done
swapped 0 "$tmp/source/dir/file" pread64 1 'echo other >new && mv new source/dir/hard' \
        'cmp source/dir/file parent/latest/dir/file && cmp source/dir/zzz parent/latest/dir/zzz'
# Shorter, longer, and other content of the same size while it is read: then it is read again.
swapped 0 "$tmp/source/dir/file" pread64 1 'truncate -s 100 source/dir/file' \
        'cmp source/dir/file parent/latest/dir/file'
swapped 0 "$tmp/source/dir/file" pread64 2 'truncate -s 0 source/dir/file' \
        'cmp source/dir/file parent/latest/dir/file'
swapped 0 "$tmp/source/dir/file" pread64 1 'head -c 300000 /dev/urandom >>source/dir/file' \
        'cmp source/dir/file parent/latest/dir/file'
swapped 0 "$tmp/source/dir/file" pread64 1 'head -c 600000 /dev/urandom | dd of=source/dir/file conv=notrunc status=none' \
        'cmp source/dir/file parent/latest/dir/file'
# Something else in the place of a file that was looked at, and is opened next.
for kind in 'mkfifo source/special' 'mknod source/special c 1 9' 'ln -s ../outside/file source/special' \
        'ln -s /dev/zero source/special' 'mkdir source/special' 'ln -s nowhere source/special' ':'; do
        swapped 0 special statx 1 "rm source/special && $kind"
done
# A directory that was listed, is removed, moved, or turns into a symlink, before it is opened or while it is read.
swapped 0 "$tmp/source/dir/deep" getdents64 1 'rm -r source/dir/deep'
swapped 0 "$tmp/source/dir/deep" getdents64 1 'mv source/dir/deep moved && mkfifo source/dir/deep'
rm -rf moved
for at in 'source/dir/deep getdents64' 'source/dir getdents64'; do
        read -r path call <<<"$at"
        swapped 0 "$tmp/$path" "$call" 1 'mv source/dir/deep moved && ln -s ../../outside/dir source/dir/deep'
        rm -rf moved
        swapped 0 "$tmp/$path" "$call" 1 'mv source/dir moved && mv source/new source/dir'
        rm -rf moved
done
