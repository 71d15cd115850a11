#!/bin/bash
# What a directory of an rsync daemon holds (src/transfer/rsync/rsync_listing.h): all names with their types, by every
# protocol, of files alone, and a goodbye that the daemon is content with; what cannot be listed is an error that says so.
. "$(dirname "$0")/lib.sh"
. "$here/rsyncd.sh"
[ -n "${RSB_RSYNC_TRANSFER_PROBE:-}" ] || skip "RSB_RSYNC_TRANSFER_PROBE does not name the probe"

# What is there, as list shows it: sizes of files alone.
there() {
        find "$1" -mindepth 1 -maxdepth 1 -printf '%y %m %s %Ts %f\n' |
                sed -E 's/^[^dfl] /o /' | as_shown
}

as_shown() {
        awk '{ if ($1 != "f") $3 = "-"; if ($1 == "l") $2 = "-"; print }' | LC_ALL=C sort
}

list() {
        "$RSB_RSYNC_TRANSFER_PROBE" "${@:1:$#-1}" "$rsyncd_address" "$port" list "${*: -1}"
}

# lists [OPTIONS] DIR: it lists what is there.
lists() {
        there "$modules/${*: -1}" >"$tmp/wanted"
        expect_status 0 list "$@"
        as_shown <"$tmp/out" >"$tmp/listed"
        diff -u "$tmp/wanted" "$tmp/listed" || fail "another listing of ${*: -1}"
}

make_directories() {
        local i dir=$modules/m

        mkdir -p "$dir/latest/below" "$dir/empty" "$dir/many" "$dir/2026-11-21 17:00:00" "$dir/[a]*" "$dir/sp ace/in side"
        echo content >"$dir/latest/file"
        echo more >"$dir/latest/file2"
        touch -d 1969-12-31 "$dir/latest/before 1970"
        touch -d @1.5 "$dir/latest/with nanoseconds"
        truncate -s 5G "$dir/latest/large"
        ln -s file "$dir/latest/symlink"
        ln "$dir/latest/file" "$dir/latest/another name"
        mkfifo "$dir/latest/fifo"
        touch "$dir/latest/$(printf 'x%.0s' {1..255})" "$dir/latest/$(printf 'x%.0s' {1..254})y" "$dir/latest/"$'\377\200'
        ! is_root || mknod "$dir/latest/device" c 1 3
        chmod 4711 "$dir/latest/file2"
        chmod 1777 "$dir/latest/below"
        echo hidden >"$dir/latest/below/not listed"
        for i in $(seq 3000); do
                echo "$dir/many/$i with a name of some length $((i * i))"
        done | xargs -d '\n' touch
}

start_rsyncd plain
add_module m
add_module timed 'timeout = 7'
add_module refusing 'refuse options = delete links owner group devices specials perms times acls xattrs hard-links compress'
make_directories
mkdir -p "$modules/timed/a" "$modules/refusing/a"

for protocol in 30 31 32; do
        lists -P $protocol m/latest
        lists -P $protocol m/empty
        lists -P $protocol m/many
        lists -P $protocol m
done
lists -z -i -d -t 20 m/latest
lists "m/2026-11-21 17:00:00"
lists "m/[a]*"
lists "m/sp ace"
lists timed
lists refusing

expect_status 1 list m/missing
says 'ENOENT: m: the server says: '
expect_status 1 list -P 30 m/missing/missing
says ENOENT
expect_status 1 list m/latest/file
says ENOTDIR
if is_root; then
        add_module unprivileged
        sed -i "/^\[unprivileged\]/,\$ s/^\([ug]id\) = 0/\1 = $ordinary_user/" "$rsyncd_config"
        mkdir -m 700 "$modules/unprivileged/dark"
        mkdir -m 755 "$modules/unprivileged/light"
        lists unprivileged
        expect_status 1 list unprivileged/dark
        says EACCES
fi
expect_status 1 list nothing
says ENXIO

# 3.0.x numbers its errors likewise; what goes wrong here goes into the log of the daemon, and nothing else does.
! grep -v -e 'No such file or directory (2)$' -e 'Permission denied (13)$' -e 'Not a directory (20)$' "$tmp/plain.rsyncd.log" |
        grep -i -e error -e failed -e closed -e broken || fail "the daemon is not content: $(cat "$tmp/plain.rsyncd.log")"

for protocol in 30 31; do
        rsyncd_options=("--protocol=$protocol")
        start_rsyncd "old$protocol"
        add_module m
        lists m/latest
        lists m/many
done
