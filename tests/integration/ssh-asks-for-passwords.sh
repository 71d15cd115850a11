#!/bin/bash
# Passwords, asked for by the server's PAM or by the password method, are asked for on a terminal only and never shown; an
# account without a shell is told as such. With users of the test's own, in files that only it sees.
. "$(dirname "$0")/lib.sh"
need_root "$@"
. "$here/ssh.sh"
need openssl
[ -f /etc/pam.d/sshd ] || skip "needs PAM's configuration of sshd"

# mine FILE: it has a copy over it, which the test may change.
mine() {
        cp -p "$1" "$tmp/$(basename "$1").copy"
        mount --bind "$tmp/$(basename "$1").copy" "$1"
}
mine /etc/passwd
mine /etc/shadow
mkdir -m 755 "$tmp/homes"
for account in typist:/bin/sh locked-out:/usr/sbin/nologin; do
        echo "rsb-${account%%:*}:x:64123:64123::$tmp/homes:${account#*:}" >>/etc/passwd
        echo "rsb-${account%%:*}:$(openssl passwd -6 'correct horse'):19000:0:99999:7:::" >>/etc/shadow
done
# The least that asks for a password: what else the machine's own demands is not for this test.
mine /etc/pam.d/sshd
printf 'auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession optional pam_permit.so\n' >/etc/pam.d/sshd

new_key "$keys/plain"
config 'IdentityFile none'

echo "-- keyboard-interactive"
start_sshd keyboard 'UsePAM yes' 'KbdInteractiveAuthentication yes' 'AuthenticationMethods keyboard-interactive'
known keyboard
target=rsb-typist@127.0.0.1:$port
expect_status 0 on_terminal "($target) Password:" 'wrong' 'Password:' 'correct horse' -- \
        bash -c "probe -n run $target 'id -un'"
grep -q '^rsb-typist' "$tmp/out"
! grep -q horse "$tmp/out" || fail 'the password was shown'
expect_status 1 on_terminal 'Password:' 1 'Password:' 2 'Password:' 3 -- bash -c "probe -n run $target true"
grep -q 'keyboard-interactive: the answers are not accepted; the server takes keyboard-interactive' "$tmp/out"
expect_status 1 probe run "$target" true </dev/null
says 'keyboard-interactive: there is no terminal to ask on; the server takes keyboard-interactive'

echo "-- an account without a shell"
expect_status 1 on_terminal 'Password:' 'correct horse' -- \
        bash -c "probe -n run rsb-locked-out@127.0.0.1:$port 'id -un'"
grep -q 'no login: .*the account may not run commands (nologin)' "$tmp/out" || fail "$(cat "$tmp/out")"

echo "-- password"
start_sshd password 'UsePAM yes' 'PasswordAuthentication yes' 'AuthenticationMethods password'
known password
target=rsb-typist@127.0.0.1:$port
expect_status 0 on_terminal "$target's password:" 'wrong' 'password:' 'correct horse' -- \
        bash -c "probe -n run $target 'id -un'"
grep -q '^rsb-typist' "$tmp/out"
expect_status 1 on_terminal 'password:' 1 'password:' 2 'password:' 3 -- bash -c "probe -n run $target true"
grep -q 'password: not accepted; the server takes password' "$tmp/out" || fail "$(cat "$tmp/out")"
expect_status 1 probe run "$target" true </dev/null
says 'password: there is no terminal to ask on; the server takes password'

echo "-- a key, and a password on top of it"
start_sshd both 'UsePAM yes' 'PasswordAuthentication yes' 'AuthenticationMethods publickey,password'
known both
cp "$keys/plain.pub" "$tmp/both.authorized"
config "IdentityFile $keys/plain"
target=rsb-typist@127.0.0.1:$port
expect_status 0 on_terminal 'password:' 'correct horse' -- bash -c "probe -n run $target 'id -un'"
expect_status 1 probe run "$target" true </dev/null
says 'password: there is no terminal to ask on'
