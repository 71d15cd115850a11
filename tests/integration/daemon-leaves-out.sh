#!/bin/bash
# What is left out of a backup to an rsync daemon does not arrive there, and is deleted where it was: patterns, and the
# directories of the running system, which stay as empty ones. What is mounted stays out as well, but nothing is deleted
# behind it. All of it as the real client would leave it, with incremental recursion and without.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 400m
. "$here/rsyncd.sh"

start_rsyncd main
add_module ours
add_module theirs
daemon_port=$port

# holds MODULE NAME...: these entries, and no others.
holds() {
        local module=$1
        shift
        diff <(printf '%s\n' "$@") <(cd "$modules/$module" && find . -mindepth 1 | LC_ALL=C sort) || fail "$module holds something else"
}

# push PORT [OPTIONS] [SOURCE] MODULE
push() {
        local port=$1
        shift
        # To rsync a time of this very second is that of what it has just made.
        find source -exec touch -hd 2020-01-01 {} +
        expect_status 0 run_backup "${@:1:$#-1}" "rsync://127.0.0.1:$port/${*: -1}"
}

# theirs [OPTIONS]: what the real client leaves of ./source, and it is what ours left.
theirs() {
        rsync -aHAX --numeric-ids --delete --delete-excluded "$@" source/ "rsync://127.0.0.1:$daemon_port/theirs/" ||
                fail 'the real client fails'
        "$PYTHON" "$judge/listing.py" --holes=ignore "$modules/theirs" "$modules/ours" >"$tmp/same.log" ||
                fail "it is not what rsync leaves: $(cat "$tmp/same.log")"
}

# rounds PORT: through a proxy or not.
rounds() {
        rm -rf source
        mkdir -p source/{keep,cache/deep,a/cache}
        touch source/{keep,cache/deep,a/cache}/{file.o,file.c} source/{top.o,only.o}

        echo "-- patterns, in order, and what was there before they came"
        # At another port it is another server, and holds what was never sent there.
        push "$1" --force source ours
        theirs -x
        push "$1" -x '+ only.o' -x '*.o' -x /cache/ source ours
        holds ours ./a ./a/cache ./a/cache/file.c ./keep ./keep/file.c ./only.o
        theirs -x --include=only.o --exclude='*.o' --exclude=/cache/
        push "$1" source ours
        [ -e "$modules/ours/cache/deep/file.o" ] || fail "what is no longer excluded does not come back"
        theirs -x

        echo "-- in a file"
        printf '[job]\nsource = %s/source\ndestination = rsync://127.0.0.1:%s/ours\nexclude = *.c\n    /keep\n' "$tmp" "$1" >job.ini
        expect_status 0 run_backup --config=job.ini
        theirs -x --exclude='*.c' --exclude=/keep

        echo "-- a file of the server's own is deleted, and a directory that is not empty"
        mkdir -p "$modules/ours/other/cache"
        touch "$modules/ours/other/cache/file" "$modules/ours/mine"
        push "$1" source ours
        [ ! -e "$modules/ours/other" ] || fail "a directory that is not in the source stays"
        [ ! -e "$modules/ours/mine" ] || fail "what is not in the source stays"
        theirs -x

        echo "-- other filesystems"
        mkdir source/mounted source/bound
        chmod 2750 source/mounted
        touch source/mounted/below
        push "$1" source ours
        theirs -x
        mount -t tmpfs -o mode=1711,uid=12345 tmpfs source/mounted
        mount --bind source/a source/bound
        touch source/mounted/file
        push "$1" source ours
        [ "$(stat -c %a:%u "$modules/ours/mounted")" = 1711:12345 ] || fail "a mount point's owner or mode is not kept"
        [ -e "$modules/ours/mounted/below" ] || fail "what a mount covers was deleted"
        [ ! -e "$modules/ours/mounted/file" ] || fail "another filesystem was entered"
        [ -e "$modules/ours/bound/cache/file.c" ] || fail "a bind mount of the same filesystem is not part of the source"
        theirs -x
        push "$1" --multi-fs source ours
        [ -e "$modules/ours/mounted/file" ] || fail "--multi-fs does not enter another filesystem"
        [ ! -e "$modules/ours/mounted/below" ] || fail "with --multi-fs a mount point is like any directory"
        theirs
        umount source/mounted source/bound
        closed_mount "$1"
}

# closed_mount PORT: what is mounted lets nobody in but its owner, not even root. That needs nobody who serves it.
closed_mount() {
        mkdir source/closed
        touch source/closed/below source/old
        push "$1" source ours
        rm source/old
        if ! { exec {fuse}<>/dev/fuse; } 2>/dev/null; then
                echo "not tried: a closed mount, there is no FUSE"
                return
        fi
        mount -i -t fuse -o "fd=$fuse,rootmode=40000,user_id=$ordinary_user,group_id=$ordinary_user" closed source/closed
        expect_status 0 run_backup source "rsync://127.0.0.1:$1/ours"
        umount source/closed
        exec {fuse}>&-
        [ -e "$modules/ours/closed/below" ] || fail "what a closed mount covers was deleted"
        [ ! -e "$modules/ours/old" ] || fail "with a closed mount nothing is deleted"
}

rounds "$port"
look_older 32 i
echo "-- all of it again, with one list"
rounds "$port"

echo "-- the running system's directories, by absolute path"
root=$tmp/root
mkdir -p "$root"/{bin,dev,home/ada/.cache,home/ada/tmp,media,mnt,proc,run,sys,tmp,var/cache,var/tmp,data/tmp,data/run,test}
mkdir -m 700 "$root/test/state"
for directory in dev home/ada/.cache home/ada/tmp media mnt proc run sys tmp var/cache var/tmp data/tmp data/run; do
        touch "$root/$directory/file"
done
chmod 1777 "$root/tmp" "$root/var/tmp"
chown 12345 "$root/home/ada/.cache"
cp "$RSB_PROGRAM" "$root/bin/program"
ldd "$RSB_PROGRAM" | grep -o '/[^ ]*' | while read -r library; do
        install -D "$library" "$root$library"
done
in_root() {
        HOME=/test STATE_DIRECTORY=/test/state chroot "$root" /bin/program --disable-notifications "$@" \
                "rsync://127.0.0.1:$daemon_port/ours"
}
if chroot "$root" /bin/program --version >/dev/null 2>&1; then
        mkdir -p "$modules/ours/tmp/old"
        expect_status 0 in_root --force
        for directory in dev home/ada/.cache media mnt proc run sys tmp var/cache var/tmp; do
                [ -d "$modules/ours/$directory" ] || fail "/$directory is not kept as a mount point"
                [ -z "$(ls -A "$modules/ours/$directory")" ] || fail "/$directory is not left out, or was not emptied"
                [ "$(stat -c %a:%u "$modules/ours/$directory")" = "$(stat -c %a:%u "$root/$directory")" ] ||
                        fail "owner or mode of /$directory is not kept"
        done
        for directory in home/ada/tmp data/tmp data/run; do
                [ -e "$modules/ours/$directory/file" ] || fail "/$directory is left out"
        done
        expect_status 0 in_root /data
        [ -e "$modules/ours/tmp/file" ] || fail "data/tmp is left out of /data"
        holds ours ./run ./run/file ./tmp ./tmp/file
else
        echo "not tried: a root of its own, the program does not start there"
fi
