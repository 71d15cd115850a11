#!/bin/bash
# power-cuts-lose-nothing.sh TYPE KILLS CALLS [steps]: the power fails at KILLS random moments of a run, at CALLS of its
# calls that write, spread over all of them, and with `steps` before and after each step of the commit. Each time then:
# the journal is replayed, fsck finds nothing; every snapshot whose run had reported success is there and exact, what
# else has a snapshot's name is whole and exact, older ones are what they were; and the next run is judged equal.
#
# TYPE is ext4, xfs, btrfs, or btrfs-links, where `latest` is no subvolume; luks-ext4 is an encrypted disk that each run
# opens and closes. That the same checks notice what is lost when a run does not sync, is a part of this test unless
# KILLS is 0, but for subvolumes: there to make a snapshot is to sync.
vm=$(dirname "$(readlink -f "$0")")
. "$vm/host.sh"
TMPDIR=$(roomy)
export TMPDIR
# shellcheck source=../integration/lib.sh
. "$vm/../integration/lib.sh"
reason=$(why_no_guest)
[ -z "$reason" ] || skip "$reason"
need_program
[ -n "${RSB_CUT_POWER:-}" ] || skip "RSB_CUT_POWER does not name the module"
type=$1 kills=$2 calls=$3 with_steps=${4:-}
readonly died=125 broken=3
RANDOM=$((kills * 1000 + calls))
memory=$tmp/memory
mkdir "$memory"
truncate -s 320M "$tmp/disk"
truncate -s 64M "$tmp/source"

# Cut, call, path, number, side; what is after one call and before the next has been done once.
own=/.rsync-system-backup
steps=(
        # Sweeping what is left of others.
        "call|unlinkat|$own.new/|4|after|left"
        "commit|unlinkat|$own.trash-1/|100|after|left"
        "commit|unlinkat|$own.trash-1$|1|before|left"
        # The state says that a transfer runs.
        "commit|fsync|$own/state.new|1|before"
        "call|renameat|$own/state$|1|before"
        "commit|fsync|$own$|1|before"
        "call|fsync|$own$|1|after"
        # Transfer.
        "commit|pwrite64|/latest/|3|after"
        "commit|linkat|/latest/|1|before"
        "call|renameat|/latest/|6|before"
        "commit|renameat|/latest/|6|after"
        "commit|unlinkat|/latest/|4|after"
        "commit|futimens|/latest$|1|after"
        # All is on the disk, and the state says so.
        "commit|syncfs||1|before"
        "call|syncfs||1|after"
        "call|renameat|$own/state$|2|before"
        "commit|fsync|$own$|2|before"
        "call|fsync|$own$|2|after"
)
if [ "$type" = btrfs ]; then
        steps+=(
                # The outcome is recorded, all is on the disk.
                "call|renameat|$own/state$|3|before"
                "commit|syncfs||2|before"
                "call|syncfs||2|after"
                # The filesystem makes the snapshot.
                "call|ioctl-94-23||1|after"
                "commit|ioctl-94-23||1|after"
                "call|fsync|/parent$|1|after"
                # Rotation.
                "call|ioctl-94-15||1|before"
                "commit|ioctl-94-15||1|after"
        )
else
        steps+=(
                # The snapshot is built.
                "commit|mkdirat|$own.new$|1|after"
                "commit|linkat|$own.new/|100|before"
                "commit|fsync|$own/state.new|3|before"
                # The outcome is recorded, all is on the disk.
                "commit|renameat|$own/state$|3|before"
                "call|fsync|$own$|3|before"
                "commit|syncfs||2|before"
                "call|syncfs||2|after"
                # It gets its name.
                "commit|renameat2|$own.new/|1|before"
                "call|renameat2|$own.new/|1|after"
                "commit|renameat2|$own.new/|1|after"
                "call|fsync|/parent$|1|after"
                # Rotation.
                "call|renameat2|$own.trash-1$|1|before"
                "call|renameat2|$own.trash-1$|1|after"
                "commit|renameat2|$own.trash-1$|1|after"
                "commit|unlinkat|$own.trash-1/|100|after"
                "commit|unlinkat|$own.trash-1$|2|before"
                "commit|unlinkat|$own.trash-1$|2|after"
        )
fi
steps+=(
        # The removed snapshot's outcome is forgotten.
        "call|fsync|/parent$|2|before"
        "call|fsync|/parent$|2|after"
        "call|renameat|$own/state$|4|after"
        "commit|renameat|$own/state$|4|after"
)

# The steps of the commit again, some, between those of opening and closing the disk.
case $type in
luks-*)
        steps=(
                "call|ioctl-fd-9||1|after"
                "call|mount|/mnt/disk|1|after"
                "call|syncfs||1|after"
                "commit|syncfs||2|before"
                "commit|renameat2|$own.new/|1|after"
                "call|fsync|/parent$|1|after"
                "commit|renameat2|$own.trash-1$|1|after"
                "call|umount|/mnt/disk|1|before"
                "call|umount|/mnt/disk|1|after"
                "call|ioctl-fd-4||1|after"
        )
        ;;
esac

# guest DIRECTORY ARGUMENTS...: power-cut-round.sh, with the disks in DIRECTORY.
guest() {
        local directory=$1
        shift

        "$vm/guest" -t 300 -d "$directory/disk" -d "$directory/source" -s "$directory/memory" "$vm/power-cut-round.sh" \
                "$type" "$@" >"$tmp/log" 2>&1
}

round=0 heals=yes last=''
# cut CUT...: one more round; tells what the one before came to.
cut() {
        local status=0

        guest "$tmp" "$round" "$heals" "$@" || status=$?
        if [ "$status" != "$died" ]; then
                cat "$tmp/log" >&2
                fail "round $round ended with $status, after: $last; in it: $*"
        fi
        [ -z "$last" ] || echo "$last: $(sed -n '/^\(acknowledged\|new\|none new\)/{p;q}' "$tmp/log")"
        last=$*
        round=$((round + 1))
}

# Every third run meets what several have left.
several() {
        heals=no
        [ $((round % 3)) != 0 ] || heals=yes
}

cut_at_moments() {
        local i took when

        for ((i = 0; i < kills; i++)); do
                several
                took=$(cat "$memory/took" 2>/dev/null || echo 200000)
                when=$((took * (1000 * i + RANDOM % 1000) * 12 / 10000 / kills))
                cut kill "$(printf '%d.%06d' $((when / 1000000)) $((when % 1000000)))"
        done
}

cut_at_calls() {
        local i count how=(call commit)

        for ((i = 0; i < calls; i++)); do
                several
                count=$(cat "$memory/calls" 2>/dev/null || echo 1000)
                cut "${how[i % 2]}" any '' $((count * (1000 * i + RANDOM % 1000) / calls / 1000 + 1)) before
        done
}

cut_at_steps() {
        local step how call path number side before

        for step in "${steps[@]}"; do
                IFS='|' read -r how call path number side before <<<"$step"
                heals=${before:-yes}
                cut "$how" "$call" "$path" "$number" "$side"
        done
}

# notices CALLS CUT...: what is missing after a run in which these calls did nothing.
notices() {
        local status=0
        local -x RSB_CUT_NOT=$1
        shift

        rm -rf "$tmp/control"
        mkdir "$tmp/control"
        cp -r --sparse=always "$tmp/disk" "$tmp/source" "$memory" "$tmp/control"
        guest "$tmp/control" "$round" yes "$@" || [ $? = "$died" ] || fail "the control: $(cat "$tmp/log")"
        guest "$tmp/control" $((round + 1)) no || status=$?
        if [ "$status" != "$broken" ]; then
                cat "$tmp/log" >&2
                fail "no check notices that $RSB_CUT_NOT did nothing; $*"
        fi
        echo "without $RSB_CUT_NOT: $(grep -ac "^[0-9].*: " "$tmp/log") differences," \
                "$(grep -a "^[0-9].*: " "$tmp/log" | head -n 1); $*"
}

# Prove that the checks can fail.
controls() {
        case $type in
        btrfs*) ;; # its journal is one of files, not of the whole filesystem
        *) notices syncfs commit renameat2 "$own.new/" 1 after ;;
        esac
        case $type in
        btrfs | luks-*) return ;; # who unmounts has synced when it reports success
        esac
        notices syncfs snapshot
        notices "syncfs fsync" success
        notices syncfs success
        notices fsync success
}

heals=no
cut success
cut_at_moments
cut_at_calls
[ -z "$with_steps" ] || cut_at_steps
heals=yes
cut success
case $type in
luks-*) ;; # it is not open between two runs
*) cut snapshot ;;
esac
[ "$kills" = 0 ] || controls
guest "$tmp" "$round" yes || { cat "$tmp/log" >&2; fail "the last run"; }
echo "$round cuts"
