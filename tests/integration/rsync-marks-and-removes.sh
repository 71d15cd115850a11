#!/bin/bash
# The marks of complete snapshots on an rsync daemon, and the end of snapshots there (src/transfer/rsync/rsync_chore.h): what
# is asked for happens, and nothing else in the directory changes, neither content nor metadata, whatever the names are.
. "$(dirname "$0")/lib.sh"
. "$here/rsyncd.sh"
[ -n "${RSB_RSYNC_TRANSFER_PROBE:-}" ] || skip "RSB_RSYNC_TRANSFER_PROBE does not name the probe"

# Of a snapshot, and what a pattern, a rule or a shell would take for something else.
usual=("2026-11-21 17:00:00" "2026-11-21" "*" "back\\*")
hostile=("[2]026" "a?c" "back\\slash" "- x" "+ x" "!" " blanks " ".hidden" "-dash" "new"$'\n'"line" $'\377\200' "***" "[" "]"
        "a[!b]c" "2026-11-21_17-00-00")

chore() {
        "$RSB_RSYNC_TRANSFER_PROBE" "${options[@]}" "$rsyncd_address" "$port" "$@"
}

# All there is in a directory but what -path patterns exclude, with all its metadata; times of the directories that are named
# by $moves may move.
facts() {
        (cd "$1" && find . -printf '%p %y %i %n %m %U %G %s %T@ %C@ %l\0' | sort -z) | tr '\0\n' '\n\f'
}

make_snapshots() {
        local dir=$1 name

        mkdir -p "$dir/latest/a/b" "$dir/other dir/c" "$dir/2026-11-21 17:00:00x" "$dir/2026-11-21 17:00:0"
        echo 1 >"$dir/latest/a/b/file"
        echo 2 >"$dir/abc"
        for name in "${names[@]}"; do
                mkdir -p "$dir/$name/sub/$name/deep" "$dir/$name/empty"
                echo "$name" >"$dir/$name/sub/$name/file"
                ln "$dir/latest/a/b/file" "$dir/$name/sub/linked"
                ln -s nowhere "$dir/$name/sub/$name/symlink"
                chmod 500 "$dir/$name/sub/$name/deep"
        done
        chmod 2750 "$dir/other dir"
        chmod 700 "$dir/latest"
        touch -d 2001-01-01 "$dir/latest" "$dir/other dir" "$dir"
}

# changes_only DIR PATHS -- CHORE...: the chore changes nothing but PATHS, extended regular expressions of whole paths, and
# the numbers of links and ctime of what was linked to what is gone.
changes_only() {
        local dir=$1 paths=$2
        shift 2

        facts "$dir" >"$tmp/before"
        expect_status 0 chore "$@"
        facts "$dir" >"$tmp/after"
        diff "$tmp/before" "$tmp/after" | LC_ALL=C grep -a "^[<>]" | LC_ALL=C grep -avE "^[<>] ($paths) [dfl] [0-9]+ " >"$tmp/others" || true
        [ ! -s "$tmp/others" ] || fail "$* changes more than $paths: $(cat "$tmp/others")"
}

quoted() {
        # shellcheck disable=SC2016
        printf '%s' "$1" | tr "\n" "\f" | LC_ALL=C sed 's/[][\\*?.+^$(){}|]/\\&/g'
}

marks_and_removes() {
        local dir=$1 where=$2 name

        rm -rf "$dir"
        mkdir -p "$dir"
        make_snapshots "$dir"
        # What is linked to a snapshot that goes.
        linked='\./latest/a/b/file|\./[^/]*/sub/linked'

        changes_only "$dir" '\.|\./\.rsync-system-backup(/complete(/first)?)?' mark "$where" first
        [ "$(stat -c %F "$dir/.rsync-system-backup/complete/first")" = 'regular empty file' ] ||
                fail "no mark"
        chmod 751 "$dir/.rsync-system-backup"
        chmod 710 "$dir/.rsync-system-backup/complete"
        echo kept >"$dir/.rsync-system-backup/else"
        for name in "${names[@]}"; do
                changes_only "$dir" "\\./\\.rsync-system-backup/complete(/$(quoted "$name"))?" mark "$where" "$name"
                [ -f "$dir/.rsync-system-backup/complete/$name" ] || fail "no mark of '$name'"
        done
        [ "$(find "$dir/.rsync-system-backup/complete" -type f -printf x)" = "$(printf 'x%.0s' first "${names[@]}")" ] ||
                fail "marks that are too many"
        for name in "${names[@]}"; do
                changes_only "$dir" "\\./\\.rsync-system-backup/complete(/$(quoted "$name"))?" unmark "$where" "$name"
                [ ! -e "$dir/.rsync-system-backup/complete/$name" ] || fail "the mark of '$name' stays"
                changes_only "$dir" "\\.|$linked|\\./$(quoted "$name")(/[^>]*)?" remove "$where" "$name"
                [ ! -e "$dir/$name" ] || fail "'$name' stays"
        done
        # What is not there is no error, and nothing comes of it.
        changes_only "$dir" nothing unmark "$where" missing
        changes_only "$dir" nothing remove "$where" missing
        changes_only "$dir" '\./\.rsync-system-backup/complete(/first)?' mark "$where" first
        for left in complete/first else; do
                [ -f "$dir/.rsync-system-backup/$left" ] || fail "too much is gone: $left"
        done

        # Where there are no marks yet, the end of one makes none.
        rm -rf "$dir/.rsync-system-backup"
        changes_only "$dir" nothing unmark "$where" first
        [ ! -e "$dir/.rsync-system-backup" ] || fail "marks are made by taking one away"
}

start_rsyncd plain
add_module m
names=("${usual[@]}")
for protocol in 30 31; do
        options=(-P "$protocol")
        marks_and_removes "$modules/m/dir" m/dir
done
options=(-t 20 -z)
marks_and_removes "$modules/m/a dir [*]/below" 'm/a dir [*]/below'
options=()
names+=("${hostile[@]}")
marks_and_removes "$modules/m" m

expect_status 1 chore mark m ..
says EINVAL
expect_status 1 chore remove m a/b
says EINVAL
expect_status 1 chore remove m ''
says EINVAL
change_module m 'read only = yes'
expect_status 1 chore mark m name
says EROFS
expect_status 1 chore remove m latest
says EROFS
[ -d "$modules/m/latest" ] || fail "it is gone"

# What cannot be done is an error.
if is_root; then
        change_module m
        sed -i "/^\[m\]/,\$ s/^\([ug]id\) = 0/\1 = $ordinary_user/" "$rsyncd_config"
        mkdir -p "$modules/m/foreign/below"
        expect_status 1 chore mark m name
        says EIO
        expect_status 1 chore remove m foreign
        says EIO
        [ -d "$modules/m/foreign/below" ] || fail "it is gone"
fi
