#!/bin/bash
# read-and-write-errors-are-told.sh [ERRNO...]: when the source cannot be read (at whatever call) the entry is named, the
# status is 23, nothing is deleted, and all the rest is done; when the destination cannot be written the run ends with
# status 1 and makes no snapshot. Older snapshots stay, and the next run is exact.
. "$(dirname "$0")/lib.sh"
. "$here/faults.sh"
need_root "$@"
need_program
need rsync prlimit
need_tracing
in_memory 200m

source=$tmp/source parent=$tmp/parent own=$tmp/parent/.rsync-system-backup
mkdir -m 700 "$source" "$parent"
[ $# -gt 0 ] || set -- EIO ESTALE ECANCELED
declare -A texts=([EIO]='Input/output error' [ESTALE]='Stale file handle' [ECANCELED]='Operation canceled'
        [EROFS]='Read-only file system' [ETIMEDOUT]='Connection timed out')

# All that the failing calls are made on changes each time.
change() {
        rm -rf "$source/dir/gone"* "$source/link"
        mkdir -p "$source/dir/deep"
        head -c 600000 /dev/urandom >"$source/dir/file"
        echo "$1" >"$source/dir/deep/below"
        echo "$1" >"$source/dir/other"
        setfattr -n user.note -v "$1" "$source/dir/other"
        touch "$source/dir/gone-$1" "$source/dir/"{1..600}
        mkdir "$source/dir/gone-$1.d"
        ln -s "$1" "$source/link"
        echo "$1" >"$source/rest"
}
backup() {
        run_backup -b -s "$source" "$parent/latest"
}
heal() {
        expect_status 0 backup
        same "$source" "$parent/latest"
        frozen "$parent"
        [ -z "$(find "$parent" -name '.rsync-system-backup.*')" ] || fail "leftovers are not swept"
        grep -qx "complete $(snapshots "$parent" | tail -n 1)" "$own/state" || fail "a whole run counts as incomplete"
}
# names: all in `latest`, its types and sizes, but for what is new in the source, below one name, or all.
names() {
        (cd "$parent/latest/${1:-.}" && find . -type d -printf '%y %p\n' -o -printf '%y %p %s\n' | grep -v -e /gone | LC_ALL=C sort)
}

# held PATH: what `latest` has there.
held() {
        [ -z "$1" ] || if [ -d "$parent/latest/$1" ]; then names "$1"; else cksum "$parent/latest/$1"; fi
}

# fails_to_read SHOWN KEPT PATH CALL WHEN: SHOWN is named as what could not be read; below KEPT of `latest` (nowhere when
# empty) nothing has changed.
fails_to_read() {
        local shown=$1 kept=$2 before

        change "$((count += 1))"
        before=$(held "$kept")
        expect_status 23 with_fault "$3" "$4" "error=$error:when=$5" -b "$source" "$parent/latest"
        was_injected || fail "the fault did not come about: $*"
        grep -q "^warning: .*'$shown': ${texts[$error]}" "$tmp/err" || fail "it is not told ($*): $(cat "$tmp/err")"
        grep -q 'incomplete: 1 entry could not be read' "$tmp/err" || fail "the end does not tell: $(cat "$tmp/err")"
        [ "$before" = "$(held "$kept")" ] ||
                fail "what could not be read has changed ($*)"
        [ "$(cat "$parent/latest/rest")" = "$count" ] || fail "the rest was not done ($*)"
        grep -qx 'partial yes' "$own/state" || fail "the transfer counts as complete ($*)"
        frozen "$parent"
}

# fails_to_write PATH CALL WHEN
fails_to_write() {
        local before

        change "$((count += 1))"
        before=$(snapshots "$parent")
        mkdir -p "$own.trash-7"
        touch "$own.trash-7/file"
        expect_status 1 with_fault "$1" "$2" "error=$error:when=$3" -b -s "$source" "$parent/latest"
        was_injected || fail "the fault did not come about: $*"
        grep -q "^error: .*${texts[$error]}" "$tmp/err" || fail "it is not told ($*): $(cat "$tmp/err")"
        [ "$(snapshots "$parent")" = "$before" ] || fail "there is a new snapshot ($*)"
        frozen "$parent"
        heal
}

count=0
change 0
expect_status 0 backup
frozen "$parent"
for error; do
        fails_to_read dir dir "$source/dir" getdents64 1
        names dir >"$tmp/before"
        fails_to_read dir '' "$source/dir" getdents64 2
        ! names dir | LC_ALL=C comm -13 - "$tmp/before" | grep -v '^. ./\(file\|other\|deep\)' ||
                fail "what was not listed is gone"
        # Nothing of itself has changed, so that only the one of the source is opened.
        fails_to_read dir/deep dir/deep deep openat 1
        fails_to_read dir/deep/below dir/deep/below below statx 1
        fails_to_read dir/file dir/file file openat 1
        fails_to_read dir/file dir/file "$source/dir/file" pread64 1
        fails_to_read dir/file dir/file "$source/dir/file" pread64 3
        # It is read once more, as something else may have taken its name.
        fails_to_read link '' "$source:$source/link" readlinkat 1+
        expect_status 0 run_backup -s "$parent/latest"
        grep -qx "incomplete $(snapshots "$parent" | tail -n 1)" "$own/state" || fail "a snapshot of it counts as complete"
        heal
done

# What may not be read of the destination's own is replaced.
change "$((count += 1))"
expect_status 0 with_fault "$parent/latest" readlinkat error=EPERM:when=1 -b "$source" "$parent/latest"
was_injected || fail "the symbolic link was not read again"
same "$source" "$parent/latest"

error=EIO
data=2
[ -z "$far" ] || data=4 # behind those of the locks, which the same thread has written
fails_to_write "$own.trash-7" unlinkat 1
fails_to_write "$own/state.new" write 1
fails_to_write '' pwrite64 "$data"
fails_to_write "$parent/latest/dir" renameat 1
fails_to_write "$parent/latest/dir" unlinkat 1
fails_to_write '' syncfs 1
fails_to_write "$own.new/dir" linkat 300
# An agent has a thread for each, and so no second one.
[ -n "$far" ] || fails_to_write '' syncfs 2
fails_to_write '' renameat2 1
error=EROFS
fails_to_write '' pwrite64 "$data"

# A limit on the size of files (SIGXFSZ, EFBIG) concerns those that are larger.
change "$((count += 1))"
limited() {
        if [ -n "$far" ]; then
                write_over_agent "$over/limited" "prlimit --fsize=100000 '$over/launcher'"
                RSB_AGENT=$over/limited run_backup "$@"
        else
                prlimit --fsize=100000 "$RSB" "$@"
        fi
}
expect_status 23 limited -b -s "$source" "$parent/latest"
grep -q "^warning: .*'dir/file': File too large" "$tmp/err" || fail "it is not told: $(cat "$tmp/err")"
[ "$(cat "$parent/latest/rest")" = "$count" ] || fail "the rest was not done"
heal
