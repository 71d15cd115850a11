#!/bin/bash
# A server without the program but with rsync takes transfers: when --remote-command is rsync, and
# by itself, with a word about that, when no agent is found and nothing but a transfer was asked for. What arrives is what
# rsync would have brought. Where an agent has made snapshots rsync is not taken instead of it.
. "$(dirname "$0")/lib.sh"
need_program
need rsync setfacl setfattr
. "$here/ssh.sh"
cd "$tmp"

# What can be run on the server: as --remote-command, and where its PATH leads.
mkdir path none
for command in rsync sh bash test sleep; do
        ln -s "$(command -v "$command")" path/
done
start_sshd far "SetEnv PATH=$tmp/path"
new_key "$keys/client"
known far
cp "$keys/client.pub" "$tmp/far.authorized"

# far_at PORT: where `far` listens from now on.
far_at() {
        config 'Host far' 'HostName 127.0.0.1' "Port $1" "IdentityFile $keys/client" "User $user"
}
far_at "$port"
server_port=$port

# What can be kept wherever this runs.
privileges=()
is_root || privileges=(--no-sudo)

back_up() {
        run_backup "${privileges[@]}" "$@"
}

by_rsync() {
        back_up --remote-command=rsync "$@"
}

mkdir -p source/sub/empty source/sub/deep
echo data >source/file
ln source/file source/sub/linked
ln -s 'no where' source/symlink
mkfifo source/fifo
head -c 2M /dev/urandom >source/large
chmod 2750 source/sub
chmod 4755 source/large
setfacl -m u:1:r,d:g:2:rwx source/sub
setfattr -n user.long -v "$(head -c 1000 /dev/zero | tr '\0' x)" source/file
setfattr -n user.short -v value source/sub/linked
touch -d '2001-02-03 04:05:06.789' source/sub/deep
touch -h -d '1999-09-09' source/symlink
echo odd >"source/$(printf 'a\nb \303\251 \377')"
if is_root; then
        chown 7:8 source/file
        mknod source/device c 1 3
        setfattr -n trusted.x -v 1 source/large
fi

# equal SOURCE COPY: rsync has nothing to do.
equal() {
        local found

        found=$(rsync -aHAXn --numeric-ids --delete --itemize-changes --checksum "$1/" "$2/" 2>&1) || fail "rsync: $found"
        [ -z "$found" ] || fail "$2 is not $1: $found"
}

# ---- by --remote-command ----

expect_status 0 by_rsync source "far:$tmp/a"
equal source a
says 'far: rsync takes transfers only: snapshots and rotation are to be done on the server'
says_nothing_of warning
says 'backup complete'
echo changed >>source/large
rm source/file
echo stray >a/stray
expect_status 0 by_rsync --backup --verbose source "far:$tmp/a"
says_nothing_of 'takes transfers only'
grep -q '^deleted  stray$' out || fail "it is not told what was deleted: $(cat out)"
equal source a
[ ! -e a/stray ] || fail "what is not in the source is there still"
sent=$(sed -n 's/^connection: \([0-9.]*\) KiB sent.*/\1/p' err)
[ -n "$sent" ] || fail "all of a file was sent for some bytes: $(cat err)"
for command in "$tmp/path/rsync" 'env LANG=C rsync' "'$tmp/path/rsync'" 'nice rsync '; do
        [ -e path/env ] || ln -s "$(command -v env)" "$(command -v nice)" path/
        expect_status 0 back_up --remote-command="$command" source "far:$tmp/a"
done
expect_status 0 by_rsync --compress=always source "far:$tmp/compressed"
equal source compressed

# What is relative starts at the account's home. Nothing but the last directory is made.
relative=$(realpath -m --relative-to="$(getent passwd "$user" | cut -d: -f6)" "$tmp/relative")
expect_status 0 by_rsync source "far:$relative"
equal source relative
expect_status 1 by_rsync source "far:$tmp/not/there/latest"
says 'error: far: the server says: '
says 'the directories above the last one must be there already'
[ ! -e not ] || fail "it was made all the same"

# ---- without --remote-command ----

expect_status 0 back_up source "far:$tmp/b/"
equal source b
[ "$(grep -c '^warning: ' err)" = 1 ] || fail "not one warning: $(cat err)"
says 'warning: far: there is no rsync-system-backup, so that rsync is used: a plain transfer'
says 'or say --remote-command=rsync'
says 'backup complete'
expect_status 0 back_up --backup source "far:$tmp/b"
says 'warning: far: there is no rsync-system-backup'

# Swapped arguments: what is in a directory that was never sent to from here is not deleted.
mkdir precious
echo precious >precious/file
expect_status 1 back_up source "far:$tmp/precious"
says "precious' is not empty and was never a destination of backups"
[ "$(cat precious/file)" = precious ] || fail "it was deleted"
expect_status 0 back_up --force source "far:$tmp/precious"
equal source precious
expect_status 0 back_up source "far:$tmp/precious"

# That rsync was asked for makes no difference, nor is anything kept under a known name, or above it.
mkdir -p "above/2020-01-01 00:00:00" above/latest held/.rsync-system-backup
for to in above held; do
        for by in by_rsync back_up; do
                expect_status 1 $by source "far:$tmp/$to"
                grep -qE "is it the directory above 'latest'\?|rsync alone would change what it made" err ||
                        fail "$to: $(cat err)"
        done
done
for to in "above/2020-01-01 00:00:00/sub" above/latest/sub .rsync-system-backup/sub; do
        expect_status 1 by_rsync source "far:$tmp/$to"
        says 'is inside of what another destination keeps'
done
[ -z "$(find above -mindepth 2)" ] || fail "something was written: $(find above)"
# A dry run, lest this machine be deleted if it fails.
expect_status 2 by_rsync --dry-run source far:/
says "the destination cannot be '/'"
expect_status 2 by_rsync --dry-run --force source far:/

# What an agent has made is not for rsync, unless that is said.
mkdir -p made/.rsync-system-backup made/latest "it's/.rsync-system-backup"
for to in made/latest made/other "it's/latest"; do
        expect_status 1 back_up source "far:$tmp/$to"
        says "rsync alone would change what it made beside"
        [ -z "$(ls -A "$to" 2>/dev/null)" ] || fail "$to was changed"
done
# Also when it has ended before it was told what to do.
expect_status 1 strace -f -qq -o "$tmp/trace" -P pipe -e trace=write -e inject=write:delay_enter=300000 \
        "$RSB_PROGRAM" --disable-notifications "${privileges[@]}" source "far:$tmp/made/latest"
says "rsync alone would change what it made beside"
expect_status 0 by_rsync source "far:$tmp/made/latest"
equal source made/latest

# What was asked for and cannot be done is an error, with or without a word about rsync.
for options in --snapshot "--mount=$tmp/mnt" --crypto=backups; do
        # shellcheck disable=SC2086
        expect_status 1 back_up $options source "far:$tmp/c"
        says 'far: the command is not there (status 127)'
        says 'rsync-system-backup must be installed on that machine'
        # shellcheck disable=SC2086
        expect_status 2 by_rsync $options source "far:$tmp/c"
        grep -qE -e 'rsync cannot open a disk|--snapshot without --backup' "$tmp/err" || fail "it says: $(cat "$tmp/err")"
        [ ! -e c ] || fail "a transfer was done with $options"
done
expect_status 1 back_up --backup --snapshot source "far:$tmp/c"
says 'without --snapshot, --rotate, --mount and --crypto rsync may do'

# Snapshots, as a daemon takes them.
mkdir with-snapshots
expect_status 0 by_rsync -b -s -r --hourly=2 source "far:$tmp/with-snapshots/latest"
expect_status 0 by_rsync -b -s -r --hourly=2 source "far:$tmp/with-snapshots/latest"
[ "$(snapshots with-snapshots | wc -l)" = 2 ] || fail "there are: $(ls -A with-snapshots)"
[ "$(ls with-snapshots/.rsync-system-backup/complete)" = "$(snapshots with-snapshots)" ] || fail "not all are marked"
same source "with-snapshots/$(snapshots with-snapshots | tail -n 1)"
for options in --list --rotate; do
        expect_status 1 by_rsync "$options" "far:$tmp/typo/latest"
        says "error: cannot open directory 'far:$tmp/typo': No such file or directory; there is no backup yet"
done

# Neither is there.
mv path/rsync path/hidden
expect_status 1 back_up source "far:$tmp/c"
says 'error: far: there is neither rsync-system-backup nor rsync'
expect_status 1 by_rsync source "far:$tmp/c"
says 'error: far: the command is not there (status 127)'
says 'rsync must be installed on that machine'
expect_status 1 by_rsync --list "far:$tmp/with-snapshots/latest"
says 'rsync must be installed on that machine'
expect_status 1 back_up --remote-command="$tmp/nothing" source "far:$tmp/c"
says 'error: far: the command is not there (status 127)'
says_nothing_of 'so that rsync is used'

# rsync_is LINE...: a script instead of it.
rsync_is() {
        printf '%s\n' '#!/bin/sh' "$@" >path/rsync
        chmod 755 path/rsync
}
rsync_is 'echo nothing of the kind >&2; exit 5'
expect_status 1 by_rsync source "far:$tmp/c"
says 'error: far: the command ended with status 5: nothing of the kind; rsync 3.0 or later'
rsync_is 'echo Welcome; exec '"$tmp/path/hidden"' "$@"'
expect_status 1 by_rsync source "far:$tmp/c"
says 'a login script must be silent'
mkdir c
rsync_is "$tmp/path/hidden \"\$@\"" 'echo something more >&2' 'exit 7'
expect_status 23 by_rsync --report=r.json source "far:$tmp/c"
grep -q '"message": "far: the command ended with status 7' r.json || fail "the report says $(cat r.json)"
says 'warning: far: the command ended with status 7: something more, after all was said and done'
equal source c
rsync_is "$tmp/path/hidden \"\$@\"" 'kill -KILL $$'
expect_status 23 by_rsync source "far:$tmp/c"
says 'warning: far: the command was killed by signal KILL'
rsync_is 'echo to whom it may concern >&2' "exec $tmp/path/hidden \"\$@\""
expect_status 0 by_rsync source "far:$tmp/c"
says_nothing_of concern
rm path/rsync
mv path/hidden path/rsync

# ---- names ----

mkdir names
# shellcheck disable=SC2016
for name in 'two words' "it's" 'a"b' '$HOME' '*' '?' '[a]' '~' -x --delete =ls %self '#' 'a;b' 'a|b&c' 'back\slash' 'oh!' $'tab\t' \
        '{a,b}' $'new\nline' $'caf\303\251' $'\377' '`id`' '(x)' '<y>' '$(id)' 'trailing '; do
        rm -rf names
        mkdir names
        echo bystander >names/bystander
        expect_status 0 by_rsync source "far:$tmp/names/$name"
        equal source "names/$name"
        [ "$(find names -mindepth 1 -maxdepth 1 -printf x)" = xx ] || fail "other names were made for '$name': $(ls names)"
        [ "$(cat names/bystander)" = bystander ] || fail "what stands beside '$name' was changed"
        # The same behind a look for an agent's directory, and where the last name is not the odd one.
        mkdir "names/$name/below"
        expect_status 0 back_up source "far:$tmp/names/$name/below"
        equal source "names/$name/below"
        mkdir "names/$name/.rsync-system-backup"
        expect_status 1 back_up source "far:$tmp/names/$name/below"
        says 'rsync alone would change what it made beside'
done

# ---- how it is done ----

# A dry run changes nothing, and says what would be done.
rm -rf a
cp -a source a
echo other >a/other
echo more >>source/large
expect_status 0 by_rsync --dry-run source "far:$tmp/a"
grep -q '^deleted  other$' out || fail "it does not say what would be deleted: $(cat out)"
grep -q '^changed  large' out || fail "it does not say what would be changed: $(cat out)"
[ -e a/other ] || fail "a dry run has deleted something"
! cmp -s source/large a/large || fail "a dry run has written something"
expect_status 0 by_rsync --dry-run source "far:$tmp/new"
[ ! -e new ] || fail "a dry run has made something"

# An empty source is no reason to delete everything.
mkdir nothing
expect_status 1 by_rsync nothing "far:$tmp/a"
says 'the source is empty'
[ -e a/other ] || fail "something was deleted"

# A connection that is cut is made again.
head -c 6M /dev/urandom >source/larger
rm -rf a
"$PYTHON" "$here/cutting-proxy.py" proxy-port "$server_port" up:1500000 up:3000000 &
proxy=$!
trap 'status=$?; kill "$proxy" 2>/dev/null; stop_sshds; clean_up "$status"' EXIT
for _ in $(seq 600); do
        [ ! -f proxy-port ] || break
        sleep 0.05
done
port=$(cat proxy-port)
known far
far_at "$port"
expect_status 0 by_rsync source "far:$tmp/a"
says 'trying again in 1 s (1 of 3)'
says 'trying again in 2 s (2 of 3)'
equal source a
far_at "$server_port"

# rsync that is killed in the middle of it, when a part of the large file is there, is not the end.
rsync_dies() {
        rm -f path/rsync
        cat >path/rsync <<END
#!/bin/bash
[ -e $tmp/died ] && exec $(command -v rsync) "\$@"
true >$tmp/died
exec $PYTHON -c 'import glob, os, signal, subprocess, sys, time
p = subprocess.Popen(sys.argv[2:])
while p.poll() is None and not glob.glob(sys.argv[1]):
    time.sleep(0.01)
p.kill()
os.kill(os.getpid(), signal.SIGKILL)' '$tmp/a/.larger.*' "$(command -v rsync)" "\$@"
END
        chmod 755 path/rsync
}
rsync_dies
rm -rf a
expect_status 0 by_rsync --bwlimit=1M source "far:$tmp/a"
says 'trying again in 1 s (1 of 3)'
equal source a
rm path/rsync
ln -s "$(command -v rsync)" path/rsync

# A key that is for one directory, by rrsync(1).
if command -v rrsync >/dev/null; then
        mkdir jail
        printf 'restrict,command="PATH=%s %s -wo %s" %s\n' "$PATH" "$(command -v rrsync)" "$tmp/jail" "$(cat "$keys/client.pub")" \
                >far.authorized
        # Nobody can look what is there.
        expect_status 1 by_rsync source/sub far:/latest
        says 'write-only server'
        says '--force if there is nothing to lose'
        expect_status 0 by_rsync --force source/sub far:/latest
        equal source/sub jail/latest
        expect_status 0 by_rsync source/sub far:/latest
        expect_status 0 by_rsync --force source/sub 'far:two words'
        equal source/sub 'jail/two words'
        # Some versions keep special files out, which is told.
        status=0
        by_rsync source far:/latest 2>err || status=$?
        [ -p jail/latest/fifo ] || says 'devices, FIFOs or sockets could not be kept for'
        [ "$status" = 0 ] || [ "$status" = 23 ] || fail "status $status"
        cmp source/large jail/latest/large
        expect_status 1 by_rsync --force source/sub far:../outside
        [ ! -e outside ] || fail "it led out of its directory"
        cp "$keys/client.pub" far.authorized
fi

# An account that may not keep owners keeps what it can, and what it cannot store is told.
if is_root; then
        as_other="setpriv --reuid=$ordinary_user --regid=$ordinary_user --clear-groups rsync"
        ln -s "$(command -v setpriv)" path/
        mkdir -p mine/closed user
        echo 1 >mine/file
        chown 7:8 mine/file
        echo 2 >mine/closed/file
        chown "$ordinary_user:$ordinary_user" user
        expect_status 0 back_up --remote-command="$as_other" mine "far:$tmp/user/latest"
        [ "$(stat -c %u user/latest/file)" = "$ordinary_user" ] || fail "who owns it?"
        diff -r mine user/latest
        mknod mine/device c 1 3
        expect_status 23 back_up --remote-command="$as_other" mine "far:$tmp/user/latest"
        says "warning: devices, FIFOs or sockets could not be kept for 1 entry, the first is 'device'"
        expect_status 0 back_up --no-sudo --remote-command="$as_other" mine "far:$tmp/user/latest"
        says_nothing_of warning
        echo longer >mine/closed/file
        echo longer >mine/file
        chown 0:0 user/latest/closed
        chmod 755 user/latest/closed
        expect_status 23 back_up --no-sudo --remote-command="$as_other" mine "far:$tmp/user/latest"
        says 'Permission denied'
        says 'far: rsync could not store all that it was sent'
        cmp mine/file user/latest/file
        expect_status 1 back_up --no-sudo --remote-command="$as_other" mine "far:$tmp/source/latest"
        says 'error: far: the server says: '
        says 'Permission denied'
fi
