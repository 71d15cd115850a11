# shellcheck shell=bash
# An attacker at full speed, and a watcher that tells what is opened meanwhile and must not be. Source it after lib.sh.
: "${tmp:?lib.sh comes first}" "${here:?}"

watched=()

# start_attack USER PAIR...: USER exchanges the two names of each pair, below the working directory, while what is in
# ${watched[@]} is watched.
start_attack() {
        local user=$1
        shift

        rm -f "$tmp/ready" "$tmp/swaps"
        setpriv --pdeathsig KILL "$PYTHON" "$here/opened.py" "$tmp/opened" "${watched[@]}" >"$tmp/ready" &
        watcher=$!
        until grep -qs ready "$tmp/ready"; do
                kill -0 "$watcher" 2>/dev/null || fail "nothing is watched"
                sleep 0.05
        done
        setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs \
                --pdeathsig KILL "$PYTHON" "$here/attacker.py" "$@" >"$tmp/swaps" &
        attacker=$!
        attacker_says ready
}

# attacker_says WORD: it has, or will soon.
attacker_says() {
        until grep -qs "^$1$" "$tmp/swaps"; do
                kill -0 "$attacker" 2>/dev/null || fail "there is no attacker"
                sleep 0.05
        done
}

end_attack() {
        attacker_says first
        kill -TERM "$attacker"
        wait "$attacker" || fail "the attacker failed"
        kill -TERM "$watcher"
        wait "$watcher" || fail "the watcher failed"
        [ ! -s "$tmp/opened" ] || fail "opened, and must not be: $(sort "$tmp/opened" | uniq -c)"
}
