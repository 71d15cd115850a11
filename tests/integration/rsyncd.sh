# shellcheck shell=bash disable=SC2034,SC2154
# What the tests of rsync daemons share: daemons of their own on the loopback, and the probe (tests/unit/rsync-probe.c).
# Source it behind lib.sh, and behind ssh.sh where that is needed as well.
#
#     start_rsyncd NAME [LINE...]     a daemon with a port of its own, $port; LINEs are global ones of its configuration
#     add_module MODULE [LINE...]     for the last one that was started, at once; its directory is $modules/MODULE
#     change_module MODULE [LINE...]  the same for one that is there, with other LINEs
#     add_secrets FILE [USER:PASSWORD...]
#     stop_rsyncd NAME
#     look_older PROTOCOL WITHOUT     $port is that of a proxy now (older-rsync-proxy.py)
#     probe [OPTIONS] MODULE[/DIR]    begin a conversation with the last one
#
# To be set before start_rsyncd: $rsyncd_options, an array of what its command line has besides (--protocol=30), and
# $rsyncd_address, where it listens and is asked. Its log is $tmp/NAME.rsyncd.log, its configuration $rsyncd_config.
need rsync
[ -n "${RSB_RSYNC_PROBE:-}" ] || skip "RSB_RSYNC_PROBE does not name the probe"
modules=$tmp/modules
mkdir "$modules"
rsyncd_options=()
rsyncd_address=127.0.0.1
declare -A rsyncd_pids=()

stop_rsyncd() {
        local pid=${rsyncd_pids[$1]:-}

        [ -n "$pid" ] || return 0
        unset "rsyncd_pids[$1]"
        # Its children end with their connections.
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
}

stop_rsyncds() {
        local name

        for name in "${!rsyncd_pids[@]}"; do
                stop_rsyncd "$name"
        done
        ! declare -F stop_sshds >/dev/null || stop_sshds
}
trap 'status=$?; stop_rsyncds; clean_up "$status"' EXIT

# The port that a socket of no one had a moment ago.
rsyncd_port() {
        "$PYTHON" - "$rsyncd_address" <<'END'
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
s.bind((sys.argv[1], 0))
print(s.getsockname()[1])
END
}

# Does it greet? That one which greets is ours is up to the caller.
rsyncd_greets() {
        local line

        (
                exec 3<>"/dev/tcp/$rsyncd_address/$port" || exit
                read -r -t 5 line <&3
                [[ $line = @RSYNCD:* ]]
        ) 2>/dev/null
}

# wait_for_rsyncd NAME PID: until it listens; fails when it has ended instead, since somebody has taken the port.
wait_for_rsyncd() {
        local i

        for i in $(seq 200); do
                kill -0 "$2" 2>/dev/null || return 1
                if rsyncd_greets; then
                        sleep 0.05
                        kill -0 "$2" 2>/dev/null
                        return
                fi
                sleep 0.05
        done
        fail "rsyncd $1 does not greet after $i attempts: $(cat "$tmp/$1.rsyncd.log")"
}

start_rsyncd() {
        local name=$1 attempt pid
        shift

        rsyncd_config=$tmp/$name.rsyncd.conf
        for attempt in $(seq 10); do
                port=$(rsyncd_port)
                # Not a socket as its standard input: it would take that for its only connection. In the background it
                # would ignore a SIGINT, but not a SIGTERM.
                printf '%s\n' "port = $port" "address = $rsyncd_address" "log file = $tmp/$name.rsyncd.log" \
                        "lock file = $tmp/$name.rsyncd.lock" "$@" >"$rsyncd_config"
                rsync --daemon --no-detach --config="$rsyncd_config" "${rsyncd_options[@]}" \
                        </dev/null >"$tmp/$name.rsyncd.out" 2>&1 &
                pid=$!
                rsyncd_pids[$name]=$pid
                ! wait_for_rsyncd "$name" "$pid" || return 0
                wait "$pid" || true
                unset "rsyncd_pids[$name]"
        done
        fail "rsyncd $name does not start in $attempt attempts: $(cat "$tmp/$name.rsyncd.out" "$tmp/$name.rsyncd.log")"
}

# The configuration is read anew with each connection. As root it works as root, so that it can set owners.
add_module() {
        local name=$1
        shift

        mkdir -p "$modules/$name"
        {
                printf '%s\n' "[$name]" "path = $modules/$name" 'read only = no' 'use chroot = no'
                ! is_root || printf '%s\n' 'uid = 0' 'gid = 0'
                [ $# = 0 ] || printf '%s\n' "$@"
        } >>"$rsyncd_config"
}

change_module() {
        "$PYTHON" - "$rsyncd_config" "$1" <<'END'
import re, sys
text = open(sys.argv[1]).read()
open(sys.argv[1], "w").write(re.sub(r"(?ms)^\[%s\]$.*?(?=^\[|\Z)" % re.escape(sys.argv[2]), "", text))
END
        add_module "$@"
}

# Nobody else may read them, or the daemon does not either.
add_secrets() {
        local file=$1
        shift

        (umask 077 && printf '%s\n' "$@" >"$file")
}

look_older() {
        rm -f "$tmp/older.port"
        "$PYTHON" "$here/older-rsync-proxy.py" "$tmp/older.port" "$rsyncd_address" "$port" "$@" &
        rsyncd_pids[older-$1-$2]=$!
        for _ in $(seq 600); do
                [ ! -s "$tmp/older.port" ] || break
                sleep 0.05
        done
        [ -s "$tmp/older.port" ] || fail "the proxy for protocol $1 does not come"
        port=$(cat "$tmp/older.port")
}

# probe [OPTIONS] MODULE[/DIR]
probe() {
        "$RSB_RSYNC_PROBE" "${@:1:$#-1}" daemon "$rsyncd_address" "$port" "${*: -1}"
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

# agrees TEXT: that is part of what was agreed on.
agrees() {
        grep -qF -- "$1" "$tmp/out" && return
        fail "agreed on '$(cat "$tmp/out")' instead of $1"
}
