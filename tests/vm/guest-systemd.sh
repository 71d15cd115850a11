# shellcheck shell=bash
# Sourced by guest-init.sh where systemd is to be process 1: what it finds of this machine's units is laid aside, so
# that it starts journald, udevd, dbus when it is asked for, and the test script as test.service.
: "${GUEST:?guest-init.sh comes first}"

units=/etc/systemd/system
shopt -s extglob nullglob
rm -rf "$units"/*.@(wants|requires) /usr/lib/systemd/system/*.@(wants|requires) \
        /usr/lib/systemd/system-generators/!(systemd-fstab-generator|systemd-cryptsetup-generator)
mkdir -p $units/sysinit.target.wants $units/sockets.target.wants $units/basic.target.wants
wanted=/usr/lib/systemd/system
ln -s $wanted/systemd-journald.service $wanted/systemd-udevd.service $wanted/systemd-udev-trigger.service \
        $units/sysinit.target.wants
ln -s $wanted/systemd-journald.socket $wanted/systemd-journald-dev-log.socket $wanted/systemd-udevd-control.socket \
        $wanted/systemd-udevd-kernel.socket $wanted/dbus.socket $units/sockets.target.wants
echo guest >/etc/hostname

echo "[Unit]
Requires=basic.target
After=basic.target
AllowIsolate=yes" >$units/test.target
echo "[Unit]
After=basic.target systemd-udev-trigger.service

[Service]
Type=oneshot
ExecStart=$GUEST/init run
Environment=GUEST=$GUEST HOME=/root
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
TimeoutStartSec=infinity" >$units/test.service
mkdir $units/test.target.wants
ln -s $units/test.service $units/test.target.wants
ln -sfn test.target $units/default.target
unset MODULES
shopt -u extglob nullglob
