#!/bin/bash
# However a run ends, valgrind finds no error, no memory that was lost, and no descriptor that is open at the end but those
# that were at the start: done, nothing new, rotated, dry, incomplete, refused, a full disk, a damaged state, wrong usage,
# a signal.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need valgrind
# Both want all of the address space.
! grep -q '__[atm]san_init' "$RSB_PROGRAM" || skip "the program has a sanitizer in it"
in_memory 200m
prepare_for_user

mkdir -m 1777 log
mkdir -m 700 source parent
mkdir source/deep
for i in $(seq 40); do
        mkdir "source/$i"
        echo "$i" | tee "source/$i/one" >"source/$i/two"
        ln "source/$i/one" "source/deep/$i"
        ln -s "$i" "source/$i/symlink"
        setfattr -n user.name -v "$i" "source/$i/two"
done
mkfifo source/fifo
mknod source/device c 1 3
truncate -s 10M source/sparse

# A valgrind that is older than openat2() gets help with it.
preload=$tmp/bin/openat2.so
[ -z "${RSB_OPENAT2:-}" ] || install -m 755 "$RSB_OPENAT2" "$preload"
[ -e "$preload" ] || preload=
command=(env "LD_PRELOAD=$preload" valgrind -q --vgdb=no --track-fds=yes --leak-check=full --error-exitcode=99
        "--errors-for-leak-kinds=definite,indirect,possible" "--log-file=$tmp/log/found"
        "$RSB_PROGRAM" --disable-notifications)

# What is told of descriptors: a heading each, and where it was opened.
leaks_none() {
        awk '/Open [^ ]* ?[^ ]* ?[0-9]+/ { open++ } /<inherited from parent>/ { open-- } END { exit open != 0 }' "$1"
}

# clean STATUS COMMAND...: it ends with that status, and nothing is found.
clean() {
        expect_status "$@"
        leaks_none log/found || fail "a descriptor is still open: ${*:2}: $(cat log/found)"
        rm log/found
}

if ! "${command[@]}" -q -b source probe/latest >out 2>&1; then
        grep -q 'Function not implemented' out || fail "below valgrind: $(cat out log/found)"
        skip "this valgrind lacks system calls"
fi
clean 0 "${command[@]}" --help
clean 2 "${command[@]}"
clean 2 "${command[@]}" --frobnicate
clean 2 "${command[@]}" --hourly=0 source parent/latest
clean 0 "${command[@]}" source parent/latest
clean 0 "${command[@]}" -v source parent/latest
echo changed >source/1/one
chmod 600 source/2/two
rm -r source/3
touch source/new
clean 0 "${command[@]}" -n -v source parent/latest
clean 0 "${command[@]}" -vv --minutely=1 -x '*.o' -x '- a[b-d]/**' source parent/latest
cat >job.ini <<END
[one]
source = $tmp/source
destination = $tmp/parent/latest
hourly = 2 * 12
exclude = *.bak
[two]
destination = /nowhere
END
clean 0 "${command[@]}" --config=job.ini one
clean 2 "${command[@]}" --config=job.ini three
sed -i 's/hourly/hourli/' job.ini
clean 2 "${command[@]}" --config=job.ini

# Refused.
mkdir full
touch full/of-something
clean 1 "${command[@]}" source full
clean 1 "${command[@]}" missing parent/latest
clean 1 "${command[@]}" -s nothing/latest
# A damaged state, and one of a transfer that was interrupted.
echo nonsense >parent/.rsync-system-backup/state
clean 0 "${command[@]}" -b source parent/latest
sed -i "/^end/i running-since $(date +%s).000000000" parent/.rsync-system-backup/state
clean 1 "${command[@]}" -s parent/latest
clean 0 "${command[@]}" -b -s source parent/latest

# An ordinary user who cannot read everything.
install -d -m 755 -o "$ordinary_user" own
as_user mkdir own/source own/source/closed
as_user touch own/source/file own/source/closed/file
chmod 000 own/source/file own/source/closed
clean 23 as_user "${command[@]}" --no-sudo own/source own/parent/latest

# A full disk, with and without something that can go.
mount -t tmpfs -o size=1m,nr_inodes=300 tmpfs full
clean 1 "${command[@]}" source full/parent/latest
clean 1 "${command[@]}" --minutely=1 source full/parent/latest

# A signal, when there is much to do yet.
mkdir source/many
(cd source/many && seq 6000 | xargs touch)
stopped=no
for delay in 1 2 3 4 5; do
        rm -rf parent/latest/many
        "${command[@]}" -b source parent/latest >out 2>err &
        pid=$!
        until grep -q '^running' parent/.rsync-system-backup/state || ! kill -0 $pid 2>/dev/null; do
                sleep 0.0$delay
        done
        kill -TERM $pid 2>/dev/null || true # it may be over
        status=0
        wait $pid || status=$?
        leaks_none log/found || fail "a descriptor is still open after a signal: $(cat log/found)"
        rm log/found
        [ $status != 143 ] || stopped=yes
        [ $status = 143 ] || [ $status = 0 ] || fail "status $status after a signal: $(cat err)"
        [ $stopped = no ] || break
done
[ $stopped = yes ] || fail "no run could be stopped on its way"
