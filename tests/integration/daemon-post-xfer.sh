#!/bin/bash
# The documented way to snapshots at an rsync daemon: its `post-xfer exec` runs this program, which takes a snapshot of what
# arrived and rotates, for whatever client. A transfer that failed makes none, an incomplete one an incomplete snapshot.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need setpriv
in_memory 300m
. "$here/rsyncd.sh"
prepare_for_user

# What the daemon starts: the program, with a state of its own; what it says and how it ends is kept.
cat >"$tmp/after" <<END2
#!/bin/sh
how=ended
[ -e $tmp/after.log ] || how=looked
exec >>$tmp/after.log 2>&1
echo "-- \$RSYNC_EXIT_STATUS \$RSYNC_MODULE_PATH"
STATE_DIRECTORY=$tmp/far/state XDG_RUNTIME_DIR=$tmp/far/run HOME=$tmp/far RSB_PROGRAM=$RSB_PROGRAM
export STATE_DIRECTORY XDG_RUNTIME_DIR HOME RSB_PROGRAM
$RSB --disable-notifications --snapshot --rotate --relaxed --yearly=1 --prefer-recent --report=$tmp/far/r.json
echo "\$how \$?"
END2
chmod 755 "$tmp/after"
mkdir -m 700 "$tmp/far" "$tmp/far/state" "$tmp/far/run"
parent=$tmp/backups
mkdir -p "$parent/latest"
after=("path = $parent/latest" 'max connections = 1' "post-xfer exec = $tmp/after")

# ended COUNT STATUS: the program has run that often, and ended so the last time.
ended() {
        local _

        for _ in $(seq 1200); do
                [ "$(grep -c '^ended' "$tmp/after.log" 2>/dev/null)" != "$1" ] || break
                sleep 0.05
        done
        [ "$(grep '^ended' "$tmp/after.log" | tail -n 1)" = "ended $2" ] || fail "it ended otherwise: $(cat "$tmp/after.log")"
        [ "$(grep -c '^ended' "$tmp/after.log")" = "$1" ] || fail "it ran another number of times: $(cat "$tmp/after.log")"
}

count() {
        [ "$(snapshots "$parent" | wc -l)" = "$1" ] || fail "not $1 snapshots: $(ls -A "$parent")"
}

newest() {
        snapshots "$parent" | tail -n 1
}

# push STATUS [OPTIONS]: a connection may be there yet from the last time.
push() {
        local status=$1
        shift
        expect_status "$status" run_backup --retries=9 "$@" source "$at"
}

mkdir source
echo 1 >source/file
echo same >source/same
chown -R "$ordinary_user" source
for rsyncd_address in 127.0.0.1 ::1; do
        if [ "$rsyncd_address" = ::1 ] && ! rsyncd_port >/dev/null 2>&1; then
                echo "not tried: there is no IPv6"
                continue
        fi
        echo "-- at $rsyncd_address"
        rm -rf "$parent" "$tmp/after.log"
        mkdir -p "$parent/latest"
        start_rsyncd "at-${rsyncd_address//:/_}"
        add_module main "${after[@]}"
        case $rsyncd_address in
        *:*) at="rsync://[$rsyncd_address]:$port/main" ;;
        *) at=rsync://$rsyncd_address:$port/main ;;
        esac

        touch -d 2020-01-01 source/file source

        echo "-- each transfer makes a snapshot, and the scheme holds"
        push 0
        ended 1 0
        count 1
        same source "$parent/$(newest)"
        shared=$(stat -c %i "$parent/$(newest)/same")
        for round in 2 3 4; do
                echo "$round and more" >source/file
                touch -d "2020-01-0$round" source/file source
                push 0
                ended "$round" 0
        done
        # One is all that the scheme preserves, when ever that is.
        count 1
        same source "$parent/$(newest)"
        [ "$(stat -c %i "$parent/$(newest)/same")" = "$shared" ] || fail "an unchanged file is not shared"
        grep -qx "complete $(newest)" "$parent/.rsync-system-backup/state" || fail "it does not count as complete"
        last=$(newest)

        echo "-- an incomplete one is known as that"
        chmod 0 source/file
        touch -d 2020-01-06 source/file source
        expect_status 23 as_user "$RSB" --disable-notifications --no-sudo --force --retries=9 source "$at"
        ended 5 23
        [ "$(newest)" != "$last" ] || fail "no snapshot of an incomplete transfer"
        grep -q '"message": ".*RSYNC_EXIT_STATUS 23' "$tmp/far/r.json" || fail "the report says $(cat "$tmp/far/r.json")"
        grep -qx "incomplete $(newest)" "$parent/.rsync-system-backup/state" ||
                fail "it does not count as incomplete: $(cat "$parent/.rsync-system-backup/state")"
        [ -d "$parent/$last" ] || fail "the last complete one was removed"
        chmod 644 source/file
        last=$(newest)

        echo "-- a failed one makes none"
        head -c 3000000 /dev/urandom >source/large
        touch -d 2020-01-07 source/file source
        run_backup --bwlimit=500k --retries=9 source "$at" >"$tmp/out" 2>"$tmp/err" &
        pushing=$!
        until compgen -G "$parent/latest/.large.*" >/dev/null; do
                kill -0 $pushing || fail "it is over already: $(cat "$tmp/err")"
                sleep 0.02
        done
        pkill -KILL -P $pushing
        wait $pushing || true
        ended 6 1
        [ "$(newest)" = "$last" ] || fail "a snapshot of a transfer that failed"
        push 0
        ended 7 0
        # Before the first transfer the client looked what is there, which was none that went well.
        grep -qx 'looked 1' "$tmp/after.log" || fail "no look: $(cat "$tmp/after.log")"
        same source "$parent/$(newest)"
        rm source/large
        stop_rsyncd "at-${rsyncd_address//:/_}"
done
