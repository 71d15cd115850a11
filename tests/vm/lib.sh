# shellcheck shell=bash
# What the tests share that run in a guest (see the script `guest`). Source it first:
#
#     . "$(dirname "$0")/lib.sh"
#
# It has all of ../integration/lib.sh: $RSB, $tmp (in memory), run_backup, expect_status, same, frozen, ... A test is
# root, and alone: it may write /etc/fstab and /etc/crypttab, both are empty in the beginning. need_root is not needed.
# shellcheck source=../integration/lib.sh
. "${BASH_SOURCE[0]%/*}/../integration/lib.sh"
[ -n "${GUEST:-}" ] || fail "this test runs in a guest: tests/vm/guest $0"

# host REQUEST: what only the machine can do, that the guest runs on; prints what it says.
#
#     plug N, unplug N     disk N (0 is /dev/ubda) comes or goes; one that is open does not go
#     kill [SECONDS]       the power fails, after that time; returns at once if there is one
host() {
        local reply _

        if [ -z "${to_host:-}" ]; then
                exec {to_host}<>/dev/tty1
                stty raw -echo <&"$to_host"
        fi
        # udev may be looking at what goes.
        for _ in $(seq 100); do
                echo "$*" >&"$to_host"
                [ "${1%% *}" = kill ] && return
                read -r reply <&"$to_host"
                [ "${reply%%OK*}" = "$reply" ] || return 0
                [ "$1" = unplug ] || break
                sleep 0.1
        done
        fail "the host, when asked for $*: $reply"
}

# unmount POINT: what has looked at it is about to end, or has.
unmount() {
        local _

        for _ in $(seq 300); do
                ! umount "$1" 2>"$tmp/umount.err" || return 0
                sleep 0.1
        done
        fail "$(cat "$tmp/umount.err")"
}

# cut_the_power: here and now.
cut_the_power() {
        echo b >/proc/sysrq-trigger
        sleep 60
}

# ---- disks ----

# make_filesystem DEVICE ext4|xfs|btrfs [options of mkfs]
make_filesystem() {
        local device=$1 type=$2
        shift 2

        need "mkfs.$type"
        case $type in
        ext4) set -- -q -F "$@" ;;
        *) set -- -q -f "$@" ;;
        esac
        "mkfs.$type" "$@" "$device" >"$tmp/mkfs.log" 2>&1 || fail "mkfs.$type $device: $(cat "$tmp/mkfs.log")"
}

# check_filesystem DEVICE ext4|xfs|btrfs: not mounted, and its journal was replayed; changes nothing.
check_filesystem() {
        local check

        case $2 in
        ext4) check=(e2fsck -fn) ;;
        xfs) check=(xfs_repair -n) ;;
        btrfs) check=(btrfs check) ;;
        *) fail "check_filesystem: $2" ;;
        esac
        "${check[@]}" "$1" >"$tmp/fsck.log" 2>&1 || fail "${check[*]} $1: $(cat "$tmp/fsck.log")"
}

# luks_format DEVICE PASSPHRASE [options of cryptsetup luksFormat]: LUKS2 unless told otherwise, quick to unlock.
luks_format() {
        local device=$1 passphrase=$2
        shift 2

        need cryptsetup
        case " $* " in
        *argon2*) ;;
        *) set -- --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$@" ;;
        esac
        printf '%s' "$passphrase" | cryptsetup luksFormat --batch-mode --type luks2 "$@" --key-file - "$device" ||
                fail "cryptsetup luksFormat $device"
}

# unlock DEVICE PASSPHRASE NAME [options of cryptsetup open]: by cryptsetup; /dev/mapper/NAME.
unlock() {
        local device=$1 passphrase=$2 name=$3
        shift 3

        printf '%s' "$passphrase" | cryptsetup open --key-file - "$@" "$device" "$name" ||
                fail "cryptsetup open $device"
}

# encrypted_disk DEVICE PASSPHRASE ext4|xfs|btrfs [options of luksFormat]: with a filesystem in it, and locked.
encrypted_disk() {
        local device=$1 passphrase=$2 type=$3
        shift 3

        luks_format "$device" "$passphrase" "$@"
        unlock "$device" "$passphrase" in-the-making
        make_filesystem /dev/mapper/in-the-making "$type"
        cryptsetup close in-the-making || fail "cryptsetup close"
}

# uuid_of DEVICE: of the filesystem or the LUKS header on it.
uuid_of() {
        blkid -p -s UUID -o value "$1"
}

is_mounted() {
        awk -v point="$1" '$5 == point { found = 1 } END { exit !found }' /proc/self/mountinfo
}

is_unlocked() {
        dmsetup info "$1" >/dev/null 2>&1
}

# ---- a disk that can be pulled while it is in use, as a USB disk can ----

# plug_in MIB: $pluggable is its device, its content is zero.
plug_in() {
        modprobe sd_mod || skip "the guest has no sd_mod"
        modprobe scsi_debug "dev_size_mb=$1" delay=0 || skip "the guest has no scsi_debug"
        find_pluggable
}

find_pluggable() {
        local block

        for _ in $(seq 600); do
                for block in /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*:*/block/*; do
                        [ ! -b "/dev/${block##*/}" ] || pluggable=/dev/${block##*/}
                done
                [ -z "${pluggable:-}" ] || return 0
                sleep 0.05
        done
        fail "no disk of scsi_debug appeared"
}

pull_out() {
        echo 1 >"/sys/block/${pluggable##*/}/device/delete"
}

# put_back: the same disk with what is on it, perhaps by another name.
put_back() {
        local scan

        for scan in /sys/class/scsi_host/*/scan; do
                echo '- - -' >"$scan"
        done
        pluggable=''
        find_pluggable
}

# ---- udev ----

# start_udevd: the real one, as a machine has it; without it, nodes in /dev come from the kernel and libdevmapper.
start_udevd() {
        /lib/systemd/systemd-udevd --daemon || fail "systemd-udevd does not start"
        udevadm trigger --subsystem-match=block --action=add
        udevadm settle
}

stop_udevd() {
        udevadm control --exit
}
