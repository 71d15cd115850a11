# shellcheck shell=bash
# What the integration tests share. Source it first:
#
#     . "$(dirname "$0")/lib.sh"
#
# A test gets the program's full path as $RSB, works in the private directory $tmp, which is gone afterwards, and ends
# with 0, or 77 and a reason when it cannot run here. Anything else is a failure.
#
# From meson, $RSB is a launcher (executes-nothing.c) below which the program is killed when it executes anything, and
# $RSB_PROGRAM the program itself, for what has to start it otherwise: in another root, below another tool. By hand,
# RSB=the program does as well.
set -eu

here=$(readlink -f "${BASH_SOURCE[0]%/*}")
judge=$here/judge
export PYTHONDONTWRITEBYTECODE=1
umask 022
# Messages and numbers are compared as they are here. Whoever knows names may take long to say that he does not know one.
export LC_ALL=C.UTF-8 RES_OPTIONS='timeout:1 attempts:1'
unset LANGUAGE
# The system's own where there is one: another user may not be allowed to enter the home that holds ours.
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=$(command -v python3)
export PYTHON
readonly ordinary_user=65534

skip() {
        echo "skipped: $*"
        exit 77
}

fail() {
        echo "FAILED: $*" >&2
        exit 1
}

is_root() {
        [ "$(id -u)" = 0 ]
}

# need_root "$@": also moves the test into a mount namespace of its own, so that nothing stays mounted, not even after
# a SIGKILL. Call it first, with the script's arguments, since it starts the script anew.
need_root() {
        is_root || skip "needs root"
        [ -n "${RSB_PRIVATE_MOUNTS:-}" ] && return
        unshare --mount true 2>/dev/null || skip "needs the right to mount"
        rm -rf "$tmp"
        RSB_PRIVATE_MOUNTS=1 exec unshare --mount --propagation private -- bash "$0" "$@"
}

need_program() {
        [ -n "${RSB:-}" ] || skip "RSB does not name the program"
        [ -x "$RSB" ] || fail "RSB=$RSB cannot be executed"
        export RSB_PROGRAM=${RSB_PROGRAM:-$RSB}
        # shellcheck source=tests/integration/over-ssh.sh
        [ "${RSB_OVER:-}" != ssh ] || . "$here/over-ssh.sh"
}

# What the messages of a destination begin with: where it is, when that is elsewhere.
# shellcheck disable=SC2034
far=''

# Before a run that follows one whose client was killed: the other end, if there is one, has noticed.
settle() {
        :
}

need() {
        local command

        for command; do
                command -v "$command" >/dev/null || skip "needs $command"
        done
}

# The private directory. Others may search it, so that as_user can work in it.
tmp=$(mktemp -d "${TMPDIR:-/tmp}/rsb-test.XXXXXX")
chmod 711 "$tmp"

# clean_up [STATUS]: for traps, with the status that they began with.
clean_up() {
        local status=${1-$?} point

        trap - EXIT
        cd /
        # The latest first; whatever the test mounted, and by whatever means.
        while read -r point; do
                umount "$point" 2>/dev/null || umount -l "$point" || true
        done < <(awk -v top="$tmp" '$5 == top || index($5, top "/") == 1 { print $5 }' /proc/self/mountinfo | tac)
        chattr -R -f -ia "$tmp" 2>/dev/null || true
        [ -z "${control_group:-}" ] || rmdir "$control_group"
        rm -rf --one-file-system "$tmp"
        exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Everything the program keeps on the machine goes into the private directory.
export STATE_DIRECTORY=$tmp/state XDG_RUNTIME_DIR=$tmp/run HOME=$tmp/home
mkdir -m 700 "$STATE_DIRECTORY" "$XDG_RUNTIME_DIR" "$HOME"
unset RSYNC_MODULE_PATH RSYNC_EXIT_STATUS NO_COLOR
# Nor does it talk to what runs here.
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$tmp/no-bus
unset NOTIFY_SOCKET WATCHDOG_USEC JOURNAL_STREAM DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS

# in_memory SIZE: the private directory becomes a tmpfs, where no sync waits for what other programs write. After need_root.
in_memory() {
        mount -t tmpfs -o "size=$1,mode=711" rsb-test "$tmp" || skip "cannot mount a tmpfs"
        cd "$tmp"
        mkdir -m 700 "$STATE_DIRECTORY" "$XDG_RUNTIME_DIR" "$HOME"
}

# make_fs NAME ext4|xfs|btrfs|tmpfs SIZE [mkfs options]: a new filesystem mounted at $tmp/NAME.
make_fs() {
        local name=$1 type=$2 size=$3 point=$tmp/$1
        shift 3

        mkdir "$point"
        if [ "$type" = tmpfs ]; then
                mount -t tmpfs -o "size=$size,mode=755" "$name" "$point" || skip "cannot mount a tmpfs"
        else
                need "mkfs.$type"
                case $type in
                ext4) set -- -q -F -b 4096 -I 256 "$@" ;;
                *) set -- -q -f "$@" ;;
                esac
                truncate -s "$size" "$tmp/$name.img"
                "mkfs.$type" "$@" "$tmp/$name.img" >"$tmp/mkfs.log" 2>&1 || fail "mkfs.$type: $(cat "$tmp/mkfs.log")"
                modprobe -q "$type" 2>/dev/null || true
                grep -qw "$type" /proc/filesystems || skip "the kernel has no $type"
                mount -o loop "$tmp/$name.img" "$point" || skip "cannot mount a $type image"
        fi
        chmod 755 "$point"
}

# run_backup [options] [SOURCE] DESTINATION
run_backup() {
        "$RSB" --disable-notifications "$@"
}

# expect_status N COMMAND...: what it prints goes to $tmp/out and $tmp/err, and is shown when the status is another.
expect_status() {
        local wanted=$1 status=0
        shift

        "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
        [ "$status" = "$wanted" ] && return
        cat "$tmp/out" "$tmp/err" >&2
        fail "exit status $status instead of $wanted: $*"
}

# lasts hour|year SECONDS: it does so from now on, and all that ends with it; where this one does not, the next one is waited
# for. Before what would see another one begin: snapshots that belong to a period, a dry run and the run that follows.
lasts() {
        local now=$EPOCHSECONDS ends

        case $1 in
        hour) ends=$((3600 - 10#$(date -d "@$now" +%M) * 60 - 10#$(date -d "@$now" +%S))) ;;
        year) ends=$(($(date -d "$(date -d "@$now" +%Y)-12-31 23:59:59" +%s) + 1 - now)) ;;
        esac
        [ "$ends" -ge "$2" ] || sleep "$ends"
}

# close_port: $closed_port is one at which nobody listens, and which nobody gets as long as this test runs.
close_port() {
        setpriv --pdeathsig KILL "$PYTHON" - >"$tmp/closed-port" <<'END' &
import signal, socket
try:
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", 0))
except OSError:
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
signal.pause()
END
        until [ -s "$tmp/closed-port" ]; do
                kill -0 $! || fail "no port could be held"
                sleep 0.02
        done
        # shellcheck disable=SC2034 # for who called it
        closed_port=$(cat "$tmp/closed-port")
}

# is_there PID DIRECTORY: that process is, and is one of this test's, since it was started from that directory or its
# environment names it: where there are few numbers for processes, somebody else's has the same one some seconds later.
is_there() {
        grep -qsF -- "$2" "/proc/$1/cmdline" "/proc/$1/environ"
}

# name_newest PARENT NAME: the newest snapshot gets that name; its date is to be older than that of all others.
name_newest() {
        mv "$1/$(snapshots "$1" | tail -n 1)" "$1/$2"
}

# as_user COMMAND...: as an ordinary user; as ourselves where we are one.
as_user() {
        if is_root; then
                setpriv --reuid="$ordinary_user" --regid="$ordinary_user" --clear-groups --no-new-privs "$@"
        else
                "$@"
        fi
}

# Give the private directories to the ordinary user, and a copy of program and judges where that user can reach them.
prepare_for_user() {
        mkdir -m 755 "$tmp/bin"
        cp -r "$judge" "$tmp/bin/judge"
        chmod -R a+rX "$tmp/bin"
        judge=$tmp/bin/judge
        if [ -n "${RSB:-}" ]; then
                install -m 755 "$RSB" "$tmp/bin/"
                RSB=$tmp/bin/$(basename "$RSB")
        fi
        if [ -n "${RSB_PROGRAM:-}" ]; then
                install -m 755 "$RSB_PROGRAM" "$tmp/bin/"
                RSB_PROGRAM=$tmp/bin/$(basename "$RSB_PROGRAM")
        fi
        if is_root; then
                chown "$ordinary_user:$ordinary_user" "$STATE_DIRECTORY" "$XDG_RUNTIME_DIR" "$HOME"
        fi
}

torture() {
        "$PYTHON" "$judge/torture.py" "$@"
}

# same SRC COPY: both judges find no difference.
same() {
        "$judge/same.sh" "$@" >"$tmp/same.log" && return
        cat "$tmp/same.log" >&2
        fail "$2 is not a faithful copy of $1"
}

# frozen PARENT: all snapshots are what they were when this was called first after each was made.
frozen() {
        "$PYTHON" "$judge/frozen.py" check "$@" "$tmp/frozen.store" >"$tmp/frozen.log" && return
        cat "$tmp/frozen.log" >&2
        fail "a snapshot has changed"
}

# snapshots PARENT: their names, oldest first, one per line.
snapshots() {
        find "$1" -mindepth 1 -maxdepth 1 -type d -name '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' -printf '%f\n' | sort
}
