#!/bin/bash
# exchange-is-faithful.sh ROUNDS [SEED...]: sender and receiver alone, over a pair of sockets (tests/unit/exchange-probe.c):
# whatever has changed in the source, the copy is exact after each exchange, without a reference time, with one, and when
# all is compared by content; what copies of it by hard links hold stays as it was. A dry run changes nothing and tells
# what is done next, a second exchange has nothing left to do, and what a power cut has spoilt is found.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need rsync
[ -n "${RSB_EXCHANGE_PROBE:-}" ] || skip "RSB_EXCHANGE_PROBE does not name the probe"
in_memory 500m

rounds=$1
shift
[ $# -gt 0 ] || set -- 1
source=$tmp/source parent=$tmp/parent

# exchange OPTIONS...: what it lists goes to $tmp/out, but for the last line, which goes to $tmp/sum.
exchange() {
        expect_status 0 timeout 300 "$RSB_EXCHANGE_PROBE" "$@" "$source" "$parent/latest"
        grep '^entries=' "$tmp/out" >"$tmp/sum" || fail "it does not tell what it came to: $(cat "$tmp/err")"
        ! grep '^warning' "$tmp/err" >&2 || fail "it warns"
}
listed() {
        grep -v '^entries=' "$tmp/out" | LC_ALL=C sort
}
facts() {
        find "$source" "$parent/latest" -printf '%P %i %n %m %U %G %s %T@ %C@ %l\n'
}
nothing_is_left() {
        [ -z "$(listed)" ] || fail "there was something left to do: $(listed)"
        grep -q ' new=0 changed=0 metadata=0 linked=0 deleted=0 copied=0 ' "$tmp/sum" || fail "something was done: $(cat "$tmp/sum")"
}

# spoil: a part of the files is what a power cut leaves of them: right but for the content.
spoil() {
        "$PYTHON" - "$parent/latest" "$1" <<'END'
import os, random, stat, sys
random.seed(int(sys.argv[2]))
for base, _, names in os.walk(os.fsencode(sys.argv[1])):
    for name in names:
        path = os.path.join(base, name)
        st = os.lstat(path)
        if not stat.S_ISREG(st.st_mode) or st.st_nlink > 1 or not 0 < st.st_size < 1 << 20 or random.random() < 0.7:
            continue
        mode = stat.S_IMODE(st.st_mode)
        os.truncate(path, 0)
        os.truncate(path, st.st_size)
        os.chmod(path, mode)
        os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
END
}

# round OPTIONS...: predict, do, judge.
round() {
        local snapshot=$parent/2001-01-01\ 00:00:$1
        shift

        facts >"$tmp/before"
        exchange -n -v "$@"
        listed >"$tmp/predicted"
        facts | diff "$tmp/before" - || fail "the dry run changed something"
        exchange -v "$@"
        listed | diff "$tmp/predicted" - || fail "it does not do what the dry run told"
        same "$source" "$parent/latest"
        exchange -v "$@"
        nothing_is_left
        frozen "$parent"
        cp -al "$parent/latest" "$snapshot"
        frozen "$parent"
}

for seed; do
        for how in none last all; do
                rm -rf "$source" "$parent" "$tmp/frozen.store"
                mkdir -m 700 "$source" "$parent" "$parent/latest"
                torture make "$source" --seed "$seed"
                for ((i = 0; i <= rounds; i++)); do
                        [ "$i" = 0 ] || torture mutate "$source" --seed $((seed * 1000 + i)) >"$tmp/mutations"
                        case $how in
                        last) options=(-r "${began:-1}") ;;
                        all) options=(-r 1) ;;
                        none) # what hides behind its old mtime cannot be seen then
                                options=()
                                find "$source" -type f -newerct "@${began:-0}" -execdir touch -- {} +
                                ;;
                        esac
                        began=$(date +%s)
                        (round "$(printf %02d "$i")" "${options[@]}") 2>"$tmp/failure" || {
                                [ ! -e "$tmp/mutations" ] || cat "$tmp/mutations"
                                cat "$tmp/failure"
                                fail "seed $seed, reference: $how, round $i (above are its mutations)"
                        }
                done
                rm -rf "$parent/2001"* "$tmp/frozen.store"
                sleep 1
                began=$(date +%s)
                spoil "$seed"
                exchange -v -s "$began" -r "$began"
                grep -q '^changed .*(content)$' "$tmp/out" || fail "nothing was spoilt"
                same "$source" "$parent/latest"
                rm -f "$tmp/mutations"
        done
done

# What goes as a delta keeps its holes, those within a block too, and gets new ones.
rm -rf "$source" "$parent"
mkdir -m 700 "$source" "$parent" "$parent/latest"
"$PYTHON" - "$source/image" <<'END'
import os, sys
with open(sys.argv[1], "wb") as file:
    for i in range(1 << 12):
        file.seek(i << 14)
        file.write(os.urandom(3 << 12))
    file.truncate(1 << 26)
END
exchange
head -c 4K /dev/urandom | dd of="$source/image" bs=4K seek=1000 conv=notrunc status=none
fallocate --punch-hole --offset 25M --length 1M "$source/image"
exchange
received=$(sed 's/.* received=\([0-9]*\) .*/\1/' "$tmp/sum")
[ "$received" -lt 500000 ] || fail "that was no delta, but $received bytes"
same "$source" "$parent/latest" --holes=exact
