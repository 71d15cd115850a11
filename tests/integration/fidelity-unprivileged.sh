#!/bin/bash
# fidelity-unprivileged.sh ROUNDS [SEED]: an ordinary user's backup with --no-sudo keeps all that such a user can keep.
#
# That is everything but owners, devices and privileged xattrs: modes with setuid bits, directories that their owner may
# not write, user.* xattrs of read-only files, ACLs, hard links, times. What the user cannot read gives status 23, keeps
# what latest has of it, and takes nothing else with it.
. "$(dirname "$0")/lib.sh"
[ "${RSB_OVER:-}" != ssh ] || need_root "$@"
need_program
need rsync setpriv
prepare_for_user

rounds=$1 seed=${2:-1}
src=$tmp/user/source parent=$tmp/user/backups
mkdir "$tmp/user"
if is_root; then
        chown "$ordinary_user:$ordinary_user" "$tmp/user"
fi
as_user mkdir "$src" "$parent"

# back_up STATUS: run the program, judge, and keep an eye on history.
back_up() {
        sync -f "$src"
        expect_status "$1" as_user "$RSB" --disable-notifications --no-sudo -b -s "$src" "$parent/latest"
}

back_up_and_judge() {
        back_up 0
        same "$src" "$parent/latest"
        same "$parent/latest" "$parent/$(snapshots "$parent" | tail -n 1)"
        frozen "$parent"
}

as_user "$PYTHON" "$judge/torture.py" make "$src" --seed "$seed" --unprivileged
back_up_and_judge
for ((round = 1; round <= rounds; round++)); do
        as_user "$PYTHON" "$judge/torture.py" mutate "$src" --seed $((seed * 1000 + round)) --unprivileged \
                >"$tmp/mutations" || fail "cannot mutate $src"
        (back_up_and_judge) 2>"$tmp/failure" || {
                cat "$tmp/mutations" "$tmp/failure"
                fail "seed $seed, round $round (above are its mutations)"
        }
done

# What cannot be read is named, and everything else is there.
# shellcheck disable=SC2016
as_user bash -eu -c '
        chmod u+rwx "$1"
        cd "$1"
        mkdir closed unreadable
        echo inside >closed/file
        echo before >was-readable
        echo new >unreadable/new
' - "$src"
back_up_and_judge
# shellcheck disable=SC2016
as_user bash -eu -c '
        cd "$1"
        chmod 000 closed
        echo longer than before >was-readable
        chmod 000 was-readable unreadable/new
        echo other >unreadable/other
' - "$src"
back_up 23
for name in closed was-readable; do
        grep -q "$name" "$tmp/err" || fail "$name is not named among the errors: $(cat "$tmp/err")"
done
[ "$(cat "$parent/latest/unreadable/other")" = other ] || fail "an unreadable file keeps its neighbours from the backup"
kept=$parent/$(snapshots "$parent" | tail -n 1)
if is_root; then # who can look into a directory of mode 000
        [ "$(cat "$kept/closed/file")" = inside ] || fail "what is below an unreadable directory was deleted"
        [ "$(cat "$kept/was-readable")" = before ] || fail "the last good version of an unreadable file is gone"
fi
frozen "$parent"
