# shellcheck shell=bash disable=SC2154
# Starting and ending servers of SSH on the loopback. Source it behind lib.sh.
sshd=$(command -v sshd || echo /usr/sbin/sshd)

free_port() {
        "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

end_sshd() {
        kill "$1"
        timeout 30 tail --pid="$1" -f /dev/null # it takes its file away
}

# sshd_listens CONFIG LOG PIDFILE: start one, which goes into the background by itself, and wait until it listens; it tells
# its process then. False when somebody has taken the port that was free a moment ago, be it for one of both addresses.
sshd_listens() {
        local config=$1 log=$2 pid_file=$3 i

        rm -f "$log" "$pid_file"
        "$sshd" -f "$config" -E "$log" || fail "sshd does not start: $(cat "$log")"
        for i in $(seq 600); do
                if [ -s "$pid_file" ]; then
                        grep -q 'failed: Address already in use' "$log" || return 0
                        end_sshd "$(cat "$pid_file")"
                        return 1
                fi
                ! grep -qs 'Cannot bind any address' "$log" || return 1
                sleep 0.05
        done
        fail "sshd does not listen after $i attempts: $(cat "$log")"
}
