# shellcheck shell=bash disable=SC2154
# A connection with faults between far_backup and its server (faulty-proxy.py). Source it behind agent.sh.
#
#     start_proxy             after start_far: from now on `far` is reached through it
#     plan [LINE...]          what happens to the next connections, one line for each; none: nothing happens
#     carried up|down         bytes since the last plan
proxy_pid=
trap 'status=$?; [ -z "$proxy_pid" ] || kill "$proxy_pid" 2>/dev/null; stop_sshds; clean_up "$status"' EXIT

start_proxy() {
        server_port=$port
        mkdir "$tmp/proxy"
        echo 0 >"$tmp/proxy/open"
        "$PYTHON" "$here/faulty-proxy.py" "$tmp/proxy" "$server_port" 2>"$tmp/proxy/log" &
        proxy_pid=$!
        for _ in $(seq 600); do
                [ -f "$tmp/proxy/port" ] && break
                sleep 0.05
        done
        port=$(cat "$tmp/proxy/port")
        known far
        config 'Host far' 'HostName 127.0.0.1' "Port $port" "IdentityFile $keys/client" "User $user"
}

# Those from before are over.
all_over() {
        for _ in $(seq "$1"); do
                [ "$(cat "$tmp/proxy/open")" != 0 ] || break
                sleep 0.05
        done
}

plan() {
        all_over 600
        : >"$tmp/proxy/counts"
        [ $# = 0 ] || printf '%s\n' "$@" >"$tmp/proxy/plan"
        [ $# != 0 ] || rm -f "$tmp/proxy/plan"
}

carried() {
        all_over 600
        awk -v way="$1" '{ up += $1; down += $2 } END { print way == "up" ? up : down }' "$tmp/proxy/counts"
}
