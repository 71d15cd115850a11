#!/bin/bash
# A disk that is not plugged in is no failure of an unattended job, and an error for somebody at a terminal; the same for
# the one with the key. Nothing is written anywhere.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=disks.sh
. "$(dirname "$0")/disks.sh"
need_program
make_disk ext4

# at_terminal STATUS: the same job, at one. Who is asked for a passphrase there knows it.
at_terminal() {
        expect_status "$1" "$PYTHON" -c 'import os, pty, sys
answer = [b"secret\n"]
def read(fd):
    told = os.read(fd, 1024)
    if b"assphrase" in told and answer:
        os.write(fd, answer.pop())
    return told
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], read)))' \
                "$RSB" --disable-notifications --crypto=backups --mount=$point "$source" "$parent/latest" </dev/null
        mv "$tmp/out" "$tmp/err"
        closed
}

# absent WHAT
absent() {
        for option in --verbose --quiet --dry-run --snapshot; do
                expect_status 0 back_up $option
                [ $option = --quiet ] || says "$1 of 'backups' is not plugged in"
                [ $option != --quiet ] || [ ! -s "$tmp/err" ] || fail "it is not quiet: $(cat "$tmp/err")"
                [ ! -s "$tmp/out" ] || fail "it lists something: $(cat "$tmp/out")"
                closed
        done
}

expect_status 0 back_up
host unplug 0
absent 'the disk'
at_terminal 1
says "cannot unlock 'backups': the disk is not plugged in"
host plug 0
expect_status 0 back_up
closed
at_terminal 0
! grep -q assphrase "$tmp/err" || fail "it asks although there is a key"

# The key is on a stick, which is gone.
make_filesystem /dev/ubdb ext4
mount /dev/ubdb /mnt
printf secret >/mnt/stick.key
umount /mnt
mkdir -p $point
describe_disk /dev/ubda "/stick.key:UUID=$(uuid_of /dev/ubdb)" luks
expect_status 0 back_up
closed
! grep -q ubdb /proc/self/mountinfo || fail "the stick is still mounted"
host unplug 1
absent 'the disk with the key'
at_terminal 0
says 'the device with the key .* is not there'
says 'assphrase'
host plug 1
expect_status 0 back_up
closed
