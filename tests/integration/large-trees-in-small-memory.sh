#!/bin/bash
# A directory of 200,000 entries, a tree of 3,000 levels, a sparse file of 1 TiB: done in sane time and memory, which does
# not grow with the number of files. What was used is printed.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 2g

make_fs disk xfs 1g
mkdir -m 700 source disk/parent
"$PYTHON" - source <<'END'
import os, sys
root = sys.argv[1]
os.mkdir(root + "/wide")
fd = os.open(root + "/wide", os.O_RDONLY)
for i in range(200000):
    os.close(os.open("entry %d" % i, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
fd = os.open(root, os.O_RDONLY)
for i in range(3000):
    os.mkdir("level", dir_fd=fd)
    below = os.open("level", os.O_RDONLY, dir_fd=fd)
    os.close(fd)
    fd = below
    if i % 100 == 0:
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=fd))
END

# measured WHAT COMMAND...: status 0; time and memory are told; 512 MiB would be a leak.
measured() {
        local what=$1 used
        shift

        expect_status 0 /usr/bin/env "$PYTHON" - "$@" <<'END'
import resource, subprocess, sys, time
start = time.monotonic()
status = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, "KiB, %.1f s" % (time.monotonic() - start))
sys.exit(status)
END
        echo "$what: $(tail -n 1 out)"
        used=$(tail -n 1 out)
        [ "${used%% *}" -lt 524288 ] || fail "$what takes ${used%% *} KiB of memory"
}

measured 'first run' "$RSB" source disk/parent/latest
measured 'nothing new' "$RSB" -b source disk/parent/latest
[ "$(find disk/parent/latest/wide | wc -l)" = 200001 ] || fail "entries are missing"
[ "$(find disk/parent/latest -name level | wc -l)" = 3000 ] || fail "levels are missing"
truncate -s 1T source/sparse
echo middle | dd of=source/sparse bs=1 seek=600G conv=notrunc status=none
measured 'sparse' "$RSB" -b source disk/parent/latest
[ "$(stat -c %s disk/parent/latest/sparse)" = "$(stat -c %s source/sparse)" ] || fail "the sparse file has another size"
[ "$(du -k disk/parent/latest/sparse | cut -f 1)" -lt 1024 ] || fail "the sparse file is not sparse"
cmp -n 1M -i 600G:600G source/sparse disk/parent/latest/sparse || fail "the sparse file's data are elsewhere"
touch -d 2001-01-01 source/sparse
sed -i "/^end/i running-since $(date +%s).000000000" disk/parent/.rsync-system-backup/state
measured 'compared by content' "$RSB" -b source disk/parent/latest
rm -r source/wide
measured 'removal' "$RSB" --minutely=1 source disk/parent/latest
[ ! -e disk/parent/latest/wide ] || fail "the wide directory is still there"
