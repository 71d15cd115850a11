#!/bin/bash
# The first process of a guest (see the script `guest`): builds the root directory, runs the test script, tells its
# status, and switches the machine off. A fork costs 20 ms and more here, so one program does many things at once.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8

# Above this machine's root, which cannot be written, lies what the guest writes.
make_root() {
        mount -t tmpfs -o size=75% guest /mnt
        mkdir /mnt/upper /mnt/work /mnt/root
        insmod "$MODULES/fs/overlayfs/overlay.ko"
        mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
        cd /mnt/root || exit
        # Not switch_root: what the kernel itself starts, modprobe above all, is to see this root as well.
        pivot_root . run
        umount -l /run
        cd / || exit
}

mount_all() {
        echo "
                proc   /proc           proc      defaults
                sys    /sys            sysfs     defaults
                cgroup /sys/fs/cgroup  cgroup2   defaults
                dev    /dev            devtmpfs  defaults
                pts    /dev/pts        devpts    X-mount.mkdir,gid=5,mode=620,ptmxmode=666
                shm    /dev/shm        tmpfs     X-mount.mkdir
                run    /run            tmpfs     mode=755
                mnt    /mnt            tmpfs     mode=755
                tmp    /run/tmp        tmpfs     X-mount.mkdir
                work   /run/guest      hostfs    X-mount.mkdir,$GUEST
                share  /run/share      hostfs    X-mount.mkdir,$GUEST/share
        " >/etc/fstab
        mount -a
        : >/etc/fstab
        ln -s /proc/self/fd /dev/fd
}

# Modules where modprobe looks for them; nothing of what this machine has of its own.
settle() {
        local release=${MODULES%/kernel}

        [ -d /usr/lib/modules ] || mkdir /usr/lib/modules
        ln -sfn "$release" "/usr/lib/modules/${release##*/}"
        rm -f /etc/crypttab /.dockerenv # with the latter systemd would believe to be in a container
}

# What stands in the file "what" says which, with which arguments.
# shellcheck disable=SC2120
run_script() {
        local status=0

        # shellcheck source=/dev/null
        . "$GUEST/what"
        export GUEST SHARE=/run/share TMPDIR=/run/tmp
        stty -F /dev/console -onlcr
        bash "$@" </dev/null || status=$?
        echo "$status" >/run/guest/status
        echo 1 >/proc/sys/kernel/printk
        echo o >/proc/sysrq-trigger
        sleep 60
}

if [ "${1:-}" = run ]; then
        # shellcheck disable=SC2119
        run_script
fi
make_root
mount_all
settle
if [ -s "$GUEST/systemd" ]; then
        # shellcheck source=guest-systemd.sh
        . "$GUEST/systemd"
        exec /lib/systemd/systemd
fi
echo guest >/proc/sys/kernel/hostname
# shellcheck disable=SC2119
run_script
