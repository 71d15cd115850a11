#!/bin/bash
# What is left out: patterns, and what was backed up before they came is deleted; the directories of the running system by
# absolute path, kept empty with owner and mode; what is mounted, unless --multi-fs; and the destination itself, when it
# lies inside of the source, while its neighbours are backed up.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
need rsync
in_memory 400m

# Patterns, in order, from the command line and a file.
mkdir -p source/{keep,cache/deep,a/cache} p
touch source/{keep,cache/deep,a/cache}/{file.o,file.c} source/{top.o,only.o}
expect_status 0 run_backup -b source p/latest
expect_status 0 run_backup -v -b -x '+ only.o' -x '*.o' -x /cache/ source p/latest
[ "$(cd p/latest && find . | LC_ALL=C sort | tr '\n' ' ')" = \
        ". ./a ./a/cache ./a/cache/file.c ./keep ./keep/file.c ./only.o " ] ||
        fail "something else is left out: $(find p/latest)"
printf '[job]\nsource = %s/source\ndestination = %s/p/latest\nbackup = yes\nexclude = *.c\n    /keep\n' "$tmp" "$tmp" >job.ini
expect_status 0 run_backup --config=job.ini
[ ! -e p/latest/keep ] || fail "a pattern of the file is not used"
[ -e p/latest/a/cache/file.o ] || fail "what is no longer excluded is not backed up"
[ ! -e p/latest/cache/deep/file.c ] || fail "the first pattern of the file is not used"

# Other filesystems.
mkdir source/mounted source/bound
chmod 2750 source/mounted
mount -t tmpfs -o mode=1711,uid=12345 tmpfs source/mounted
mount --bind source/a source/bound
touch source/mounted/file
rm source/top.o
expect_status 0 run_backup -b source q/latest
[ "$(stat -c %a:%u q/latest/mounted)" = 1711:12345 ] || fail "a mount point's owner or mode is not kept"
[ -z "$(ls q/latest/mounted)" ] || fail "another filesystem was entered"
[ -e q/latest/bound/cache/file.c ] || fail "a bind mount of the same filesystem is part of the source"
expect_status 0 run_backup -b --multi-fs source q/latest
[ -e q/latest/mounted/file ] || fail "--multi-fs does not enter another filesystem"
expect_status 0 run_backup -b source q/latest
[ -z "$(ls q/latest/mounted)" ] || fail "what is on another filesystem now was not deleted"
umount source/mounted source/bound

# The running system's directories, by absolute path.
root=$tmp/root
mkdir -p "$root"/{bin,dev,home/ada/.cache,home/ada/tmp,media,mnt,proc,run,sys,tmp,var/cache,var/tmp,data/tmp,data/run}
for directory in dev home/ada/.cache home/ada/tmp media mnt proc run sys tmp var/cache var/tmp data/tmp data/run; do
        touch "$root/$directory/file"
done
chmod 1777 "$root/tmp" "$root/var/tmp"
chown 12345 "$root/home/ada/.cache"
chmod 700 "$root/home/ada/.cache"
mkdir "$root/backups" "$root/test"
# The program and its libraries inside of the new root.
in_root() {
        chroot "$root" /bin/program "$@"
}
cp "$RSB_PROGRAM" "$root/bin/program"
ldd "$RSB_PROGRAM" | grep -o '/[^ ]*' | while read -r library; do
        install -D "$library" "$root$library"
done
if in_root --version >/dev/null 2>&1; then
        export HOME=/test STATE_DIRECTORY=/test
        expect_status 0 in_root -b /backups/latest
        for directory in dev home/ada/.cache media mnt proc run sys tmp var/cache var/tmp; do
                [ -z "$(ls -A "$root/backups/latest/$directory")" ] || fail "/$directory is not left out"
                [ "$(stat -c %a:%u "$root/backups/latest/$directory")" = "$(stat -c %a:%u "$root/$directory")" ] ||
                        fail "owner or mode of /$directory is not kept"
        done
        for directory in home/ada/tmp data/tmp data/run; do
                [ -e "$root/backups/latest/$directory/file" ] || fail "/$directory is left out"
        done
        expect_status 0 in_root -b /data /backups/data/latest
        [ -e "$root/backups/data/latest/tmp/file" ] || fail "data/tmp is left out of /data"
        expect_status 0 in_root -b /var/tmp /backups/tmp/latest
        [ -e "$root/backups/tmp/latest/file" ] || fail "/var/tmp is left out although it is the source"
else
        echo "not tried: a root of its own, the program does not start there"
fi
export HOME=$tmp/home STATE_DIRECTORY=$tmp/state

# A destination inside of the source.
mkdir -p all/etc all/backups/laptop/other
echo 1 >all/etc/file
echo 2 >all/backups/laptop/other/file
echo 3 >all/backups/laptop/note
mkdir 'all/etc/2020-01-01' all/etc/latest all/etc/.rsync-system-backup
for round in 1 2 3; do
        echo $round >all/etc/round
        mkdir -p all/backups/laptop/.rsync-system-backup.trash-9/x
        expect_status 0 run_backup -b -s all all/backups/laptop/latest
done
newest=$(snapshots all/backups/laptop | tail -n 1)
for copy in latest "$newest"; do
        copy=all/backups/laptop/$copy
        [ "$(find "$copy/backups" | LC_ALL=C sort | sed "s|^$copy||" | tr '\n' ' ')" = \
                "/backups /backups/laptop /backups/laptop/note /backups/laptop/other /backups/laptop/other/file " ] ||
                fail "the backup holds itself, or not its neighbours: $(find "$copy/backups")"
        same all/etc "$copy/etc"
done
[ "$(snapshots all/backups/laptop | wc -l)" = 3 ] || fail "there should be three snapshots"
