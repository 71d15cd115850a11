#!/bin/bash
# An agent on an ordinary user's account keeps what that user can and says what it could not; a client that cannot read
# everything says so, ends with 23, and its snapshot is recorded as incomplete; how the connection is used is as asked.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 300m
. "$here/ssh.sh"
. "$here/agent.sh"

start_far
mkdir -m 755 source
mkdir -m 700 parent user
chown "$ordinary_user:$ordinary_user" user
echo 1 >source/file
echo 2 >source/owned
chown 7:8 source/owned
mknod source/device c 1 3
ln source/file source/linked
setfattr -n trusted.x -v 1 source/file

# The account there has no privileges.
chmod 711 "$tmp"
chown -R "$ordinary_user:$ordinary_user" far-state far-run far-home
touch agent.pid
chown "$ordinary_user" agent.pid
sed -i "s|^exec |exec setpriv --reuid=$ordinary_user --regid=$ordinary_user --clear-groups --no-new-privs |" "$agent"
install -m 755 "$RSB" "$tmp/rsb-launcher"
install -m 755 "$RSB_PROGRAM" "$tmp/rsb-program"
sed -i "s|'$RSB'|'$tmp/rsb-launcher'|; s|RSB_PROGRAM='[^']*'|RSB_PROGRAM='$tmp/rsb-program'|" "$agent"
expect_status 23 far_backup --report=r.json source "$tmp/user/latest"
says 'warning: far: the account here has no superuser privileges'
says 'owner or group could not be kept'
says 'devices, FIFOs or sockets could not be kept'
for reason in 'owner or group' 'devices, FIFOs or sockets'; do
        grep -q "\"message\": \".*$reason could not be kept for" r.json || fail "the report does not tell why: $(cat r.json)"
done
grep -q '"errors_left_out": 0' r.json || fail "errors are left out: $(cat r.json)"
[ "$(cat user/latest/owned)" = 2 ] || fail "a file of somebody else is not there"
[ "$(stat -c %u user/latest/owned)" = "$ordinary_user" ] || fail "who owns it?"
[ user/latest/file -ef user/latest/linked ] || fail "hard links are not kept"
expect_status 0 far_backup --no-sudo source "$tmp/user/latest"
says_nothing_of warning
expect_status 1 far_backup source "$tmp/parent/latest"
says 'Permission denied'

# A directory that its owner may not write goes like any other: when it is gone, and when a file has its name.
for successor in none file; do
        mkdir -p source/readonly/sub source/closed/sub
        touch source/readonly/sub/x source/closed/sub/x
        chmod 555 source/readonly source/readonly/sub
        chmod 0 source/closed
        expect_status 0 far_backup --no-sudo source "$tmp/user/latest"
        chmod 755 source/readonly source/readonly/sub source/closed
        rm -r source/readonly source/closed
        [ "$successor" = none ] || echo x | tee source/readonly >source/closed
        expect_status 0 far_backup --no-sudo source "$tmp/user/latest"
        says_nothing_of warning
        find user/latest -name '.rsync-system-backup*' | grep . && fail "a temporary is left"
        [ "$(ls --ignore=device source)" = "$(ls user/latest)" ] || fail "it holds $(ls user/latest)"
        rm -f source/readonly source/closed
done

# Files of its own that it may not read are told equal by what it may: nothing of them is sent again. What can be read of
# the source only since the last backup is not yet known to be the same (and "since" is some seconds earlier).
mkdir source/own
for name in plain attribute unwritten; do
        head -c 200k /dev/urandom >source/own/$name
done
setfattr -n user.x -v 1 source/own/attribute
setfattr -n user.x source/own/unwritten
chmod 0 source/own/plain source/own/attribute
chmod 200 source/own/unwritten
chown -R "$ordinary_user:$ordinary_user" source/own
sleep 6
expect_status 0 far_backup -b --no-sudo source "$tmp/user/latest"
expect_status 0 far_backup -b --no-sudo source "$tmp/user/latest"
says 'changes: none'
says ' 0 bytes copied'
setfattr -n user.x -v 2 source/own/attribute
setfattr -n user.y -v 1 source/own/unwritten
chmod 400 source/own/plain
expect_status 0 far_backup -b --no-sudo source "$tmp/user/latest"
same source/own user/latest/own
rm -rf source/own

# The client cannot read everything.
start_far
echo secret >source/secret
chmod 600 source/secret
cp -r "$HOME" "$tmp/user-home"
mkdir -m 700 user-run user-state
chown -R "$ordinary_user:$ordinary_user" user-home user-run user-state
sed -i "s|$keys/client|$tmp/user-home/key|" user-home/.ssh/config
install -m 600 -o "$ordinary_user" "$keys/client" user-home/key
ordinary_backup() {
        as_user env HOME="$tmp/user-home" XDG_RUNTIME_DIR="$tmp/user-run" STATE_DIRECTORY="$tmp/user-state" \
                RSB_PROGRAM="$tmp/rsb-program" "$tmp/rsb-launcher" --disable-notifications --remote-command="$agent" "$@"
}
expect_status 23 ordinary_backup --no-sudo source "far:$tmp/parent/latest"
says "cannot open 'secret': Permission denied"
says 'backup done in'
says '1 entry could not be read or stored in full'
[ ! -e parent/latest/secret ] || fail "what could not be read is there"
grep -q "partial" parent/.rsync-system-backup/state || fail "it is not recorded: $(cat parent/.rsync-system-backup/state)"
expect_status 0 ordinary_backup -r --no-sudo --hourly=1 "far:$tmp/parent/latest"
# Snapshot and rotation need no privileges here.
expect_status 0 ordinary_backup -s "far:$tmp/parent/latest"
# What cannot be read any more is not deleted.
chmod 644 source/secret
expect_status 0 ordinary_backup -b --no-sudo source "far:$tmp/parent/latest"
[ "$(cat parent/latest/secret)" = secret ] || fail "what can be read is not there"
chmod 600 source/secret
expect_status 23 ordinary_backup -b --no-sudo source "far:$tmp/parent/latest"
[ -e parent/latest/secret ] || fail "a file that cannot be read was deleted"

# The connection: 4 MiB of text.
mkdir text
yes 'all work and no play makes a dull backup' | head -c 4M >text/file
sent() {
        sed -n 's/^connection: \(.*\) sent,.*/\1/p' err
}
expect_status 0 far_backup -b --compress=never text "$tmp/parent/a/latest"
case $(sent) in
4.*MiB) ;;
*) fail "without compression $(sent) were sent" ;;
esac
for how in always 1 19; do
        expect_status 0 far_backup -b --compress=$how text "$tmp/parent/c$how/latest"
        case $(sent) in
        *KiB | *bytes) ;;
        *) fail "with --compress=$how $(sent) were sent" ;;
        esac
        same text "parent/c$how/latest"
done
started=$(date +%s%N)
expect_status 0 far_backup -b --compress=never --bwlimit=2M text "$tmp/parent/b/latest"
elapsed=$((($(date +%s%N) - started) / 1000000))
[ $elapsed -ge 1700 ] || fail "4 MiB at 2 MiB a second took $elapsed ms"
same text parent/b/latest
