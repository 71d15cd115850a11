#!/bin/bash
# However a destination can be reached from the source or the other way round, a backup never holds itself and never
# reads what it is about to change: bind mounts of parts of `latest`, of a snapshot or of the state directory within the
# source, through whatever mount and under whatever name the destination is given; loops; a destination inside of what
# another one keeps.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync timeout
in_memory 200m
umask 022

# A loop would otherwise end when the disk is full.
run_bounded() {
        timeout 60 "$RSB" --disable-notifications -b "$@"
}

# An agent refuses an empty source before the client compares it with the destination; --force shows what comes then.
refusal='inside of it or its snapshots'
[ "${RSB_OVER:-}" != ssh ] || refusal+='\|source is empty'
odd=$'with space\n\t\\040 and #'
mkdir -p source/a/b source/c source/d source/e "$odd/parent" around
echo file | tee source/a/file source/a/b/file source/c/file >/dev/null
make_fs disk tmpfs 20m
# The destination: below a name that mountinfo has to escape, at the root of its filesystem, through a bind mount.
mkdir -m 700 disk/deep disk/deep/parent bound
mount --bind disk/deep bound
for parent in "$odd/parent" bound/parent disk; do
        rm -rf "${parent:?}"/* "$parent"/.rsync*
        expect_status 0 run_backup -b -s source "$parent/latest"
        newest=$(snapshots "$parent")
        for part in latest/a latest/a/b "$newest/a" .rsync-system-backup; do
                [ "$part" != latest/a/b ] || mkdir -p "$parent/latest/a/b/in"
                mount --bind "$parent/$part" source/a/b
                for options in '' --multi-fs; do
                        # shellcheck disable=SC2086 # none or one
                        expect_status 0 run_bounded $options source "$parent/latest"
                        [ -z "$(ls -A "$parent/latest/a/b")" ] || fail "$part in the source became a part of $parent"
                        [ "$(stat -c %i "$parent/latest/a/b")" != "$(stat -c %i "$parent/$part")" ] || [ "$part" = latest/a/b ] ||
                                fail "$part itself"
                done
                # Nor is it the source itself, or what that is in.
                for at in source/a/b source/a/b/b; do
                        [ -d "$at" ] || continue
                        expect_status 1 run_bounded "$at" "$parent/latest"
                        grep -q "$refusal" "$tmp/err" || fail "$part as source: $(cat "$tmp/err")"
                        expect_status 1 run_bounded --force "$at" "$parent/latest"
                        grep -q 'inside of it or its snapshots' "$tmp/err" || fail "$part as source, forced: $(cat "$tmp/err")"
                done
                umount source/a/b
                expect_status 0 run_backup -b source "$parent/latest"
                same source "$parent/latest"
        done
done

# Below itself: the way up from there seems to end at once.
mount --bind "$odd/parent/latest/a" "$odd/parent/latest/a/b"
expect_status 1 run_bounded "$odd/parent/latest/a/b" "$odd/parent/latest"
grep -q 'inside of it or its snapshots' "$tmp/err" || fail "a directory mounted below itself: $(cat "$tmp/err")"
umount "$odd/parent/latest/a/b"

# Other parts of the same filesystem are backed up, wherever they are mounted; a loop of mounts is none.
mkdir "$odd/parent/other"
echo other >"$odd/parent/other/file"
mount --bind "$odd/parent/other" source/d
mount --bind source source/e
expect_status 0 run_bounded source "$odd/parent/latest"
same source/d "$odd/parent/latest/d"
same source/c "$odd/parent/latest/e/c"
umount source/d source/e

# The destination is in the source, and the source is in the destination's parent, or both are one.
expect_status 0 run_bounded "$odd" "$odd/parent/latest"
[ "$(cd "$odd/parent/latest" && find . | LC_ALL=C sort | tr '\n' ' ')" = '. ./parent ./parent/other ./parent/other/file ' ] ||
        fail "a parent that holds its source: $(find "$odd/parent/latest")"
expect_status 1 run_backup -b "$odd/parent" "$odd/parent"
expect_status 0 run_bounded --force "$odd/parent/other" "$odd/parent/latest"
same "$odd/parent/other" "$odd/parent/latest"

# Inside of what another destination keeps.
expect_status 0 run_backup -b -s source first/latest
newest=$(snapshots first)
mkdir first/latest/c/parent "first/$newest/parent"
for at in first/latest/c/parent/latest first/latest/c/new/latest first/latest/latest "first/$newest/parent/latest" \
        "first/$newest/c/latest" first/.rsync-system-backup/latest; do
        expect_status 1 run_backup source "$at"
        grep -q 'inside of what another destination keeps.*--force' "$tmp/err" || fail "$at: $(cat "$tmp/err")"
        [ ! -e "$at" ] || fail "$at was made"
done
mkdir first/beside
expect_status 0 run_backup -b source first/beside/latest
expect_status 0 run_backup -b --force source first/latest/c/parent/latest
