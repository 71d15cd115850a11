#!/bin/bash
# Whoever has a graphical session is told when a run starts and how it ended: an ordinary user's own runs, and root's,
# which no user's bus lets in as root. A desktop that is absent, does not answer or does not even speak costs at most a
# second, and nothing else.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 50m
. "$here/buses.sh"
prepare_for_user
# Ours has sessions that are ours.
mount -t tmpfs -o mode=755 run /run || skip "cannot mount a tmpfs"
mkdir -p /run/user /run/systemd/sessions places
mkdir -m 700 "/run/user/$ordinary_user" "$XDG_RUNTIME_DIR/a b"
mkdir source
touch source/file
chown -R "$ordinary_user:$ordinary_user" "/run/user/$ordinary_user" places "$XDG_RUNTIME_DIR"
cp "$here/bus-peers.py" "$tmp/bin"
here=$tmp/bin
peers_by=(as_user)

# told LOG: what people were told, in one line.
told() {
        happened "$1" | tr '\n' ' '
}

# At an ordinary user's own desktop, whose directory has a blank in its name.
start_bus "$XDG_RUNTIME_DIR/a b/bus" as_user
start_peers "$tmp/home/log" notifications
mine=(as_user env XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR/a b" WAYLAND_DISPLAY=wayland-0 "$RSB" --no-sudo)
# is_told STATUS WHAT COMMAND...: a run that ends so tells people that.
is_told() {
        local status=$1 what=$2
        shift 2

        : >home/log
        expect_status "$status" "$@"
        [ "$(told home/log)" = "$what " ] || fail "people are told something else: $(cat home/log)"
}
first_is_told() {
        rm -rf "$tmp/places/"*
        is_told 0 'notify:Backup started notify:Backup complete' "${mine[@]}" "$tmp/source" "$tmp/places/<i>/latest"
}
unhurried first_is_told
grep -q '"body": ".*/source to .*/&lt;i&gt;/latest", "urgency": 0, "entry": "rsync-system-backup", "actions": \[\], "timeout": -1' \
        home/log || fail "the start is told otherwise: $(cat home/log)"
grep -q "in [0-9:.]* s. 2 of 2 entries changed, 0 bytes copied. Snapshot '[0-9: -]*' was made." home/log ||
        fail "the numbers are not told: $(cat home/log)"

# Where none is wanted, or nobody sits there.
: >home/log
expect_status 0 "${mine[@]}" --disable-notifications -b "$tmp/source" "$tmp/places/<i>/latest"
expect_status 0 "${mine[@]}" --dry-run -b "$tmp/source" "$tmp/places/<i>/latest"
expect_status 0 as_user env XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR/a b" "$RSB" --no-sudo -b "$tmp/source" "$tmp/places/<i>/latest"
[ ! -s home/log ] || fail "there are notifications that nobody asked for: $(cat home/log)"

# A failure, by the address that the session says.
unhurried is_told 1 'notify:Backup failed' as_user env DBUS_SESSION_BUS_ADDRESS="$bus" DISPLAY=:0 "$RSB" --no-sudo "$tmp/<none>" \
        "$tmp/places/<i>/latest"
grep -q "cannot read the source directory '.*/&lt;none&gt;': No such file or directory\", \"urgency\": 2" home/log ||
        fail "the reason is not told: $(cat home/log)"

# From root, to who has a graphical session.
start_bus "/run/user/$ordinary_user/bus" as_user
start_peers "$tmp/home/log" notifications
! dbus-send --bus="$bus" --dest=org.freedesktop.DBus / org.freedesktop.DBus.ListNames 2>/dev/null ||
        fail "root is let in, which proves nothing"
# session NAME TYPE CLASS: as logind remembers them.
session() {
        printf 'UID=%s\nUSER=nobody\nACTIVE=1\nSTATE=active\nREMOTE=0\nTYPE=%s\nCLASS=%s\n' "$ordinary_user" "$2" "$3" \
                >"/run/systemd/sessions/$1"
}
session 1 tty user
session 2 wayland greeter
mkdir -m 700 parent
expect_status 0 "$RSB" -b source parent/latest
[ ! -s home/log ] || [ "$(told home/log)" = "" ] || fail "somebody without a desktop is told: $(cat home/log)"
session 3 wayland user
session 4 x11 user
unhurried is_told 0 'notify:Backup started notify:Backup complete' "$RSB" -b source parent/latest
[ "$(stat -c %u parent/latest/file)" = 0 ] || fail "the identity was taken for more than the notification"
unhurried is_told 1 'notify:Backup failed' "$RSB" nothing parent/latest

# Desktops that do not answer.
# quick COMMAND...: it is done in little more than a second, which a busy machine may stretch. (A bus would let one wait for
# 25 seconds.)
quick() {
        local began=${EPOCHREALTIME/./}

        expect_status 0 "$@"
        took=$((${EPOCHREALTIME/./} - began))
        [ $took -lt 15000000 ] || fail "it took $took us: $*"
}
end_buses
rm -f "/run/user/$ordinary_user/bus"
quick "$RSB" -b source parent/latest
start_bus "/run/user/$ordinary_user/bus" as_user
quick "$RSB" -b source parent/latest
start_peers "$tmp/home/log" silent
quick "$RSB" -b source parent/latest
[ $took -gt 900000 ] || fail "who does not answer is not waited for"
# On a busy machine the second is over before the last word can be said.
wait_for 60 grep -q notify home/log
[[ "$(told home/log)" = "notify:Backup started "* ]] || fail "who does not answer is told nothing: $(cat home/log)"
end_buses
rm -f "/run/user/$ordinary_user/bus"
start_silence "/run/user/$ordinary_user/bus"
chmod 666 "/run/user/$ordinary_user/bus"
quick "$RSB" -b source parent/latest
[ $took -gt 900000 ] || fail "nobody listens to who says nothing"
same source parent/latest
