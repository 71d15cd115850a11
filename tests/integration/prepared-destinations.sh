#!/bin/bash
# Whatever somebody prepared in a destination before a privileged run comes: symlinks, FIFOs, directories, hard links to
# files outside and files of others in the place of the state, the lock, the trash and all that is made there; snapshots
# that are none; hard links in `latest` and in snapshots. Nothing outside is read, changed or removed, nothing hangs, and
# where the run goes on it ends with an exact copy.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync timeout setcap getfattr
in_memory 200m
umask 022

name=.rsync-system-backup
mkdir -m 700 outside
mkdir -p source/dir outside/dir/sub
echo 'same size, same time' | tee source/{file,power,mode,dir/file} >/dev/null
echo 'an outside file here' | tee outside/{file,power,mode,gone,lock,dir/sub/file} >/dev/null
touch -d '2020-02-02 02:02:02.5' source/{file,power,mode,dir/file} outside/{file,power,mode,gone}
chmod 4711 source/power
chown 12345 source/mode
setfattr -n user.x -v 1 source/mode
chmod 640 outside/*e

# All that a hard link of it must not change; of what has none, everything.
linked_facts() {
        find outside -printf '%P %i %m %U %G %s %T@ %y\n' | LC_ALL=C sort
        find outside -type f -exec sha256sum {} + | LC_ALL=C sort
        getfattr -Rhdm- outside
}
facts() {
        "$PYTHON" "$here/facts.py" outside
}

begin() {
        umount parent/mounted 2>/dev/null || true
        chattr -R -f -i parent 2>/dev/null || true
        rm -rf parent
        expect_status 0 run_backup -b source parent/latest
        before=$(facts)
        linked=$(linked_facts)
}

# ended STATUS WHAT [PATTERN]: a run ends like this, in time, and nothing outside was touched.
ended() {
        local wanted=$1 status=0

        timeout 60 "$RSB" --disable-notifications --relaxed --daily=1 source parent/latest >"$tmp/out" 2>"$tmp/err" || status=$?
        after=$(facts) # first: the next one reads
        [ "$status" = "$wanted" ] || fail "$2: status $status: $(cat "$tmp/err")"
        [ -z "${3:-}" ] || grep -q "$3" "$tmp/err" || fail "$2: no '$3' in: $(cat "$tmp/err")"
        [ "$linked" = "$(linked_facts)" ] || fail "$2: something outside was changed"
        # The judges, who take longer, come in the end.
        [ "$wanted" != 0 ] || diff -r --no-dereference source parent/latest || fail "$2: no copy of the source"
}

untouched() {
        [ "$before" = "$after" ] || fail "$1: something outside was touched"
}

# put KIND PATH: in its place.
put() {
        rm -rf "$2"
        case $1 in
        symlink) ln -s "$tmp/outside/file" "$2" ;;
        symlink-to-directory) ln -s "$tmp/outside/dir" "$2" ;;
        dangling) ln -s "$tmp/outside/new" "$2" ;;
        fifo) mkfifo "$2" ;;
        directory) mkdir -p "$2/sub" ;;
        hardlink) ln outside/file "$2" ;;
        foreign)
                echo foreign >"$2"
                chown "$ordinary_user" "$2"
                ;;
        esac
}

# What the program makes or reads there: all of it is refused, or replaced without looking behind it.
for file in state lock state.new reserve; do
        for kind in symlink dangling fifo directory hardlink foreign; do
                begin
                put $kind "parent/$name/$file"
                # Its making moves ctime and link count.
                before=$(facts)
                case $file:$kind in
                lock:symlink | lock:dangling | lock:fifo | lock:hardlink | lock:foreign)
                        ended 1 "$file as $kind" 'lock'
                        untouched "$file as $kind"
                        ;;
                lock:directory) ended 1 "$file as $kind" 'lock' ;;
                state:symlink | state:dangling | state:directory | state.new:directory)
                        ended 1 "$file as $kind" 'state'
                        untouched "$file as $kind"
                        ;;
                state:*) ended 0 "$file as $kind" 'compared by content' ;;
                *) ended 0 "$file as $kind" ;;
                esac
                [ ! -e outside/new ] || fail "$file as $kind: a file was made outside"
        done
done
same source parent/latest
for kind in symlink-to-directory dangling fifo foreign; do
        begin
        put $kind parent/$name
        before=$(facts)
        ended 1 "the state directory as $kind"
        untouched "the state directory as $kind"
        begin
        put $kind parent/latest
        before=$(facts)
        ended 1 "latest as $kind"
        untouched "latest as $kind"
done
begin
chown "$ordinary_user" parent/$name
ended 1 "somebody else's state directory" 'belongs to user'

# A state that tells lies.
for line in 'complete ../../outside/file' 'incomplete /etc/passwd' 'complete ..' 'incomplete %1B[31m' \
        'reference 99999999999.000000000' 'running-since 99999999999.000000000' \
        'entries 18446744073709551615'; do
        begin
        key=${line%% *}
        sed -i -e "/^$key /d" -e "s|^end|$line\nend|" "parent/$name/state"
        ended 0 "$line"
        untouched "$line"
        ! grep -q -e '\.\./' -e /etc -e %1B "parent/$name/state" || fail "$line is still in the state"
        ! grep -q "$(printf '\033')" "$tmp/err" "$tmp/out" || fail "an escape reached the terminal"
done
begin
sed -i "s|^latest .*|latest ../../outside/dir|" "parent/$name/state"
ended 1 "another latest" 'backups beside'
begin
{ head -c 17000000 /dev/zero | tr '\0' '\n'; echo end; } >"parent/$name/state"
ended 1 "a state of 17 MB" 'too large'

# Left behind by somebody else.
for kind in symlink-to-directory fifo directory hardlink foreign; do
        begin
        put $kind parent/$name.trash-1
        put $kind parent/$name.new
        put $kind "parent/$name.trash-$(printf 'a\n\033[31m')"
        mkdir -p parent/$name.trash-2/deep
        put $kind parent/$name.trash-2/deep/there
        chmod 4777 parent/$name.trash-2/deep
        ended 0 "trash as $kind"
        ! grep -q "$(printf '\033')" "$tmp/err" "$tmp/out" || fail "an escape reached the terminal"
        [ -z "$(find parent -name "$name.*")" ] || fail "trash as $kind is still there: $(find parent -name "$name.*")"
done
begin
mkdir -p parent/$name.trash-1/mounted parent/$name.trash-1/gone
mount --bind outside parent/$name.trash-1/mounted
ended 23 "trash with a mount" 'mounted there'
untouched "trash with a mount"
umount parent/$name.trash-1/mounted

ended 0 'after all that'
same source parent/latest

# Only a directory is a snapshot; what is in one goes, what it leads to stays.
for kind in symlink-to-directory fifo hardlink foreign; do
        begin
        put $kind 'parent/2001-01-01 00:00:00'
        ended 0 "a snapshot as $kind"
        [ -L 'parent/2001-01-01 00:00:00' ] || [ -e 'parent/2001-01-01 00:00:00' ] || fail "$kind with a snapshot's name was removed"
        begin
        mkdir 'parent/2001-01-01 00:00:00'
        put $kind 'parent/2001-01-01 00:00:00/there'
        ended 0 "in a snapshot $kind"
        [ ! -e 'parent/2001-01-01 00:00:00' ] || fail "the snapshot was not removed: $(cat "$tmp/err")"
done

# Hard links to files outside in the place of files of latest: of the same size and time, but another content and other
# metadata; of what is not in the source; symlinks in the place of directories.
for options in '' 'compared'; do
        begin
        rm parent/latest/{file,power,mode}
        for file in file power mode gone; do
                ln outside/$file parent/latest/$file
        done
        rm -r parent/latest/dir
        ln -s "$tmp/outside/dir" parent/latest/dir
        [ -z "$options" ] || sed -i 's/^end/running-since 1.000000000\nend/' parent/$name/state
        sed -i -e "s/^reference .*/reference $(date +%s.%N)/" -e '/^reference-/d' parent/$name/state
        expect_status 0 timeout 60 "$RSB" -b source parent/latest
        [ "$linked" = "$(linked_facts)" ] || fail "a file outside was changed through a hard link"
        cmp -s source/power parent/latest/power || fail "what is outside was made powerful"
        [ "$(stat -c %h outside/power outside/mode outside/gone | sort -u)" = 1 ] || fail "what is outside is still in latest"
        # By size and time they are equal: only where there is reason to is that not believed.
        [ -z "$options" ] || same source parent/latest
done

# A parent that somebody makes a symlink while it is missing.
if command -v strace >/dev/null; then
        rm -rf parent
        (until [ -s "$tmp/trace" ]; do sleep 0.02; done; ln -s outside parent) &
        status=0
        ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 timeout 60 strace -f -qq -o "$tmp/trace" -P "$tmp/parent" \
                -e trace=mkdir,mkdirat,openat,open -e inject=mkdir,mkdirat:delay_enter=500000 \
                "$RSB" --disable-notifications -b source parent/latest >"$tmp/out" 2>&1 || status=$?
        wait
        [ $status = 1 ] || [ ! -L parent ] || fail "a run into what was put there meanwhile: $status"
        [ -z "$(find outside -name latest -o -name "$name")" ] || fail "the backup went elsewhere"
fi
