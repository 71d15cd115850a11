# fish completion for rsync-system-backup. tests/integration/completions-are-complete.sh compares the options with --help.

# Blanks are written as \040 in fstab.
function __rsync_system_backup_mount_points
    test -r /etc/fstab
    and string replace --filter --regex '^\s*[^#\s]\S*\s+(/\S*).*' '$1' </etc/fstab | string replace --all '\040' ' '
end

function __rsync_system_backup_disks
    test -r /etc/crypttab
    and string replace --filter --regex '^\s*([^#\s]\S*)\s+\S.*' '$1' </etc/crypttab
end

function __rsync_system_backup_jobs
    for file in /etc/rsync-system-backup/*.ini
        echo $file
    end
    __fish_complete_suffix .ini
end

# Hosts that ssh knows, behind the user that was typed if there was one, and before a directory or module.
function __rsync_system_backup_hosts
    set -l user (string match --regex '^[^/:]*@' -- (commandline --current-token); or echo '')
    for host in (__fish_print_hostnames | string match --invert '!*')
        echo $user$host:
    end
end

set -l rsb complete --command rsync-system-backup

$rsb --no-files --arguments '(__fish_complete_directories)'
$rsb --no-files --arguments '(__rsync_system_backup_hosts)' --description 'Host'

$rsb --short-option b --long-option backup --description 'Transfer SOURCE to DESTINATION'
$rsb --short-option s --long-option snapshot --description 'Take a snapshot'
$rsb --short-option r --long-option rotate --description 'Remove the snapshots that are not preserved'
$rsb --short-option n --long-option dry-run --description 'Change nothing, report what would be done'
$rsb --long-option status --description 'Tell how backups to DESTINATION stand'
$rsb --long-option max-age --no-files --require-parameter --description 'Be critical when the last is older'
$rsb --long-option report --force-files --require-parameter --description 'Write a JSON document about the run'
$rsb --long-option metrics --force-files --require-parameter --description 'Write metrics for Prometheus'
$rsb --long-option list --description 'Change nothing, tell what snapshots there are'
$rsb --short-option x --long-option exclude --no-files --require-parameter --description 'Leave out what matches'
$rsb --long-option multi-fs --description 'Cross filesystem boundaries'
$rsb --short-option m --long-option mount --no-files --require-parameter --arguments '(__rsync_system_backup_mount_points)' --description 'Mount this entry of fstab first'
$rsb --short-option c --long-option crypto --no-files --require-parameter --arguments '(__rsync_system_backup_disks)' --description 'Unlock this entry of crypttab first'
$rsb --short-option t --long-option tunnel --no-files --require-parameter --arguments '(__fish_complete_user_at_hosts | string match --invert --regex "^!|@!")' --description 'Reach the rsync daemon through SSH'
$rsb --long-option compress --no-files --require-parameter --arguments 'auto always never 1 3 9 19' --description 'When to compress'
$rsb --long-option bwlimit --no-files --require-parameter --description 'KiB a second at most'
$rsb --long-option timeout --no-files --require-parameter --description 'Give up a silent connection, in seconds'
$rsb --long-option retries --no-files --require-parameter --description 'Connect again so often'
$rsb --long-option remote-command --no-files --require-parameter --arguments 'rsync-system-backup rsync' --description 'What to run there'
$rsb --long-option password-file --force-files --require-parameter --description 'Password for an rsync daemon'
$rsb --short-option M --long-option minutely --no-files --require-parameter --arguments always --description 'Snapshots to preserve'
$rsb --short-option H --long-option hourly --no-files --require-parameter --arguments always --description 'Snapshots to preserve'
$rsb --short-option d --long-option daily --no-files --require-parameter --arguments always --description 'Snapshots to preserve'
$rsb --short-option w --long-option weekly --no-files --require-parameter --arguments always --description 'Snapshots to preserve'
$rsb --long-option monthly --no-files --require-parameter --arguments always --description 'Snapshots to preserve'
$rsb --short-option y --long-option yearly --no-files --require-parameter --arguments always --description 'Snapshots to preserve'
$rsb --long-option relaxed --description 'Count only periods that have a snapshot'
$rsb --long-option prefer-recent --description 'Preserve the newest of a period'
$rsb --long-option config --no-files --require-parameter --arguments '(__rsync_system_backup_jobs)' --description 'Read options from a file'
$rsb --short-option i --long-option ionice --no-files --require-parameter --arguments 'idle best-effort realtime' --description 'I/O class'
$rsb --short-option u --long-option no-sudo --description 'Do not seek superuser privileges'
$rsb --short-option f --long-option force --description 'Continue past a check that can be forced'
$rsb --long-option only-on-ac --description 'Skip the run on battery'
$rsb --long-option min-battery --no-files --require-parameter --description 'Skip it when less is left'
$rsb --long-option not-on-metered --description 'Skip it where the network is metered'
$rsb --long-option disable-notifications --description 'No desktop notifications'
$rsb --short-option v --long-option verbose --description 'Say more'
$rsb --short-option q --long-option quiet --description 'Say less'
$rsb --short-option h --long-option help --description 'Show help'
$rsb --long-option version --description 'Show the version'
$rsb --long-option server --description 'Be the agent of a client'
$rsb --long-option restrict --no-files --require-parameter --arguments '(__fish_complete_directories)' --description 'Let it reach nothing outside'
$rsb --long-option append-only --description 'Nor remove or change snapshots'
