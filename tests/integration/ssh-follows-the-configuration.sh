#!/bin/bash
# ~/.ssh/config decides where a session leads and how, as with ssh: hosts, included files, jump hosts, addresses, ports,
# algorithms. What ssh would execute for it is refused, and never executed.
. "$(dirname "$0")/lib.sh"
. "$here/ssh.sh"

start_sshd main 'AllowTcpForwarding yes'
new_key "$keys/plain"
cp "$keys/plain.pub" "$tmp/main.authorized"
key=$(cut -d' ' -f1-2 "$keys/host-main.pub")
printf '* %s\n[*]:* %s\n' "$key" "$key" >"$HOME/.ssh/known_hosts"
main_port=$port

reached() {
        # shellcheck disable=SC2016
        expect_status 0 probe run "$1" 'echo "$SSH_CONNECTION"' </dev/null
        grep -q "$2" "$tmp/out" || fail "$1 is reached by '$(cat "$tmp/out")', not by '$2'"
}

refused() {
        expect_status 2 probe run "$1" "touch '$tmp/executed'" </dev/null
        says "$2"
        [ ! -e "$tmp/executed" ] || fail 'it was executed'
}

echo "-- names, ports, included files, the first value"
mkdir "$HOME/.ssh/conf.d"
config 'Include conf.d/*.conf' "Host server" "Port $port" 'Host *' "IdentityFile $keys/plain" 'Port 1'
printf 'Host server\nHostName 127.0.0.1\n' >"$HOME/.ssh/conf.d/1.conf"
printf 'Host server\nHostName 127.0.0.2\n' >"$HOME/.ssh/conf.d/2.conf"
ln -s /nonexistent "$HOME/.ssh/conf.d/0.conf"
reached server "127.0.0.1 $port"
reached "ssh://$user@server:$port/" "127.0.0.1 $port"
config "Match host server !user nobody" 'HostName 127.0.0.1' "Port $port" "IdentityFile $keys/plain"
reached server "127.0.0.1 $port"

echo "-- of the user: another name, and another file altogether"
config "Host *" "Port $port" 'HostName 127.0.0.1' "IdentityFile $keys/plain" 'User nobody-of-that-name'
expect_status 1 probe run server true </dev/null
says 'cannot log in to server as nobody-of-that-name: '
reached "$user@server" "127.0.0.1 $port"
printf 'HostName 127.0.0.1\nPort %s\nIdentityFile %s\n' "$port" "$keys/plain" >"$tmp/other"
expect_status 0 probe -F "$tmp/other" run server true </dev/null

echo "-- a file that others could write is not believed"
chmod 666 "$HOME/.ssh/config"
refused server "others could change it"
chmod 600 "$HOME/.ssh/config"

echo "-- IPv4, IPv6, and where we come from"
config "Host *" "Port $port" "IdentityFile $keys/plain"
reached 127.0.0.1 "^127.0.0.1 .* 127.0.0.1 $port"
if [ -f /proc/net/if_inet6 ] && grep -q '^0*1 ' /proc/net/if_inet6; then
        reached '[::1]' "^::1 .* ::1 $port"
        config "Host *" "Port $port" "IdentityFile $keys/plain" 'AddressFamily inet6' 'HostName localhost'
        if getent ahostsv6 localhost | grep -q '^::1'; then
                reached server "^::1 .* ::1 $port"
        fi
fi
config "Host *" "Port $port" "IdentityFile $keys/plain" 'AddressFamily inet' 'HostName localhost' 'BindAddress 127.0.0.9'
reached server "^127.0.0.9 .* 127.0.0.1 $port"
config "Host *" "Port $port" "IdentityFile $keys/plain" 'BindAddress 192.0.2.1'
expect_status 1 probe run 127.0.0.1 true </dev/null
says 'Cannot assign requested address'

echo "-- algorithms"
for line in 'Ciphers aes128-ctr' 'Ciphers -*gcm*' 'MACs hmac-sha2-512' 'KexAlgorithms ecdh-sha2-nistp256' \
        'HostKeyAlgorithms ssh-ed25519' 'PubkeyAcceptedAlgorithms ^ssh-ed25519'; do
        config "Host *" "Port $port" "IdentityFile $keys/plain" "$line"
        reached 127.0.0.1 "127.0.0.1 $port"
done
config "Host *" "Port $port" 'Ciphers no-such-cipher'
refused 127.0.0.1 'Ciphers for '
config "Host *" "Port $port" "IdentityFile $keys/plain" 'PubkeyAcceptedAlgorithms rsa-sha2-512'
expect_status 1 probe run 127.0.0.1 true </dev/null
start_sshd ctr 'Ciphers aes256-ctr'
config "Host *" "Port $port" 'UserKnownHostsFile /dev/null' 'Ciphers aes128-ctr'
expect_status 1 probe run 127.0.0.1 true </dev/null
says 'cannot connect to '
port=$main_port

echo "-- through one host, through two, and the first one through a third as its own configuration says"
start_sshd inner
cp "$keys/plain.pub" "$tmp/inner.authorized"
cp "$keys/host-inner.pub" "$tmp/inner-key"
printf 'inner %s\n' "$(cut -d' ' -f1-2 "$tmp/inner-key")" >>"$HOME/.ssh/known_hosts"
jumps=(
        "Host gate*" "Port $main_port" 'HostName 127.0.0.1'
        'Host inner' "Port $port" 'HostName localhost' 'HostKeyAlias inner'
)
config "${jumps[@]}" 'ProxyJump gate' 'Host *' "IdentityFile $keys/plain"
sed -i '1i inner '"$(cut -d' ' -f1-2 "$tmp/inner-key")" "$HOME/.ssh/known_hosts"
sed -i 's/^\* /127.*,gate* /' "$HOME/.ssh/known_hosts"
reached inner " $port\$"
config "${jumps[@]}" "ProxyJump $user@gate1:$main_port,gate2" 'Host *' "IdentityFile $keys/plain"
reached inner " $port\$"
[ "$(grep -c 'Accepted publickey' "$tmp/main.log")" -ge 2 ] || fail 'the gates were passed by'
config "Host gate1" 'ProxyJump gate3' "${jumps[@]}" 'ProxyJump gate1,gate2' 'Host *' "IdentityFile $keys/plain"
before=$(grep -c 'Accepted publickey' "$tmp/main.log")
reached inner " $port\$"
[ $(($(grep -c 'Accepted publickey' "$tmp/main.log") - before)) = 3 ] || fail 'it did not go through three hosts'
echo "-- jump hosts whose keys are not known, that do not let through, that lead in a circle"
config "${jumps[@]}" 'ProxyJump gate' 'Host gate' 'HostKeyAlias unknown' 'Host *' "IdentityFile $keys/plain"
expect_status 1 probe run inner true </dev/null
says "the host key of 'unknown' is not known"
config "${jumps[@]}" 'ProxyJump gate' 'Host *' "IdentityFile $keys/plain"
close_port
sed -i "s/^Port $port\$/Port $closed_port/" "$HOME/.ssh/config"
expect_status 1 probe run inner true </dev/null
says 'cannot reach localhost port'
config "${jumps[@]}" 'Host *' 'ProxyJump gate' "IdentityFile $keys/plain"
expect_status 1 probe run inner true </dev/null
says 'ProxyJump leads from one host to the next without end'

echo "-- what would be executed is refused where it applies, and only there"
for line in "ProxyCommand touch $tmp/executed" "Match exec \"touch $tmp/executed\"" "KnownHostsCommand /bin/touch $tmp/executed"; do
        config "Host 127.0.0.1" "Port $main_port" "IdentityFile $keys/plain" "$line"
        refused 127.0.0.1 'would execute a program'
        config "Host 127.0.0.1" "Port $main_port" "IdentityFile $keys/plain" 'Host other' "${line/Match /Match host other }"
        reached 127.0.0.1 " $main_port\$"
done
[ ! -e "$tmp/executed" ] || fail 'it was executed'
