# shellcheck shell=bash
# What the tests of mounting share; after lib.sh and in_memory. $RSB_FSTAB_PROBE does what a run would do.
# shellcheck disable=SC2154 # set by lib.sh
[ -x "${RSB_FSTAB_PROBE:-}" ] || skip "RSB_FSTAB_PROBE does not name the probe"
export LIBMOUNT_FSTAB=$tmp/fstab
# What is known of a device is believed for two seconds.
export BLKID_FILE=$tmp/blkid.tab
: >"$LIBMOUNT_FSTAB"
declare -A held

# image NAME TYPE SIZE [mkfs options]
image() {
        local name=$1 type=$2 size=$3
        shift 3

        need "mkfs.$type"
        modprobe -q "$type" 2>/dev/null || true
        grep -qw "$type" /proc/filesystems || skip "the kernel has no $type"
        truncate -s "$size" "$tmp/$name"
        case $type in
        ext4) set -- -q -F "$@" ;;
        *) set -- -q -f "$@" ;;
        esac
        "mkfs.$type" "$@" "$tmp/$name" >"$tmp/mkfs.log" 2>&1 || fail "mkfs.$type: $(cat "$tmp/mkfs.log")"
}

# attach FILE [losetup options]: sets $device, which stays as long as the test has it open, and no longer whatever ends the test.
attach() {
        local fd file=$tmp/$1
        shift

        device=$(losetup -f --show "$@" "$file") || skip "cannot set up a loop device"
        exec {fd}<"$device"
        losetup -d "$device"
        held[$device]=$fd
        rm -f "$BLKID_FILE"
}

# detach DEVICE
detach() {
        local fd=${held[$1]}

        exec {fd}<&-
}

# entry SOURCE POINT TYPE OPTIONS: a line of fstab, POINT in the private directory.
entry() {
        printf '%s %s/%s %s %s 0 0\n' "$1" "$tmp" "$2" "$3" "$4" >>"$LIBMOUNT_FSTAB"
}

# probe WHAT POINT: below the launcher that kills whatever executes something, where there is one.
probe() {
        RSB_PROGRAM=$RSB_FSTAB_PROBE "${RSB:-$RSB_FSTAB_PROBE}" "$1" "$tmp/$2"
}

# answers PATTERN WHAT POINT: the answer is as the shell pattern says.
answers() {
        local wanted=$1 answer
        shift

        answer=$(probe "$@") || true
        # shellcheck disable=SC2053 # a pattern
        [[ $answer == $wanted ]] || fail "$*: '$answer' instead of '$wanted'"
}

# on POINT FIELD: what findmnt(8) says of the uppermost mount there.
on() {
        findmnt -n -o "$2" --mountpoint "$tmp/$1" | tail -n 1
}

mounts() {
        grep -c . /proc/self/mountinfo
}

# loops: those of our files. One that is free is there yet as long as somebody else looks at all disks.
loops() {
        losetup -n -O NAME,BACK-FILE | grep -F "$tmp" | sort
}

# no_loop FILE: nor will there be.
no_loop() {
        for _ in $(seq 600); do
                [ -n "$(losetup -n -O NAME -j "$tmp/$1")" ] || return 0
                sleep 0.05
        done
        fail "the loop device of $1 is still there"
}

# nothing_changes COMMAND...: no mount and no loop device more or less.
nothing_changes() {
        local before after

        before=$(mounts; loops)
        "$@"
        for _ in $(seq 600); do
                after=$(mounts; loops)
                [ "$before" != "$after" ] || return 0
                sleep 0.05
        done
        fail "something was left behind: $before / $after"
}
