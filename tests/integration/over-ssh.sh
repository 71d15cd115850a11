# shellcheck shell=bash disable=SC2034,SC2154
# What tests of local destinations need to run over SSH: with RSB_OVER=ssh, need_program of lib.sh sources this, and $RSB
# is a command from then on that takes DESTINATION for a directory of `far`, a server of its own on the loopback, where
# the program is the agent. So scripts run as they are. They may look at
#
#     $over          a directory that others can search, outside of $tmp: a test may mount something over that
#     $over/agent    the command that starts the agent; $RSB_AGENT names another one for the next runs
#     $over/plain    as $RSB, without the launcher, for what traces it
#     $far           what messages of the destination begin with
#
# Root and the ordinary user can log in. All that is mounted for it is seen by this test alone.
need ssh-keygen sshd
[ -e /etc/ssh/ssh_config ] || skip "needs /etc/ssh/ssh_config, to put another in its place"
is_root || skip "needs root, to let users log in"
[ -n "${RSB_PRIVATE_MOUNTS:-}" ] || fail "what goes over SSH has to call need_root first"

. "$here/sshd.sh"
over=$(mktemp -d "${TMPDIR:-/tmp}/rsb-over.XXXXXX")
chmod 711 "$over"

# shellcheck disable=SC2086 # several
end_over() {
        local pid

        pid=$(cat "$over/sshd.pid" 2>/dev/null) && kill "$pid" 2>/dev/null
        pid=$(agents) && kill -CONT $pid 2>/dev/null && kill $pid 2>/dev/null
        umount -l /etc/passwd /etc/ssh/ssh_config 2>/dev/null
        rm -rf --one-file-system "$over"
}
trap 'status=$?; end_over; clean_up "$status"' EXIT

# agents: the processes of all that there are, also of those that have not come to the program yet.
agents() {
        pgrep -f "$over/(agent|traced|limited|launcher|program)"
}

# All agents have ended, also one that a client had just asked for when it was killed, and all that they held is free.
settle() {
        for _ in $(seq 1200); do
                pgrep -P "$(cat "$over/sshd.pid")" >"$over/sessions" || agents >"$over/agents" || return 0
                sleep 0.05
        done
        fail "an agent is still there: $(cat "$over/agents")"
}

# write_over_agent FILE COMMAND: COMMAND starts the program in the other machine's place.
write_over_agent() {
        cat >"$1" <<END
#!/bin/sh
STATE_DIRECTORY=$over/far/\$(id -u)/state XDG_RUNTIME_DIR=$over/far/\$(id -u)/run HOME=$over/far/\$(id -u)
RSB_PROGRAM=$over/program ASAN_OPTIONS='${ASAN_OPTIONS:-}' UBSAN_OPTIONS='${UBSAN_OPTIONS:-}'
TZ='${TZ:-}' export STATE_DIRECTORY XDG_RUNTIME_DIR HOME RSB_PROGRAM ASAN_OPTIONS UBSAN_OPTIONS
[ -n "\$TZ" ] && export TZ
umask 022
echo \$\$ >$over/agent.pid
exec $2 "\$@"
END
        chmod 755 "$1"
}

# write_over_client FILE COMMAND: the last argument that is no option, nor the value of one, is the destination.
write_over_client() {
        cat >"$1" <<END
#!/bin/sh
RSB_PROGRAM=$over/program
export RSB_PROGRAM
i=0 destination=0 is_value=
for argument; do
        i=\$((i + 1))
        case \$is_value\$argument in
        -[ximctMHdwy]) is_value=value: && continue ;;
        value:* | -*) ;;
        *) destination=\$i ;;
        esac
        is_value=
done
[ \$destination != 0 ] || exec $2 "\$@"
i=0
for argument; do
        i=\$((i + 1))
        shift
        if [ \$i = \$destination ]; then
                case \$argument in
                /*) argument=far:\$argument ;;
                *) argument=far:\$PWD/\$argument ;;
                esac
        fi
        set -- "\$@" "\$argument"
done
exec $2 --remote-command="\${RSB_AGENT:-$over/agent}" "\$@"
END
        chmod 755 "$1"
}

# Sets $port.
start_over_sshd() {
        local attempt

        mkdir -p /run/sshd
        for attempt in $(seq 10); do
                port=$(free_port)
                cat >"$over/sshd.conf" <<END
Port $port
ListenAddress 127.0.0.1
HostKey $over/host
PidFile $over/sshd.pid
AuthorizedKeysFile $over/authorized
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
END
                ! sshd_listens "$over/sshd.conf" "$over/sshd.log" "$over/sshd.pid" || return 0
        done
        fail "sshd finds no free port in $attempt attempts"
}

# Whom the server lets in: with a shell, which the ordinary user has not.
begin_over() {
        local port uid

        cp "$RSB_PROGRAM" "$over/program"
        cp "$RSB" "$over/launcher"
        ssh-keygen -q -t ed25519 -N '' -C '' -f "$over/host"
        for uid in 0 "$ordinary_user"; do
                ssh-keygen -q -t ed25519 -N '' -C '' -f "$over/key-$uid"
                chown "$uid" "$over/key-$uid"
                mkdir -p "$over/far/$uid"
                mkdir -m 700 "$over/far/$uid/state" "$over/far/$uid/run"
                chown -R "$uid" "$over/far/$uid"
        done
        touch "$over/agent.pid"
        chmod 666 "$over/agent.pid"
        cat "$over"/key-*.pub >"$over/authorized"
        awk -F: -v OFS=: -v uid="$ordinary_user" -v home="$over/far/$ordinary_user" \
                '$3 == uid { $6 = home; $7 = "/bin/sh" } { print }' /etc/passwd >"$over/passwd"
        chmod 644 "$over/passwd" "$over/authorized"
        mount --bind "$over/passwd" /etc/passwd
        start_over_sshd
        cat >"$over/ssh_config" <<END
Host far
HostName 127.0.0.1
Port $port
IdentityFile $over/key-0
IdentityFile $over/key-$ordinary_user
UserKnownHostsFile $over/known
GlobalKnownHostsFile /dev/null
END
        printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1-2 "$over/host.pub")" >"$over/known"
        chmod 644 "$over/ssh_config" "$over/known"
        mount --bind "$over/ssh_config" /etc/ssh/ssh_config
        write_over_agent "$over/agent" "$over/launcher"
        write_over_client "$over/rsync-system-backup" "$over/launcher"
        write_over_client "$over/plain" "$over/program"
        RSB=$over/rsync-system-backup far='far: '
}
begin_over
