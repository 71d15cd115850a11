#!/bin/bash
# Names are bytes, and whoever chooses them may mean harm: control characters and terminal escapes, invalid UTF-8, what
# looks like options, like our own temporaries, state, trash and snapshots, as long as a name can be, deeper than any
# path, in the source, in `latest`, in its parent and as a section of a configuration. All is backed up, removed, listed
# and rotated as any other name, and none of it reaches a terminal or a log as it is.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync timeout
in_memory 300m
umask 022

# make_names DIRECTORY: each as a file in one, and as a directory with a file in it in the other.
make_names() {
        "$PYTHON" - "$1" <<'END'
import os, sys
NAMES = [b"\n", b"\r\n", b"a\nerror: all is lost\n", b"\t \v\f", b" ", b" .", b"...", b"\x1b[2J\x1b[31mred", b"\x1b]0;title\x07",
         b"\x08\x08\x08", b"\x7f", b"\x9b31m", b"\xc2\x9b31m", b"\xff\xfe", b"\xc3", b"\xc3\x28", b"\xed\xa0\x80", b"\xf5\x80\x80\x80",
         "\u202egpj.exe".encode(), "\ufeff".encode(), b"\\", b"\\n", b"%s%n%d", b"%00", b"'", b'"', b"`id`", b"$(id)", b"; rm -rf .",
         b"-rf", b"--delete", b"-", b"--", b"-n", b"~", b"*", b"?", b"[a]", b"[", b"!", b"#", b"|", b"C:", b"host:dir", b"host::module",
         b".rsync-system-backup", b".rsync-system-backup.new", b".rsync-system-backup.trash-1", b".rsync-system-backup.trash-",
         b".rsync-system-backup.tmp-0123456789abcdef", b".rsync-system-backup.tmp-relocated", b".rsync-system-backup.tmp-",
         b".rsync-system-backup.probe", b"state", b"lock", b"latest", b"2020-01-01", b"2020-01-01 00:00:00", b"2020-01-01 00:00:00 ",
         b"9999-12-31 23:59:59", b"x" * 255, b"\n" * 255, b"\xff" * 255, b"-" * 255, "\u00e4".encode() * 127]
os.chdir(os.fsencode(sys.argv[1]))
os.mkdir(b"files")
os.mkdir(b"directories")
os.mkdir(b"links")
for name in NAMES:
    with open(b"files/" + name, "wb") as file:
        file.write(name)
    os.mkdir(b"directories/" + name)
    with open(b"directories/" + name + b"/" + name, "wb") as file:
        file.write(name)
    os.symlink(name, b"links/" + name)
os.link(b"files/\n", b"directories/-rf/\x1b[1m")
os.mkdir(b"deep")
os.chdir(b"deep")
for i in range(40):
    os.mkdir(b"\x1b" * 254 + b"%d" % (i % 10))
    os.chdir(b"\x1b" * 254 + b"%d" % (i % 10))
with open(b"\n", "wb") as file:
    file.write(b"at the bottom")
END
}

# What was printed or logged holds no byte that a terminal would act on, and no line that a name made up.
check_output() {
        local file

        for file in "$tmp/out" "$tmp/err"; do
                ! LC_ALL=C grep -q -P '[\x00-\x08\x0b-\x1f\x7f]' "$file" || fail "control characters are printed: $(cat -v "$file")"
                iconv -f UTF-8 -t UTF-8 "$file" >/dev/null || fail "what is printed is no UTF-8: $(cat -v "$file")"
                ! LC_ALL=C grep -q -P '\xc2[\x80-\x9f]|\xe2\x80\xae|\xef\xbb\xbf' "$file" || fail "marks are printed: $(cat -v "$file")"
                ! grep -q -e '^error: all is lost' -e '^title' "$file" || fail "a name made a line of its own: $(cat -v "$file")"
        done
}

mkdir source
make_names source
expect_status 0 timeout 120 "$RSB" -vv -b -s source parent/latest
check_output
[ "$(grep -c '^new ' "$tmp/out")" -gt 200 ] || fail "not everything is listed"
"$PYTHON" "$judge/listing.py" source parent/latest || fail "a name was not stored as it is"
"$PYTHON" "$judge/listing.py" source "parent/$(snapshots parent)" || fail "a name is not in the snapshot as it is"
expect_status 0 run_backup -vv -b source parent/latest
grep -q '^changes: none' "$tmp/err" || fail "unchanged names look changed: $(cat -v "$tmp/err")"
frozen parent

# Each of another type, then gone.
rm -rf source/links
mv source/files aside
mv source/directories source/files
mv aside source/directories
expect_status 0 timeout 120 "$RSB" -vv -b -s source parent/latest
check_output
"$PYTHON" "$judge/listing.py" source parent/latest || fail "a name was not stored as it is"
frozen parent
find source -mindepth 1 -delete
touch source/left
expect_status 0 timeout 120 "$RSB" -vv -b source parent/latest
check_output
[ "$(ls -A parent/latest)" = left ] || fail "something stayed: $(find parent/latest | cat -v)"
frozen parent

# In the parent: a name is a snapshot, ours, or nothing that is ever touched.
rm -rf strange
mkdir strange
make_names strange
mv strange/directories/* strange/directories/.[!.]* parent/ 2>/dev/null || true
rm -rf parent/latest/* # a directory of that name came into it
"$PYTHON" "$here/facts.py" parent/[!2]* | grep -v -e "$(printf '%s' "'parent/latest")" >"$tmp/before"
expect_status 0 timeout 120 "$RSB" -vv --relaxed --daily=1 source parent/latest
check_output
"$PYTHON" "$here/facts.py" parent/[!2]* | grep -v -e "'parent/latest" >"$tmp/after"
cmp "$tmp/before" "$tmp/after" || fail "a neighbour was touched: $(diff "$tmp/before" "$tmp/after")"
left=$(find parent -maxdepth 1 -name '.rsync-system-backup?*')
[ "$left" = parent/.rsync-system-backup.probe ] || [ -z "${left//parent\/.rsync-system-backup.[pt][rm]*/}" ] ||
        fail "trash is left: $left"
[ ! -e 'parent/2020-01-01' ] || fail "a directory whose name is a timestamp is a snapshot"
[ -e 'parent/2020-01-01 00:00:00 ' ] || fail "a directory whose name is almost a timestamp was removed"

# SOURCE, DESTINATION and patterns.
while IFS= read -r -d '' name; do
        rm -rf odd
        mkdir -p "odd/$name"
        echo 1 >"odd/$name/file"
        expect_status 0 run_backup -v -b -x "$name" "odd/$name" "odd/to/$name"
        check_output
        [ "$(cat "odd/to/$name/file")" = 1 ] || fail "the destination is another one: $(find odd | cat -v)"
        expect_status 0 run_backup -v -b "odd/$name" "odd/to/$name"
        ! grep -q -e '^warning' -e content "$tmp/err" || fail "the state does not keep this name: $(cat -v "$tmp/err")"
done < <(printf '%s\0' $'\n' $' \n ' $'\033[31m' -rf $'\xff' '%41' ' ' '2020-01-01 x' '#;[x]')
