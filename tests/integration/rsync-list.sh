#!/bin/bash
# rsync-list.sh [SEED...]: the lists of files that rsync daemons are sent (tests/peers/rsync-list.py): taken apart they say
# what the kernel says, they are byte by byte those of the real client, and a real server, which sorts by itself, asks for
# what it lacks by the right numbers, and for nothing else.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need rsync
[ -n "${RSB_RSYNC_LIST_PROBE:-}" ] || skip "RSB_RSYNC_LIST_PROBE does not name the probe"
in_memory 500m

[ $# -gt 0 ] || set -- 1
for seed; do
        rm -rf source
        mkdir source
        torture make source --seed "$seed" 2>/dev/null
        # No path leads there; and a copy of the largest files tells nothing about lists.
        rm -rf source/beyond-path-max
        find source -type f -size +512k -delete
        # A directory whose content is not part of it.
        mkdir -p source/mounts/point
        mount -t tmpfs rsb-test-point source/mounts/point
        TMPDIR=$tmp "$PYTHON" "$here/../peers/rsync-list.py" "$RSB_RSYNC_LIST_PROBE" "$tmp/source" "$(command -v rsync)" ||
                fail "seed $seed"
        umount source/mounts/point
done
