#!/bin/bash
# --list over connections: an agent that is kept to a directory and to adding lists what is there, and nothing elsewhere; one
# whose connection breaks is asked again; of an rsync daemon names, ages and rules are told, and nothing is written there.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 200m
. "$here/ssh.sh"
. "$here/agent.sh"
. "$here/rsyncd.sh"
. "$here/faults.sh"
need_tracing

start_far
fence=$tmp/srv/backups parent=$tmp/srv/backups/laptop
mkdir -p "$fence" source
mkdir -m 700 "$parent" outside
echo 1 >source/file
head -c 100000 /dev/urandom >source/large
expect_status 0 far_backup -b -s source "$parent/latest"
name_newest "$parent" 2001-02-01
head -c 100000 /dev/urandom >source/large
expect_status 0 far_backup -b -s source "$parent/latest"
name_newest "$parent" 2001-02-02
facts() {
        find "$tmp/srv" "$tmp/far-state" "$tmp/far-run" "$tmp/far-home" outside -printf '%P %i %n %m %U %s %T@ %C@\n' | sort
}
listed() {
        grep -q "^$1 .*$2" out || fail "$1 is not '$2': $(cat out)"
}
facts >before
expect_status 0 far_backup --list "$parent/latest"
listed 2001-02-01 '  3  97.7 KiB  100.0 KiB  monthly, for ever'
expect_status 0 far_backup --list -v "$parent/latest"
listed 2001-02-02 '  3  100,002 *0  newest, until the next one'

# Who may only add may look, but not around; nor does he know how it is rotated there.
restrict "--restrict=$fence" --append-only
expect_status 0 far_backup --list "$parent/latest"
listed 2001-02-01 '97.7 KiB  100.0 KiB  -'
grep -q '^nothing is rotated: over this connection' out || fail "it is not said why: $(cat out)"
expect_status 1 far_backup --list "$tmp/outside/latest"
grep -q 'is refused: this agent is restricted' err || fail "it is not refused: $(cat err)"
expect_status 1 far_backup --list "$parent/2001-02-01/latest"
grep -q 'is refused' err || fail "what is in a snapshot was looked at: $(cat err)"
expect_status 1 far_backup --list "$fence/none/latest"
grep -q "^error: far: cannot open directory '$fence/none'" err || fail "it is not told: $(cat err)"
facts | diff before - || fail "something was changed"

# The agent is killed while it measures; another one answers.
write_agent "$agent"
cp "$keys/client.pub" far.authorized
cat >dying <<END
#!/bin/sh
[ -e '$tmp/has-died' ] && exec '$agent' "\$@"
touch '$tmp/has-died'
exec strace -f -qq -o '$tmp/trace' -P '$parent/2001-02-02' -e trace=getdents64 -e inject=getdents64:signal=KILL:when=1 \\
        env STATE_DIRECTORY='$tmp/far-state' XDG_RUNTIME_DIR='$tmp/far-run' HOME='$tmp/far-home' '$RSB_PROGRAM' "\$@"
END
chmod 755 dying
expect_status 0 timeout 60 "$RSB" --list --retries=2 --remote-command="$tmp/dying" "far:$parent/latest"
grep -q 'killed by SIGKILL' trace || fail "the agent was not killed"
listed 2001-02-01 '97.7 KiB  100.0 KiB  monthly, for ever'
listed 2001-02-02 'newest, until the next one'

# An rsync daemon; and what cannot have snapshots.
start_rsyncd one
add_module m 'munge symlinks = no'
url=rsync://$rsyncd_address:$port/m/laptop
mkdir -p "$modules/m/laptop/latest" "$modules/m/laptop/2001-02-0"{1,2}
find "$modules" | sort >before
expect_status 0 run_backup --list --daily=always "$url/latest"
listed 2001-02-01 'years        -     -          -  daily, for ever'
grep -q "^no sizes are known: rsync's protocol" out || fail "it is not said why: $(cat out)"
find "$modules" | sort | diff before - || fail "something was made"
mkdir "$modules/m/laptop/deeper"
expect_status 0 run_backup --list "$url/deeper/latest"
[ ! -s out ] || fail "a table of nothing"
rmdir "$modules/m/laptop/deeper"
expect_status 1 run_backup --list "$url/deeper/latest"
grep -q "^error: cannot open directory '$url/deeper': No such" err || fail "it is not told: $(cat err)"
expect_status 2 run_backup --list "rsync://$rsyncd_address:$port/m"
