# shellcheck shell=bash disable=SC2034,SC2119,SC2120,SC2154
# What the tests of backups over SSH share: a server called `far`, on which the program is the agent. Source it behind
# ssh.sh, after need_program.
#
#     start_far [LINE...]     the server, with LINEs of its configuration; $agent is the command for --remote-command
#     far_backup [OPTIONS] [SOURCE] DIR    a run whose destination is far:DIR
#     restrict OPTIONS...     from now on the key of the client runs the agent with these, whatever the client asks for
agent=$tmp/agent

# The agent keeps what it keeps on its machine in a place of its own: the two are not one machine.
start_far() {
        start_sshd far "$@"
        [ -f "$keys/client" ] || new_key "$keys/client"
        known far
        cp "$keys/client.pub" "$tmp/far.authorized"
        config 'Host far' 'HostName 127.0.0.1' "Port $port" "IdentityFile $keys/client" "User $user"
        mkdir -p "$tmp/far-state" "$tmp/far-run" "$tmp/far-home"
        chmod 700 "$tmp/far-state" "$tmp/far-run" "$tmp/far-home"
        write_agent "$agent"
}

# write_agent FILE [OPTIONS]: a command that starts the agent, below the launcher if there is one, with OPTIONS.
write_agent() {
        local file=$1
        shift

        cat >"$file" <<END
#!/bin/sh
STATE_DIRECTORY='$tmp/far-state' XDG_RUNTIME_DIR='$tmp/far-run' RSB_PROGRAM='${RSB_PROGRAM:-$RSB}' HOME='$tmp/far-home'
ASAN_OPTIONS='${ASAN_OPTIONS:-}' UBSAN_OPTIONS='${UBSAN_OPTIONS:-}'
export STATE_DIRECTORY XDG_RUNTIME_DIR RSB_PROGRAM HOME ASAN_OPTIONS UBSAN_OPTIONS
echo \$\$ >'$tmp/agent.pid'
exec '$RSB' $* "\$@"
END
        chmod 755 "$file"
}

restrict() {
        write_agent "$tmp/restricted" "$@"
        printf 'restrict,command="%s" %s\n' "$tmp/restricted --server" "$(cat "$keys/client.pub")" >"$tmp/far.authorized"
}

far_backup() {
        local last=${!#}

        run_backup --remote-command="$agent" "${@:1:$#-1}" "far:$last"
}

# The agent that was started last has ended, within half a minute.
agent_has_ended() {
        local pid

        pid=$(cat "$tmp/agent.pid")
        for _ in $(seq 300); do
                is_there "$pid" "$tmp" || return 0
                sleep 0.1
        done
        fail "the agent is still there"
}
