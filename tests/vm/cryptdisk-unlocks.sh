#!/bin/bash
# cryptdisk-unlocks.sh PROBE: what crypttab says about an encrypted disk is what is done: kinds of headers, where the key
# comes from, flags; what does not work is told, and a disk that is in use is not torn away. Compared with what
# cryptsetup(8) makes of the same disks.
. "$(dirname "$0")/lib.sh"
probe=$1 tests=$(dirname "$(readlink -f "$0")")
need cryptsetup dmsetup
modprobe -a dm-crypt loop

cd "$tmp"
key=$tmp/key table=$tmp/crypttab
printf '0123456789the key itselfxyz' >"$key"
chmod 400 "$key"
small=(--luks2-metadata-size 16k --luks2-keyslots-size 1m)

# entry NAME SOURCE KEY-FILE OPTIONS: a line of crypttab.
entry() {
        echo "$*" >>"$table"
}

# expect OUTCOME NAME [ANSWER...]: of unlocking NAME.
expect() {
        local said

        said=$("$probe" unlock "$table" "${@:2}" 2>log) || fail "unlock ${*:2}: $(cat log)"
        [ "$said" = "$1" ] || fail "unlock ${*:2}: $said instead of $1: $(cat log)"
}

# refused TEXT NAME [ANSWER...]: the error is told with TEXT in it.
refused() {
        local status=0

        "$probe" unlock "$table" "${@:2}" >out 2>log || status=$?
        [ "$status" = 1 ] || fail "unlock ${*:2}: status $status, $(cat out log)"
        said "$1"
}

# said TEXT: in what the probe logged last.
said() {
        grep -qF -- "$1" log || fail "no '$1' in: $(cat log)"
}

lock() {
        "$probe" lock "$1" >out 2>log || fail "lock $1: $(cat log)"
        is_unlocked "$1" && fail "$1 is still unlocked"
        return 0
}

# mark NAME, marked NAME: what cryptsetup let us write is what we read, so it was unlocked with the same parameters.
mark() {
        echo "the mark of $1" | dd of="/dev/mapper/$1" conv=fsync,sync status=none
}

marked() {
        local text

        read -r text <"/dev/mapper/$1"
        [ "$text" = "the mark of $1" ] || fail "what is read from $1 is not what was written: it was unlocked otherwise"
}

# image NAME MIB: a file for a disk.
image() {
        truncate -s "${2:-4}M" "$tmp/$1.img"
        echo "$tmp/$1.img"
}

# ---- LUKS ----

kinds_of_headers() {
        local disk

        disk=$(image luks1)
        luks_format "$disk" passphrase --type luks1
        unlock "$disk" passphrase luks1
        mark luks1
        cryptsetup close luks1
        entry luks1 "$disk" none luks
        expect unlocked luks1 passphrase
        marked luks1
        lock luks1

        luks_format /dev/ubda passphrase "${small[@]}"
        entry luks2 "UUID=$(uuid_of /dev/ubda)" none luks,tries=1
        expect unlocked luks2 passphrase
        first=$("$probe" instance luks2)
        expect "already unlocked" luks2
        [ "$("$probe" instance luks2)" = "$first" ] || fail "the same instance has two names"
        lock luks2
        lock luks2
        "$probe" instance luks2 2>/dev/null && fail "what is locked has an instance"
        expect unlocked luks2 passphrase
        [ "$("$probe" instance luks2)" != "$first" ] || fail "two instances have the same name: $first"
        lock luks2

        disk=$(image argon2)
        luks_format "$disk" passphrase "${small[@]}" --pbkdf argon2id --pbkdf-memory 1024 --pbkdf-force-iterations 4
        entry argon2 "$disk"
        expect unlocked argon2 passphrase
        lock argon2
}

detached_headers() {
        image header 2 >/dev/null
        image data 1 >/dev/null
        luks_format "$tmp/data.img" passphrase "${small[@]}" --header "$tmp/header.img"
        entry detached "$tmp/data.img" none "luks,header=$tmp/header.img"
        expect unlocked detached passphrase
        mark detached
        lock detached
        cp header.img /mnt/keys/
        sync -f /mnt/keys
        umount /mnt/keys
        entry far "$tmp/data.img" none luks,header=/header.img:LABEL=keys
        expect unlocked far passphrase
        [ "$(head -n1 /dev/mapper/far)" = "the mark of detached" ] || fail "the header of another device is another"
        lock far
        mount /dev/ubdb /mnt/keys
        entry nowhere "$tmp/data.img" none luks,header=/header.img:LABEL=nothing
        expect "no key device" nowhere passphrase
}

# ---- keys ----

key_files() {
        local disk
        disk=$(image keyed)

        luks_format "$disk" "the key itself" "${small[@]}"
        entry part "$disk" "$key" keyfile-offset=10,keyfile-size=14
        expect unlocked part
        [ ! -s log ] || fail "something was said: $(cat log)"
        lock part
        entry whole "$disk" "$key" headless=true
        refused "no key fits" whole
        said "the key file does not fit"
        (umask 077 && echo "the key itself" >"$tmp/echoed")
        entry echoed "$disk" "$tmp/echoed" headless
        refused "no key fits" echoed
        said "the newline at its end counts"
        entry missing "$disk" "$tmp/nothing" headless
        refused "there is no key" missing
        said "cannot open '$tmp/nothing'"
        entry short "$disk" "$key" keyfile-offset=10,keyfile-size=140,headless
        refused "there is no key" short
        said "too short"
        chmod 644 "$key"
        expect unlocked part
        said "mode 0644"
        lock part
        chmod 400 "$key"
        # A key that does not fit is no reason not to ask.
        entry second "$disk" "$key" luks
        expect unlocked second "the key itself"
        said "the key file does not fit"
        lock second
        entry slot "$disk" "$key" keyfile-offset=10,keyfile-size=14,key-slot=4,headless
        refused "cannot unlock" slot
        said "key-slot=4 in crypttab"
        mkdir credentials
        printf 'the key itself' >credentials/rsync-system-backup.credential
        entry credential "$disk" none headless
        CREDENTIALS_DIRECTORY=$tmp/credentials expect unlocked credential
        lock credential
        for directory in /etc/cryptsetup-keys.d /run/cryptsetup-keys.d; do
                mkdir -p $directory
                (umask 077 && printf 'the key itself' >$directory/credential.key)
                expect unlocked credential
                lock credential
                rm $directory/credential.key
        done
}

keys_on_another_disk() {
        local disk=$tmp/keyed.img

        cp "$key" /mnt/keys/key
        ln -s "$key" /mnt/keys/leads-out
        ln -s /key /mnt/keys/leads-back
        sync -f /mnt/keys
        entry far-key "$disk" /key:LABEL=keys keyfile-offset=10,keyfile-size=14
        # The desktop has it mounted.
        expect unlocked far-key
        lock far-key
        umount /mnt/keys
        sum=$(sha256sum </dev/ubdb)
        expect unlocked far-key
        lock far-key
        is_mounted /mnt/keys && fail "the disk with the key stays mounted"
        [ "$(sha256sum </dev/ubdb)" = "$sum" ] || fail "something was written to the disk with the key"
        entry back "$disk" /leads-back:/dev/ubdb keyfile-offset=10,keyfile-size=14
        expect unlocked back
        lock back
        entry out "$disk" /leads-out:LABEL=keys keyfile-offset=10,keyfile-size=14,headless
        refused "there is no key" out
        entry away "$disk" /key:LABEL=nothing keyfile-timeout=1
        expect "no key device" away "the key itself"
        CREDENTIALS_DIRECTORY=$tmp/credentials
        export CREDENTIALS_DIRECTORY
        cp credentials/rsync-system-backup.credential credentials/rsync-system-backup.away
        expect unlocked away
        unset CREDENTIALS_DIRECTORY
        lock away
        mount /dev/ubdb /mnt/keys
}

passphrases() {
        local disk=$tmp/keyed.img

        entry asked "$disk" none luks
        expect unlocked asked wrong "the key itself "  "the key itself"
        [ "$(grep -c "the passphrase does not fit" log)" = 2 ] || fail "wrong passphrases are not told: $(cat log)"
        lock asked
        refused "none of 3 passphrases fits" asked wrong worse worst "the key itself"
        entry patient "$disk" none tries=4
        expect unlocked patient wrong worse worst "the key itself"
        lock patient
        entry once "$disk" none tries=1
        refused "none of 1 passphrases fits" once wrong "the key itself"
        entry nobody "$disk" none timeout=1
        refused "no passphrase was given" nobody silence
}

# ---- other kinds ----

plain() {
        local disk
        disk=$(image plain 1)

        head -c 64 /dev/zero | tr '\0' k >plain-key
        chmod 400 plain-key
        cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 512 --offset 8 --skip 16 --sector-size 4096 \
                --key-file plain-key "$disk" plain
        mark plain
        cryptsetup close plain
        entry plain "$disk" "$tmp/plain-key" plain,cipher=aes-xts-plain64,size=512,offset=8,skip=16,sector-size=4096
        expect unlocked plain
        marked plain
        lock plain
        printf 'word' | cryptsetup open --type plain --cipher aes-cbc-essiv:sha256 --key-size 256 --hash ripemd160 \
                "$disk" defaults
        mark defaults
        cryptsetup close defaults
        entry defaults "$disk" none plain
        expect unlocked defaults word
        said "does not say cipher="
        said "does not say hash="
        marked defaults
        lock defaults
        printf 'word' | cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 256 --hash sha512 "$disk" hashed
        mark hashed
        cryptsetup close hashed
        entry hashed "$disk" none plain,cipher=aes-xts-plain64,size=256,hash=sha512
        expect unlocked hashed word
        marked hashed
        lock hashed
}

# truecrypt NAME OPTIONS [options of truecrypt-volume.py]: what is written through NAME is where and as it should be, as
# plain dm-crypt finds that has nothing of TrueCrypt but the key.
truecrypt() {
        local name=$1 disk

        disk=$(image "$name" 1)
        "$PYTHON" "$tests/truecrypt-volume.py" "$disk" passphrase "${@:3}" >master-key || fail "truecrypt-volume.py"
        chmod 400 master-key
        entry "$name" "$disk" none "$2"
        expect unlocked "$name" passphrase
        mark "$name"
        lock "$name"
        cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 512 --offset 256 --skip 256 \
                --key-file master-key "$disk" "$name"
        marked "$name"
        cryptsetup close "$name"
}

truecrypt_volumes() {
        truecrypt true tcrypt
        truecrypt hidden "tcrypt,tcrypt-hidden,tcrypt-keyfile=$key" --hidden --keyfile "$key"
        truecrypt vera tcrypt,tcrypt-veracrypt,veracrypt-pim=1 --vera 1
        # The first line of a key file is a passphrase.
        printf 'passphrase\nand more\n' >line
        chmod 400 line
        entry true-line "$tmp/true.img" "$tmp/line" tcrypt,headless
        expect unlocked true-line
        lock true-line
}

flags() {
        entry flags /dev/ubda "$key" \
                luks,discard,same-cpu-crypt,submit-from-crypt-cpus,no-read-workqueue,no-write-workqueue,readonly
        expect unlocked flags passphrase
        dmsetup table flags >flags.set
        for flag in allow_discards same_cpu_crypt submit_from_crypt_cpus no_read_workqueue no_write_workqueue; do
                grep -qw "$flag" flags.set || fail "$flag is not set: $(cat flags.set)"
        done
        [ "$(blockdev --getro /dev/mapper/flags)" = 1 ] || fail "it is writable"
        lock flags
        expect unlocked luks2 passphrase
        dmsetup table luks2 >flags.set
        grep -q allow_discards flags.set && fail "discards are let through without being asked for: $(cat flags.set)"
        [ "$(blockdev --getro /dev/mapper/luks2)" = 0 ] || fail "it is read-only"
        lock luks2
}

# ---- what is not as it should be ----

not_there() {
        entry gone UUID=00000000-0000-4000-8000-000000000000 none luks
        expect "no device" gone
        entry no-luks "$key" none luks
        refused "cannot read the LUKS header" no-luks
        entry used /dev/ubdb none luks
        refused "cannot read the LUKS header" used
}

in_use() {
        local holder

        luks_format /dev/ubda passphrase "${small[@]}"
        expect unlocked luks1 passphrase
        exec 3</dev/mapper/luks1
        sleep 1000 &
        exec 3<&-
        holder=$!
        until [ "$(cat /proc/$holder/comm)" = sleep ]; do
                kill -0 $holder || fail "nobody uses it"
                sleep 0.05
        done
        "$probe" lock luks1 2>log && fail "a disk in use was locked"
        said "it is used by sleep ($holder)"
        is_unlocked luks1 || fail "a disk in use was torn away"
        # One that is left while we wait.
        (
                sleep 1
                kill $holder
        ) &
        lock luks1
        wait
        # The disk itself is used by somebody else.
        entry taken /dev/ubda none luks
        cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 512 --key-file plain-key /dev/ubda other
        refused "in use" taken passphrase
        cryptsetup close other
}

at_the_same_time() {
        for _ in 1 2 3; do
                "$probe" unlock "$table" part >one 2>&1 &
                "$probe" unlock "$table" part >two 2>&1 || fail "the second of two: $(cat two)"
                wait $! || fail "the first of two: $(cat one)"
                [ "$(sort one two | tr '\n' ' ')" = "already unlocked unlocked " ] || fail "of two: $(cat one two)"
                lock part
        done
}

pulled_out() {
        plug_in 8
        luks_format "$pluggable" passphrase "${small[@]}"
        entry pulled "$pluggable" none luks
        expect unlocked pulled passphrase
        pull_out
        lock pulled
        expect "no device" pulled
}

with_udevd() {
        start_udevd
        entry by-udev "UUID=$(uuid_of /dev/ubda)" /key:LABEL=keys luks
        expect unlocked by-udev passphrase
        [ -L /dev/mapper/by-udev ] || fail "udev has no part in it"
        lock by-udev
        [ ! -e /dev/mapper/by-udev ] || fail "the link is still there"
        stop_udevd
}

mkdir -p /mnt/keys
make_filesystem /dev/ubdb ext4 -L keys
mount /dev/ubdb /mnt/keys
for what in ${2:-kinds_of_headers detached_headers key_files keys_on_another_disk passphrases plain truecrypt_volumes \
        flags not_there in_use at_the_same_time pulled_out with_udevd}; do
        SECONDS=0
        $what
        echo "$what: $SECONDS s"
done
