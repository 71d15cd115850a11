# shellcheck shell=bash
# Does what a how-to says: its commands, and the files that it shows, in their order. Source it after lib.sh.
#
# A command is a line `    # COMMAND`. A file is an indented block behind a paragraph that names it: `/etc/...`. A line of
# fstab and crypttab takes the place of the one that begins in the same way.
: "${tmp:?lib.sh comes first}"

# how-to.sh's test is given where the units of systemd are, as they were built and as they stand in the sources.
built=$1 shipped=$2
unit=rsync-system-backup@laptop.service

# Like the program on a machine, not like one in a test: with its own places there. What systemd starts is not below the
# launcher, whose filter does not go with that of the unit.
unset STATE_DIRECTORY XDG_RUNTIME_DIR DBUS_SYSTEM_BUS_ADDRESS DBUS_SESSION_BUS_ADDRESS
export HOME=/root SYSTEMD_PAGER=cat PATH=$tmp/bin:$PATH
mkdir "$tmp/bin"
printf '#!/bin/sh\nexport RSB_PROGRAM=%q\nexec %q "$@"\n' "$RSB_PROGRAM" "$RSB" >"$tmp/bin/rsync-system-backup"
chmod 755 "$tmp/bin/rsync-system-backup"
program=$(sed -n 's/^ExecStart=\([^ ]*\) .*/\1/p' "$built/rsync-system-backup@.service")
mkdir -p "$(dirname "$program")" /etc/udev/rules.d
ln -sf "$RSB_PROGRAM" "$program"
cp "$built"/*.service "$shipped"/*.timer /etc/systemd/system/
cp "$shipped"/*.rules /etc/udev/rules.d/

# It is started more often than systemd takes for sound.
mkdir -p /run/systemd/system/$unit.d
printf '[Unit]\nStartLimitIntervalSec=0\n' >/run/systemd/system/$unit.d/no-limit.conf
systemctl daemon-reload

# Far from the moments at which a timer that is set up here would run the job once more.
date -s 'tomorrow 09:05' >/dev/null && SECONDS=0

documents=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../docs
passphrase='of six words or more'

# How a test differs from what is written: pairs of what stands there, and what stands for it.
substitutes=()
steps=()
step=0

# read_how_to NAME: fills steps.
read_how_to() {
        local line path='' file='' gap='' paragraph=''

        while IFS= read -r line; do
                case $line in
                '    # '*) steps+=("${line#    # }") ;;
                '    '*)
                        if [ -z "$file" ] && [ -n "$path" ]; then
                                file=$path gap=''
                                steps+=("=$file")
                        fi
                        [ -z "$file" ] || steps[-1]+=$gap$'\n'${line#    }
                        gap=''
                        continue
                        ;;
                '')
                        gap+=$'\n' paragraph=''
                        continue
                        ;;
                *)
                        [ -n "$paragraph" ] || path=''
                        paragraph=yes
                        [[ ! $line =~ \`(/etc/[^\`]+)\` ]] || path=${BASH_REMATCH[1]}
                        ;;
                esac
                file='' gap=''
        done <"$documents/$1"
        [ ${#steps[@]} -gt 10 ] || fail "there is nothing to do in $1"
}

# A line, where the document says "in"; else the whole.
write() {
        local path=$1 content=$2

        mkdir -p "$(dirname "$path")"
        case $path in
        /etc/crypttab | /etc/fstab)
                touch "$path"
                awk -v name="${content%% *}" '$1 != name' "$path" >"$path.new"
                echo "$content" >>"$path.new"
                mv "$path.new" "$path"
                ;;
        *) echo "$content" >"$path" || fail "$path cannot be written" ;;
        esac
}

# A terminal, and somebody there who knows the passphrase, and waits until it is not shown.
at_terminal='import os, pty, re, select, sys, termios
passphrase, command = sys.argv[1:]
told = b""
def read(fd):
    global told
    data = os.read(fd, 1024)
    told += data
    if b"capital letters" in told:
        told = b""
        os.write(fd, b"YES\n")
    elif re.search(rb"assphrase[^\n]*[:)]\s*(\x1b\[[0-9;]*m)*\s*$", told):
        told = b""
        hung_up = select.poll()
        hung_up.register(fd, 0)
        while termios.tcgetattr(fd)[3] & termios.ECHO:
            if hung_up.poll(10):
                return data # it had been asked twice, and one answer sufficed
        os.write(fd, passphrase.encode() + b"\n")
    return data
sys.exit(os.waitstatus_to_exitcode(pty.spawn(["bash", "-c", command], read)))'

# run COMMAND: at a terminal if it may ask for something there.
run() {
        echo "$SECONDS s: $1"
        case $1 in
        rsync-system-backup* | cryptsetup\ luks* | systemctl\ start* | *-agent)
                expect_status 0 timeout 120 "$PYTHON" -c "$at_terminal" "$passphrase" "$1" </dev/null
                ;;
        *) expect_status 0 timeout 120 bash -c "$1" </dev/null ;;
        esac
}

# take STEP
take() {
        local what=$1

        for ((i = 0; i < ${#substitutes[@]}; i += 2)); do
                what=${what//"${substitutes[i]}"/"${substitutes[i + 1]}"}
        done
        case $what in
        =*)
                path=${what%%$'\n'*}
                write "${path#=}" "${what#*$'\n'}"
                ;;
        *) run "$what" ;;
        esac
}

# follow [PATTERN]: go on through the next step that matches, or to the end.
follow() {
        while [ $step -lt ${#steps[@]} ]; do
                take "${steps[step]}"
                step=$((step + 1))
                # shellcheck disable=SC2053 # it is a pattern
                [[ -z ${1:-} || ${steps[step - 1]} != $1 ]] || return 0
        done
        [ -z "${1:-}" ] || fail "the document has no step '$1' here"
}

# again PATTERN...: steps that were taken before.
again() {
        local pattern s

        for pattern; do
                for s in "${steps[@]:0:step}"; do
                        # shellcheck disable=SC2053 # it is a pattern
                        [[ $s != $pattern ]] || take "$s"
                done
        done
}

# make_partition DEVICE: one, from 1 MiB to the end; like sfdisk, which is not everywhere.
make_partition() {
        "$PYTHON" -c 'import fcntl, os, struct, sys
disk = os.open(sys.argv[1], os.O_RDWR)
count = os.lseek(disk, 0, os.SEEK_END) // 512 - 2048
os.pwrite(disk, struct.pack("<4xB3xII48x2s", 0x83, 2048, count, b"\x55\xaa"), 446)
os.fsync(disk)
fcntl.ioctl(disk, 0x125f) # BLKRRPART' "$1"
        udevadm settle
}

# await COMMAND...: until it succeeds, for up to 300 s.
await() {
        local end=$((SECONDS + 300))

        until "$@"; do
                [ $SECONDS -le $end ] || fail "still not: $*: $(journalctl --no-pager -q -n 40)"
                sleep 0.1
        done
}

# ---- the service ----

journal() {
        journalctl --sync
        journalctl --no-pager -q -o cat -u $unit
}

# times TEXT: how often it stands in the journal of the service.
times() {
        journal | grep -c -e "$1" || true
}

has_run() {
        [ "$(times 'Deactivated successfully\|Failed with result')" -ge "$1" ]
}

# runs N [PATTERN]: the service has run N times in all, and the last run said that.
runs() {
        await has_run "$1"
        [ "$(times '^Starting')" = "$1" ] || fail "it has not run $1 times: $(journal)"
        journal | awk '/^Starting/ { last = "" } { last = last $0 "\n" } END { print last }' >"$tmp/run.log"
        [ $# = 1 ] || grep -q -e "$2" "$tmp/run.log" || fail "the journal lacks '$2': $(journal)"
}
