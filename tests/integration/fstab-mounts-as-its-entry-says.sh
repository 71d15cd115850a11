#!/bin/bash
# fstab-mounts-as-its-entry-says.sh: each kind of entry is mounted with all its options, recognised when it is mounted
# already, and unmounted; the mount point may be named in any way that leads there. Nothing is executed for it.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need findmnt losetup blkid mkfs.ext4
in_memory 600m
. "$here/fstab.sh"

# there_and_back POINT: also twice, and as another run sees it.
there_and_back() {
        local instance

        answers no mounted "$1"
        answers none instance "$1"
        answers mounted mount "$1"
        answers yes mounted "$1"
        instance=$(probe instance "$1")
        nothing_changes answers already mount "$1"
        nothing_changes answers already mount-ro "$1"
        answers "$instance" instance "$1"
        answers ok unmount "$1"
        answers no mounted "$1"
        answers ok unmount "$1"
        answers mounted mount "$1"
        [ "$instance" != "$(probe instance "$1")" ] || fail "two mounts on $1 are one instance: $instance"
}

image a.img ext4 8M -L rsb-test-a -U 11111111-2222-4333-8444-5555555500aa
attach a.img
a=$device
mkdir point 'with space' looped bound source
ln -s point link
mkdir -p deep/below
ln -s ../../link deep/below/link

# ---- by path, tag, and any name of the mount point ----
for source in "$a" LABEL=rsb-test-a UUID=11111111-2222-4333-8444-5555555500aa 'LABEL="rsb-test-a"'; do
        : >fstab
        entry "$source" point ext4 noauto,nofail,x-systemd.device-timeout=1,x-systemd.automount,nodev,noatime
        there_and_back point
        [[ $(on point OPTIONS) == *nodev*noatime* ]] || fail "options of the entry are missing: $(on point OPTIONS)"
        answers ok unmount point
        there_and_back link
        answers already mount deep/below/link/
        answers already mount point///
        answers yes mounted deep/../link
        answers ok unmount deep/below/link/
done
: >fstab
entry "$a" link/ ext4 noauto
there_and_back point
answers ok unmount link

: >fstab
entry "$a" 'with\040space/' auto user
there_and_back 'with space'
[[ $(on 'with space' OPTIONS) == *nosuid*noexec* ]] || fail "user does not mean nosuid: $(on 'with space' OPTIONS)"
answers ok unmount 'with space/'

# An entry may have its mount point made.
: >fstab
entry "$a" made/below ext4 x-mount.mkdir
there_and_back made/below
answers ok unmount made/below

# ---- two disks that take turns ----
: >fstab
entry LABEL=rsb-test-b point ext4 noauto
entry LABEL=rsb-test-a point ext4 noauto
there_and_back point
[ "$(on point LABEL)" = rsb-test-a ] || fail "not the disk that is there: $(on point LABEL)"
answers ok unmount point
image b.img ext4 8M -L rsb-test-b
attach b.img
b=$device
answers mounted mount point
[ "$(stat -c %Hd:%Ld point)" = "$(stat -c %Hr:%Lr "$b")" ] || fail "not the first of two disks"
answers already mount point
answers ok unmount point
mount "$a" point
answers already mount point
answers ok unmount point

# ---- read-only for a dry run ----
: >fstab
entry "$a" point ext4 defaults
answers mounted mount-ro point
[[ $(on point OPTIONS) == ro,* ]] || fail "mounted writable for a dry run"
answers already mount point
answers ok writable point
touch point/written
answers ok unmount point
: >fstab
entry "$a" point ext4 ro
answers mounted mount point
answers ok writable point
! touch point/written 2>/dev/null || fail "it is writable though its entry says ro"
answers ok unmount point
# Write-protected media can be looked at all the same.
attach a.img -r
: >fstab
entry "$device" point ext4 defaults
answers mounted mount-ro point
answers 'EROFS: cannot make writable*' writable point
answers ok unmount point
detach "$device"

# ---- a file ----
: >fstab
entry "$tmp/b.img" looped ext4 loop,noauto
detach "$b"
there_and_back looped
touch looped/written
answers ok unmount looped
: >fstab
entry "$tmp/b.img" looped ext4 noauto
there_and_back looped
answers ok unmount looped
no_loop b.img
answers mounted mount-ro looped
answers 'EROFS: *' writable looped
answers ok unmount looped

# ---- a directory ----
: >fstab
entry "$tmp/source" bound none bind,nosuid
touch source/file
there_and_back bound
[ -e bound/file ] || fail "not the directory that was to be bound"
answers ok unmount bound
answers mounted mount-ro bound
! touch bound/written 2>/dev/null || fail "a bound directory is writable in a dry run"
answers ok writable bound
touch bound/written source/written
answers ok unmount bound
# One that is on a disk of its own.
: >fstab
entry "$a" point ext4 noauto
entry "$tmp/point/sub" bound none rbind
answers 'ENODEV: *' mount bound
answers mounted mount point
mkdir point/sub
there_and_back bound
answers ok unmount bound
answers ok unmount point

# ---- filesystems without a device, known by name ----
: >fstab
entry one/ bound tmpfs size=1m
there_and_back bound
[[ $(on bound OPTIONS) == *size=1024k* ]] || fail "not with the size that its entry says"
answers ok unmount bound
mount -t tmpfs one bound
answers already mount bound
umount bound

# ---- on an automount point that has not been used ----
exec {pipe}> >(cat >/dev/null)
if mount -t autofs -o "fd=$pipe,pgrp=$(ps -o pgid= $$ | tr -d ' '),minproto=5,maxproto=5,direct" x "$tmp/bound" 2>/dev/null; then
        answers no mounted bound
        answers none instance bound
        there_and_back bound
        answers ok unmount bound
        [ "$(on bound FSTYPE)" = autofs ] || fail "the automount point is gone"
        umount bound
fi
exec {pipe}>&-

# ---- other filesystems ----
if command -v mkfs.xfs >/dev/null; then
        image x.img xfs 320M -L rsb-test-x
        attach x.img
        : >fstab
        entry LABEL=rsb-test-x point xfs noauto
        there_and_back point
        answers ok unmount point
        detach "$device"
        rm x.img
fi
if command -v mkfs.btrfs >/dev/null; then
        image c.img btrfs 120M -L rsb-test-c
        attach c.img
        c=$device
        mount "$c" point
        btrfs -q subvolume create point/@one
        btrfs -q subvolume create point/@one/two
        id=$(btrfs subvolume list point | awk '$NF == "@one/two" { print $2 }')
        umount point
        for option in defaults subvol=@one subvol=/@one/two/ subvolid="$id" subvolid=5; do
                : >fstab
                entry LABEL=rsb-test-c point btrfs "$option"
                there_and_back point
                answers ok unmount point
                answers mounted mount-ro point
                answers ok writable point
                touch point/written
                answers ok unmount point
        done
        # One filesystem on two devices may be named by either.
        truncate -s 120M d.img
        attach d.img
        mount "$c" point
        btrfs -q device add -f "$device" point
        : >fstab
        entry "$device" point btrfs defaults
        answers already mount point
        umount point
fi
