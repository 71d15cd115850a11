#!/bin/bash
# disks-of-a-server.sh opened|cut|restricted: over SSH the disk is the server's, and the agent there does with it what a
# run does with one of its own: it opens and closes it, leaves alone what was open, says when it is not plugged in.
# Whatever ends the client, the connection or the agent, in the end it is closed. A restricted agent opens no other one.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_program
# shellcheck source=../integration/ssh.sh
. "$here/ssh.sh"
# shellcheck source=../integration/agent.sh
. "$here/agent.sh"
# shellcheck source=disks.sh
. "$(dirname "$0")/disks.sh"
need rsync ip
ip link set lo up
# With a shell that reads nothing of what this machine has for its own root.
sed -i 's|^\(root:.*:\).*|\1/bin/sh|' /etc/passwd
make_disk ext4
start_far

job=(--crypto=backups "--mount=$point")

# back_up [OPTIONS]: in place of that of disks.sh, to the server.
back_up() {
        far_backup "${job[@]}" "$@" "$source" "$parent/latest"
}

# is_closed: when the agent has ended.
is_closed() {
        agent_has_ended
        closed
}

# faithful: what is on the disk.
faithful() {
        open_by_hand
        same "$source" "$parent/latest"
        close_by_hand
}

# ---- opened and closed ----

opened_and_closed() {
        expect_status 0 back_up
        for word in "unlocked 'backups'" "mounted '$point'" "unmounted '$point'" "locked 'backups'"; do
                says "^far: $word"
        done
        is_closed
        open_by_hand
        same "$source" "$parent/latest"
        [ "$(snapshots "$parent" | wc -l)" = 1 ] || fail "not one snapshot: $(ls "$parent")"
        echo more >"$source/more"
        expect_status 0 back_up
        opened
        unmount "$point"
        expect_status 0 back_up
        is_unlocked backups || fail "it was locked"
        ! is_mounted $point || fail "it is still mounted"
        cryptsetup close backups
        faithful

        before=$(sha256sum /dev/ubda)
        rm "$source/more"
        echo dry >"$source/dry"
        expect_status 0 back_up --dry-run
        says "^far: mounted '$point' read-only"
        [ "$(grep -c -x -e 'deleted  more' -e 'new      dry' "$tmp/out")" = 2 ] || fail "it does not list the changes"
        is_closed
        [ "$(sha256sum /dev/ubda)" = "$before" ] || fail "a dry run has changed something on the disk"
}

# ---- not the right one, or none ----

not_the_right_one() {
        unlock /dev/ubda secret backups
        mount -t tmpfs other $point
        expect_status 1 back_up
        says '^error: far: .*/mnt/backups'
        [ -z "$(ls -A $point)" ] || fail "it was written to something else: $(ls -A $point)"
        unmount "$point"
        cryptsetup close backups
        expect_status 2 far_backup "${job[@]}" "$source" /mnt/elsewhere/latest
        says "^error: far: .* would not be on what is mounted at '$point'"
        is_closed

        host unplug 0
        for option in --verbose --quiet --dry-run --snapshot; do
                expect_status 0 back_up $option
                [ $option = --quiet ] || says "^far: the disk of 'backups' is not plugged in"
                [ $option != --quiet ] || [ ! -s "$tmp/err" ] || fail "it is not quiet: $(cat "$tmp/err")"
                [ ! -s "$tmp/out" ] || fail "it lists something: $(cat "$tmp/out")"
        done
        expect_status 1 on_terminal -- "$RSB" --disable-notifications --remote-command="$agent" "${job[@]}" "$source" \
                "far:$parent/latest"
        mv "$tmp/out" "$tmp/err"
        says "far: cannot unlock 'backups': the disk is not plugged in"
        is_closed
        host plug 0
}

# ---- whatever ends it ----

# start [OPTIONS]: a run in the background, $client, that takes a while; return when it is in the transfer.
start() {
        rm -f "$source"/piece.*
        generation=$((${generation:-0} + 1))
        head -c 3M /dev/urandom | split -b 400k - "$source/piece.$generation."
        "$RSB" --disable-notifications --remote-command="$agent" --bwlimit=500 "${job[@]}" "$@" "$source" \
                "far:$parent/latest" >"$tmp/out" 2>"$tmp/err" &
        client=$!
        for _ in $(seq 1200); do
                ! compgen -G "$parent/latest/piece.$generation.*" >"$tmp/pieces" || break
                kill -0 $client 2>/dev/null || break
                sleep 0.05
        done
        opened
        kill -0 $client || fail "it has ended too early: $(cat "$tmp/err")"
        serving=$(cat "$tmp/agent.pid")
}

# ended STATUS: the client did, with that one.
ended() {
        local status=0

        wait "$client" || status=$?
        [ "$status" = "$1" ] || fail "exit status $status instead of $1: $(cat "$tmp/err")"
}

# cut: the connection, at the server: the sshd that is above the agent, with a shell between them.
cut() {
        local pid=$serving

        while [ "$(cat "/proc/$pid/comm")" != sshd ]; do
                pid=$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status")
        done
        kill -9 "$pid"
}

whatever_ends_it() {
        for signal in TERM KILL; do
                start
                kill -$signal $client
                ended $((128 + $(kill -l $signal)))
                is_closed
        done

        start
        kill -TERM "$serving"
        ended 1
        says 'far: stopped by signal TERM'
        is_closed

        # The agent is killed, and nobody goes on: the next run closes the disk.
        start --retries=0
        kill -9 "$serving"
        ended 1
        opened
        expect_status 0 back_up
        is_closed

        # The client goes on, by another agent.
        start
        kill -9 "$serving"
        ended 0
        says 'trying again in 1 s (1 of 3)'
        is_closed

        # The first agent is still there when the second one comes, which waits for it.
        start
        kill -STOP "$serving"
        cut
        for _ in $(seq 600); do
                ! grep -q 'another run on this destination' "$tmp/err" || break
                sleep 0.05
        done
        says "another run on this destination is under way (process $serving)"
        opened
        kill -CONT "$serving"
        ended 0
        is_closed
        faithful
}

# ---- an agent that is restricted ----

# refused WHAT [OPTIONS] DIR: before anything is opened.
refused() {
        local what=$1
        shift

        expect_status 1 run_backup "${@:1:$#-1}" "$source" "far:${!#}"
        says "^error: far: $what .* is refused: this agent is restricted to"
        ! grep -q unlocked "$tmp/err" || fail "it was unlocked: $(cat "$tmp/err")"
        is_closed
}

a_restricted_one() {
        restrict --restrict=$point/laptop
        expect_status 1 run_backup "${job[@]}" "$source" "far:$parent/latest"
        says 'it must exist on the server'
        is_closed
        open_by_hand
        mkdir -m 700 "$parent" $point/other
        ln -s ../other "$parent/link"
        close_by_hand
        expect_status 0 run_backup "${job[@]}" "$source" "far:$parent/latest"
        says "^far: unlocked 'backups'"
        is_closed
        refused 'unlocking without --mount' --crypto=backups "$parent/latest"
        refused 'the destination' "${job[@]}" $point/other/latest
        refused 'the destination' "${job[@]}" $point/laptop/../other/latest
        refused 'the mount point' --crypto=backups --mount=/mnt/elsewhere "$parent/latest"
        # What leads out of it is seen when the disk is open.
        expect_status 1 run_backup "${job[@]}" "$source" "far:$parent/link/latest"
        says "is refused: this agent is restricted to '$point/laptop'"
        is_closed
        open_by_hand
        [ -z "$(ls -A $point/other)" ] || fail "it followed the symlink"
        inside=$(uuid_of /dev/mapper/backups)
        close_by_hand

        # Of two encrypted disks it is the one that fstab has on the mount point.
        luks_format /dev/ubdb secret
        echo "other UUID=$(uuid_of /dev/ubdb) $key luks,noauto" >>/etc/crypttab
        other=(--crypto=other "--mount=$point")
        refused "unlocking 'other'," "${other[@]}" "$parent/latest"
        # By what is in it that shows only when it is unlocked, and then another one is locked again.
        echo "UUID=$inside $point auto noauto,nofail,noatime 0 0" >/etc/fstab
        expect_status 0 run_backup "${job[@]}" "$source" "far:$parent/latest"
        is_closed
        expect_status 1 run_backup "${other[@]}" "$source" "far:$parent/latest"
        says 'is the disk plugged in'
        is_closed
        ! is_unlocked other || fail "the other disk is still unlocked"
        unlock /dev/ubda secret backups
        expect_status 1 run_backup "${other[@]}" "$source" "far:$parent/latest"
        says "unlocking 'other', which is not what fstab has for '$point', is refused"
        ! grep -q "unlocked 'other'" "$tmp/err" || fail "it was unlocked: $(cat "$tmp/err")"
        cryptsetup close backups

        restrict --restrict=/mnt/elsewhere
        refused 'the mount point' "${job[@]}" "$parent/latest"
        restrict --restrict=/mnt --append-only
        expect_status 0 run_backup "${job[@]}" "$source" "far:$parent/latest"
        is_closed
        faithful
}

case $1 in
opened)
        opened_and_closed
        not_the_right_one
        ;;
cut) whatever_ends_it ;;
restricted) a_restricted_one ;;
esac
