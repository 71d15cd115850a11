#!/bin/bash
# agent-needs-few-round-trips.sh [DIRECTORIES]: how far away the server is costs the time of some round trips, login included,
# however many files and directories there are: unchanged, new, or changed in many places, in content, in part, in metadata.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 900m
. "$here/ssh.sh"
. "$here/agent.sh"
. "$here/faulty.sh"

directories=${1:-1000}
delay=50 tries=4 trips=0
source=$tmp/source
mkdir -m 700 "$source"
start_far
start_proxy

now() {
        date +%s%N
}

tree() {
        "$PYTHON" - "$source" "$directories" "$@" <<'END'
import os, sys
source, directories, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
for d in range(directories):
    path = "%s/%d/%d/%d" % (source, d // 100, d // 10 % 10, d % 10)
    if what == "new":
        os.makedirs(path)
        for f in range(20):
            with open("%s/%d" % (path, f), "w") as file:
                file.write("%d %d\n" % (d, f))
        if d % 5 == 0:
            with open(path + "/large", "wb") as file:
                file.write(os.urandom(200000))
            os.link(path + "/3", path + "/linked")
    elif d % 2 == 0:
        with open(path + "/7", "a") as file:
            file.write(what)
        os.chmod(path + "/9", 0o600 + int(what) % 8)
        os.rename(path + "/%d" % (10 + int(what) % 2), path + "/%d" % (11 - int(what) % 2))
        with open(path + "/new-" + what, "w") as file:
            file.write(what)
        if d % 5 == 0:
            with open(path + "/large", "r+b") as file:
                file.seek(100000)
                file.write(os.urandom(50))
END
}

# lasts RESULT PLAN BEFORE...: a run in milliseconds, of which the less counts; BEFORE changes something.
lasts() {
        local -n result=$1
        local how=$2 began last
        shift 2

        "$@"
        plan "$how"
        began=$(now)
        expect_status 0 far_backup -b "$source" "$to"
        last=$((($(now) - began) / 1000000))
        ((result == 0 || last < result)) && result=$last
        return 0
}

# costs MOST WHAT BEFORE...: no more round trips than that, or the machine was busy with other things each time.
costs() {
        local most=$1 what=$2 near=0 far=0 i
        shift 2

        for ((i = 0; i < tries; i++)); do
                lasts near delay=0 "$@"
                lasts far "delay=$delay" "$@"
                trips=$(((far - near) / delay / 2))
                echo "$what: $near ms, far away $far ms: $trips round trips"
                ((trips > most)) || break
        done
        ((i < tries)) || fail "$what: more than $most round trips"
        cmp "$source/0/0/0/7" "$to/0/0/0/7"
}

another=0 seed=0
elsewhere() {
        rm -rf "$tmp/parent-$another"
        mkdir -m 700 "$tmp/parent-$((another += 1))"
        to=$tmp/parent-$another/latest
}

tree new
costs 40 'a first backup' elsewhere
costs 19 'an unchanged tree' true
change() {
        tree $((seed += 1))
}
costs 40 'changes in half of the directories' change
