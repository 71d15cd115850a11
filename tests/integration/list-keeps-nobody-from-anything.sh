#!/bin/bash
# --list tells what is there and changes nothing: no lock, no file, no mode. A run may be under way, which is mentioned; what
# a rotation removes meanwhile is left out. What is missing, or no destination, is told; what an ordinary user cannot look
# at makes the numbers lower bounds. It goes by the sections of a configuration file, and ends with a signal.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 300m
. "$here/faults.sh"
need_tracing

source=$tmp/source parent=$tmp/parent
mkdir -p "$source"/{one,two}
for i in {1..50}; do
        echo "$i" >"$source/one/$i"
done
head -c 5M /dev/zero | tr '\0' x >"$source/large"
# back_up DAY
back_up() {
        expect_status 0 run_backup -b -s "$source" "$parent/latest"
        name_newest "$parent" "2001-02-0$1"
}
back_up 1
rm "$source/one/1"
back_up 2
echo 3 >"$source/one/3"
back_up 3

list() {
        expect_status 0 run_backup --list "$@"
}
# row NAME PATTERN: its line, blanks squeezed, is like that.
row() {
        local line

        line=$(grep "^$1 " "$tmp/out" | tr -s ' ') || fail "$1 is missing: $(cat "$tmp/out")"
        # shellcheck disable=SC2254
        case ${line#"$1" } in
        $2) ;;
        *) fail "$1 is '$line'" ;;
        esac
}
# years_since DATE: as --list says it: of 365.25 days. (The moment at which there is one more would have to be now.)
years_since() {
        echo "$((($(date +%s) - $(date -d "$1" +%s)) / 31557600)) years"
}
says() {
        grep -q -e "$1" "$tmp/err" || fail "it does not say '$1': $(cat "$tmp/err")"
}
facts() {
        find "$parent" "$STATE_DIRECTORY" "$XDG_RUNTIME_DIR" "$HOME" ${over:+"$over/far"} -printf '%P %i %n %m %u %s %T@ %C@\n' | sort
}

facts >"$tmp/before"
list --daily=2 "$parent/latest"
facts | diff "$tmp/before" - || fail "the list changed something"
[ "$(wc -l <"$tmp/out")" = 5 ] || fail "there are not three snapshots: $(cat "$tmp/out")"
row 2001-02-01 "$(years_since 2001-02-01) 54 5.0 MiB * nothing: the next rotation removes it"
row 2001-02-02 "$(years_since 2001-02-02) 53 5.0 MiB * daily, until the next one"
grep -q '^3 snapshots; with the latest backup 5.* MiB on the disk; .* free$' "$tmp/out" || fail "no sum: $(cat "$tmp/out")"
list -q --yearly=always "$parent/latest"
row 2001-02-01 "$(years_since 2001-02-01) * yearly, for ever"
[ "$(wc -l <"$tmp/out")" = 3 ] || fail "there is more than the snapshots: $(cat "$tmp/out")"

# What the machine has to say of rotation.
mkdir -p "$HOME"
printf '[%s]\nremoval-command = mv\n' "${far:+far:}$parent" >"$HOME/.rotate-backups.ini"
list "$parent/latest"
grep -q '^nothing is rotated: .*removal-command' "$tmp/out" || fail "no word of the refusal: $(cat "$tmp/out")"
printf '[%s]\nhourly = 1\nexclude-list = 2001-02-01\n' "${far:+far:}$parent" >"$HOME/.rotate-backups.ini"
list "$parent/latest"
row 2001-02-01 '*the include or exclude list'
row 2001-02-02 '*nothing: the next rotation removes it'
rm "$HOME/.rotate-backups.ini"

# While a run is under way, which loses nothing by it; there is none, and nothing is said, afterwards.
touch "$source/large"
echo 4 >"$source/one/4"
stop_at "$parent/latest" openat 1 -b "$source" "$parent/latest"
kill -0 "$stopped" || fail "the run is not under way"
mv "$tmp/out" "$tmp/err" "$tmp/state/" # its own are open
list "$parent/latest"
says "a run on .* is under way"
row 2001-02-02 '* 53 5.0 MiB *'
go_on 0
settle
same "$source" "$parent/latest"
list "$parent/latest"
! grep -q 'under way' "$tmp/err" || fail "a run is under way that has ended"
[ -z "$(cat "$tmp/err")" ] || fail "something is said: $(cat "$tmp/err")"

# Rotated away while it is looked at.
mkdir -p "$parent/2001-02-04/deep"
stop_at "$parent/2001-02-04/deep" getdents64 1 --list "$parent/latest"
mv "$parent/2001-02-04" "$parent/.rsync-system-backup.trash-1"
rm -r "$parent/.rsync-system-backup.trash-1"
go_on 0
row 2001-02-03 '*'
! grep -q 2001-02-04 "$tmp/out" || fail "what is gone is listed"
[ ! -s "$tmp/err" ] || fail "something is said: $(cat "$tmp/err")"

# A signal.
stop_at "$parent/2001-02-02/one" getdents64 1 --list "$parent/latest"
kill -TERM "$([ -n "$far" ] && pgrep -P $$ -f -- --list || echo "$stopped")"
go_on 143

# A snapshot whose run was incomplete.
if [ -z "$far" ]; then
        mkdir "$tmp/closed"
        echo 1 >"$tmp/closed/unreadable"
        expect_status 23 with_fault unreadable openat2,openat error=EIO -b -s "$tmp/closed" "$tmp/partial/latest"
        list "$tmp/partial/latest"
        grep -q 'incomplete; monthly, for ever$' "$tmp/out" || fail "it is not marked: $(cat "$tmp/out" "$tmp/err")"
fi

# What is not there, or another place.
expect_status 1 run_backup --list "$tmp/nowhere/latest"
says "cannot open directory '$tmp/nowhere'"
[ ! -e "$tmp/nowhere" ] || fail "it was made"
mkdir -p "$tmp/empty/latest"
list "$tmp/empty/latest"
says "there are no snapshots beside"
[ ! -s "$tmp/out" ] || fail "there is a table of nothing"
expect_status 1 run_backup --list "$tmp/empty/other"
says "no snapshots beside it"
expect_status 1 run_backup --list "$parent"
says "there are no snapshots beside .* but in it"
list "$parent/other"
says "there is no '$parent/other'"
row 2001-02-01 '*'

# As an ordinary user; and where the state is nobody's to see.
chmod 755 "$parent"
chmod 700 "$parent/2001-02-02/one" "$parent/.rsync-system-backup"
chmod 000 "$parent/2001-02-03"
if [ -z "$far" ]; then
        prepare_for_user
        expect_status 0 as_user "$RSB" --list -u "$parent/latest"
        row 2001-02-01 '* 54 5.0 MiB *'
        row 2001-02-02 '* >4 >5.0 MiB >* *'
        row 2001-02-03 '* >1 >0 bytes >0 bytes *'
        grep -q '^> at least' "$tmp/out" || fail "the mark is not explained: $(cat "$tmp/out")"
fi

# Sections.
printf '[laptop]\nsource = /nowhere\ndestination = %s\nbackup = yes\ndaily = 1\n[other]\ndestination = /nowhere/latest\n' \
        "${far:+far:}$parent/latest" >"$tmp/jobs.ini"
if [ -z "$far" ]; then
        expect_status 0 run_backup --list --config="$tmp/jobs.ini" laptop
        row 2001-02-01 '*nothing: the next rotation removes it'
        expect_status 2 run_backup --list --config="$tmp/jobs.ini"
fi

# A disk that is mounted for it, read-only: not a byte of it is another afterwards.
[ -z "$far" ] && [ -n "${RSB_FSTAB_PROBE:-}" ] || exit 0
make_fs disk ext4 30m
umount "$tmp/disk"
export LIBMOUNT_FSTAB=$tmp/fstab
echo "$tmp/disk.img $tmp/disk ext4 noauto,loop 0 0" >"$LIBMOUNT_FSTAB"
expect_status 0 run_backup --mount="$tmp/disk" "$tmp/closed" "$tmp/disk/parent/latest"
before=$(sha256sum "$tmp/disk.img")
list --mount="$tmp/disk" "$tmp/disk/parent/latest"
grep -q '^1 snapshot; with the latest backup' "$tmp/out" || fail "nothing is listed: $(cat "$tmp/out")"
[ "$before" = "$(sha256sum "$tmp/disk.img")" ] || fail "the disk was written"
! mountpoint -q "$tmp/disk" || fail "it is still mounted"
