#!/bin/bash
# fstab-refuses-what-does-not-belong-there.sh: what cannot be mounted, and what is mounted in the place of something
# else, is an error that tells what to do; and nothing is left behind by it.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need findmnt losetup mkfs.ext4
in_memory 400m
. "$here/fstab.sh"

# refuses PATTERN WHAT POINT
refuses() {
        nothing_changes answers "$@"
}

image a.img ext4 8M -L rsb-test-a
image b.img ext4 8M -L rsb-test-b
attach a.img
a=$device
attach b.img
b=$device
mkdir point other point/below

# ---- not in fstab ----
printf 'proc /proc proc defaults 0 0\n/dev/x none swap sw 0 0\n/dev/y / ext4 defaults 0 1\n' >fstab
refuses "ENOENT: there is no entry for '$tmp/point' in $tmp/fstab (add one*" mount point
refuses "EINVAL: '$tmp/../..*' is the root of the system*" mount ../../../../../../../../..
refuses "EINVAL: '$tmp/../..*' is the root of the system*" unmount ../../../../../../../../..
refuses 'ENOENT: there is no entry for *' mount point/below
refuses 'ENOENT: there is no entry for *' mount missing
[ "$(probe mount point >/dev/null; echo $?)" = 2 ] || fail "a missing entry is no error of usage"
entry /dev/z point swap sw
refuses 'ENOENT: there is no entry for *' mount point
# A line that nobody understands is of consequence only where it may be the one.
printf '\n%s/point\n' "$tmp" >>fstab
refuses 'ENOENT: there is no entry for *line 6 of it could not be understood*' mount point
entry "$a" point ext4 noauto
answers mounted mount point
answers ok unmount point
mv fstab fstab.away
refuses "ENOENT: cannot read '$tmp/fstab': No such file or directory*" mount point

# ---- not there ----
for source in LABEL=rsb-test-none UUID=11111111-2222-4333-8444-555555550099 /dev/rsb-test-none "$tmp/none.img"; do
        for options in defaults nofail,noauto; do
                : >fstab
                entry "$source" point ext4 "$options"
                refuses "ENODEV: cannot mount '$tmp/point': there is no '$source'*" mount point
                refuses "ENODEV: *" mount-ro point
        done
done
: >fstab
entry "$tmp/none" point none bind
refuses "ENODEV: *there is no '$tmp/none'*" mount point
: >fstab
entry "$a" missing/point ext4 nofail
refuses "ENOTDIR: the mount point '$tmp/missing/point' is not there, or is no directory (make it: mkdir -p '$tmp/missing/point')" mount \
        missing/point
answers no mounted missing/point
answers none instance missing/point
answers ok unmount missing/point
: >fstab
entry "$a" a.img ext4 defaults
refuses "ENOTDIR: *" mount a.img
# A node without a device behind it.
mknod node b 240 77
: >fstab
entry "$tmp/node" point ext4 nofail
refuses 'ENODEV: cannot mount *' mount point

# ---- what libmount and the kernel have to say ----
: >fstab
entry "$a" point ext4 rw,no-such-option
refuses "EINVAL: cannot mount '$tmp/point': wrong fs type, bad option*" mount point
for options in defaults nofail; do
        : >fstab
        entry "$a" point no-such-type $options
        refuses "EPROTONOSUPPORT: cannot mount '$tmp/point': unknown filesystem type 'no-such-type'*" mount point
        : >fstab
        entry "$tmp/fstab" point ext4 $options,loop
        refuses "E*: cannot mount '$tmp/point': *" mount point
done
[ "$(probe mount point >/dev/null; echo $?)" = 1 ] || fail "what cannot be mounted is an error of usage"
# A filesystem that is mounted by a program of its own: that one may be executed, and tells it by its status.
if [ ! -e /sbin/mount.rsb-test ] && mkdir sbin && cp -a /sbin/. sbin/ 2>/dev/null; then
        cat >sbin/mount.rsb-test <<'EOF'
#!/bin/sh
[ "$1" = good ] || exit 7
exec mount -t tmpfs -o size=1m quite-another-name "$2"
EOF
        chmod +x sbin/mount.rsb-test
        mount --bind sbin "$(readlink -f /sbin)"
        : >fstab
        entry bad other rsb-test nofail
        RSB='' refuses "EIO: cannot mount '$tmp/other': the helper for this type of filesystem ended with status 7*" mount other
        : >fstab
        entry good other rsb-test defaults
        RSB='' answers mounted mount other
        answers ok unmount other
        umount "$(readlink -f /sbin)"
fi

# ---- something else is there ----
: >fstab
entry LABEL=rsb-test-a point ext4 noauto,nofail
for options in '-t tmpfs other-thing' "$b" "--bind $tmp/other" "$a/sub"; do
        wanted=${options##* }
        case $options in
        */sub)
                mount "$a" other
                mkdir -p other/sub
                mount --bind other/sub point
                umount other
                wanted=$a
                ;;
        --bind*)
                # shellcheck disable=SC2086 # options
                mount $options point
                wanted=rsb-test
                ;;
        *)
                # shellcheck disable=SC2086 # options
                mount $options point
                ;;
        esac
        refuses "EMEDIUMTYPE: '$wanted' is mounted on '$tmp/point' (*) and not 'LABEL=rsb-test-a' (unmount it first*" mount point
        refuses "EMEDIUMTYPE: *" mount-ro point
        refuses "EMEDIUMTYPE: *" writable point
        umount point
done
# The right one, but covered.
answers mounted mount point
mount "$b" point
refuses "EMEDIUMTYPE: '$b' *" mount point
umount point
answers already mount point
# Now it is another that should be there, and that is missing.
: >fstab
entry LABEL=rsb-test-none point ext4 noauto,nofail
refuses "EMEDIUMTYPE: '$a' is mounted on '$tmp/point' *and not 'LABEL=rsb-test-none', which is not there*" mount point
: >fstab
entry "$tmp/other" point none bind
refuses "EMEDIUMTYPE: '$a' *" mount point
: >fstab
entry "$tmp/b.img" point ext4 loop
refuses "EMEDIUMTYPE: '$a' *" mount point
: >fstab
entry "$tmp/a.img" point ext4 loop
answers already mount point
: >fstab
entry "$tmp/a.img" point ext4 loop,offset=4096
refuses "EMEDIUMTYPE: '$a' *" mount point
: >fstab
entry server:/a point nfs defaults
refuses "EMEDIUMTYPE: '$a' is mounted on *and not 'server:/a'*" mount point
umount point
refuses "ENOTCONN: *" writable point
# A mount of which nobody knows any more what it was.
: >fstab
entry none point tmpfs defaults
mount -t ramfs none point
refuses "EMEDIUMTYPE: 'none' is mounted on '$tmp/point' (ramfs*" mount point
umount point

if command -v mkfs.btrfs >/dev/null; then
        image c.img btrfs 120M -L rsb-test-c
        attach c.img
        mount "$device" point
        btrfs -q subvolume create point/@one
        btrfs -q subvolume create point/@two
        mkdir point/directory
        umount point
        mount -o subvol=@one "$device" point
        for option in subvol=@two subvol=@ subvol=/ subvolid=5; do
                : >fstab
                entry LABEL=rsb-test-c point btrfs "$option"
                refuses "EMEDIUMTYPE: '$device' is mounted on '$tmp/point' (btrfs, its directory '/@one') *" mount point
        done
        umount point
        : >fstab
        entry LABEL=rsb-test-c point btrfs defaults
        mount -o subvol=/ "$device" other
        mount --bind other/directory point
        umount other
        refuses "EMEDIUMTYPE: *" mount point
        umount point
        : >fstab
        entry LABEL=rsb-test-c point btrfs subvol=@none,nofail
        refuses "E*: cannot mount *" mount point
fi
