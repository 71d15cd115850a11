#!/bin/bash
# Which scheme is used (command line, --config, rotate-backups.ini, the default), that lists and unsupported keys of those
# files hold, names of older tools, what is never touched, the reasons that are shown, a removal that is cut off, and two
# runs in one second.
. "$(dirname "$0")/lib.sh"
. "$here/faults.sh"
need_root "$@"
need_program
need_tracing
in_memory 100m

mkdir -p source
echo one >source/one
parent=$tmp/parent

# history: a new parent with a snapshot a day for 40 days, the last one today at noon... yesterday, to be in the past.
history() {
        local day today

        rm -rf "$parent"
        mkdir -m 700 "$parent"
        today=$(date +%F)
        for day in $(seq 40); do
                mkdir "$parent/$(date -d "$today 12:00 $day days ago" '+%Y-%m-%d 12:00:00')"
        done
}
count() {
        snapshots "$parent" | wc -l
}
# rotated COUNT OPTIONS: so many snapshots are preserved, after a dry run that says so.
rotated() {
        local wanted=$1
        shift

        expect_status 0 run_backup -r -n "$@" "$parent/latest"
        [ "$(grep -c '^kept ' out)" = "$wanted" ] || fail "a dry run does not keep $wanted: $(cat out)"
        expect_status 0 run_backup -r -vv "$@" "$parent/latest"
        [ "$(count)" = "$wanted" ] || fail "$(count) snapshots are left instead of $wanted with: $*"
        [ "$(grep -c '^removed ' out)" = $((40 - wanted)) ] || fail "not each removal is listed: $(cat out)"
}

history
rotated 5 --daily=5
history
rotated 6 --daily='2 * 3'
history
rotated 40 -d always
history
rotated 1 --yearly=1 --prefer-recent
grep -q "^kept .* (yearly, newest)$" out || fail "the reasons are not shown: $(cat out)"

printf '[job]\ndestination = %s/latest\nrotate = yes\ndaily = 4\n' "$parent" >job.ini
history
expect_status 0 run_backup --config=job.ini
[ "$(count)" = 4 ] || fail "the scheme of --config is not used"
history
expect_status 0 run_backup --config=job.ini --daily=3
[ "$(count)" = 3 ] || fail "the command line does not win over --config"

# Those of rotate-backups.
rules() {
        printf '%s\n' "$@" >"$HOME/.rotate-backups.ini"
}
rules "[/elsewhere]" "daily = 1" "[${far% }$tmp/par*]" "daily = 8"
history
rotated 8
history
rotated 2 --daily=2
rules "[${far% }$parent]" "daily = 2" "exclude-list = *-01 12:00:00, *-02 12:00:00"
excluded=$(
        history
        snapshots "$parent" | grep -c -e '-0[12] 12'
)
rotated $((2 + excluded)) # they take no part, also where they are the newest
rules "[${far% }$parent]" "daily = 2" "removal-command = rmdir"
history
expect_status 0 run_backup -r "$parent/latest"
[ "$(count)" = 40 ] || fail "something was removed in spite of a removal-command"
grep -q 'removal-command' err || fail "it is not told why nothing is rotated: $(cat err)"
! grep -q '^rotation:' err || fail "snapshots are counted that nobody looked at: $(cat err)"
rules "[${far% }$parent]" "daily = nonsense"
expect_status 2 run_backup -r "$parent/latest"
[ "$(count)" = 40 ] || fail "something was removed by a scheme that makes no sense"
rm "$HOME/.rotate-backups.ini"
for scheme in --daily=0 --daily=-1 --daily=x --daily= '--daily=1/0'; do
        expect_status 2 run_backup -r "$scheme" "$parent/latest"
        [ "$(count)" = 40 ] || fail "something was removed by $scheme"
done

# Names of older tools, and things that are none.
rm -rf "$parent"
mkdir -m 700 "$parent"
cd "$parent" || exit
mkdir 2001-01-01 '2001-01-02 10:11' 2001-01-03_10-11-12 20010104 2001-01-05T10:11:12
mkdir 2001-01-06x 'a2001-01-06' 2001-13-01 2001-02-30 '2001-01-07 25:00' other '2001-01-08 10:11:12.part' latest
touch 2001-01-09 '2001-01-10 10:00:00'
ln -s other 2001-01-11
future=$(date -d 'today 12:00 1 year' '+%Y-%m-%d %H:%M:%S')
mkdir "$future"
before=$(find . -mindepth 1 -maxdepth 1 | sort)
expect_status 0 run_backup -r -v --yearly=1 latest
grep -q "^warning: .*$future.*future" "$tmp/err" || fail "a snapshot of the future is not told: $(cat "$tmp/err")"
# The oldest represents its year, and the newest that is not of the future stays in any case.
gone=$(comm -23 <(echo "$before") <(find . -mindepth 1 -maxdepth 1 | sort) | tr '\n' ' ')
[ "$gone" = './2001-01-02 10:11 ./2001-01-03_10-11-12 ./20010104 ' ] ||
        fail "not what it should be was removed: $gone"
cd "$tmp" || exit

# A removal that is cut off has taken the snapshot its name: that is told, and a later run removes the rest.
for fault in EIO TERM; do
        history
        first="$(snapshots "$parent" | head -n 1)"
        touch "$parent/$first"/{1..999}
        cut_off=("$parent/.rsync-system-backup.trash-1" unlinkat)
        options=(-r --daily=38 --report="$tmp/r.json" "$parent/latest")
        if [ $fault = EIO ]; then
                expect_status 1 with_fault "${cut_off[@]}" error=EIO:when=1 "${options[@]}"
        else
                stop_at "${cut_off[@]}" 1+ "${options[@]}"
                kill -TERM "$stopped_run"
                go_on 143
        fi
        [ -e "$parent/.rsync-system-backup.trash-1" ] || fail "$fault: all of it is gone"
        grep -q "^warning: removed snapshot '$first', but not all of it: a later run removes the rest$" err ||
                fail "$fault: it is not told: $(cat err)"
        sed -n '/"rotation":/,$p' r.json >rotation
        { grep -q "\"snapshot\": \"$first\"" rotation && grep -q '"fate": "removed"' rotation; } ||
                fail "$fault: the report says $(cat rotation)"
        expect_status 0 run_backup -r --daily=38 "$parent/latest"
        [ ! -e "$parent/.rsync-system-backup.trash-1" ] || fail "the rest of it is still there"
        ! grep -q "'$first'" err || fail "it is removed once more: $(cat err)"
done

# Where the connection breaks meanwhile it is told at which snapshot.
if [ -n "$far" ]; then
        history
        first="$(snapshots "$parent" | head -n 1)"
        touch "$parent/$first/file"
        expect_status 1 with_fault "${cut_off[@]}" signal=KILL:when=1 -r --daily=38 "$parent/latest"
        grep -q "^\(warning: removed\|error: while the\) snapshot '$first'" err || fail "it is not told: $(cat err)"
        settle
fi

# Two runs in one second, and the clock of a run: both snapshots exist.
rm -rf "$parent"
expect_status 0 run_backup -b source "$parent/latest"
expect_status 0 run_backup -s "$parent/latest"
expect_status 0 run_backup -s "$parent/latest"
expect_status 0 run_backup --minutely=1 -s -r "$parent/latest"
made=$(sed -n "s/^snapshot: '\\(.*\\)',.*/\\1/p" err)
[ -e "$parent/${made:-none}" ] || fail "the snapshot that the run made was removed by it: $(cat err)"
