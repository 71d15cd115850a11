#!/bin/bash
# any-call-may-fail.sh ROUNDS [SEED]: whatever system call fails, and with whatever error, the exit status tells the truth
# (0: `latest` and the new snapshot are exact; 23: it was told what is missing, and the snapshot is recorded as
# incomplete; 1: no snapshot, and an error that says why), no error of reading becomes a deletion, the source and older
# snapshots stay as they are, and the next run ends exact without leftovers.
. "$(dirname "$0")/lib.sh"
. "$here/faults.sh"
need_root "$@"
need_program
need rsync
need_tracing
in_memory 500m

rounds=${1:-20}
RANDOM=${2:-1}
source=$tmp/source parent=$tmp/parent own=$tmp/parent/.rsync-system-backup
mkdir -m 700 "$source" "$parent"

reading=(EIO ESTALE EACCES EPERM ECANCELED ENOMEM ETIMEDOUT)
writing=(EIO ENOSPC EDQUOT EROFS EACCES EPERM ESTALE ECANCELED ETIMEDOUT)
calls=(chdir close fchdir fchmod fchmodat fchown fchownat fcntl fdatasync fgetxattr flistxattr fremovexattr fsetxattr fstat
        fsync ftruncate getdents64 ioctl lgetxattr linkat listxattrat llistxattr lremovexattr lseek lsetxattr mkdirat
        mknodat newfstatat openat openat2 pread64 pwrite64 readlinkat renameat renameat2 statx symlinkat syncfs unlinkat
        utimensat write)
traceable=$(for call in "${calls[@]}"; do strace -e trace="$call" true 2>/dev/null && echo "$call"; done)

# learn: note which calls a run makes on which paths, and how many in one thread: "CALL COUNT PATH" per line. Names that
# differ from run to run are left out: calls on these are chosen without a path.
learn() {
        local every
        local -a run=(--relaxed --minutely=2 "$source" "$parent/latest")

        every=$(tr '\n' ',' <<<"$traceable" | sed 's/,$//')
        (traced '' -qq -e trace="$every" -- "${run[@]}") >"$tmp/out" 2>"$tmp/err" || fail "$(cat "$tmp/err")"
        if [ "${RSB_OVER:-}" = ssh ]; then # and the other side
                mv "$tmp/trace" "$tmp/trace.far"
                (side=client traced '' -qq -e trace="$every" -- "${run[@]}") >"$tmp/out" 2>"$tmp/err" || fail "$(cat "$tmp/err")"
        fi
        "$PYTHON" - "$tmp" <<'END' >"$tmp/learnt"
import collections
import os
import re
import sys

top = sys.argv[1]
found = collections.Counter()
lines = [line for name in ("/trace", "/trace.far") if os.path.exists(top + name)
         for line in open(top + name, encoding="utf-8", errors="replace")]
for line in lines:
    match = re.match(r"(\d+) +(\w+)\((?:\d+<([^>]*)>)?", line)
    path = match and match[3]
    if not path or not path.startswith((top + "/source", top + "/parent")):
        continue
    found[match[2], "" if ".tmp-" in path or "/20" in path else path, match[1]] += 1
most = {}
for (call, path, _), count in found.items():
    most[call, path] = max(most.get((call, path), 0), count)
for (call, path), count in sorted(most.items()):
    print(call, count, path)
END
}

pick() {
        shift $((RANDOM % $#))
        printf '%s\n' "$1"
}

# choose: set $path, $call, $error and $when. Each call is as likely as any other, however often it is made.
choose() {
        local -a known
        local most

        mapfile -t known < <(cut -d ' ' -f 1 "$tmp/learnt" | uniq)
        call=$(pick "${known[@]}")
        mapfile -t known < <(grep "^$call " "$tmp/learnt")
        read -r _ most path < <(pick "${known[@]}")
        case $call in
        openat) error=$(pick "${reading[@]}" "${writing[@]}") ;;
        chdir | fchdir | fgetxattr | flistxattr | fstat | getdents64 | l[gl]* | listxattrat | lseek | newfstatat | openat2 | \
                pread64 | readlinkat | statx) error=$(pick "${reading[@]}") ;;
        *) error=$(pick "${writing[@]}") ;;
        esac
        when=$((RANDOM % most + 1))
        [ $((RANDOM % 4)) != 0 ] || when=$when+
}

# names DIR: all there is in it, and of what type.
names() {
        (cd "$1" && find . -printf '%y %p\n' | LC_ALL=C sort)
}
facts() {
        find "$source" -printf '%p %y %m %U %G %s %n %i %T@ %C@\n' | LC_ALL=C sort
}

backup() {
        run_backup --relaxed --minutely=2 "$source" "$parent/latest"
}

show() {
        echo "round $round: $call on '$path' fails with $error at call $when: status $status" >&2
        cat "$tmp/err" >&2
        fail "$*"
}

# What was in both trees, before and after, is still there.
nothing_is_missing() {
        local missing

        missing=$(comm -23 "$tmp/common" <(names "$parent/latest"))
        [ -z "$missing" ] || show "deleted by an error: $missing"
}

judge_status() {
        local newest exact=no

        newest=$(snapshots "$parent" | tail -n 1)
        ! grep -q -e 'Sanitizer' -e 'runtime error' "$tmp/err" || show "it did what it may not"
        case $status in
        0 | 23)
                [ "$newest" != "$before" ] || [ ! -e "$parent" ] || show "there is no new snapshot"
                "$judge/same.sh" "$source" "$parent/latest" >"$tmp/same.log" &&
                        "$judge/same.sh" "$source" "$parent/$newest" >>"$tmp/same.log" && exact=yes
                ;;
        1) ;;
        *) show "no exit status for a failure" ;;
        esac
        case $status in
        0)
                [ $exact = yes ] || show "all is well, it says: $(cat "$tmp/same.log")"
                grep -qx "complete $newest" "$own/state" || show "a whole snapshot is recorded as incomplete"
                ;;
        23)
                grep -q '^warning: ' "$tmp/err" || show "nothing is told"
                [ $exact = yes ] || grep -qx "incomplete $newest" "$own/state" ||
                        show "an incomplete snapshot counts as complete: $(cat "$tmp/same.log")"
                ;;
        1) grep -q '^error: ' "$tmp/err" || show "no reason is given" ;;
        esac
}

heal() {
        expect_status 0 backup
        same "$source" "$parent/latest"
        same "$source" "$parent/$(snapshots "$parent" | tail -n 1)"
        [ -z "$(find "$parent" -name '.rsync-system-backup.*')" ] || show "leftovers are not swept"
        frozen "$parent" --gone-ok
}

"$PYTHON" "$judge/busy.py" "$source" 0
expect_status 0 backup
"$PYTHON" "$judge/busy.py" "$source" 1
mkdir -p "$own.trash-77/a"
learn
injected=0
for ((round = 2; round <= rounds + 1; round++)); do
        "$PYTHON" "$judge/busy.py" "$source" "$round"
        mkdir -p "$own.trash-77/a"
        touch "$own.trash-77"/{b,c,a/d}
        choose
        before=$(snapshots "$parent" | tail -n 1)
        comm -12 <(names "$source") <(names "$parent/latest") >"$tmp/common"
        facts >"$tmp/facts"
        status=0
        with_fault "$path" "$call" "error=$error:when=$when" --relaxed --minutely=2 "$source" "$parent/latest" \
                >"$tmp/out" 2>"$tmp/err" || status=$?
        was_injected || continue
        injected=$((injected + 1))
        [ -z "${VERBOSE:-}" ] || echo "$round: $path $call $error $when: $status"
        facts | cmp -s - "$tmp/facts" || show "the source was changed"
        nothing_is_missing
        judge_status
        frozen "$parent" --gone-ok
        heal
done
echo "$injected faults came about"
[ $((injected * 4)) -ge "$rounds" ] || fail "of $rounds faults only these came about: $injected"
