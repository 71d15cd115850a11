#!/bin/bash
# A snapshot that an rsync daemon makes by itself (src/transfer/rsync/rsync_spool.h): what was sent into latest is told once
# more, for another directory, without a look at the source, and with --link-dest nothing else goes over the wire.
. "$(dirname "$0")/lib.sh"
need_root "$@"
. "$here/rsyncd.sh"
need strace setfacl setfattr
[ -n "${RSB_RSYNC_TRANSFER_PROBE:-}" ] || skip "RSB_RSYNC_TRANSFER_PROBE does not name the probe"
in_memory 900m
modules=$tmp/modules
mkdir -p "$modules" "$tmp/spool"
export TMPDIR=$tmp/spool

push() {
        "$RSB_RSYNC_TRANSFER_PROBE" "${@:1:$#-1}" "$rsyncd_address" "$port" push "${@: -1}" "$tmp/source"
}

make_source() {
        local i deep=source/deep

        mkdir -p source/many source/empty source/sp\ ace source/a source/a-b source/a0
        for i in $(seq 200); do
                mkdir "source/many/$i"
                (cd "source/many/$i" && seq 100 | xargs touch && echo "$i" >content)
        done
        for i in $(seq 60); do
                deep=$deep/directory$i
        done
        mkdir -p "$deep"
        echo deep >"$deep/file"
        ln "$deep/file" source/a/linked
        ln "$deep/file" source/zz-linked
        ln -s nowhere source/symlink
        ln source/symlink source/a0/symlink
        mkfifo source/fifo
        mknod source/device c 1 3
        mknod source/a/device b 7 200
        truncate -s 3M source/sparse
        head -c 300000 /dev/urandom >source/random
        setfattr -n user.short -v value source/random
        setfattr -n user.long -v "$(printf 'x%.0s' {1..1000})" source/random
        setfattr -n user.long -v "$(printf 'y%.0s' {1..1000})" source/a
        setfattr -n user.short -v value source/a-b
        setfacl -m u:1234:rw,g:77:r source/many/1/content
        setfacl -d -m u:1234:rwx source/a
        chown 1234:5678 source/a0 source/many/2/content
        chmod 6755 source/many/3/content
        chmod 1777 source/empty
        touch -d 1969-07-20 source/many/4/content
        touch -h -d '2001-01-01 00:00:00.123456789' source/symlink
        touch -d 2002-02-02 source/a
}

# is_equal DIR: to latest, in everything.
is_equal() {
        rsync -aHAXn --numeric-ids --delete --itemize-changes --checksum "$latest/" "$1/" >"$tmp/differences"
        [ ! -s "$tmp/differences" ] || fail "$1 differs: $(head "$tmp/differences")"
}

# shares_all DIR: every regular file, and what else rsync links.
shares_all() {
        (cd "$latest" && find . -type f -printf '%i %p\n' | sort) >"$tmp/wanted"
        (cd "$1" && find . -type f -printf '%i %p\n' | sort) >"$tmp/there"
        cmp -s "$tmp/wanted" "$tmp/there" || fail "not shared: $(diff "$tmp/wanted" "$tmp/there" | head)"
}

# Between the first push and the end, all that is opened is no part of the source.
opens_nothing() {
        grep -q "/again" "$tmp/trace" || fail "no trace"
        sed '0,/"\/again"/d' "$tmp/trace" | grep -E 'open|getdents|stat|xattr' | grep -v -e '= -1 ENOENT' -e '/etc/' -e '/lib' \
                -e newfstatat.*AT_EMPTY_PATH >"$tmp/opened" || true
        [ ! -s "$tmp/opened" ] || fail "it looks at the source: $(head -3 "$tmp/opened")"
}

# replays DIR [OPTIONS]: into a snapshot next to latest.
replays() {
        local dir=$1 snapshot="$1/2026-11-21 17:00:00"
        shift

        latest=$modules/$dir/latest
        rm -rf "${modules:?}/m"
        mkdir -p "$modules/$dir"
        expect_status 0 strace -f -o "$tmp/trace" "$RSB_RSYNC_TRANSFER_PROBE" "$@" -r "$snapshot" -l ../latest \
                "$rsyncd_address" "$port" push "$dir/latest" "$tmp/source"
        [ "$(sed -n 2p "$tmp/err")" = 'literal 0 matched 0' ] || fail "contents go over the wire: $(cat "$tmp/err")"
        is_equal "$modules/$snapshot"
        shares_all "$modules/$snapshot"
        opens_nothing
        [ "$(stat -c %h "$modules/$snapshot/zz-linked")" = 6 ] || fail "hard links are lost"
        [ -z "$(ls -A "$TMPDIR")" ] || fail "a temporary file stays"
}

make_source
start_rsyncd plain
add_module m
latest=$modules/m/dir/latest
replays m/dir -i
replays m/dir
replays m/dir -i -P 30
replays m -P 31
replays 'm/sp ace/[*]' -i -z -d -t 20
latest=$modules/m/dir/latest

# In another form it cannot be told once more, and nothing is made of it.
for options in "-i -R 31" "-I" "-i -I"; do
        rm -rf "$modules/m/dir"
        mkdir -p "$modules/m/dir"
        # shellcheck disable=SC2086
        expect_status 1 push $options -r m/dir/again m/dir/latest
        says EOPNOTSUPP
        [ -z "$(ls -A "$modules/m/dir/again" 2>/dev/null)" ] || fail "something was sent"
done

# What changes in between is none of its business: the snapshot is one of latest. What the server lacks is read.
rm -rf "$modules/m/dir"
mkdir -p "$modules/m/dir"
expect_status 0 push -i -r m/dir/again m/dir/latest
grep -q '^literal [1-9]' <(sed -n 2p "$tmp/err") || fail "without --link-dest nothing was sent: $(cat "$tmp/err")"
is_equal "$modules/m/dir/again"

# No room for the lists: the push itself is as good as ever.
rm -rf "$modules/m/dir"
mkdir -p "$modules/m/dir" "$tmp/narrow"
mount -t tmpfs -o size=256k rsb-test-narrow "$tmp/narrow"
TMPDIR=$tmp/narrow expect_status 1 push -i -r m/dir/again m/dir/latest
says 'EOPNOTSUPP: the lists of files could not be kept in a temporary file: No space left on device'
rsync -aHAXn --numeric-ids --delete --itemize-changes source/ "rsync://$rsyncd_address:$port/m/dir/latest/" >"$tmp/differences"
[ ! -s "$tmp/differences" ] || fail "the push did not come to its end: $(head "$tmp/differences")"
