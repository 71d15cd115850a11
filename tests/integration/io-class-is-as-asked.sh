#!/bin/bash
# --ionice holds for the whole run. Without it removals are idle, and nothing else is. A class that one may not have is an
# error before anything is touched.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need strace
! grep -q '__[atm]san_init' "$RSB_PROGRAM" || skip "the program has a sanitizer in it"
in_memory 50m
prepare_for_user

mkdir -m 700 source parent
touch source/file

# classes ARGUMENTS...: what the I/O class was set to, in order.
classes() {
        expect_status 0 strace -f -e trace=ioprio_set -o log "$RSB_PROGRAM" --disable-notifications "$@"
        sed -n 's/.*IOPRIO_CLASS_\([A-Z]*\), *\([0-9]*\).*= 0$/\1 \2/p' log | tr '\n' ' '
}

[ "$(classes -b source parent/latest)" = "" ] || fail "the class is set although nobody asked: $(cat log)"
mkdir "parent/2001-01-01 00:00:00"
[ "$(classes -r --yearly=1 --prefer-recent parent/latest | cut -d' ' -f 1)" = IDLE ] || fail "rotation is not idle: $(cat log)"
[ "$(grep -c ioprio_set log)" = 2 ] || fail "the class is not restored: $(cat log)"
printf '[%s]\nionice = best-effort\n' "$tmp/parent" >"$HOME/.rotate-backups.ini"
[ "$(classes -r --yearly=1 --prefer-recent parent/latest | cut -d' ' -f 1)" = BE ] || fail "rotate-backups' file has no say: $(cat log)"
[ "$(classes -r --ionice=idle parent/latest)" = "IDLE 0 " ] || fail "rotate-backups' file has the last say: $(cat log)"
rm "$HOME/.rotate-backups.ini"
[ "$(classes --ionice=idle source parent/latest)" = "IDLE 0 " ] || fail "idle is not idle all the time: $(cat log)"
[ "$(classes --ionice=best-effort source parent/latest)" = "BE 4 " ] || fail "best-effort is another class: $(cat log)"
[ "$(classes -i realtime source parent/latest)" = "RT 4 " ] || fail "realtime is another class: $(cat log)"
expect_status 1 as_user "$RSB_PROGRAM" --no-sudo --ionice=realtime /usr "$tmp/run/parent/latest"
grep -q '^error: cannot set the I/O class: Operation not permitted' err || fail "it is not told why not: $(cat err)"
[ ! -e run/parent ] || fail "something was touched"
