#!/bin/bash
# The judges of the fidelity tests see every kind of difference: each is planted in a copy that they found faithful. The
# launcher of the program kills what executes something.
. "$(dirname "$0")/lib.sh"
need rsync
is_root || skip "needs root: owners, devices and trusted xattrs are among what is planted"

# All times of the tree in the working directory, also where paths are longer than PATH_MAX.
set_times() {
        find . -depth -execdir touch -h -d '2020-01-02 03:04:05.123456789' {} +
}

# acl USER PERMISSIONS: the bytes of an ACL of mode 0664 with one entry more.
acl() {
        "$PYTHON" -c "import sys; sys.path.insert(0, '$judge'); import tree
print('0x' + tree.acl(6, 6, 4, users=(($1, $2),), mask=6).hex())"
}

acl5=$(acl 5 6) acl6=$(acl 6 6)

# Fill the working directory, in the same way each time.
build() {
        mkdir -p dir/below beyond-path-max
        printf 'content' >file
        echo linked | tee one alone >/dev/null
        ln one two
        ln one dir/three
        ln -s target symlink
        ln symlink dir/symlink
        mkfifo fifo
        mknod device c 1 3
        truncate -s 1M sparse
        printf end >>sparse
        setfattr -n user.a -v value file
        setfattr -n user.empty file
        setfattr -h -n trusted.a -v value symlink
        setfattr -n trusted.a -v value fifo
        setfattr -n system.posix_acl_access -v "$acl5" file
        setfattr -n system.posix_acl_default -v "$acl5" dir
        chown 5:6 file
        chmod 4755 dir/three
        (
                cd beyond-path-max
                for level in {10..40}; do
                        mkdir "$long$level"
                        cd -P "$long$level"
                done
                echo bottom >bottom
        )
        set_times
}

long=$(printf 'd%.0s' {1..190})
sparse_zeros() {
        dd if=/dev/zero of=sparse bs=64k seek=4 count=1 conv=notrunc status=none
}

at_the_bottom() {
        # shellcheck disable=SC2150
        find . -name bottom -execdir "$@" \;
}

# detected WHO WHAT COMMAND...: plant it in a copy and judge both ways round. WHO is both or ours: whether rsync sees it
# too or only our listing does. Times are put back after the command, unless it is touch.
detected() {
        local who=$1 what=$2 trees
        shift 2

        rm -rf copy
        mkdir copy
        (cd copy && build && "$@" && { [ "$1" = touch ] || set_times; }) || fail "cannot plant: $what"
        for trees in "source copy" "copy source"; do
                # shellcheck disable=SC2086
                ! "$judge/same.sh" $trees --holes=exact >log || fail "not detected: $what ($trees)"
                grep -q '^our listing finds' log || fail "not detected by our listing: $what ($trees): $(cat log)"
                [ "$who" = ours ] || grep -q '^rsync -n finds' log || fail "not detected by rsync: $what ($trees): $(cat log)"
        done
}

cd "$tmp"
mkdir source copy
(cd source && build)
(cd copy && build)
same source copy --holes=exact
detected both "content of the same size and time" eval 'printf CONTENT >file'
detected both "mode" chmod 4754 dir/three
detected both "mode of a directory" chmod 700 dir/below
detected both "mode of a FIFO" chmod 700 fifo
detected both "owner" chown 7 file
detected both "group of a symlink" chown -h :7 symlink
detected both "xattr value" setfattr -n user.a -v VALUE file
detected both "another xattr" setfattr -n user.b -v value file
detected both "empty xattr gone" setfattr -x user.empty file
detected both "xattr of a symlink" setfattr -h -x trusted.a symlink
detected both "xattr of a FIFO" setfattr -n trusted.a -v VALUE fifo
detected both "ACL" setfattr -n system.posix_acl_access -v "$acl6" file
detected both "default ACL" setfattr -n system.posix_acl_default -v "$acl6" dir
detected both "ACL gone" setfattr -x system.posix_acl_access file
detected both "time, by a nanosecond" touch -d '2020-01-02 03:04:05.123456788' file
detected both "time of a directory" touch -d '2020-01-02 03:04:06' dir
detected both "time of a symlink" touch -h -d '2020-01-02 03:04:06' symlink
detected both "another file" touch dir/new
detected both "file gone" rm alone
detected both "directory gone" rmdir dir/below
detected both "symlink's target" ln -snf TARGET symlink
detected both "device number" eval 'rm device; mknod device c 1 5'
detected both "type" eval 'rm fifo; mknod fifo p; rm device; mkfifo device'
detected ours "hole filled" sparse_zeros
rm -rf copy
mkdir copy
(cd copy && build && sparse_zeros && set_times)
! "$judge/same.sh" source copy >log || fail "a hole that was filled in the copy is not detected without --holes=exact"
same copy source # a copy may save space
detected ours "group split" eval 'cp -p --remove-destination one x; mv x dir/three'
detected ours "group of symlinks split" eval 'rm dir/symlink; cp -a symlink dir/symlink'
detected ours "groups merged" eval 'chmod 4755 alone; ln -f alone two'
detected ours "content beyond PATH_MAX" at_the_bottom truncate -s 0 bottom
detected ours "file gone beyond PATH_MAX" at_the_bottom rm bottom

# In a chain, which rsync judges in pieces.
hundred=$(printf '/d%.0s' {1..100})
chain=deep$hundred$hundred/d/d
deepen() {
        mkdir -p "$chain"
        "$@"
}

(cd source && deepen set_times)
rm -rf copy
mkdir copy
(cd copy && build && deepen set_times)
same source copy
detected both "mode at the end of a chain" deepen chmod 700 "$chain"
detected both "mode where a chain is cut" deepen chmod 700 "deep$hundred"
detected both "end of a chain gone" deepen rmdir "$chain"
detected both "pieces of a chain gone" deepen rm -r "deep$hundred"

# A snapshot that changes, in content or in metadata alone, and one that disappears.
rm -rf parent
mkdir parent "parent/2026-01-01 00:00:00"
(cd "parent/2026-01-01 00:00:00" && build)
cp -al "parent/2026-01-01 00:00:00" "parent/2026-01-02 00:00:00" 2>/dev/null || true # but for PATH_MAX
frozen parent
ln "parent/2026-01-01 00:00:00/file" parent/another-link
frozen parent
for plant in 'chmod 600 parent/another-link' 'setfattr -x user.a parent/another-link' 'rm -r parent/2026-01-02*'; do
        eval "$plant"
        ! (frozen parent) 2>/dev/null || fail "not detected by frozen: $plant"
        mv frozen.store "was-frozen-$RANDOM"
        frozen parent
done

# starts STATUS CODE: what python runs below the launcher.
starts() {
        local status=0

        RSB_PROGRAM=$PYTHON "$RSB" -c "import os, threading$2" 2>log || status=$?
        [ $status = "$1" ] || fail "below the launcher, status $status instead of $1:$2: $(cat log)"
}

if [ -z "${RSB_PROGRAM:-}" ]; then
        echo "not tried: the launcher, RSB is the program itself"
elif ! grep -qw kill_process /proc/sys/kernel/seccomp/actions_avail 2>/dev/null; then
        echo "not tried: the launcher, the kernel has no filters"
else
        killed=159 # by SIGSYS
        starts 0 '
assert os.environ["PATH"] == ""
thread = threading.Thread(target=print)
thread.start()
thread.join()
status = open("/proc/self/status").read().split()
assert status[status.index("NoNewPrivs:") + 1] == "0"'
        starts $killed '
os.execv("/bin/true", ["true"])'
        starts $killed '
os.execve(os.open("/bin/true", os.O_RDONLY), ["true"], {})'
        starts $killed '
threading.Thread(target=lambda: os.execv("/bin/true", ["true"])).start()'
        starts $killed '
os.posix_spawn("/bin/true", ["true"], {})'
        starts $killed '
os.fork()'
fi
