#!/bin/bash
# Wrong usage and configuration end with status 2 and one line that says what is wrong where, before anything is touched:
# no lock, no directory, no file. What an rsync daemon tells of its transfer decides what is done after it.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 50m

mkdir -p source
echo one >source/one
cd "$tmp" || exit

# wrong PATTERN ARGUMENTS...: of which the last is not the destination's, unless given.
wrong() {
        local pattern=$1
        shift

        expect_status 2 "$RSB" "$@"
        [ "$(wc -l <err)" = 1 ] || fail "not one line but $(cat err)"
        grep -q -e "^error: .*$pattern" err || fail "no word of '$pattern': $(cat err)"
        [ ! -s out ] || fail "something was printed"
        [ "$(find . -mindepth 1 -maxdepth 1 ! -name out ! -name err ! -name '*.ini' | sort | tr '\n' ' ')" = \
                './home ./run ./source ./state ' ] || fail "something was touched: $(ls -A)"
        [ -z "$(find run state -mindepth 1)" ] || fail "locks or memories were made"
}

wrong 'frobnicate' --frobnicate source parent/latest
wrong 'rotat' --rotat=1 source parent/latest
wrong 'exclude' source parent/latest --exclude
wrong 'ionice' --ionice=sometimes source parent/latest
wrong 'daily' --daily=7x source parent/latest
wrong 'daily' --daily=0 source parent/latest
wrong 'metrics: .*standard output' --metrics=- source parent/latest
wrong 'three\|argument' a b c
wrong 'about a connection' --bwlimit=1M source parent/latest
wrong 'bwlimit.*fast' --bwlimit=fast source host:/parent/latest
wrong 'goes with --server' --restrict=/x source host:/parent/latest
wrong 'needs --restrict' --server --append-only
wrong 'no DESTINATION' --server parent/latest
wrong 'list.* with --dry-run' --list -n parent/latest
wrong 'list.* with --exclude' --list -x a parent/latest
wrong 'list.* no SOURCE' --list source parent/latest
wrong 'scheme\|daily' --list --daily=0 parent/latest
wrong 'no snapshot can lie beside' --list rsync://host/module
wrong 'snapshot without --backup' -s source host::module
wrong 'no snapshot can lie beside' -r source rsync://host/module
wrong 'mount cannot be used' --mount=/mnt source host::module
wrong 'snapshot without --backup' -s --remote-command=rsync source host:/parent/latest
wrong 'fstab\|libmount' --mount="$tmp/nowhere" source nowhere/latest
wrong 'not be on what is mounted' --mount="$tmp/nowhere" source parent/latest
wrong 'crypttab\|libcryptsetup' --crypto=no-such-disk source parent/latest
wrong 'tunnel leads to an rsync daemon' --tunnel=host source host:/parent/latest
wrong '' host:/source parent/latest
wrong '' '' parent/latest
wrong '' source ''
for own in '' .new .trash-1 -of-mine; do
        for at in "$tmp/parent/" parent/./ host:/parent/ host: host::module/ rsync://host/module/dir/; do
                wrong "cannot be '.rsync-system-backup$own'.*another name" source "$at.rsync-system-backup$own/"
        done
        wrong "cannot be '.rsync-system-backup$own'" -f source "parent/.rsync-system-backup$own"
done
for at in parent/ host:/parent/ host::module/; do
        wrong "cannot be '2026-11-21 17:00:00'.*such as 'latest'" -f source "${at}2026-11-21 17:00:00"
        wrong "cannot be '20261121'" -b -f source "${at}20261121"
done
wrong "cannot be '2026-11-21'" -s -f "parent/2026-11-21"
wrong 'missing.ini' --config=missing.ini
printf 'destination = /x\n' >none.ini
wrong 'none.ini' --config=none.ini
printf '[job]\nsource = /\ndestination = %s/parent/latest\nhourli = 3\n' "$tmp" >key.ini
wrong 'key.ini.*4.*hourli' --config=key.ini
printf '[job]\nsource = /\ndestination = %s/parent/latest\nhourly = a few\n' "$tmp" >value.ini
wrong 'value.ini.*4.*hourly' --config=value.ini
printf '[job]\ndestination = relative/latest\n' >relative.ini
wrong 'relative.ini.*2.*destination' --config=relative.ini
printf '[one]\nsource = %s/source\ndestination = %s/parent/latest\nbackup = yes\n[two]\ndestination = %s/two/latest\ndaily = x\n' \
        "$tmp" "$tmp" "$tmp" >several.ini
wrong 'several.ini.*7.*daily' --config=several.ini one
sed -i '/^daily/d' several.ini
wrong 'section' --config=several.ini
wrong '' --config=several.ini three

expect_status 2 "$RSB"
grep -q '^Usage:' err || fail "without arguments there is no usage: $(cat err)"
[ ! -s out ] || fail "a usage that is an error goes to standard output"
for option in --help -h --version; do
        expect_status 0 "$RSB" $option
        [ -s out ] || fail "$option prints nothing"
done

expect_status 0 run_backup --config=several.ini one
# One is not waited for that nobody writes; that of the shell is read.
mkfifo pipe.ini
expect_status 2 timeout 30 "$RSB" --config=pipe.ini
grep -q 'pipe.ini' "$tmp/err" || fail "a FIFO as configuration: $(cat "$tmp/err")"
expect_status 0 run_backup --config=<(cat several.ini) one
[ -e parent/latest/one ] || fail "the section was not run"
expect_status 0 run_backup --config=several.ini -s "$tmp/parent/latest"
[ "$(snapshots parent | wc -l)" = 1 ] || fail "the section was not found by its destination"

# After an rsync daemon's transfer.
export RSYNC_MODULE_PATH=$tmp/parent/latest
for pair in 0:0 24:0 23:23 12:1 10:1 nonsense:1; do
        before=$(snapshots parent | wc -l)
        export RSYNC_EXIT_STATUS=${pair%:*}
        expect_status "${pair#*:}" run_backup --snapshot --rotate --minutely=always --relaxed --hourly=always
        made=$(($(snapshots parent | wc -l) - before))
        case $RSYNC_EXIT_STATUS in
        0 | 24 | 23) grep -q "^snapshot: " err || fail "no snapshot after status $RSYNC_EXIT_STATUS" ;;
        *) [ $made = 0 ] || fail "a snapshot in spite of status $RSYNC_EXIT_STATUS" ;;
        esac
done
newest=$(sed -n 's/^incomplete //p' parent/.rsync-system-backup/state)
[ -n "$newest" ] || fail "an incomplete transfer of a daemon is not recorded as that"
