#!/bin/bash
# daemon-snapshots.sh: a bare rsync daemon takes snapshots, by links to `latest`, without a second look at the source, and
# removes those that the scheme does not preserve. One that was not completed is none, is not counted, and goes with the
# next run; snapshots of others are adopted. What the module or the daemon does not permit leaves the transfer alone.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 200m
. "$here/rsyncd.sh"
. "$here/faults.sh"
need_tracing

lasts year 200
start_rsyncd one
add_module m 'munge symlinks = no'
mkdir -p "$modules/m/laptop"
dir=$modules/m/laptop url=rsync://$rsyncd_address:$port/m/laptop marks=$modules/m/laptop/.rsync-system-backup/complete
source=$tmp/source
mkdir "$source"
"$PYTHON" "$judge/busy.py" "$source" 1

# Times of the same second are the same to rsync, and what it makes has that of now at first.
back_up() {
        sleep 1.1
        run_backup "$@" -b -s -r --yearly=2 "$source" "$url/latest"
}

# is_exact NAME: a snapshot is `latest`, whose files it shares.
is_exact() {
        same "$dir/latest" "$dir/$1"
        find "$dir/latest" -type f -links +1 -printf '%P\n' | sort >"$tmp/linked"
        find "$dir/latest" -type f -printf '%P\n' | sort | diff "$tmp/linked" - >"$tmp/diff" || fail "not shared: $(cat "$tmp/diff")"
}

expect_status 0 back_up
first=$(snapshots "$dir")
[ -n "$first" ] || fail "there is no snapshot"
same "$source" "$dir/latest"
is_exact "$first"
[ -f "$marks/$first" ] || fail "it has no mark"
[ "$(ls "$marks")" = "$first" ] || fail "there is more than its mark: $(ls "$marks")"
frozen "$dir"

# Another one; the source is not read again for it, which shows in what is opened there.
echo changed >"$source/changed"
# reads OPTIONS...: how many times the top of the source is read.
reads() {
        (traced "$source" -e trace=getdents64 -- "$@" "$source" "$url/latest" >"$tmp/out" 2>"$tmp/err") ||
                fail "it failed: $(cat "$tmp/err")"
        grep -c getdents64 "$tmp/trace"
}
sleep 1.1
all=$(reads -b -s -r --yearly=2)
transfer=$(reads -b)
[ "$all" = "$transfer" ] || fail "the source was read for the snapshot: $all times instead of $transfer"
second=$(snapshots "$dir" | tail -n 1)
[ "$second" != "$first" ] || fail "there is no second snapshot"
same "$dir/latest" "$dir/$second"
frozen "$dir"

# What a run that was cut off left is no snapshot, and goes; what others made is left alone, but counts if it was there
# before there were marks.
mkdir -p "$dir/2001-01-01 00:00:00/half" "$dir/2003-01-01 00:00:00"
touch "$marks/2001-01-01 00:00:00.begun" "$marks/2001-01-02 00:00:00" "$marks/2001-01-03 00:00:00.incomplete"
expect_status 0 back_up -v
[ -d "$dir/2003-01-01 00:00:00" ] || fail "what is no snapshot was removed"
says "removing what is left of the snapshot '2001-01-01 00:00:00'"
[ ! -e "$dir/2001-01-01 00:00:00" ] || fail "half a snapshot is left"
[ -z "$(find "$marks" -name '2001*')" ] || fail "there are marks of nothing: $(ls "$marks")"
rmdir "$dir/2003-01-01 00:00:00"
second=$(snapshots "$dir" | tail -n 1)
rm -r "$marks"
mkdir -p "$dir/2002-01-01 00:00:00/whole"
expect_status 0 back_up -v
says 'marking the snapshots that are there already'
grep -qx 'removed  2002-01-01 00:00:00' "$tmp/out" || fail "what was adopted is not rotated"
grep -qx "removed  $second" "$tmp/out" || fail "the second one is not rotated"
for left in "$dir/$second" "$marks/$second"; do
        [ ! -e "$left" ] || fail "the second one is left"
done
[ "$(snapshots "$dir" | wc -l)" = 2 ] || fail "there are: $(snapshots "$dir")"
[ "$(ls "$marks")" = "$(snapshots "$dir")" ] || fail "the marks are: $(ls "$marks")"
frozen "$dir" --gone-ok

# A local reader goes by the marks.
mkdir "$dir/2003-01-01 00:00:00"
touch "$marks/2001-01-02 00:00:00" "$marks/2001-01-03 00:00:00.incomplete" "$marks/2001-01-04 00:00:00.begun"
expect_status 0 run_backup -v -r --yearly=1 "$dir/latest"
[ "$(cd "$marks" && echo 2001*)" = '2001-01-04 00:00:00.begun' ] || fail "other marks are left: $(ls "$marks")"
rm "$marks/2001-01-04 00:00:00.begun"
[ -d "$dir/2003-01-01 00:00:00" ] || fail "what is not marked was removed"
rmdir "$dir/2003-01-01 00:00:00"

# Each connection is one more for the daemon's `post-xfer exec`: the transfer; two to look; the mark that it is begun, the
# snapshot, the mark that it is one, the end of the first; and for each that is removed its marks, and it, in four.
connections() {
        local before

        before=$(grep -c 'connect from' "$tmp/one.rsyncd.log")
        expect_status 0 "$@"
        connected=$(($(grep -c 'connect from' "$tmp/one.rsyncd.log") - before))
}
connections back_up
[ "$(snapshots "$dir" | wc -l)" = 2 ] || fail "there are: $(snapshots "$dir")"
connections back_up
[ "$connected" = 11 ] || fail "$connected connections for a backup with a snapshot and one to remove"
connections run_backup -r --yearly=1 --prefer-recent "$source" "$url/latest"
[ "$connected" = 6 ] || fail "$connected connections to remove one snapshot"

# One whose removal does not come to its end is no snapshot any more: that is told, and a later run removes the rest.
mkdir -p "$dir/2001-01-01 00:00:00/busy"
touch "$marks/2001-01-01 00:00:00"
mkdir "$tmp/empty"
mount --bind "$tmp/empty" "$dir/2001-01-01 00:00:00/busy"
expect_status 1 run_backup -r --yearly=1 --prefer-recent --report="$tmp/r.json" "$source" "$url/latest"
says "warning: removed snapshot '2001-01-01 00:00:00', but not all of it: a later run removes the rest"
grep -q '"fate": "removed"' "$tmp/r.json" || fail "the report does not tell: $(cat "$tmp/r.json")"
umount "$dir/2001-01-01 00:00:00/busy"
expect_status 0 back_up
[ ! -e "$dir/2001-01-01 00:00:00" ] || fail "the rest of it is left"

# Nothing can be read in full: the snapshot says so.
expect_status 0 back_up
chmod 0 "$source/changed"
chmod 711 "$tmp"
expect_status 23 setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/ "$RSB_PROGRAM" --disable-notifications --no-sudo -b -s -r --yearly=9 \
        "$source" "$url/latest"
last=$(snapshots "$dir" | tail -n 1)
[ -f "$marks/$last.incomplete" ] || fail "an incomplete snapshot is not marked: $(ls "$marks")"

# A dry run makes none, and says what it would do.
before=$(find "$modules/m" | sort)
expect_status 0 back_up -n
[ "$(find "$modules/m" | sort)" = "$before" ] || fail "a dry run changed something"
grep -q '^snapshot ' "$tmp/out" || fail "a dry run does not tell of the snapshot"

# Killed at any moment: never half a snapshot that counts, and the next run heals.
chmod 644 "$source/changed"
sleep 1.1
for delay in 0.02 0.05 0.1 0.15 0.2 0.3 0.4 0.6; do
        # Not metadata alone, which rsync changes in what snapshots share.
        echo "$delay" >>"$source/changed"
        touch "$source/new-$delay"
        "$RSB" --disable-notifications -b -s -r --yearly=2 "$source" "$url/latest" >"$tmp/out" 2>&1 &
        pid=$!
        sleep "$delay"
        kill -9 $pid 2>/dev/null || true
        wait $pid 2>/dev/null || true
done
# What they had asked for is done, or given up.
while pgrep -P "${rsyncd_pids[one]}" >/dev/null; do
        sleep 0.05
done
touch -d '1 minute ago' "$source"
expect_status 0 back_up
frozen "$dir" --gone-ok
same "$source" "$dir/latest"
same "$dir/latest" "$dir/$(snapshots "$dir" | tail -n 1)"
[ "$(ls "$marks")" = "$(snapshots "$dir")" ] || fail "the marks are: $(ls "$marks")"

# Another run at the same time; another destination beside this one.
head -c 50K /dev/urandom >"$source/slow"
# arrives: something of that does.
arrives() {
        compgen -G "$dir/latest/.slow.*" >/dev/null
}
"$RSB" --disable-notifications --bwlimit=1K -b -s -r --yearly=2 "$source" "$url/latest" >"$tmp/first.out" 2>&1 &
pid=$!
until arrives; do
        kill -0 $pid || fail "it is over already: $(cat "$tmp/first.out")"
        sleep 0.05
done
expect_status 1 run_backup -b -s -r --yearly=2 "$source" "$url/latest"
says "another run"
kill "$pid"
wait "$pid" || true
for _ in $(seq 600); do
        arrives || break
        sleep 0.05
done
rm "$source/slow"
expect_status 1 run_backup -b -s -r "$source" "$url/other"
says "of another one, 'latest'"
[ ! -e "$modules/m/laptop/other" ] || fail "it was sent all the same"
# The directory above `latest`, one that is no destination, and what is no plain path.
before=$(find "$modules/m" | sort)
mkdir "$modules/m/precious"
touch "$modules/m/precious/file"
expect_status 1 run_backup -b "$source" "$url"
says "is it the directory above 'latest'?"
expect_status 1 run_backup -b "$source" "$url/."
says "is it the directory above 'latest'?"
expect_status 1 run_backup -b "$source" "rsync://$rsyncd_address:$port/m/precious"
says 'is not empty and was never a destination'
for path in 'm/lap*/latest' 'm/[l]aptop/latest' 'm/laptop/../laptop'; do
        expect_status 2 run_backup -b "$source" "rsync://$rsyncd_address:$port/$path"
done
for path in laptop/latest/sub "laptop/$(snapshots "$modules/m/laptop" | head -n 1)/sub" .rsync-system-backup/latest; do
        expect_status 1 run_backup -b "$source" "rsync://$rsyncd_address:$port/m/$path"
        says 'is inside of what another destination keeps'
done
rm -r "$modules/m/precious"
[ "$(find "$modules/m" | sort)" = "$before" ] || fail "something has changed"
# The top of a module as well.
add_module top
mkdir -p "$modules/top/latest" "$modules/top/2020-01-01 00:00:00"
for option in -b -bs; do
        expect_status 1 run_backup $option "$source" "rsync://$rsyncd_address:$port/top"
        says "is it the directory above 'latest'?"
done
rm -r "$modules/top/2020-01-01 00:00:00"
expect_status 1 run_backup -b "$source" "rsync://$rsyncd_address:$port/top"
says 'is not empty and was never a destination'
expect_status 0 run_backup -b --force "$source" "rsync://$rsyncd_address:$port/top"
expect_status 0 run_backup -b "$source" "rsync://$rsyncd_address:$port/top"

# Without room for another file it is told once, and what the scheme removes anyway makes room.
make_fs small ext4 8m -N 256
add_module small 'munge symlinks = no'
mount --bind "$tmp/small" "$modules/small"
mkdir "$modules/small/laptop" "$tmp/files"
to_small() {
        sleep 1.1
        for n in $(seq 20); do
                echo "$RANDOM of $n" >"$tmp/files/$n"
        done
        run_backup "$@" "$tmp/files" "rsync://$rsyncd_address:$port/small/laptop/latest"
}
expect_status 0 to_small -b -s
expect_status 0 to_small -b -s
oldest=$(snapshots "$modules/small/laptop" | head -n 1)
mkdir "$tmp/small/ballast"
(cd "$tmp/small/ballast" && seq $(($(df --output=iavail . | tail -n 1) - 10)) | xargs touch)
expect_status 1 to_small -b -s
says 'No space left on device'
[ "$(grep -c '^warning: ' "$tmp/err")" = 0 ] || fail "it is told again and again: $(cat "$tmp/err")"
expect_status 0 to_small -b -s -r --yearly=1 --prefer-recent
says 'removing first what the rotation scheme does not preserve'
[ ! -d "$modules/small/laptop/$oldest" ] || fail "the oldest one is still there"
same "$tmp/files" "$modules/small/laptop/latest"
umount "$modules/small"

# The top of a module has nothing beside it.
add_module top 'munge symlinks = no'
expect_status 23 run_backup --report="$tmp/r.json" -b -s -r "$source" "rsync://$rsyncd_address:$port/top/"
says 'no snapshot can lie beside the destination'
grep -q '"message": ".*no snapshot can lie beside the destination' "$tmp/r.json" || fail "the report says $(cat "$tmp/r.json")"
# A daemon that permits no links.
add_module narrow 'munge symlinks = no' 'refuse options = link-dest'
expect_status 23 run_backup -b -s -r "$source" "rsync://$rsyncd_address:$port/narrow/latest"
says 'no snapshot is taken'
[ -z "$(snapshots "$modules/narrow")" ] || fail "there is a snapshot"
same "$source" "$modules/narrow/latest"
