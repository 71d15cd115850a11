#!/bin/bash
# The bytes of a file with several names count once, be they in one directory or in many, in new ones and in those that
# are equal already, in a dry run too; each name is an entry. To a directory, over SSH (as another test), to a daemon.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 100m
cd "$tmp"
[ "${RSB_OVER:-}" = ssh ] || . "$here/rsyncd.sh"

mkdir -p source/{a/deep,b,c} parent elsewhere
head -c 1000 /dev/urandom >source/b/group
ln source/b/group source/b/again
ln source/b/group source/a/deep/group
ln source/b/group source/top
head -c 200 /dev/urandom >source/c/outside
ln source/c/outside elsewhere/outside
head -c 30 /dev/urandom >source/c/single
ln -s group source/b/link
ln source/b/link source/c/link

# counts DESTINATION BYTES ENTRIES [OPTIONS]
counts() {
        local destination=$1 bytes=$2 entries=$3
        shift 3

        expect_status 0 run_backup --report=r.json "$@" source "$destination"
        "$PYTHON" - "$bytes" "$entries" <<'END' || fail "to $destination $*: $(cat r.json err)"
import json, sys
d = json.load(open("r.json"))
found = d["bytes"]["source"], d["entries"]["source"]
wanted = tuple(map(int, sys.argv[1:]))
sys.exit(found != wanted and f"{found} instead of {wanted}")
END
}

# to DESTINATION PLACE [OPTIONS]: the tree at first, unchanged, and with some of it changed.
to() {
        local destination=$1 place=$2
        shift 2

        counts "$destination" 1230 13 "$@"
        counts "$destination" 1230 13 "$@"
        rm -rf "$place/a" "$place/b/again"
        echo other >"$place/top"
        counts "$destination" 1230 13 "$@"
        touch source/b/group
        counts "$destination" 1230 13 "$@"
        rm "$place/c/single"
        counts "$destination" 1230 13 "$@"
        counts "$destination" 1230 13 "$@"
}

counts parent/latest 1230 13 --dry-run
to parent/latest parent/latest -b
counts parent/latest 1230 13 --dry-run
grep -q '^transfer: 13 entries, 1.2 KiB; ' err || fail "the summary tells something else: $(cat err)"
grep -q "^bytes $((1000 + 200 + 30))\$" parent/.rsync-system-backup/state || fail "the state has something else"

[ "${RSB_OVER:-}" != ssh ] || exit 0
start_rsyncd main
add_module ours
to "rsync://127.0.0.1:$port/ours" "$modules/ours" -b
