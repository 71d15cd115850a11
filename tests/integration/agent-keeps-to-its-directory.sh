#!/bin/bash
# An agent with --restrict=DIR reaches nothing outside of DIR, whatever its client asks for: "..", symlinks, absolute paths,
# mount points, encrypted disks; nor what belongs to another destination. With --append-only nothing is removed or forced. A
# command that the client sends is neither executed nor believed.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 300m
. "$here/ssh.sh"
. "$here/agent.sh"

start_far
fence=$tmp/srv/backups
mkdir -p "$fence"
mkdir -m 700 "$fence/laptop" outside source
echo victim >outside/victim
echo data >source/file
facts() {
        find outside "$fence" -printf '%P %i %n %m %U %G %s %T@ %C@ %l\n' | sort
}

# escapes DIR [OPTION]...: that is refused, in words that say why, and nothing is touched.
escapes() {
        local to=$1 before
        shift

        before=$(facts)
        expect_status 1 far_backup "$@" source "$to"
        says "is refused: this agent is restricted to '$fence'"
        [ "$before" = "$(facts)" ] || fail "refused, but not before something was touched: $to"
}

restrict "--restrict=$fence"
for command in "$agent" 'rm -rf /' "$tmp/agent --restrict=/"; do
        agent=$command expect_status 0 far_backup source "$fence/laptop/latest"
done
same source "$fence/laptop/latest"

escapes "$tmp/outside/latest"
escapes /etc/latest
escapes "$fence/../../outside/latest"
escapes "$fence/laptop/../../../outside/latest"
escapes "$fence/laptop/latest/../../new/latest"
escapes "../outside/latest"
escapes "$fence"
escapes "$fence-beside/latest"
escapes "${fence%s}/latest"
escapes latest
# By symlinks that a client itself has backed up, or that were there.
ln -s "$tmp/outside" "$fence/link"
escapes "$fence/link/latest"
escapes "$fence/link/new/latest"
ln -s "$tmp/outside" source/link
expect_status 0 far_backup source "$fence/laptop/latest"
escapes "$fence/laptop/latest/link/latest"
escapes "$fence/laptop/latest/link/../laptop/latest"
rm source/link
# A symlink that stays inside leads where it leads.
mkdir "$fence/real"
ln -s real "$fence/alias"
expect_status 0 far_backup -b source "$fence/alias/latest"
same source "$fence/real/latest"
# Into what belongs to a destination. Its own names and those of snapshots a client refuses by himself.
snapshot=$(snapshots "$fence/laptop" | head -n 1)
expect_status 2 far_backup source "$fence/laptop/$snapshot/."
expect_status 2 far_backup source "$fence/laptop/.rsync-system-backup.new"
escapes "$fence/laptop/$snapshot/x/latest"
escapes "$fence/laptop/.rsync-system-backup/latest"
escapes "$fence/laptop/.rsync-system-backup.new/latest"
escapes "$fence/2026-01-01/latest"
expect_status 1 far_backup -f source "$fence/laptop/latest/inside/latest"
says 'is inside of what another destination keeps'
expect_status 1 far_backup -f source "$fence/laptop/other"
says "backups beside '$fence/laptop/other' go to 'latest'"
says 'only on the server itself it can be forced'
# What is the client's own can be forced.
mkdir empty
expect_status 1 far_backup -b empty "$fence/laptop/latest"
says '--force if it is meant so'
expect_status 0 far_backup -b -f empty "$fence/laptop/latest"
[ -z "$(ls -A "$fence/laptop/latest")" ] || fail "it was not forced"
expect_status 0 far_backup -b source "$fence/laptop/latest"
# Somebody else's files are not for deleting.
mkdir "$fence/files"
echo precious >"$fence/files/file"
expect_status 1 far_backup -f -b source "$fence/files"
[ "$(cat "$fence/files/file")" = precious ] || fail "another's files were deleted"

# Disks: refused by name, before fstab or crypttab are asked.
escapes "$tmp/outside/latest" --mount="$tmp/outside"
escapes "$fence/laptop/latest" --mount="$tmp/outside"
escapes "$fence/laptop/latest" --crypto=disk
escapes "$fence/link/latest" --mount="$fence/link"
escapes "$fence/laptop/latest" --mount="$fence/../../outside"
expect_status 2 far_backup --mount="$fence/laptop" source "$fence/laptop/latest"
says_nothing_of restricted
says fstab
# The encrypted disk is the one that fstab has on the mount point. Where it names what is in it (UUID=), that shows later.
restrict "--restrict=$fence"
sed -i "2i export LIBMOUNT_FSTAB='$tmp/fstab'" "$tmp/restricted"
disk=(--crypto=rsb-disk "--mount=$fence/laptop")
for spec in /dev/mapper/other /dev/mapper/rsb-disk2 /dev/rsb-disk tmpfs; do
        echo "$spec $fence/laptop auto noauto 0 0" >fstab
        escapes "$fence/laptop/latest" "${disk[@]}"
        says "unlocking 'rsb-disk', which is not what fstab has for '$fence/laptop', is refused"
done
for spec in /dev/mapper/rsb-disk UUID=11111111-2222-4333-8444-555555555555 LABEL=rsb-no-such-label; do
        echo "$spec $fence/laptop auto noauto 0 0" >fstab
        expect_status 2 far_backup "${disk[@]}" source "$fence/laptop/latest"
        says_nothing_of restricted
        says crypttab
done
restrict "--restrict=$fence"

# A parent that is exchanged for a symlink while it is opened leads nowhere either.
mkdir "$fence/swap"
(
        set +e
        until [ -e enough ]; do
                mv -T "$fence/swap" "$fence/swap.away" && ln -s "$tmp/outside" "$fence/swap" && rm "$fence/swap" &&
                        mv -T "$fence/swap.away" "$fence/swap"
        done
) 2>/dev/null &
swapper=$!
for _ in $(seq 15); do
        far_backup -b source "$fence/swap/latest" >/dev/null 2>&1 || true
done
touch enough # killed it would leave what it had begun
wait $swapper || true
[ "$(ls -A outside)" = victim ] || fail "an exchanged directory has led outside: $(ls -A outside)"

# Only the client's own snapshots can be removed, and rotation does it.
expect_status 0 far_backup -s "$fence/laptop/latest"
expect_status 0 far_backup -r --minutely=1 "$fence/laptop/latest"

# --append-only: rotation is left to the server, which is said, but is no reason to worry every night.
restrict "--restrict=$fence" --append-only
count=$(snapshots "$fence/laptop" | wc -l)
expect_status 0 far_backup --minutely=1 source "$fence/laptop/latest"
[ "$(snapshots "$fence/laptop" | wc -l)" = $((count + 1)) ] || fail "a snapshot was removed, or none was made"
says_nothing_of warning
says 'no snapshot can be removed over this connection: rotation is to be run on the server'
expect_status 1 far_backup -r "$fence/laptop/latest"
says 'no snapshot can be removed'
expect_status 1 far_backup --force source "$fence/laptop/latest"
says 'nothing can be forced'
expect_status 1 far_backup -b --force source "$fence/laptop/$snapshot/latest"
expect_status 1 far_backup -b source "$fence/laptop/$snapshot/latest"
escapes "$tmp/outside/latest"
same source "$fence/laptop/$(snapshots "$fence/laptop" | tail -n 1)"

# What the administrator writes wrongly is told, and nothing runs.
restrict --append-only
expect_status 1 far_backup -b source "$fence/laptop/latest"
says -- '--append-only needs --restrict'
says_nothing_of 'must be installed'
restrict --restrict=not/absolute
expect_status 1 far_backup -b source "$fence/laptop/latest"
says 'ended with status 2: error: --restrict: '
says_nothing_of 'must be installed'
restrict "--restrict=$tmp/nonexistent"
expect_status 1 far_backup -b source "$tmp/nonexistent/a/latest"
says 'it must exist on the server'
[ "$(ls -A outside)" = victim ] || fail "something is outside"
