#!/bin/bash
# A second run on a destination fails at once with status 1 and names the process of the first, whatever the destination is
# called; what a dead process left is no lock. What somebody else prepared at the places of lock, state and temporaries
# (links, FIFOs, other owners, other types) is neither followed nor believed, and nothing outside is touched.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 1500m

mkdir -m 700 source parent
head -c 250M /dev/zero | tr '\0' x >source/large
expect_status 0 run_backup -b source parent/latest
ln -s "$tmp/parent" name

is_running() {
        grep -q '^running' parent/.rsync-system-backup/state
}

# begin: a run, $first, that is stopped in the transfer. On a busy machine it may be over before it is.
begin() {
        for _ in $(seq 20); do
                touch source/large
                "$RSB" -b source parent/latest 2>first &
                first=$!
                until is_running || ! kill -0 $first 2>/dev/null; do
                        sleep 0.005
                done
                kill -STOP $first 2>/dev/null || true
                ! is_running || return 0
                wait $first || fail "it does not end well: $(cat first)"
                settle
        done
        fail "no run could be stopped"
}
begin
# An agent whose client is stopped would not wait for it as long as all of this may take.
if [ -n "$far" ]; then
        agent=$(cat "$over/agent.pid")
        kill -STOP "$agent"
fi
# It would wait for ever if it waited; logging in is part of it.
most=5000
[ -z "$far" ] || most=20000
pid=$(cat parent/.rsync-system-backup/lock)
for at in parent/latest parent/latest/ name/latest "$tmp/name/../parent/latest"; do
        for option in -b -s -r -n --force; do
                started=$(date +%s%N)
                expect_status 1 run_backup $option source "$at"
                [ $((($(date +%s%N) - started) / 1000000)) -lt "$most" ] || fail "a second run waited"
                grep -q "^error: ${far}another run .*(process $pid)" err || fail "the first run is not named: $(cat err)"
        done
done
# Without the machine's own lock, as from another machine or another user.
expect_status 1 unshare --mount sh -c "mount -t tmpfs tmpfs /run && exec '$RSB' source parent/latest"
grep -q "(process $pid)" err || fail "the lock beside the destination does not hold: $(cat err)"
# Another destination is free.
mkdir tiny
echo 1 >tiny/1
expect_status 0 run_backup -b tiny other/latest
kill -KILL $first
wait $first 2>/dev/null || true
[ -z "$far" ] || kill -CONT "$agent"
settle
expect_status 0 run_backup -b source parent/latest
cmp source/large parent/latest/large || fail "after the first run was killed the next was not exact"

# What a user who could write in the parent prepared.
rm source/large
echo small >source/small
mkdir outside
echo victim >outside/victim
chmod 600 outside/victim
facts() {
        "$PYTHON" "$here/facts.py" outside
}
before=$(facts)
unharmed() {
        [ "$before" = "$(facts)" ] || fail "something outside was touched: $1"
}
state=parent/.rsync-system-backup

# prepared NAME COMMAND: a fresh destination in which COMMAND prepares something; the run fails or gets round it.
prepared() {
        local status=0

        rm -rf parent
        mkdir -m 700 parent
        run_backup -b -s source parent/latest 2>err || fail "$(cat err)"
        eval "$2"
        timeout 60 "$RSB" source parent/latest >out 2>err || status=$?
        [ $status = "$3" ] || fail "$1: status $status instead of $3: $(cat err)"
        unharmed "$1"
}
prepared 'a lock that is a symlink' "ln -sf ../../outside/victim $state/lock" 1
prepared 'a lock that is a hard link' "ln -f outside/victim $state/lock && before=\$(facts)" 1
rm -rf parent
before=$(facts)
prepared 'a lock that is a FIFO' "rm $state/lock && mkfifo $state/lock" 1
prepared "somebody's lock" "chown $ordinary_user $state/lock" 1
prepared 'a lock that is a directory' "rm $state/lock && mkdir $state/lock" 1
prepared 'a state directory that is a symlink' "mv $state elsewhere && ln -s ../elsewhere $state" 1
rm -r elsewhere
prepared "somebody's state directory" "chown $ordinary_user $state" 1
prepared 'a state directory that is a file' "rm -r $state && touch $state" 1
prepared 'a state that is a symlink' "ln -sf ../../outside/victim $state/state" 1
prepared 'a state that is a FIFO' "rm $state/state && mkfifo $state/state" 0
grep -q '^warning: .*compared by content' err || fail "a state that is none is not told: $(cat err)"
prepared "somebody's state" "chown $ordinary_user $state/state" 0
prepared 'a new state that is a symlink' "ln -s ../../outside/victim $state/state.new" 0
prepared 'a snapshot in the making that is a symlink' 'ln -s ../outside parent/.rsync-system-backup.new' 0
prepared 'a snapshot in the making that is a file' 'touch parent/.rsync-system-backup.new' 0
prepared 'one being removed that is a symlink' 'ln -s ../outside parent/.rsync-system-backup.trash-1' 0
prepared 'leftovers that hold symlinks' 'mkdir parent/.rsync-system-backup.{new,trash-1,trash-77} &&
        ln -s ../../outside parent/.rsync-system-backup.new/x && ln -s /etc parent/.rsync-system-backup.trash-77/y' 0
[ -z "$(find parent -name '.rsync-system-backup.*')" ] || fail "leftovers were not swept"
prepared 'symlinks in latest' 'rm parent/latest/small && ln -s ../../outside/victim parent/latest/small &&
        ln -s ../../outside parent/latest/dir && mkdir -p source/dir && echo x >source/dir/victim' 0
[ "$(cat parent/latest/dir/victim)" = x ] || fail "what replaces a symlink is not there"
prepared 'a snapshot that is a symlink' 'ln -s ../outside "parent/2001-01-01 00:00:00"' 0
[ -L "parent/2001-01-01 00:00:00" ] || fail "something that is no snapshot was removed"

# Immutable files in leftovers, on a filesystem that knows them.
make_fs disk ext4 16m
mkdir -p disk/parent/.rsync-system-backup.{new,trash-1}/deep
touch disk/parent/.rsync-system-backup.{new,trash-1}/deep/{kept,gone}
chattr +i disk/parent/.rsync-system-backup.{new,trash-1}/deep/kept 2>/dev/null || skip "no chattr"
expect_status 23 run_backup source disk/parent/latest
grep -q "^warning: .*deep/kept" err || fail "what cannot be removed is not named: $(cat err)"
newest=$(snapshots disk/parent | tail -n 1)
grep -qx "complete $newest" disk/parent/.rsync-system-backup/state || fail "leftovers make a snapshot incomplete"
chattr -R -i disk/parent
expect_status 0 run_backup source disk/parent/latest
[ -z "$(find disk/parent -name '.rsync-system-backup.*')" ] || fail "leftovers were not swept in the end"
