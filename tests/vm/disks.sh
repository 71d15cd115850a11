# shellcheck shell=bash
# A disk as people have it who back up to one that is encrypted: LUKS on /dev/ubda, a key file, and the entries for
# `--crypto=backups --mount=/mnt/backups`. Source it after lib.sh.
: "${tmp:?lib.sh comes first}"

key=/etc/keys/backups.key
point=/mnt/backups
parent=$point/laptop
source=$tmp/source

# describe_disk DEVICE [FIELD...]: the fields of crypttab behind the source: key file and options.
describe_disk() {
        local device=$1
        shift

        [ $# -gt 0 ] || set -- "$key" luks,noauto
        echo "backups UUID=$(uuid_of "$device") $*" >/etc/crypttab
        echo "/dev/mapper/backups $point auto noauto,nofail,noatime 0 0" >/etc/fstab
}

# make_disk ext4|xfs|btrfs: on /dev/ubda, locked; and a small source.
make_disk() {
        encrypted_disk /dev/ubda secret "$1"
        mkdir -p /etc/keys "$point" "$source/directory"
        (umask 077 && printf secret >$key)
        describe_disk /dev/ubda
        echo one >"$source/one"
        echo two >"$source/directory/two"
}

# back_up [OPTIONS]: the whole job.
back_up() {
        run_backup --crypto=backups --mount=$point "$@" "$source" "$parent/latest"
}

open_by_hand() {
        unlock /dev/ubda secret backups
        mount $point
}

close_by_hand() {
        unmount "$point"
        cryptsetup close backups
}

# closed: not mounted, not unlocked, and nothing was written below the mount point.
closed() {
        ! is_mounted $point || fail "it is still mounted"
        ! is_unlocked backups || fail "it is still unlocked"
        [ -z "$(ls -A $point)" ] || fail "something was written to the root filesystem: $(ls -A $point)"
}

# opened: both are as somebody else left them.
opened() {
        is_mounted $point || fail "it was unmounted"
        is_unlocked backups || fail "it was locked"
}

# says PATTERN: the last run did.
says() {
        grep -q -e "$1" "$tmp/err" || fail "it does not say '$1': $(cat "$tmp/err")"
}
