#!/bin/bash
# How a connection is used does not change what comes of it: compressed always, never, or when it pays, at any level; at a rate
# that --bwlimit says, roughly; far away. Clocks of both sides may be hours apart. What makes no sense of --retries,
# --timeout, --bwlimit and --compress is refused before anything is touched.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 300m
. "$here/ssh.sh"
. "$here/agent.sh"
. "$here/faulty.sh"

start_far
start_proxy
source=$tmp/source parent=$tmp/parent round=0
mkdir -m 700 "$source" "$parent"

change() {
        "$PYTHON" "$judge/busy.py" "$source" $((round += 1))
}

backup() {
        far_backup "$@" "$source" "$parent/latest"
}

is_right() {
        same "$source" "$parent/latest"
        frozen "$parent" --gone-ok
}

echo "-- compression"
declare -A sent
for how in always never auto 1 19; do
        change
        seq 500000 >"$source/numbers"
        echo $how >>"$source/numbers"
        rm -rf "$parent" "$tmp/frozen.store"
        mkdir -m 700 "$parent"
        plan
        expect_status 0 backup --compress=$how
        sent[$how]=$(carried up)
        is_right
done
echo "${!sent[*]}: ${sent[*]}"
((sent[always] * 2 < sent[never])) || fail "always: ${sent[always]}, never: ${sent[never]}"

echo "-- a rate"
rate_is_kept() {
        local began

        head -c 4M /dev/urandom >"$source/numbers"
        plan
        began=$(date +%s%N)
        expect_status 0 backup -b "$@" --bwlimit=1000
        began=$((($(date +%s%N) - began) / 1000000))
        echo "4 MiB in $began ms"
        # How much longer it takes is the machine's business.
        ((began > 3000)) || fail "4 MiB went in $began ms"
        is_right
}
rate_is_kept
rate_is_kept --compress=always

echo "-- clocks that are apart"
library=$(find /usr/lib* -name libfaketimeMT.so.1 2>/dev/null | head -n 1)
if [ -n "$library" ] && ! grep -q '__[atm]san_init' "$RSB_PROGRAM"; then
        for hours in +5 -30; do
                write_agent "$agent"
                sed -i "2i LD_PRELOAD='$library' FAKETIME='${hours}h' NO_FAKE_STAT=1 FAKE_UTIME=0 DONT_FAKE_MONOTONIC=1\n\
export LD_PRELOAD FAKETIME NO_FAKE_STAT FAKE_UTIME DONT_FAKE_MONOTONIC" "$agent"
                for i in 1 2; do
                        change
                        # A change that hides behind an old time.
                        touch -r "$source/numbers" "$tmp/before"
                        echo "$hours $i" | dd of="$source/numbers" conv=notrunc status=none
                        touch -r "$tmp/before" "$source/numbers"
                        if [ $i = 2 ]; then
                                head -c 2M /dev/urandom >"$source/large"
                                plan cut=up:1500000:rst
                                expect_status 1 backup --retries=0
                                agent_has_ended
                        fi
                        plan
                        expect_status 0 backup
                        is_right
                        cmp "$source/numbers" "$parent/latest/numbers"
                        sleep 1
                done
        done
        write_agent "$agent"
        change
        expect_status 0 backup
        is_right
else
        echo "not tried: no library of faketime, or one that does not go with sanitizers"
fi

echo "-- what makes no sense"
before=$(find "$parent" -printf '%P %i %n %C@\n' | md5sum)
for option in --retries= --retries=-1 --retries=x --retries=1.5 --retries=99999999999 --timeout= --timeout=-1 --timeout=x \
        --timeout=1h --timeout=99999999999 --bwlimit= --bwlimit=-1 --bwlimit=fast --bwlimit=1B --compress=maybe --compress=20 --compress=-1; do
        expect_status 2 backup $option
        says "${option%%=*}"
        printf '[job]\nsource = %s\ndestination = far:%s\n%s\n' "$source" "$parent/latest" "${option#--}" >"$tmp/config"
        expect_status 2 run_backup --config="$tmp/config"
        says "$tmp/config"
done
[ "$(find "$parent" -printf '%P %i %n %C@\n' | md5sum)" = "$before" ] || fail "something was touched"
