#!/bin/bash
# Whoever may write inside the source while a backup runs cannot lead it out of the source, nor have it open what is no
# file or directory: files and directories change places with symlinks, FIFOs, devices, sockets and each other, at full
# speed, ROUNDS times, against a privileged run and an ordinary user's. What lies outside is neither read, stored nor
# changed, no run hangs, snapshots stay, and the next run in peace ends with an exact copy.
. "$(dirname "$0")/lib.sh"
. "$here/attack.sh"
need_root "$@"
need_program
need rsync strace timeout
in_memory 400m
umask 022

rounds=${1:-2}
readonly attacker_user=65533
# Outside of both trees: the victim's own, which the attacker cannot read.
make_outside() {
        mkdir -p outside/dir/sub
        echo 'the secret word is mellon' | tee outside/secret outside/dir/file outside/dir/sub/file >/dev/null
        chown -R "$victim:$victim" outside
        chmod -R go= outside
        chmod 711 outside
}

# Of everything that can change places two: in the one where the run may look first, and aside.
make_source() {
        local i

        mkdir -m 755 source
        mkdir -m 777 source/open source/aside
        for ((i = 0; i < 12; i++)); do
                echo "file $i" >source/open/file$i
                mkdir -p source/open/dir$i/sub
                echo "below $i" | tee source/open/dir$i/file source/open/dir$i/sub/file >/dev/null
                case $((i % 6)) in
                0) ln -s "$tmp/outside/secret" source/aside/file$i ;;
                1) mkfifo source/aside/file$i ;;
                2) [ "$victim" != 0 ] || mknod source/aside/file$i c 1 3 ;;
                3) "$PYTHON" -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' source/aside/file$i ;;
                4) mkdir source/aside/file$i ;;
                5) echo 'another one' >source/aside/file$i ;;
                esac
                case $((i % 4)) in
                0) ln -s "$tmp/outside/dir" source/aside/dir$i ;;
                1) mkfifo source/aside/dir$i ;;
                2) echo 'no directory' >source/aside/dir$i ;;
                3) mkdir -p source/aside/dir$i/another/sub ;;
                esac
        done
        chown -hR "$victim:$victim" source
        find source -type d -exec chmod a+rwx {} +
        chmod 755 source
}

# All that must not be opened: what lies outside, and what is neither file nor directory.
forbidden() {
        find outside source ! -type l \( -path 'outside*' -o ! \( -type f -o -type d \) \) -print0
}

attack() {
        local pairs=() i

        for ((i = 0; i < 12; i++)); do
                pairs+=("$tmp/source/open/file$i" "$tmp/source/aside/file$i" "$tmp/source/open/dir$i" "$tmp/source/aside/dir$i")
        done
        start_attack "$attacker_user" "${pairs[@]}"
}

# How a run may end: whole, or with entries that it could not read.
run_attacked() {
        local status=0

        timeout -k 5 120 "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
        case $status in
        0 | 23) ;;
        124 | 137) fail "the run hangs" ;;
        *) fail "status $status: $(cat "$tmp/err")" ;;
        esac
        ! grep -rqs mellon parent || fail "something from outside was stored: $(grep -rs mellon parent)"
}

# attacked USER COMMAND...: the same run of this user's under attack, and then in peace.
attacked() {
        local victim=$1
        shift
        local before round names=() watched=()

        make_outside
        make_source
        mkdir parent
        chown "$victim:$victim" parent
        mapfile -d '' -t watched < <(forbidden)
        before=$("$PYTHON" "$here/facts.py" outside)
        for ((round = 0; round < 12; round++)); do
                names+=(-P "file$round" -P "dir$round")
        done
        attack
        for ((round = 1; round <= rounds; round++)); do
                # Held open: the names are exchanged some hundred times between any two looks at them.
                run_attacked "$@"
                ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 run_attacked \
                        strace -f -qq -o "$tmp/trace" "${names[@]}" -e trace=openat,openat2,statx \
                        -e inject=openat,openat2:delay_enter=3000 "$@"
                touch -ch source/open/file* 2>/dev/null || true
        done
        end_attack
        [ "$before" = "$("$PYTHON" "$here/facts.py" outside)" ] || fail "something outside was changed"
        frozen parent
        expect_status 0 "$@"
        frozen parent
        same source parent/latest
        left=$(find parent -name '.rsync-system-backup.*')
        [ -z "$left" ] || fail "after a run in peace this is left: $left"
        rm -rf outside source parent "$tmp/frozen.store"
}

prepare_for_user
export PYTHON
attacked 0 "$RSB" --disable-notifications -b -s source parent/latest
attacked "$ordinary_user" setpriv --reuid="$ordinary_user" --regid="$ordinary_user" --clear-groups --no-new-privs \
        "$RSB" --disable-notifications -b -s --no-sudo source parent/latest
