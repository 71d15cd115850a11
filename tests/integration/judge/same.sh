#!/bin/bash
# same.sh SRC COPY [options of listing.py]: is COPY a faithful copy of SRC? Two judges; both must find nothing.
#
# rsync knows nothing of hard-link groups that split or merge, nor of holes; it cannot follow where paths get longer than
# PATH_MAX (the torture tree keeps those below /beyond-path-max), and would read a file of 1 TiB to its end. Our own
# listing knows all of that, but was written by us.
set -eu

src=$1 copy=$2
shift 2
python=${PYTHON:-python3}
judge=$(dirname "$(readlink -f "$0")")
status=0

# Patterns of the files that are too large, each ended by a NUL; a ? stands for what would be special in a pattern.
large_files() {
        find "$1" -path "$1/beyond-path-max" -prune -o -type f -size +256M -printf '/%P\0' | LC_ALL=C sed -z 's/[][*?\\]/?/g'
}

# compare BELOW [EXCLUDE...]: by rsync. XFS shows root its ACLs a second time as trusted.SGI_ACL_*; with an xattr filter
# the default one must be given again.
compare() {
        rsync -aHAXXn --numeric-ids --delete --itemize-changes --checksum --modify-window=-1 "${@:2}" \
                --filter='-x system.*' --filter='-x trusted.SGI_ACL_*' "$src/$1" "$copy/$1" 2>&1
}

# It opens each name from the top, and takes ten times as long for the chain of the torture tree, where no hard links are,
# than for all the rest. So that is judged in pieces.
compare_all() {
        local piece below status=0

        piece=$(printf '/d%.0s' {1..100})
        below=deep$piece/
        { large_files "$src"; large_files "$copy"; } |
                compare '' --from0 --exclude-from=- --exclude=/beyond-path-max --exclude="/deep$piece" || status=$?
        while [ -e "$src/$below" ] || [ -e "$copy/$below" ]; do
                compare "$below" --exclude="$piece" || status=$?
                below=$below${piece#/}/
        done
        return $status
}

found=$(compare_all) || status=$?
if [ -n "$found" ] || [ "$status" != 0 ]; then
        echo "rsync -n finds differences between $src and $copy (its exit status: $status):"
        head -n 60 <<<"$found"
        status=1
fi
if ! found=$("$python" "$judge/listing.py" "$@" "$src" "$copy" 2>&1); then
        echo "our listing finds differences between $src and $copy:"
        printf '%s\n' "$found"
        status=1
fi
exit $status
