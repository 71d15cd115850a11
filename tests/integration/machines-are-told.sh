#!/bin/bash
# What --report, --metrics and --status tell of complete, partial, failed, refused and skipped runs agrees with what
# happened, and with the published schema, by another's validator.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 60m

schema=$here/../../docs/report.schema.json
"$PYTHON" -c 'import jsonschema' 2>/dev/null || skip "needs python3-jsonschema"
cd "$tmp" || exit

# valid FILE: by the schema.
valid() {
        "$PYTHON" - "$schema" "$1" <<'END' || fail "$1 is not what the schema says: $(head -c 2000 "$1")"
import json
import sys

import jsonschema

schema, document = (json.load(open(name, encoding="utf-8")) for name in sys.argv[1:])
jsonschema.Draft7Validator.check_schema(schema)
jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker()).validate(document)
END
}

# told EXPRESSION WANTED [FILE]: a Python expression of the document d.
told() {
        local got
        got=$("$PYTHON" -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "${3:-r.json}" "$1")
        [ "$got" = "$2" ] || fail "$1 is $got, not $2: $(cat "${3:-r.json}")"
}

metric() {
        grep -q "^rsync_system_backup_$1 $2\$" m.prom || fail "no $1 $2 in $(grep -v '^#' m.prom)"
}

status_says() { # STATUS PATTERN OPTIONS...
        local status=$1 pattern=$2
        shift 2
        expect_status "$status" "$RSB" --status "$@" disk/latest
        grep -q -e "$pattern" out || fail "no '$pattern' in $(cat out err)"
}

mkdir -p source/dir disk
echo 12345 >source/dir/file
printf x >"source/odd $(printf '\001\377')\"name"
ln source/dir/file source/link
ln -s nowhere source/symlink

status_says 1 '^UNKNOWN: .*remembers no backup'
status_says 3 '^UNKNOWN' --max-age=1d
[ ! -e state/runs ] || fail "looking left something"

# complete
expect_status 0 run_backup --report=r.json --metrics=m.prom source disk/latest
valid r.json
told 'd["outcome"], d["exit_status"], d["failure"], d["errors"]' "('complete', 0, None, [])"
told 'd["entries"]["source"], d["entries"]["new"], d["bytes"]["source"]' "(6, 5, 7)"
told '[s["name"] for s in d["steps"] if s["done"]]' "['prepare', 'transfer', 'snapshot', 'rotation', 'release']"
told 'd["rotation"][0]["snapshot"] == d["snapshot"] and d["rotation"][0]["fate"]' preserved
snapshot=$("$PYTHON" -c 'import json; print(json.load(open("r.json"))["snapshot"])')
[ -d "disk/$snapshot" ] || fail "there is no snapshot $snapshot"
[ "$(stat -c %a r.json)" = 600 ] || fail "others may read the report"
[ "$(stat -c %a m.prom)" = 644 ] || fail "others may not read the metrics"
metric 'last_run_exit_status{destination="[^"]*/disk/latest"}' 0
metric 'last_run_changes{destination="[^"]*",kind="new"}' 5
metric 'snapshots{destination="[^"]*"}' 1
status_says 0 '^OK: the last complete backup is [0-9]* second' --max-age=1h
status_says 0 "snapshot '$snapshot'"
# The same time to all, that of a clock with fractions.
took=$("$PYTHON" -c 'import json; print("%.3f" % json.load(open("r.json"))["seconds"])')
metric 'last_run_duration_seconds{destination="[^"]*"}' "$took"
awk '$1 == "ended" { $2 += 3600 } { print }' state/runs/*disk* >ahead
cp "$(echo state/runs/*disk*)" today
cat ahead >"$(echo state/runs/*disk*)"
status_says 0 "^last run: .*complete after $("$PYTHON" -c 'import sys; print("%.1f" % float(sys.argv[1]))' "$took") s, 6 entries"
expect_status 0 "$RSB" --status --report=status.json disk/latest
valid status.json
told 'd["last_run"]["seconds"]' "$("$PYTHON" -c 'import sys; print(float(sys.argv[1]))' "$took")" status.json
cat today >"$(echo state/runs/*disk*)"
[ "$("$RSB" --status -q disk/latest | wc -l)" = 1 ] || fail "-q says more than a line"

# the list
expect_status 0 "$RSB" --list --report=r.json disk/latest
valid r.json
told 'd["snapshots"][0]["name"], d["snapshots"][0]["entries"], d["snapshots"][0]["rule"], d["unmeasured"]' \
        "('$snapshot', 6, 'monthly', None)"
told 'sorted(k for k, v in d["snapshots"][0].items() if isinstance(v, bool))' \
        "['complete', 'frees_less', 'frees_more', 'is_partial']"
grep -q "^$snapshot" out || fail "no table: $(cat out)"
expect_status 0 "$RSB" --list --report=- --quiet disk/latest
valid out
mkdir none none/latest
expect_status 0 "$RSB" --list --report=r.json none/latest
valid r.json
told 'd["snapshots"]' '[]'

# what is full is not the disk of the backups
expect_status 1 "$RSB" --list --report=/dev/full disk/latest
grep -q "cannot write '/dev/full': No space left on device" err || fail "it does not say what is full: $(cat err)"
! grep -q 'remove snapshots' err || fail "it gives advice for the destination: $(cat err)"

# what a job's section says is for its runs
printf '[job]\ndestination = %s/disk/latest\nreport = %s/mine.json\nmetrics = %s/mine.prom\n' "$tmp" "$tmp" "$tmp" >job.ini
expect_status 0 "$RSB" --status --config=job.ini
expect_status 0 "$RSB" --list --config=job.ini
[ ! -e mine.json ] || fail "the report of a run would be replaced"
[ ! -e mine.prom ] || fail "the metrics of a run would be replaced"

# another machine's backups, as the server sees them: by their snapshots
mkdir elsewhere
expect_status 0 env STATE_DIRECTORY="$tmp/elsewhere" "$RSB" --status -v --max-age=1h disk/latest
grep -q "^snapshots: *1$" out || fail "the snapshot is not counted: $(cat out)"
grep -q "^ *$snapshot (.* ago)$" out || fail "the snapshot is not shown: $(cat out)"
grep -q "^last backup: .* complete, snapshot '$snapshot'" out || fail "it tells of no backup: $(cat out)"
mkdir "disk/2999-01-01 00:00:00" # by a clock that was wrong once
expect_status 0 env STATE_DIRECTORY="$tmp/elsewhere" "$RSB" --status --max-age=1h disk/latest
rmdir "disk/2999-01-01 00:00:00"
# nor does a run of the server itself that failed outweigh them
cp -a elsewhere elsewhere.failed
expect_status 1 env STATE_DIRECTORY="$tmp/elsewhere.failed" "$RSB" --disable-notifications -q -b nowhere disk/latest
expect_status 0 env STATE_DIRECTORY="$tmp/elsewhere.failed" "$RSB" --status --max-age=1h disk/latest
grep -q '^last run: .* failed' out || fail "it is not told that it failed: $(cat out)"
grep -q "^last backup: .* complete, snapshot '$snapshot'" out || fail "it tells of no backup: $(cat out)"
# One of them is from the time of the year in which the clock does not go as it does now.
for name in '2025-01-15 12:00:00' '2025-07-15 12:00:00'; do
        mkdir -p "there/latest" "there/$name"
        TZ=CET-1CEST,M3.5.0,M10.5.0/3 STATE_DIRECTORY=$tmp/elsewhere "$RSB" --status there/latest >out
        grep -q "^last backup: *$name (" out || fail "the time is not that of the name: $(cat out)"
        TZ=CET-1CEST,M3.5.0,M10.5.0/3 STATE_DIRECTORY=$tmp/elsewhere "$RSB" --status --report=- there/latest >out
        [ "$(grep -o '"age_seconds": [0-9]*' out | sort -u | grep -c .)" = 1 ] || fail "one snapshot has two ages: $(cat out)"
        rm -r there
done
# but not of another name beside them
expect_status 3 env STATE_DIRECTORY="$tmp/elsewhere" "$RSB" --status --max-age=1h disk/lastest
grep -q "^note: *there is no '.*/disk/lastest'" out || fail "a name that leads nowhere is not told: $(cat out)"

# dry: nothing is remembered, nothing but the document is written, and the list goes elsewhere
cp -a state/runs runs.before
rm m.prom
echo more >source/more
expect_status 0 run_backup -n --report=- --metrics=m.prom source disk/latest
valid out
told 'd["dry_run"], d["entries"]["new"], d["snapshot"]' '(True, 1, None)' out
grep -q 'new .*more' err || fail "the list of changes is gone: $(cat err)"
[ ! -e m.prom ] || fail "a dry run wrote metrics"
diff -r runs.before state/runs || fail "a dry run is remembered"

# partial: files that cannot be read, and more of them than are named
mkdir -p theirs/state theirs/source/many
echo x >theirs/source/readable
(cd theirs/source/many && for i in $(seq 1005); do : >"$i"; done && chmod 000 ./*)
chown -R "$ordinary_user" theirs/state
chown "$ordinary_user" theirs
ordinary() {
        as_user env HOME="$tmp/theirs" XDG_RUNTIME_DIR="$tmp/theirs/state" STATE_DIRECTORY="$tmp/theirs/state" "$RSB" --disable-notifications --no-sudo "$@"
}
expect_status 23 ordinary --report=theirs/r.json theirs/source theirs/disk/latest
cp theirs/r.json r.json
valid r.json
told 'd["outcome"], d["exit_status"], d["entries"]["lost"], len(d["errors"]), d["errors_left_out"]' "('partial', 23, 1005, 1000, 5)"
told 'd["errors"][0]["path"].startswith("many/"), d["errors"][0]["error"], d["errors"][0]["errno"]' "(True, 'EACCES', 13)"
expect_status 1 ordinary --status --max-age=1d theirs/disk/latest
grep -q '^WARNING: the last backup is incomplete' out || fail "$(cat out)"

# failed: the complete one stays the last good one
expect_status 1 run_backup --report=r.json --metrics=m.prom --force nowhere disk/latest
valid r.json
told 'd["outcome"], d["exit_status"], "nowhere" in d["failure"]' "('failed', 1, True)"
metric 'last_run_exit_status{destination="[^"]*"}' 1
metric 'last_run_entries{destination="[^"]*"}' 0
status_says 0 '^OK' --max-age=1h
status_says 0 'failed after .*'
grep -q "cannot read the source directory .*nowhere" out || fail "no reason in $(cat out)"
grep -q '^last backup:' out || fail "the last good one is not shown: $(cat out)"
expect_status 0 "$RSB" --status --report=r.json --metrics=m.prom disk/latest
valid r.json
told 'd["verdict"], d["last_run"]["outcome"], d["last_complete"]["snapshot"]' "('ok', 'failed', '$snapshot')"
metric 'last_run_exit_status{destination="[^"]*"}' 1

# refused: told, not remembered
cp -a state/runs runs.refused
mkdir -p other/latest && : >other/latest/file
expect_status 1 run_backup --report=r.json source other/latest
valid r.json
told 'd["outcome"]' failed
expect_status 2 run_backup --report=nowhere/r.json source disk/latest
grep -q "^error: --report: cannot write '.*nowhere/r.json': No such file" err || fail "$(cat err)"
expect_status 2 run_backup --metrics=source source disk/latest
diff runs.refused/*disk* state/runs/*disk* || fail "what was refused is remembered"

# neither one in the place of the other, nor in the backup
for file in disk/latest/r.json disk/latest/dir/r.json "disk/$snapshot/r.json" "$tmp/disk/./latest/../latest/r.json" \
        disk/.rsync-system-backup/state; do
        expect_status 2 run_backup --report="$file" source disk/latest
        grep -q "^error: --report: '.*' would be in the backup" err || fail "$file: $(cat err)"
done
expect_status 2 run_backup --metrics=disk/latest/m.prom source disk/latest
# by whatever way it is reached, and however little of it is mounted there
mkdir bound
ours() { # MOUNTED FILE...: is refused as being in the backup
        local file
        mount --bind "$1" bound
        shift
        for file; do
                expect_status 2 run_backup -q --report="$file" source disk/latest
                grep -q "^error: --report: '.*' would be in the backup" err || fail "$file: $(cat err)"
                expect_status 2 run_backup -q --metrics="$file" source disk/latest
                [ ! -e "$file" ] || cmp -s "$file" disk/.rsync-system-backup/state || fail "$file was written"
        done
        umount bound
}
cp disk/.rsync-system-backup/state state.before
ours disk "bound/$snapshot/r.json" "bound/$snapshot/dir/r.json" bound/latest/r.json bound/.rsync-system-backup/state \
        bound/.rsync-system-backup.new "bound/2001-01-01"
ours "disk/$snapshot/dir" bound/r.json
ours disk/latest bound/r.json bound/dir/r.json
ours disk/.rsync-system-backup bound/r.json
ours . "bound/disk/$snapshot/r.json"
cmp state.before disk/.rsync-system-backup/state || fail "the state was replaced"
mount --bind disk bound
expect_status 0 run_backup -n --report=bound/r.json --metrics=bound/m.prom source disk/latest
umount bound
rm disk/r.json
expect_status 2 run_backup --report=r.json --metrics=./disk/../r.json source disk/latest
grep -q 'are the same file' err || fail "$(cat err)"
expect_status 0 run_backup -n --report=disk/r.json --metrics=/dev/null source disk/latest
rm disk/r.json

# old: critical; a record that makes no sense is none
awk '$1 == "begun" { $2 -= 100 * 3600 } { print }' state/runs/*disk* >aged
cat aged >"$(echo state/runs/*disk*)"
status_says 0 '^OK: the last complete backup is 4 days old'
status_says 2 '^CRITICAL: the last complete backup is 4 days old, more than 3 days' --max-age='2d 24h'
echo 'not a record' >"$(echo state/runs/*disk*)"
status_says 0 '^OK' --max-age=1d
! grep -q '^last run' out || fail "a run is made up: $(cat out)"
expect_status 0 run_backup --quiet source disk/latest
status_says 0 '^OK' --max-age=1m

# a record that is dated in the future
awk '$1 == "begun" { $2 += 100 * 3600 } { print }' state/runs/*disk* >aged
cp "$(echo state/runs/*disk*)" today
cat aged >"$(echo state/runs/*disk*)"
status_says 3 '^last run: .* (in the future), ' --max-age=1d
cat today >"$(echo state/runs/*disk*)"

# the disk is away: what is remembered stays
mv disk away
status_says 0 '^OK' --max-age=1h
grep -q "^snapshots: *cannot open directory '.*/disk': No such file" out || fail "snapshots of a disk that is away: $(cat out)"
expect_status 0 "$RSB" --status --report=r.json disk/latest
valid r.json
told 'd["snapshots"], "disk" in d["snapshots_unseen"]' '(None, True)'
mv away disk
expect_status 0 "$RSB" --status --report=r.json disk/latest
valid r.json
told 'len(d["snapshots"]) > 1, d["snapshots_unseen"]' '(True, None)'

# a snapshot alone is as old as what it is made of
expect_status 0 run_backup -q source solo/latest
cp state/runs/*solo* before
expect_status 0 "$RSB" --disable-notifications -q -s --metrics=m.prom solo/latest
cmp before state/runs/*solo* || fail "a snapshot counts as a backup"
metric 'last_run_exit_status{destination="[^"]*solo/latest"}' 0

# killed in the middle: what began and did not end is told, until another run ends
mkdir -p stopped
expect_status 0 run_backup -q source stopped/latest
dd if=/dev/zero of=source/large bs=1M count=20 status=none
strace -f -o /dev/null -e trace=fsync -e inject=syncfs:delay_enter=300000000 -e trace=syncfs \
        "$RSB_PROGRAM" --disable-notifications -q source stopped/latest &
tracer=$!
for _ in $(seq 300); do
        "$RSB" --status stopped/latest >out
        grep -q '^not ended: .*under way (process' out && break
        sleep 0.1
done
grep -q '^not ended: .*under way (process' out || fail "a run that is under way is not told: $(cat out)"
# Another one that is refused meanwhile does not end it.
expect_status 1 run_backup source stopped/latest
status_of() {
        "$RSB" --status stopped/latest >out
        grep -q "$1" out || fail "no '$1' in $(cat out)"
}
status_of '^last run: .*failed'
status_of '^not ended: .*under way (process'
traced=$(sed -n 's/^not ended: .*under way (process \([0-9]*\).*/\1/p' out)
kill -KILL "$traced" $tracer
wait $tracer || true
for _ in $(seq 300); do
        kill -0 "$traced" 2>/dev/null || break
        sleep 0.1
done
expect_status 0 "$RSB" --status --report=r.json stopped/latest
grep -q '^last run: .*failed' out || fail "$(cat out)"
grep -q '^not ended: .*killed' out || fail "a run that was killed is not told: $(cat out)"
valid r.json
told 'd["not_ended"]["process"] > 1, d["last_run"]["outcome"]' "(True, 'failed')"
# What was killed while it was traced gives its lock back a little later.
for _ in $(seq 300); do
        run_backup -q source stopped/latest 2>err && break
        grep -q 'process' err || fail "$(cat err)"
        sleep 0.1
done
"$RSB" --status stopped/latest | grep -q '^not ended' && fail "it is told for ever"

# by whatever name; and what is damaged is said to be
ln -s disk alias
rm -rf disk/../source/large
expect_status 1 run_backup -q nowhere disk/latest
expect_status 0 "$RSB" --status alias/latest
grep -q '^last run: .*failed' out || fail "another name hides that a run failed: $(cat out)"
echo 'not a record' >"$(echo state/runs/*disk*)"
expect_status 0 "$RSB" --status disk/latest
grep -q '^note: .*damaged' out || fail "a damaged record is not told: $(cat out)"
expect_status 0 run_backup -q source disk/latest

# where a report may go: a FIFO is written to, and what reads nothing is an error
mkfifo pipe
exec 9<>pipe # there is somebody, however late the reader comes
cat pipe >from.pipe 9>&- &
expect_status 0 run_backup --report=pipe source disk/latest
until [ -s from.pipe ]; do
        kill -0 $! || fail "the reader has gone"
        sleep 0.02
done
exec 9>&-
wait $!
valid from.pipe
[ -p pipe ] || fail "the FIFO was replaced"
expect_status 1 run_backup --report=/dev/full source disk/latest
status=0
"$RSB" --status --max-age=1h disk/latest >/dev/full 2>err || status=$?
[ "$status" = 3 ] || fail "a check whose answer is lost ends with $status"

# what does not arrive is a failure, to all who are told of the run
failed() { # WHAT: so it ended, for that reason
        [ "$(grep -c '^error: ' err)" = 2 ] || fail "it is not told once: $(cat err)"
        tail -n 1 err | grep -q '^error: backup failed' || fail "the last line does not tell how it ended: $(cat err)"
        status_says 0 '^last run: .*failed'
        grep -q "^ *$1" out || fail "no reason in $(cat out)"
}
exec 7> >(true)
wait $!
for sink in '>/dev/full' '>&7'; do
        touch source/dir/file
        expect_status 1 sh -c "exec \"\$@\" $sink" - "$RSB" --disable-notifications -v --report=r.json --metrics=m.prom \
                source disk/latest
        failed 'cannot write to standard output: '
        valid r.json
        told 'd["outcome"], d["exit_status"], "standard output" in d["failure"]' "('failed', 1, True)"
        metric 'last_run_exit_status{destination="[^"]*disk/latest"}' 1
        expect_status 1 sh -c "exec \"\$@\" $sink" - "$RSB" --disable-notifications --report=- --metrics=m.prom \
                source disk/latest
        failed 'cannot write to standard output: '
        metric 'last_run_exit_status{destination="[^"]*disk/latest"}' 1
done
exec 7>&-
expect_status 1 run_backup --metrics=/dev/full --report=r.json source disk/latest
failed "cannot write '/dev/full'"
told 'd["outcome"], d["exit_status"]' "('failed', 1)"
expect_status 1 run_backup --report=/dev/full --metrics=m.prom source disk/latest
failed "cannot write '/dev/full'"
metric 'last_run_exit_status{destination="[^"]*disk/latest"}' 1
expect_status 0 run_backup -v --report=r.json --metrics=m.prom source disk/latest
told 'd["outcome"], d["exit_status"]' "('complete', 0)"
metric 'last_run_exit_status{destination="[^"]*disk/latest"}' 0

# who holds a FIFO and does not read it keeps the run for a while, and a signal ends it
mkfifo theirs/pipe
chmod 666 theirs/pipe
exec 8<>theirs/pipe
as_user env HOME="$tmp/theirs" XDG_RUNTIME_DIR="$tmp/theirs/state" STATE_DIRECTORY="$tmp/theirs/state" \
        "$RSB_PROGRAM" --disable-notifications --no-sudo -qq --report=theirs/pipe theirs/source theirs/disk/latest &
job=$!
for _ in $(seq 300); do
        # The report does not fit, and the lock is given back: it waits for the reader.
        stuck=$(pgrep -P $job) || stuck=$job
        case "$(cat "/proc/$stuck/syscall")" in 7\ * | 271\ *) break ;; esac
        sleep 0.1
done
kill -TERM "$stuck"
status=0
wait "$job" || status=$?
[ "$status" = 143 ] || fail "with a FIFO that nobody reads, after SIGTERM: $status"
exec 8>&-
[ "$(find . -name 'r.json.*' -o -name 'm.prom.*' | wc -l)" = 0 ] || fail "temporaries are left"
