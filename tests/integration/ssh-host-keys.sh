#!/bin/bash
# A server is believed only with a key that the known_hosts files have for it. An unknown one is asked about on a terminal
# and refused elsewhere; a changed or revoked one is refused always.
. "$(dirname "$0")/lib.sh"
. "$here/ssh.sh"

start_sshd main
known_hosts=$HOME/.ssh/known_hosts
new_key "$keys/plain"
cp "$keys/plain.pub" "$tmp/main.authorized"
target=127.0.0.1:$port
name="[127.0.0.1]:$port"
key=$(cut -d' ' -f1-2 "$keys/host-main.pub")
new_key "$keys/other"
other=$(cut -d' ' -f1-2 "$keys/other.pub")
fingerprint=$(ssh-keygen -lf "$keys/host-main.pub" | cut -d' ' -f2)

# with LINE... [-- CONFIG-LINE...]: known_hosts has these lines.
with() {
        : >"$known_hosts"
        while [ $# -gt 0 ] && [ "$1" != -- ]; do
                printf '%s\n' "$1" >>"$known_hosts"
                shift
        done
        [ $# = 0 ] || shift
        config "IdentityFile $keys/plain" "$@"
}

accepted() {
        with "$@"
        expect_status 0 probe run "$target" true </dev/null
}

# refused TEXT [arguments of with]
refused() {
        local text=$1
        shift

        with "$@"
        expect_status 1 probe run "$target" true </dev/null
        says "$text"
}

echo "-- known"
accepted "$name $key"
accepted "# a comment" "" "garbage" "host ssh-ed25519" "$name ssh-unknown AAAA" "$name $key and a comment"
accepted "other,$name $key"
accepted "[127.0.0.*]:* $key"
accepted "$(printf '%s\t%s' "$name" "${key/ /$'\t'}")"
accepted "127.0.0.1 $key"
accepted "$name $other" "$name $key"
echo "-- hashed"
with "$name $key"
ssh-keygen -q -H -f "$known_hosts" >/dev/null 2>&1
grep -q '^|1|' "$known_hosts" || fail 'it is not hashed'
expect_status 0 probe run "$target" true </dev/null
sed -i "s|AAAA.*|$(cut -d' ' -f2 <<<"$other")|" "$known_hosts"
expect_status 1 probe run "$target" true </dev/null
says "is not the one of $known_hosts:1"

echo "-- another file, several of them, an alias"
with -- "UserKnownHostsFile $tmp/nowhere ~/elsewhere"
printf '%s %s\n' "$name" "$key" >"$HOME/elsewhere"
expect_status 0 probe run "$target" true </dev/null
with -- 'UserKnownHostsFile none' 'GlobalKnownHostsFile ~/elsewhere'
expect_status 0 probe run "$target" true </dev/null
accepted "backup-server $key" -- 'HostKeyAlias backup-server'
refused "the host key of 'backup-server' is not known" "[backup-server]:$port $key" -- 'HostKeyAlias backup-server'
says "'ssh 127.0.0.1' asks and adds it"

echo "-- unknown"
for line in "other-host $key" "[127.0.0.1]:1 $key" "!$name,[127.0.0.*]:* $key" "@cert-authority * $other"; do
        refused "the host key of '$name' is not known (ssh-ed25519 $fingerprint)" "$line"
done
says 'host certificates are not supported'
says "'ssh-keyscan -p $port 127.0.0.1 >> $known_hosts' adds it"

echo "-- the command that is named adds it"
with
expect_status 1 probe run "$target" true </dev/null
bash -c "$(sed "s/.*'\(ssh-keyscan [^']*\)'.*/\1/" "$tmp/err")" 2>/dev/null
expect_status 0 probe run "$target" true </dev/null

echo "-- changed"
changed="the host key of '$name' is not the one of $known_hosts:1: the server has ssh-ed25519 $fingerprint"
refused "$changed" "$name $other"
says "'ssh-keygen -R $name' forgets the old one"
for strict in ask no accept-new yes; do
        refused "$changed" "$name $other" -- "StrictHostKeyChecking $strict"
done
with "$name $other" -- "StrictHostKeyChecking no"
expect_status 1 on_terminal -- bash -c "probe -n run $target true"
grep -q 'is not the one of' "$tmp/out"
with "$name $other"
expect_status 1 on_terminal -- bash -c "probe -n run $target true"
grep -q 'is not the one of' "$tmp/out"
echo "-- only a key of another kind is known"
new_key "$keys/rsa" rsa
refused "is not the one of" "$name $(cut -d' ' -f1-2 "$keys/rsa.pub")"

echo "-- revoked, whatever else there is"
refused "the host key of '$name' (ssh-ed25519 $fingerprint) is marked as revoked" "$name $key" "@revoked * $key"
refused "is marked as revoked" "@revoked $name $key" "$name $key"
refused "is marked as revoked" "@revoked * $key" -- 'StrictHostKeyChecking accept-new'
accepted "@revoked * $other" "$name $key"
accepted "@revoked another-host $key" "$name $key"
with "$name $key" -- "GlobalKnownHostsFile $tmp/revoked"
echo "@revoked * $key" >"$tmp/revoked"
expect_status 1 probe run "$target" true </dev/null
says 'is marked as revoked'

echo "-- a file that cannot be read must not hide a revoked key"
with "$name $key" -- "GlobalKnownHostsFile $tmp/keys"
expect_status 1 probe run "$target" true </dev/null
says "cannot read '$tmp/keys'"

echo "-- unknown, on a terminal"
with
expect_status 0 on_terminal "$fingerprint" yes -- bash -c "probe -n run $target true"
[ "$(cat "$known_hosts")" = "$name $key" ] || fail "known_hosts: $(cat "$known_hosts")"
expect_status 0 probe run "$target" true </dev/null
with
expect_status 1 on_terminal "$fingerprint" no -- bash -c "probe -n run $target true"
grep -q 'is not known' "$tmp/out"
expect_status 1 on_terminal "$fingerprint" '' -- bash -c "probe -n run $target true"
expect_status 1 on_terminal "$fingerprint" "SHA256:$(printf x%.0s {1..43})" -- bash -c "probe -n run $target true"
[ ! -s "$known_hosts" ] || fail 'it was added'
expect_status 0 on_terminal "$fingerprint" "$fingerprint" -- bash -c "probe -n run $target true"
with -- 'StrictHostKeyChecking yes'
expect_status 1 on_terminal -- bash -c "probe -n run $target true"
with -- 'BatchMode yes'
expect_status 1 on_terminal -- bash -c "probe -n run $target true"

echo "-- accept-new adds it, behind a line without an end, and in a directory that is not there yet"
with -- 'StrictHostKeyChecking accept-new'
printf 'half a line' >"$known_hosts"
expect_status 0 probe run "$target" true </dev/null
[ "$(tail -n 1 "$known_hosts")" = "$name $key" ] || fail "known_hosts: $(cat "$known_hosts")"
expect_status 0 probe run "$target" true </dev/null
[ "$(wc -l <"$known_hosts")" = 2 ] || fail 'it was added twice'
with -- 'StrictHostKeyChecking no' "UserKnownHostsFile $tmp/new/known_hosts"
expect_status 0 probe run "$target" true </dev/null
says "is taken as accept-new"
[ "$(stat -c %a "$tmp/new" "$tmp/new/known_hosts" | tr '\n' ' ')" = '700 600 ' ] || fail 'others may read it'

echo "-- of several keys the known one is asked for"
new_key "$keys/host-rsa" rsa
start_sshd two "HostKey $keys/host-rsa"
name="[127.0.0.1]:$port"
cp "$keys/plain.pub" "$tmp/two.authorized"
target=127.0.0.1:$port
accepted "$name $(cut -d' ' -f1-2 "$keys/host-rsa.pub")"
accepted "$name $(cut -d' ' -f1-2 "$keys/host-two.pub")"
accepted "$name $(cut -d' ' -f1-2 "$keys/host-rsa.pub")" -- 'HostKeyAlgorithms rsa-sha2-256'
refused 'is not the one of' "$name $(cut -d' ' -f1-2 "$keys/host-rsa.pub")" -- 'HostKeyAlgorithms ssh-ed25519'
refused 'is not the one of' "$name $(cut -d' ' -f1-2 "$keys/host-rsa.pub")" -- 'HostKeyAlgorithms -rsa*'
