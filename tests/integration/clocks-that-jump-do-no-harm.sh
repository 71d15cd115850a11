#!/bin/bash
# Whatever the machine's clock shows (far too late, far too early, the same hour twice when summer time ends, none when it
# begins), no snapshot is overwritten, misnamed or removed for it, nothing is believed to be unchanged that is not, and
# what an interrupted run may have lost is found. The clock is set for the program alone, by faketime(1)'s library; the
# filesystem's own goes right.
. "$(dirname "$0")/lib.sh"
. "$here/faults.sh"
need_root "$@"
need_program
need rsync
! grep -q '__[atm]san_init' "$RSB_PROGRAM" || skip "sanitizers do not go with a library that is preloaded"
in_memory 200m

library=$(find /usr/lib* -name libfaketimeMT.so.1 2>/dev/null | head -n 1)
[ -n "$library" ] || skip "needs the library of faketime"
[ -e /usr/share/zoneinfo/Europe/Berlin ] || skip "needs time zones"
source=$tmp/source parent=$tmp/parent state=$tmp/parent/.rsync-system-backup/state
mkdir -m 700 "$source" "$parent"

# at DATE OPTIONS...: a run when the clock shows that.
at() {
        local -x FAKETIME FAKETIME_FMT=%s LD_PRELOAD=$library NO_FAKE_STAT=1 FAKE_UTIME=0 DONT_FAKE_MONOTONIC=1

        FAKETIME=@$(LD_PRELOAD='' date -d "$1" +%s)
        shift
        "$RSB" --disable-notifications "$@"
}
# backed_up DATE [OPTIONS]: something has changed, and is in the new snapshot; the ones before are there and the same.
backed_up() {
        local date=$1 before
        shift

        "$PYTHON" "$judge/busy.py" "$source" $((round += 1))
        before=$(snapshots "$parent")
        expect_status 0 at "$date" -b -s "$@" "$source" "$parent/latest"
        same "$source" "$parent/latest"
        made=$(comm -13 <(sort <<<"$before") <(snapshots "$parent" | sort))
        [ "$(grep -c . <<<"$made")" = 1 ] || fail "not one new snapshot: $made"
        same "$source" "$parent/$made"
        grep -qx "complete $made" "$state" || fail "it is not recorded"
        frozen "$parent"
}
is_named() {
        [[ $made =~ ^$1 ]] || fail "the snapshot is named '$made' instead of '$1'"
}
round=0
export TZ=Europe/Berlin

# The end of summer time.
backed_up '2025-10-26 00:30:00 UTC'
is_named '2025-10-26 02:30:'
first=$made
backed_up "2025-10-26 01:${first:14} UTC" # the same by the clock on the wall
is_named '2025-10-26 02:30:'
[[ $made > $first ]] || fail "the second is not the newer one"
backed_up '2025-10-26 01:29:00 UTC' # which is before the first
is_named '2025-10-26 02:29:'
expect_status 0 at '2025-10-26 01:31:00 UTC' -r --hourly=24 "$parent/latest"
[ -e "$parent/$made" ] || fail "the oldest of the hour is gone"
[ -e "$parent/$first" ] && fail "two of an hour were preserved that are not the newest"
rm -rf "$tmp/frozen.store"
frozen "$parent"
# Its begin.
backed_up '2026-03-29 00:59:58 UTC'
backed_up '2026-03-29 01:00:00 UTC'
is_named '2026-03-29 0[13]:'

# A clock in the future, then right again: no history is purged, and what changes is seen.
for day in $(seq 2 20); do
        mkdir "$parent/2026-04-$(printf %02d "$day") 12:00:00"
done
expect_status 0 at '2044-01-01 00:00:00' --daily=30 "$source" "$parent/latest"
grep -q "^warning: snapshot '2044.* more than a year younger" "$tmp/err" || fail "it is not told: $(cat "$tmp/err")"
[ "$(snapshots "$parent" | grep -c '^2044-01-01 00:0')" = 1 ] || fail "there is no snapshot of 2044"
[ "$(snapshots "$parent" | grep -c '^2026-04')" = 19 ] || fail "history is purged: $(snapshots "$parent")"
rm -rf "$tmp/frozen.store"
frozen "$parent"
backed_up '2026-04-20 13:00:00'
expect_status 0 at '2026-04-20 13:10:00' -r --daily=7 "$parent/latest"
grep -q "^warning: .*'2044.*future" "$tmp/err" || fail "it is not told: $(cat "$tmp/err")"
[ "$(snapshots "$parent" | grep -c '^2026-04')" = 8 ] || fail "other days are preserved: $(snapshots "$parent")"
[ -d "$parent/$made" ] || fail "the newest snapshot was removed"
rm -rf "$tmp/frozen.store" "$parent/2044"*
frozen "$parent"

# A clock that was never set; then all others are of the future, and stay.
for date in '1970-01-01 00:00:01 UTC' '2000-01-01'; do
        before=$(snapshots "$parent" | grep ^202)
        backed_up "$date"
        expect_status 0 at "$date" -r --yearly=1 "$parent/latest"
        [ "$before" = "$(snapshots "$parent" | grep ^202)" ] || fail "history is purged at $date"
        rm -rf "$tmp/frozen.store"
        backed_up '2026-04-21 12:00:00'
        ! grep -q damaged "$tmp/err" || fail "a state from $date is damaged: $(cat "$tmp/err")"
done

# The clock was ahead in one run and is right in the next: no change since the first hides before it. Then the wrong time
# is still to come, or has passed meanwhile.
unseen() {
        echo "$1" >"$source/unseen"
        touch -d 2000-01-01 "$source/unseen"
}
found() {
        expect_status 0 run_backup -b "$source" "$parent/latest"
        same "$source" "$parent/latest"
        frozen "$parent"
}
told='^the clock was ahead .* compared by content$'
unseen 1
found
expect_status 0 at '1 hour' -b "$source" "$parent/latest"
unseen 2
expect_status 0 at '2 minutes' -b --dry-run "$source" "$parent/latest"
grep -q '^changed .*unseen (content)$' "$tmp/out" || fail "it would not be found: $(cat "$tmp/out" "$tmp/err")"
found
grep -q "$told" "$tmp/out" "$tmp/err" || fail "it is not told: $(cat "$tmp/out" "$tmp/err")"
found
! grep -q "$told" "$tmp/out" "$tmp/err" || fail "the clock is right, but: $(cat "$tmp/out" "$tmp/err")"
expect_status 0 at '12 seconds' -b "$source" "$parent/latest"
unseen 3
sleep 8
found

# The clock was wrong, in either direction, when a run was killed that lost what it wrote.
need_tracing
for date in '2044-01-01' '1980-01-01' '1970-01-01 00:00:01 UTC'; do
        # By another name there is no last transfer to refer to: only suspicion finds what is lost.
        ln -sn source "$tmp/source-${date::4}"
        touch "$tmp/began"
        "$PYTHON" "$judge/busy.py" "$source" $((round += 1))
        killed=0
        FAKETIME=@$(date -d "$date" +%s) FAKETIME_FMT=%s NO_FAKE_STAT=1 FAKE_UTIME=0 DONT_FAKE_MONOTONIC=1 \
                strace -f -qq -o /dev/null -E LD_PRELOAD="$library" -e trace=syncfs -e inject=syncfs:signal=KILL:when=1 \
                "$RSB_PROGRAM" --disable-notifications -b "$tmp/source-${date::4}" "$parent/latest" 2>/dev/null || killed=$?
        [ "$killed" = 137 ] || fail "it was not killed: $killed"
        find "$parent/latest" -type f -newercm "$tmp/began" -links 1 -size +0 >"$tmp/lost"
        [ -s "$tmp/lost" ] || fail "it has written nothing"
        "$PYTHON" - "$tmp/lost" <<'END'
import os, sys
for path in open(sys.argv[1]).read().splitlines():
    st = os.stat(path)
    os.truncate(path, 0)
    os.truncate(path, st.st_size)
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
END
        expect_status 0 run_backup -b "$tmp/source-${date::4}" "$parent/latest"
        same "$source" "$parent/latest"
        frozen "$parent"
done
