#!/bin/bash
# Where at an rsync daemon a backup goes: names that look like options are names.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 100m
. "$here/rsyncd.sh"

source=$tmp/source
mkdir "$source"
echo content >"$source/file"
# Times of the same second are the same to rsync, and what it makes has that of now at first.
touch -d 2020-01-01 "$source/file" "$source"
start_rsyncd main
add_module m 'munge symlinks = no'
add_module chroot 'munge symlinks = no' 'use chroot = yes'
add_module -n 'munge symlinks = no'
main_port=$port

back_up() {
        run_backup --retries=0 "$@" -b -s -r --hourly=1
}

# takes MODULE DIR LATEST: transfers, snapshots, listings and removals at DIR/LATEST of the module, and nowhere else.
takes() {
        local dir=$modules/$1/$2 url=rsync://$rsyncd_address:$port/$1/$2/$3 removed

        echo "-- $url"
        rm -rf "${modules:?}/$1"
        mkdir -p "$dir"
        expect_status 0 back_up "$source" "$url"
        removed=$(snapshots "$dir")
        sleep 1.1
        expect_status 0 back_up --prefer-recent "$source" "$url"
        same "$source" "$dir/$3"
        [ "$(snapshots "$dir" | wc -l)" = 1 ] || fail "not one snapshot: $(snapshots "$dir")"
        [ "$(snapshots "$dir")" != "$removed" ] || fail "the older one is left"
        same "$source" "$dir/$(snapshots "$dir")"
        expect_status 0 run_backup --list "$url"
        grep -q "^$(snapshots "$dir") " "$tmp/out" || fail "it is not listed: $(cat "$tmp/out")"
        [ "$(ls -A "$modules/$1")" = "$2" ] || fail "there is more in the module: $(ls -A "$modules/$1")"
        [ "$(find "$dir" -mindepth 1 -maxdepth 1 -printf x)" = xxx ] || fail "there is more beside it: $(ls -A "$dir")"
}
add_module secret 'auth users = me' "secrets file = $tmp/secrets"
add_secrets "$tmp/secrets" me:secret

takes m -dash -latest
takes m '-two words' --delete
takes chroot -dash -latest
takes -n -dash -latest
look_older 30 vCfx
takes m -dash -latest
port=$main_port

# Directly in the module.
for module in m -n; do
        rm -rf "${modules:?}/$module"
        mkdir "$modules/$module"
        expect_status 0 back_up "$source" "rsync://$rsyncd_address:$port/$module/-latest"
        same "$source" "$modules/$module/-latest"
        expect_status 0 run_backup --list "rsync://$rsyncd_address:$port/$module/-latest"
        grep -q "^$(snapshots "$modules/$module") " "$tmp/out" || fail "it is not listed: $(cat "$tmp/out")"
        rm -rf "${modules:?}/$module"
        mkdir "$modules/$module"
        expect_status 0 run_backup "$source" "rsync://$rsyncd_address:$port/$module"
        same "$source" "$modules/$module"
done

# One destination, however it is written: what is remembered of it, its scheme.
dir=$modules/m/laptop url=rsync://$rsyncd_address:$port/m/laptop/latest
other=rsync://$rsyncd_address:$port/m/./laptop//latest/.
mkdir "$dir"
expect_status 0 back_up "$source" "$url"
expect_status 0 run_backup --status "$other"
grep -qF "$url" "$tmp/out" || fail "another one is asked for: $(cat "$tmp/out")"
printf '%s\n' "[rsync://$rsyncd_address:$port/m/laptop]" 'yearly = 7' >"$HOME/.rotate-backups.ini"
expect_status 0 run_backup --list "$other"
grep -q 'yearly' "$tmp/out" || fail "another scheme is taken: $(cat "$tmp/out")"
rm "$HOME/.rotate-backups.ini"

# Without a backup, a directory that is not there is an error, and none without snapshots; a first backup makes it.
at=rsync://$rsyncd_address:$port
for options in --list --rotate '--rotate --dry-run'; do
        for path in m/typo m/typo/deeper chroot/typo; do
                # shellcheck disable=SC2086
                expect_status 1 run_backup --retries=0 $options "$at/$path/latest"
                says "error: cannot open directory '$at/$path': No such file or directory; there is no backup yet, or a disk is missing there"
        done
        # shellcheck disable=SC2086
        expect_status 1 run_backup --retries=0 $options "$at/nothing/typo/latest"
        says "Unknown module 'nothing'"
done
expect_status 1 run_backup --list --password-file="$tmp/none" "rsync://me@$rsyncd_address:$port/secret/x/latest"
says "cannot read the password file '$tmp/none'"
mkdir "$modules/m/none"
expect_status 0 run_backup --list "$at/m/none/latest"
says 'there are no snapshots beside'
expect_status 0 run_backup --rotate "$at/m/none/latest"
expect_status 0 back_up --dry-run "$source" "$at/m/typo/latest"
[ ! -e "$modules/m/typo" ] || fail "a dry run makes it"
expect_status 0 back_up "$source" "$at/m/typo/latest"
[ "$(snapshots "$modules/m/typo" | wc -l)" = 1 ] || fail "there is no snapshot"

# What stands in the way of it, or in its place.
mkdir "$modules/m/dir" "$modules/chroot/dir"
for dir in "$modules/m" "$modules/chroot"; do
        touch "$dir/blocked" "$dir/dir/blocked"
        ln -s nowhere "$dir/dangling"
        ln -s nowhere "$dir/dir/dangling"
done
for module in m chroot; do
        for path in blocked/latest blocked/deeper/latest dir/blocked dir/dangling dangling; do
                for options in --backup '--backup --force'; do
                        # shellcheck disable=SC2086
                        expect_status 1 run_backup --retries=0 $options "$source" "$at/$module/$path"
                        says 'on that path there is a file, or a symbolic link that leads nowhere'
                        says_nothing_of 'must be there already'
                done
        done
        for options in --list --rotate; do
                expect_status 1 run_backup --retries=0 "$options" "$at/$module/blocked/latest"
                says 'on that path there is a file, or a symbolic link that leads nowhere'
        done
        expect_status 1 run_backup --retries=0 "$source" "$at/$module/dangling/latest"
        says 'and symbolic links among them lead somewhere'
        for dir in "$modules/$module" "$modules/$module/dir"; do
                [ ! -s "$dir/blocked" ] || fail "a file was written to"
                [ ! -e "$dir/nowhere" ] || fail "a symbolic link was followed"
        done
done
