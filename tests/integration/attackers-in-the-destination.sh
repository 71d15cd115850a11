#!/bin/bash
# Who owns a directory of the source owns it in `latest` as well, and may be there while a privileged run works in it.
# What he puts in the place of what the run has just made or looked at gets nothing that was meant for something else: no
# owner, mode or ACL, no set-id bit for content of his own, and nobody's content becomes his. Each moment of the attack is
# held open by strace, so that it always succeeds where it can.
. "$(dirname "$0")/lib.sh"
. "$here/attack.sh"
need_root "$@"
need_program
need rsync strace setfacl setcap timeout
in_memory 200m
umask 022
rounds=${1:-2}

# held CALL [options]: a run in which each of these system calls waits before it is done.
held() {
        local calls=$1
        shift

        # The leak detector cannot work below another tracer.
        ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 \
                strace -f -qq -o "$tmp/trace" -e trace="$calls" -e inject="$calls:delay_enter=150000" \
                "$RSB" --disable-notifications "$@"
}

# attack A B: the user lets them change places when both are there, and time to reach the held call.
attack() {
        (cd latest/his && as_user timeout 60 "$PYTHON" "$here/attacker.py" --once=0.05 "$@") >"$tmp/swaps" &
        attacker=$!
}

# The attack took place.
attacked() {
        wait "$attacker" || fail "the attacker failed"
        [ "$(cat "$tmp/swaps")" = 1 ] || fail "the attacker came too late: $(cat "$tmp/swaps")"
}

facts() {
        stat -c '%i %a %u %g %s %Y' "$@"
        getfacl -cp "$@"
}

make_source() {
        rm -rf source
        mkdir -p source/his
        echo 'for root alone' >source/his/secret
        chmod 600 source/his/secret
        chown "$ordinary_user:$ordinary_user" source/his
}

# A tree that others can search, and a snapshot that shares the secret.
begin() {
        rm -rf parent latest "$tmp/frozen.store"
        mkdir -m 755 parent
        ln -s parent/latest latest
        make_source
        expect_status 0 run_backup source parent/latest
        frozen parent
        as_user ls latest/his >/dev/null || fail "the attacker cannot enter"
}

# The next run undoes all of it.
end() {
        expect_status 0 run_backup -b source parent/latest
        same source parent/latest
        frozen parent
}

# A file of his own in the place of one that has power over others.
for power in 4755 2755 capability; do
        for shared in no yes; do
                begin
                echo '#!/bin/true' >source/his/power
                chmod 700 source/his/power
                case $power in
                capability) setcap cap_net_raw+ep source/his/power ;;
                *) chmod $power source/his/power ;;
                esac
                expect_status 0 run_backup -b source parent/latest
                # As if that had been long ago: then nothing speaks for a comparison by content.
                sed -i -e "s/^reference .*/reference $(date +%s.%N)/" -e '/^reference-/d' parent/.rsync-system-backup/state
                as_user "$PYTHON" - latest/his <<'END'
import os, sys
os.chdir(sys.argv[1])
facts = os.stat("power")
with open("mine", "w") as file:
    file.write("#!/bin/evil\n")
os.utime("mine", ns=(facts.st_atime_ns, facts.st_mtime_ns))
os.chmod("mine", 0o755)
os.rename("mine", "power")
END
                [ $shared = no ] || as_user ln latest/his/power latest/his/too
                expect_status 0 run_backup source parent/latest
                cmp -s source/his/power latest/his/power || fail "the attacker's content was given a power: $power"
                end
        done
done

# Special files and links have no descriptor that could be written through.
for kind in fifo symlink; do
        for call in fchownat,fchown,lchown setxattr,lsetxattr,fsetxattr fchmod,fchmodat,chmod utimensat; do
                [ "$kind" = symlink ] && [[ $call = *xattr* || $call = *chmod* ]] && continue
                begin
                if [ "$kind" = symlink ]; then
                        ln -s nowhere source/his/new
                else
                        mkfifo source/his/new
                        setfacl -m "u:$ordinary_user:rw" source/his/new
                        chmod 666 source/his/new
                fi
                chown -h "$ordinary_user:$ordinary_user" source/his/new
                shared=$(find parent -path '*/20*/his/secret')
                before=$(facts "$shared")
                attack new secret
                held "$call" -b source parent/latest >"$tmp/out" 2>&1 || true
                attacked
                [ "$before" = "$(facts "$shared")" ] ||
                        fail "another file got what was meant for a $kind ($call): $before, then $(facts "$shared")"
                end
        done
done

# At full speed, on everything that a run looks for there: what lies outside is neither opened nor changed.
# The links are relative, since there is no mount in the way of such.
make_outside() {
        mkdir -p outside/dir/sub
        echo 'not yours' | tee outside/file outside/dir/file outside/dir/sub/file >/dev/null
}

# change ROUND: so that there is something to make, to replace, to adjust and to remove.
change() {
        local i

        for ((i = 0; i < 12; i++)); do
                rm -rf "source/his/dir$i" "source/his/file$i"
                (((i + $1) % 3 == 0)) && continue
                mkdir -p "source/his/dir$i/sub"
                echo "$1" | tee "source/his/file$i" "source/his/dir$i/file" "source/his/dir$i/sub/file" >/dev/null
                (((i + $1) % 4 != 0)) || chmod 4755 "source/his/file$i"
        done
        chown -R "$ordinary_user:$ordinary_user" source/his/dir*
}

begin
make_outside
names=() pairs=()
install -d -m 700 -o "$ordinary_user" lair
for ((i = 0; i < 12; i++)); do
        names+=(-P "dir$i" -P "file$i")
        pairs+=("dir$i" "$tmp/lair/dir$i" "file$i" "$tmp/lair/file$i")
        ln -sT "../../../outside/dir" "lair/dir$i"
        ln -sT "../../../outside/file" "lair/file$i"
done
watched=("$tmp"/outside "$tmp"/outside/* "$tmp"/outside/dir/* "$tmp"/outside/dir/sub/*)
before=$("$PYTHON" "$here/facts.py" outside)
cd latest/his
start_attack "$ordinary_user" "${pairs[@]}"
cd "$tmp"
for ((round = 1; round <= rounds; round++)); do
        change "$round"
        status=0
        ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 timeout -k 5 120 strace -f -qq -o "$tmp/trace" "${names[@]}" \
                -e trace=openat,openat2,mkdirat,unlinkat,linkat -e inject=openat,openat2,mkdirat,unlinkat,linkat:delay_enter=2000 \
                "$RSB" --disable-notifications -b -s source parent/latest >"$tmp/out" 2>"$tmp/err" || status=$?
        # What changes under its hands may be missing in a snapshot, which then does not come about.
        case $status in
        0 | 1 | 23) ;;
        *) fail "status $status: $(cat "$tmp/err")" ;;
        esac
        # Links that the run removed are put back, in the place of what the attacker got for them.
        for ((i = 0; i < 12; i++)); do
                rm -rf "lair/dir$i" "lair/file$i"
                ln -sT "../../../outside/dir" "lair/dir$i"
                ln -sT "../../../outside/file" "lair/file$i"
        done 2>/dev/null || true
done
end_attack
after=$("$PYTHON" "$here/facts.py" outside)
[ "$before" = "$after" ] || fail "something outside was changed: $(diff <(echo "$before") <(echo "$after"))"
end
