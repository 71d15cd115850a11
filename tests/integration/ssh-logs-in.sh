#!/bin/bash
# Every way to log in leads in, and what does not is told with its reason: agents, key files, passphrases, certificates,
# several methods in a row. What has to be asked is asked on a terminal only.
. "$(dirname "$0")/lib.sh"
. "$here/ssh.sh"
need ssh-agent ssh-add

start_sshd main "TrustedUserCAKeys $keys/authority.pub"
known main
new_key "$keys/plain"
new_key "$keys/locked" ed25519 'open sesame'
new_key "$keys/pem" ecdsa
ssh-keygen -q -p -m PEM -P '' -N 'pass of pem' -f "$keys/pem" >/dev/null
new_key "$keys/stranger"
new_key "$keys/certified"
new_key "$keys/authority"
authorized=$tmp/main.authorized

login() {
        probe "$@" run "127.0.0.1:$port" 'echo in'
}

authorize() {
        cat "${@/%/.pub}" >"$authorized"
}

echo "-- a key file"
authorize "$keys/plain"
config "IdentityFile $keys/plain"
expect_status 0 login </dev/null
prints in
says 'status: '

echo "-- kinds of keys"
for kind in rsa ecdsa; do
        new_key "$keys/$kind" "$kind"
        authorize "$keys/$kind"
        config "IdentityFile $keys/$kind"
        expect_status 0 login </dev/null
        prints in
done

echo "-- the usual key files"
authorize "$keys/plain"
config "# nothing"
cp "$keys/plain" "$HOME/.ssh/id_ed25519"
expect_status 0 login </dev/null
prints in
rm "$HOME/.ssh/id_ed25519"
expect_status 1 login </dev/null
says 'publickey: there is neither an agent nor a key file; the server takes publickey'

echo "-- what does not lead in is told"
config "IdentityFile $keys/stranger" "IdentityFile $keys/missing" "IdentityFile $keys/locked"
expect_status 1 login </dev/null
says "cannot log in to 127.0.0.1:$port as $user: "
says "key '$keys/stranger': not accepted; key '$keys/missing': No such file or directory; key '$keys/locked': not accepted; the server takes publickey"

echo "-- a passphrase without a terminal"
authorize "$keys/locked"
config "IdentityFile $keys/locked"
expect_status 1 login </dev/null
says "key '$keys/locked': it has a passphrase, and there is no terminal to ask for it"

echo "-- a passphrase on a terminal, at the third try, also without the public half beside it"
expect_status 0 on_terminal "of the key '$keys/locked':" wrong "locked':" 'wrong too' "locked':" 'open sesame' -- \
        bash -c "probe -n run 127.0.0.1:$port 'echo in'"
grep -q in "$tmp/out"
! grep -q sesame "$tmp/out" || fail "the passphrase was shown"
mv "$keys/locked.pub" "$keys/elsewhere.pub"
expect_status 0 on_terminal "of the key '$keys/locked':" 'open sesame' -- bash -c "probe -n run 127.0.0.1:$port true"
mv "$keys/elsewhere.pub" "$keys/locked.pub"
expect_status 1 on_terminal "locked':" 1 "locked':" 2 "locked':" 3 -- bash -c "probe -n run 127.0.0.1:$port true"
grep -q 'not opened by a passphrase' "$tmp/out"

echo "-- in the older format"
authorize "$keys/pem"
config "IdentityFile $keys/pem"
expect_status 1 login </dev/null
says "it has a passphrase"
expect_status 0 on_terminal "pem':" 'pass of pem' -- bash -c "probe -n run 127.0.0.1:$port true"
rm "$keys/pem.pub"
expect_status 0 on_terminal "pem':" 'pass of pem' -- bash -c "probe -n run 127.0.0.1:$port true"

echo "-- BatchMode asks for nothing"
authorize "$keys/locked"
config "IdentityFile $keys/locked" 'BatchMode yes'
expect_status 1 on_terminal -- bash -c "probe -n run 127.0.0.1:$port true"
grep -q 'it has a passphrase' "$tmp/out"

echo "-- a key that others could read"
authorize "$keys/plain"
config "IdentityFile $keys/plain"
chmod 644 "$keys/plain"
expect_status 1 login </dev/null
says "key '$keys/plain': not used, since others could read it"
chmod 600 "$keys/plain"

echo "-- an agent"
mkfifo "$tmp/asked" "$tmp/answer"
cat >"$tmp/askpass" <<END
#!/bin/sh
echo asked >"$tmp/asked"
read -r answer <"$tmp/answer"
[ "\$answer" = yes ]
END
chmod +x "$tmp/askpass"
eval "$(DISPLAY=none SSH_ASKPASS=$tmp/askpass SSH_ASKPASS_REQUIRE=force ssh-agent -s)" >/dev/null
SSH_ASKPASS_REQUIRE=never ssh-add -q "$keys/plain" "$keys/stranger" </dev/null 2>/dev/null
config 'IdentityFile none'
expect_status 0 login </dev/null
prints in
authorize "$keys/rsa"
expect_status 1 login </dev/null
says 'agent: none of its 2 keys is accepted'

echo "-- named by the configuration instead of the environment"
authorize "$keys/plain"
config 'IdentityFile none' "IdentityAgent $SSH_AUTH_SOCK"
expect_status 0 env -u SSH_AUTH_SOCK bash -c "probe run 127.0.0.1:$port 'echo in'" </dev/null
config 'IdentityFile none' 'IdentityAgent none'
expect_status 1 login </dev/null
says_nothing_of 'agent: '
config 'IdentityFile none' 'IdentityAgent /nonexistent'
expect_status 1 login </dev/null
says "agent: cannot connect to the agent '/nonexistent': No such file or directory"

echo "-- IdentitiesOnly"
config 'IdentitiesOnly yes' "IdentityFile $keys/stranger"
expect_status 1 login </dev/null
says 'agent: none of its 1 key is accepted (IdentitiesOnly)'
config 'IdentitiesOnly yes' "IdentityFile $keys/plain"
mv "$keys/plain" "$keys/away"
touch "$keys/plain"
expect_status 0 login </dev/null
mv "$keys/away" "$keys/plain"
config 'IdentitiesOnly yes' "IdentityFile $keys/rsa"
expect_status 1 login </dev/null
says 'agent: IdentitiesOnly leaves none of its 2 keys'

echo "-- more keys than the server lets one try: the one that is named comes first"
for i in 1 2 3 4 5 6 7; do
        new_key "$keys/more-$i"
        ssh-add -q "$keys/more-$i" 2>/dev/null
done
authorize "$keys/more-7"
config "IdentityFile $keys/more-7"
expect_status 0 login </dev/null
config 'IdentityFile none'
expect_status 1 login </dev/null
says 'Too many authentication failures'
says "'IdentitiesOnly yes' and an IdentityFile"

echo "-- an agent that says no"
ssh-add -qD 2>/dev/null
expect_status 1 login </dev/null
says 'agent: it holds no keys'
ssh-add -q "$keys/plain" 2>/dev/null
authorize "$keys/plain"

echo "-- an agent that asks its user: who says no; who says nothing until we are to stop"
ssh-add -qD 2>/dev/null
ssh-add -qc "$keys/plain" 2>/dev/null
start_probe run "127.0.0.1:$port" true
read -r _ <"$tmp/asked"
echo no >"$tmp/answer"
status=0; wait "$probe_pid" || status=$?
[ "$status" = 1 ] || fail "status $status"
says "cannot log in to"
start_probe run "127.0.0.1:$port" true
read -r _ <"$tmp/asked"
kill -TERM "$probe_pid"
wait "$probe_pid" || true
says 'stopped by signal TERM'
echo no >"$tmp/answer"

echo "-- a certificate, by its usual name, by CertificateFile, and from the agent"
: >"$authorized"
ssh-keygen -q -s "$keys/authority" -I tester -n "$user" "$keys/certified.pub"
config 'IdentityAgent none' "IdentityFile $keys/certified"
expect_status 0 login </dev/null
prints in
mv "$keys/certified-cert.pub" "$keys/elsewhere-cert.pub"
expect_status 1 login </dev/null
config 'IdentityAgent none' "IdentityFile $keys/stranger" "IdentityFile $keys/certified" \
        "CertificateFile $keys/elsewhere-cert.pub"
expect_status 0 login </dev/null
mv "$keys/elsewhere-cert.pub" "$keys/certified-cert.pub"
ssh-add -qD 2>/dev/null
ssh-add -q "$keys/certified" 2>/dev/null
config 'IdentityFile none'
expect_status 0 login </dev/null
ssh-keygen -q -s "$keys/stranger" -I tester -n "$user" "$keys/certified.pub"
config 'IdentityAgent none' "IdentityFile $keys/certified"
expect_status 1 login </dev/null
says "certificate '$keys/certified-cert.pub': not accepted; key '$keys/certified': not accepted"

echo "-- two methods in a row"
start_sshd both "AuthenticationMethods publickey,publickey"
known both
cat "$keys/plain.pub" "$keys/rsa.pub" >"$tmp/both.authorized"
config 'IdentityAgent none' "IdentityFile $keys/plain" "IdentityFile $keys/rsa"
expect_status 0 login </dev/null
prints in
config 'IdentityAgent none' "IdentityFile $keys/plain"
expect_status 1 login </dev/null
