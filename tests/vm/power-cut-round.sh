#!/bin/bash
# power-cut-round.sh TYPE ROUND HEAL [CUT]: in a guest, of power-cuts-lose-nothing.sh: after the last cut, check what is
# on the disk (/dev/ubda); with HEAL=yes, run a backup and judge it, with "left", leave something to be swept; and if
# there is a CUT, change the source (on /dev/ubdb, as what the machine remembers) and run a backup whose power is cut.
# Round 0 makes the disks, and heals nothing.
#
#     kill SECONDS                     by the host, after that time
#     call CALL PATH NUMBER SIDE       by cut-power.c, which throws away all that was not synced
#     commit CALL PATH NUMBER SIDE     the same, but the journal is written
#     success                          when the run has reported success
#     snapshot                         the same, of a snapshot alone, right after somebody else has written to `latest`
#
# The calls that $RSB_CUT_NOT names do nothing then. Ends with 3 where a promise is broken, with 4 when a call was not
# come to. A program that is started costs 20 ms and more here, Python 300: what bash can do, it does itself.
. "${0%/*}/lib.sh"
vm=$here/../vm
need_program
kind=$1 round=$2 heals=$3
shift 3
type=${kind#luks-} type=${type%-links}
point=/mnt/disk parent=/mnt/disk/parent source=/mnt/system/source
export STATE_DIRECTORY=/mnt/system/state
disk=/dev/ubda options=(--relaxed --hourly=3)
# By itself ext4 writes its journal after five seconds, which a round may take on a busy machine.
mounted=defaults
[ "$type" != ext4 ] || mounted=commit=300
not_done=${RSB_CUT_NOT:-}
unset RSB_CUT_NOT
readonly broken=3 not_reached=4
export TZ=UTC0 # which has no hour twice

# Each run has its own hour, from its fifth minute on, so that it is known which snapshots rotation removes.
set_hour() {
        local began

        read -r began <"$SHARE/began"
        date -s "@$((began + $1 * 3600))" >/dev/null
}

# ---- the disk ----

describe_disk() {
        echo "disk /dev/ubda /mnt/system/key luks" >/etc/crypttab
        echo "/dev/mapper/disk $point auto noauto,$mounted 0 0" >/etc/fstab
        disk=/dev/mapper/disk
        options+=(--crypto=disk "--mount=$point")
}

make_disks() {
        date -d "$(date '+%F %H:05')" +%s >"$SHARE/began"
        make_filesystem /dev/ubdb ext4
        mount /dev/ubdb /mnt/system
        mkdir "$source" "$STATE_DIRECTORY"
        echo steady >"$source/steady"
        (umask 077 && printf secret >/mnt/system/key)
        case $kind in
        luks-*) encrypted_disk /dev/ubda secret "$type" ;;
        *) make_filesystem /dev/ubda "$type" ;;
        esac
        open_disk
        mkdir -m 700 "$parent"
        case $kind in
        *-links) mkdir -m 700 "$parent/latest" ;;
        esac
        sync -f "$point"
        sync -f /mnt/system
}

open_disk() {
        [ $disk = /dev/ubda ] || unlock /dev/ubda secret disk
        mount -o "$mounted" $disk $point
}

# A disk that the program is to open must not be open.
leave_disk() {
        [ $disk = /dev/ubda ] && return
        umount $point
        cryptsetup close disk
}

# The journal is replayed by the first mount; only then the check means anything.
open_and_check_disk() {
        open_disk
        umount $point
        check_filesystem $disk "$type"
        mount -o "$mounted" $disk $point
        if [ -e "$SHARE/acknowledged" ] && ! grep -q " $parent$" "$STATE_DIRECTORY/disks"; then
                echo "the machine does not remember the disk"
                exit $broken
        fi
}

# survivors [SOURCE SEED]: one judge for all of the round.
survivors() {
        local line

        [ -n "${survivors_PID:-}" ] || coproc survivors { "$PYTHON" "$vm/survivors.py" "$parent" "$SHARE"; }
        echo "$@" >&"${survivors[1]}"
        while read -r line; do
                case $line in
                kept) return ;;
                broken) exit $broken ;;
                *) echo "$line" ;;
                esac
        done <&"${survivors[0]}"
        fail "the judge has ended"
}

# ---- runs ----

# backup [VARIABLES]: of cut-power.c. A whole run leaves the disk as it was.
backup() {
        leave_disk
        expect_status 0 env "$@" LD_PRELOAD="$RSB_CUT_POWER" \
                "$RSB" --disable-notifications "${options[@]}" "$source" "$parent/latest"
}

# What has to be there from now on, however it ends.
acknowledge() {
        [[ $(<"$tmp/err") =~ "snapshot: '"([^\']*)"', " ]] || fail "it reports success, but no snapshot"
        echo "${BASH_REMATCH[1]}" >>"$SHARE/acknowledged"
}

# Judged by rsync here, and by our own listing when its snapshot is looked at.
heal() {
        local before=${EPOCHREALTIME/./} found
        local compare=(rsync -aHAXn --numeric-ids --delete --checksum --itemize-changes)

        backup RSB_CUT_COUNT="$SHARE/calls"
        echo "$((${EPOCHREALTIME/./} - before))" >"$SHARE/took"
        acknowledge
        [ $disk = /dev/ubda ] || open_disk
        found=$("${compare[@]}" "$source/" "$parent/latest/" 2>&1) || true
        [ -z "$found" ] || fail "the next run does not heal: $found"
        ! compgen -G "$parent/.rsync-system-backup.*" || fail "the next run leaves that"
}

# As if a run had been cut off that was removing a snapshot while it made another one.
leave() {
        local newest how=-al

        [ "$kind" != btrfs ] || how=-a # no links from one subvolume to another
        newest=$parent/$(snapshots "$parent" | tail -n 1)
        cp $how "$newest" "$parent/.rsync-system-backup.trash-1"
        rm -rf "$parent/.rsync-system-backup.new"
        cp $how "$newest/sure" "$parent/.rsync-system-backup.new"
        sync -f "$parent"
}

mkdir /mnt/system $point
case $kind in
luks-*) describe_disk ;;
esac
if [ "$round" = 0 ]; then
        make_disks
else
        set_hour $((round * 2))
        mount /dev/ubdb /mnt/system
        open_and_check_disk
fi
if [ "$heals" = yes ]; then
        survivors
        heal
fi
survivors "$source" $((round + 1))
[ "$heals" != left ] || leave
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
        [ "$1" = call ] || set -- "$@" RSB_CUT_COMMIT=$point/another
        backup RSB_CUT_CALL="$2" RSB_CUT_PATH="$3" RSB_CUT_NUMBER="$4" RSB_CUT_SIDE="$5" RSB_CUT_NOT="$not_done" \
                "${@:6}"
        [ "$2" = any ] || exit $not_reached
        acknowledge
        ;;
snapshot)
        options+=(--backup)
        backup
        rm "$parent/latest/steady"
        sync -f "$parent"
        cp -a "$source/steady" "$parent/latest"
        touch -r "$source" "$parent/latest"
        options[-1]=--snapshot
        backup RSB_CUT_NOT="$not_done"
        acknowledge
        ;;
success)
        backup RSB_CUT_NOT="$not_done"
        acknowledge
        ;;
esac
cut_the_power
