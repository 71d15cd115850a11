#!/bin/bash
# hands-in-the-destination-do-no-harm.sh: while a run is under way somebody removes what it works with by hand: a snapshot
# that it is going to remove, the one that it is removing or making, parts of `latest`, its state; or moves
# it all. The run ends with 0 where nothing is missing, else it says so; all other snapshots stay, and the next run is exact.
. "$(dirname "$0")/lib.sh"
. "$here/faults.sh"
need_root "$@"
need_program
need rsync
need_tracing
in_memory 200m
lasts year 200

source=$tmp/source parent=$tmp/parent own=$tmp/parent/.rsync-system-backup
mkdir -m 700 "$source" "$parent"
"$PYTHON" "$judge/busy.py" "$source" 0
expect_status 0 run_backup -b -s "$source" "$parent/latest"
frozen "$parent"

round=0

# old: two snapshots that the scheme removes, in this order.
old() {
        rm -rf "$parent/2001"*
        cp -r "$parent/latest/sure" "$parent/2001-01-01 00:00:00"
        cp -r "$parent/latest" "$parent/2001-01-02 00:00:00"
}
next_is_exact() {
        expect_status 0 run_backup -b -s "$source" "$parent/latest"
        same "$source" "$parent/latest"
        same "$source" "$parent/$(snapshots "$parent" | tail -n 1)"
        rm -rf "$parent/2001"* "$tmp/frozen.store/2001"*
        frozen "$parent" --gone-ok
        [ -z "$(find "$parent" -name '.rsync-system-backup.*')" ] || fail "leftovers were not swept"
}

# What was to be removed is gone, or goes meanwhile.
for by_hand in 'rm -r "parent/2001-01-02 00:00:00"' \
        'rm -r "parent/.rsync-system-backup.trash-1" "parent/2001-01-02 00:00:00"' \
        'rm -r "parent/.rsync-system-backup.trash-1"/*' 'rm -r "parent/2001-01-02 00:00:00/"[1-4]' \
        'mv "parent/2001-01-02 00:00:00" "parent/kept by hand"'; do
        old
        oldest=$(snapshots "$parent" | grep -v ^2001 | head -n 1)
        stop_at "$parent" renameat2 1 -r --yearly=1 "$source" "$parent/latest"
        eval "$by_hand"
        go_on 0
        [ -z "$(find "$parent" -name '2001*')" ] || fail "a snapshot is left: $(ls -A "$parent")"
        [ -e "$parent/$oldest" ] || fail "a snapshot is gone that the scheme preserves"
        rm -rf "$parent/kept by hand"
        next_is_exact
done

# Both at full speed.
for _ in 1 2 3; do
        old
        rm -rf "$parent/2001-01-02 00:00:00" &
        expect_status 0 run_backup -r --yearly=1 "$source" "$parent/latest"
        wait $!
        [ -z "$(find "$parent" -name '2001*')" ] || fail "a snapshot is left: $(ls -A "$parent")"
done
next_is_exact

# What is being made.
before=$(snapshots "$parent")
stop_at "$own.new/sure" linkat 3 -s "$parent/latest"
rm -r "$own.new"
go_on 1
[ "$(snapshots "$parent")" = "$before" ] || fail "there is a snapshot of what was removed"
next_is_exact

# Parts of `latest`: the transfer makes them again, or says what it could not do.
for by_hand in 'rm -r "parent/latest/sure"' 'rm -r "parent/latest"/*' 'mv "parent/latest/sure" "elsewhere"'; do
        "$PYTHON" "$judge/busy.py" "$source" $((round += 1))
        before=$(snapshots "$parent")
        stop_at "$parent/latest/sure" renameat 2 -b "$source" "$parent/latest"
        eval "$by_hand"
        rm -rf "$tmp/elsewhere"
        status=0
        let_go || status=$?
        case $status in
        0) same "$source" "$parent/latest" ;;
        1 | 23) grep -q '^\(warning\|error\): .*cannot' "$tmp/err" || fail "nothing is told: $(cat "$tmp/err")" ;;
        *) fail "exit status $status: $(cat "$tmp/err")" ;;
        esac
        [ "$(snapshots "$parent")" = "$before" ] || fail "a snapshot is gone"
        next_is_exact
done

# The state.
"$PYTHON" "$judge/busy.py" "$source" $((round += 1))
before=$(snapshots "$parent")
stop_at "$parent/latest/sure" renameat 2 -b "$source" "$parent/latest"
rm -r "$own"
go_on 1
[ "$(snapshots "$parent")" = "$before" ] || fail "a snapshot is gone"
next_is_exact

# elsewhere COMMAND NOW BACK: all of it goes elsewhere, or something else takes its place: what was done is whole where
# it is now, and told to be there.
elsewhere() {
        "$PYTHON" "$judge/busy.py" "$source" $((round += 1))
        stop_at "$parent/latest/sure" renameat 2 -b -s "$source" "$tmp/alias/latest"
        eval "$1"
        go_on 1
        grep -q "^error: .*/alias/latest' leads elsewhere now than when this run began: what it did is in '.*/$2'" "$tmp/err" ||
                fail "after $1 it is not told: $(cat "$tmp/err")"
        eval "$3"
        same "$source" "$parent/latest"
        next_is_exact
}
mkdir other
ln -s parent alias
elsewhere 'mv parent moved && mkdir -p parent/latest' moved/latest 'rm -r parent && mv moved parent'
elsewhere 'mv parent/latest parent/old' parent/old 'mv parent/old parent/latest'
elsewhere 'mount --bind other parent/latest' parent/latest 'umount parent/latest'
elsewhere 'mount --bind other parent' parent/latest 'umount parent'
elsewhere 'ln -sfn other alias' parent/latest 'ln -sfn parent alias'
