# shellcheck shell=bash disable=SC2034,SC2154
# What the tests of SSH share: servers of their own on the loopback, and the probe (tests/unit/ssh-probe.c), below which
# nothing may be executed. Source it behind lib.sh.
#
#     start_sshd NAME [LINE...]      a server with a host key and a port of its own, $port and $pid_file; LINEs go first
#     probe [OPTIONS] run TARGET COMMAND
#     start_probe ...                the same in the background
. "$here/sshd.sh"
need ssh-keygen ssh-keyscan
[ -x "$sshd" ] || skip "needs sshd"
[ -n "${RSB_SSH_PROBE:-}" ] || skip "RSB_SSH_PROBE does not name the probe"
user=$(id -un)
keys=$tmp/keys
mkdir -m 700 "$keys" "$HOME/.ssh"
unset SSH_AUTH_SOCK
sshd_files=()

probe() {
        if [ "$(basename "${RSB:-}")" = executes-nothing ]; then
                RSB_PROGRAM=$RSB_SSH_PROBE "$RSB" "$@"
        else
                "$RSB_SSH_PROBE" "$@"
        fi
}
export -f probe

# In the background, as $probe_pid, with its own process and no input; it speaks to $tmp/out and $tmp/err.
start_probe() {
        if [ "$(basename "${RSB:-}")" = executes-nothing ]; then
                RSB_PROGRAM=$RSB_SSH_PROBE "$RSB" "$@" <"${input:-/dev/null}" >"$tmp/out" 2>"$tmp/err" &
        else
                "$RSB_SSH_PROBE" "$@" <"${input:-/dev/null}" >"$tmp/out" 2>"$tmp/err" &
        fi
        probe_pid=$!
}
export RSB_SSH_PROBE RSB

stop_sshds() {
        local file pid

        for file in "${sshd_files[@]}"; do
                # One that was told to end takes its file away, also when it is listed twice.
                pid=$(cat "$file" 2>/dev/null) || continue
                # Its sessions have process groups of their own; they end when their connection does.
                kill -CONT "$pid" 2>/dev/null || true
                kill "$pid" 2>/dev/null || true
        done
        [ -z "${SSH_AGENT_PID:-}" ] || kill "$SSH_AGENT_PID" 2>/dev/null || true
}
trap 'status=$?; stop_sshds; clean_up "$status"' EXIT

new_key() {
        ssh-keygen -q -t "${2:-ed25519}" -N "${3:-}" -C '' -f "$1"
}

# write_sshd_config NAME [LINE...]: for $port.
write_sshd_config() {
        local name=$1
        shift

        {
                printf '%s\n' "$@"
                cat <<END
Port $port
ListenAddress 127.0.0.1
ListenAddress ::1
HostKey $keys/host-$name
PidFile $pid_file
AuthorizedKeysFile $tmp/$name.authorized
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel VERBOSE
MaxStartups 100
Subsystem sftp internal-sftp
END
        } >"$tmp/$name.conf"
}

# One of the same name that was started before ends.
start_sshd() {
        local name=$1 attempt

        pid_file=$tmp/$name.pid
        [ -f "$keys/host-$name" ] || new_key "$keys/host-$name"
        touch "$tmp/$name.authorized"
        if is_root; then
                mkdir -p /run/sshd
        fi
        [ ! -s "$pid_file" ] || end_sshd "$(cat "$pid_file")"
        sshd_files+=("$pid_file")
        for attempt in $(seq 10); do
                port=$(free_port)
                write_sshd_config "$@"
                ! sshd_listens "$tmp/$name.conf" "$tmp/$name.log" "$pid_file" || return 0
        done
        fail "sshd finds no free port in $attempt attempts"
}

# known NAME [FILE]: a line for the server at $port.
known() {
        printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1-2 "$keys/host-$1.pub")" >>"${2:-$HOME/.ssh/known_hosts}"
}

# config LINE...: all of ~/.ssh/config.
config() {
        printf '%s\n' "$@" >"$HOME/.ssh/config"
}

# says TEXT: the last expect_status said so on standard error.
says() {
        grep -qF -- "$1" "$tmp/err" && return
        cat "$tmp/err" >&2
        fail "it does not say: $1"
}

says_nothing_of() {
        ! grep -qF -- "$1" "$tmp/err" || fail "it says: $(cat "$tmp/err")"
}

prints() {
        [ "$(cat "$tmp/out")" = "$1" ] || fail "it prints '$(cat "$tmp/out")' instead of '$1'"
}

# on_terminal [EXPECTED ANSWER]... -- COMMAND...
on_terminal() {
        "$PYTHON" "$here/on-terminal.py" "$@"
}
