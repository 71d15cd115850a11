#!/bin/bash
# power-cut-round.sh TYPE ROUND HEAL [CUT]: in a guest, of power-cuts-lose-nothing.sh: after the last cut, check what is
# on the disk (/dev/ubda); with HEAL=yes, run a backup and judge it, with "left", leave something to be swept; and if there
# is a CUT, change the source (/dev/ubdb) and run a backup whose power is cut:
#
#     kill SECONDS                     by the host, after that time
#     call CALL PATH NUMBER SIDE       by cut-power.c, which throws away all that was not synced
#     commit CALL PATH NUMBER SIDE     the same, but the journal is written
#     success [CALL...]                when the run has reported success; these calls did nothing
#
# Ends with 3 where a promise is broken, with 4 when a call was not come to.
. "$(dirname "$0")/lib.sh"
vm=$(dirname "$(readlink -f "$0")")
need_program
type=${1%-links} links=${1#"${1%-links}"} round=$2 heals=$3
shift 3
source=/mnt/source parent=/mnt/disk/parent
readonly broken=3 not_reached=4

# Each run has its own hour, so that it is known which snapshots rotation removes.
set_hour() {
        date -s "@$(($(cat "$SHARE/began") + $1 * 3600))" >/dev/null
}

# backup [VARIABLES]: of cut-power.c.
backup() {
        expect_status 0 env "$@" LD_PRELOAD="$RSB_CUT_POWER" \
                "$RSB" --disable-notifications --relaxed --hourly=3 "$source" "$parent/latest"
}

# survivors [SOURCE SEED]
survivors() {
        "$PYTHON" "$vm/survivors.py" "$parent" "$SHARE" "$@" || exit $broken
}

# What has to be there from now on, however it ends.
acknowledge() {
        local name

        name=$(sed -n "s/^.*snapshot: '\(.*\)', .*/\1/p" "$tmp/err")
        [ -n "$name" ] || fail "it reports success, but no snapshot"
        echo "$name" >>"$SHARE/acknowledged"
}

make_disks() {
        date +%s >"$SHARE/began"
        make_filesystem /dev/ubda "$type"
        make_filesystem /dev/ubdb ext4
        mount /dev/ubda /mnt/disk
        mount /dev/ubdb "$source"
        mkdir -m 700 "$parent" ${links:+"$parent/latest"}
}

# The journal is replayed by the first mount; only then the check means anything.
examine() {
        mount /dev/ubda /mnt/disk
        umount /mnt/disk
        check_filesystem /dev/ubda "$type"
        mount /dev/ubda /mnt/disk
        mount /dev/ubdb "$source"
        survivors
}

# Judged by rsync here, and by our own listing when the next round looks at its snapshot.
heal() {
        local before=${EPOCHREALTIME/./} found

        backup RSB_CUT_COUNT="$SHARE/calls"
        echo "$((${EPOCHREALTIME/./} - before))" >"$SHARE/took"
        acknowledge
        found=$(rsync -aHAXn --numeric-ids --delete --checksum --itemize-changes "$source/" "$parent/latest/" 2>&1) || true
        [ -z "$found" ] || fail "the next run does not heal: $found"
        found=$(find "$parent" -maxdepth 1 -name '.rsync-system-backup.*')
        [ -z "$found" ] || fail "the next run leaves $found"
}

# As if a run had been cut off that was removing a snapshot while it made another one.
leave() {
        local newest how=-al

        [ "$type$links" != btrfs ] || how=-a # no links from one subvolume to another
        newest=$parent/$(snapshots "$parent" | tail -n 1)
        cp $how "$newest" "$parent/.rsync-system-backup.trash-1"
        rm -rf "$parent/.rsync-system-backup.new"
        cp $how "$newest/sure" "$parent/.rsync-system-backup.new"
        sync -f "$parent"
}

mkdir "$source" /mnt/disk
if [ "$round" = 0 ]; then
        make_disks
        survivors "$source" 0
else
        set_hour $((round * 2))
        examine
fi
case $heals in
yes) heal ;;
left) leave ;;
esac
survivors "$source" $((round + 1))
[ $# -gt 0 ] || exit 0

set_hour $((round * 2 + 1))
case $1 in
kill)
        host kill "$2"
        backup
        acknowledge
        sleep 60
        ;;
call | commit)
        [ "$1" = call ] || set -- "$@" RSB_CUT_COMMIT=/mnt/disk/another
        backup "${@:6}" RSB_CUT_CALL="$2" RSB_CUT_PATH="$3" RSB_CUT_NUMBER="$4" RSB_CUT_SIDE="$5"
        [ "$2" = any ] || exit $not_reached
        acknowledge
        ;;
success)
        backup RSB_CUT_NOT="${*:2}"
        acknowledge
        ;;
esac
cut_the_power
