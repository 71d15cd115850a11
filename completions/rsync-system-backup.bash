# bash completion for rsync-system-backup                                -*- shell-script -*-
# By the functions of bash-completion. tests/integration/completions-are-complete.sh compares the options with --help.

# The second field of entries of fstab that can be mounted somewhere; blanks in it are written as \040.
_rsync_system_backup_mount_points()
{
        awk '$1 !~ /^#/ && $2 ~ /^\// { gsub(/\\040/, " ", $2); print $2 }' /etc/fstab 2>/dev/null
}

_rsync_system_backup_disks()
{
        awk '$1 !~ /^#/ && NF > 1 { print $1 }' /etc/crypttab 2>/dev/null
}

# Lines of standard input that begin with the current word.
_rsync_system_backup_lines()
{
        local IFS=$'\n' line

        compopt -o filenames
        while read -r line; do
                [[ $line != "$cur"* ]] || COMPREPLY+=("$line")
        done
}

# _rsync_system_backup_hosts [-c]: that ssh knows, behind a user if there is one; -c: with a colon behind them.
_rsync_system_backup_hosts()
{
        [ $# = 0 ] || compopt -o nospace
        _known_hosts_real -a "$@" -- "$cur"
        __ltrim_colon_completions "$cur"
}

_rsync_system_backup()
{
        local cur prev words cword split

        _init_completion -s -n : || return
        case $prev in
        --config)
                [[ -n $cur ]] || _rsync_system_backup_lines < <(compgen -G '/etc/rsync-system-backup/*.ini')
                _filedir ini
                return
                ;;
        --mount | -m)
                _rsync_system_backup_lines < <(_rsync_system_backup_mount_points)
                return
                ;;
        --crypto | -c)
                _rsync_system_backup_lines < <(_rsync_system_backup_disks)
                return
                ;;
        --tunnel | -t)
                _rsync_system_backup_hosts
                return
                ;;
        --ionice | -i)
                COMPREPLY=($(compgen -W 'idle best-effort realtime' -- "$cur"))
                return
                ;;
        --compress)
                COMPREPLY=($(compgen -W 'auto always never 1 3 9 19' -- "$cur"))
                return
                ;;
        --minutely | --hourly | --daily | --weekly | --monthly | --yearly | -[MHdwy])
                COMPREPLY=($(compgen -W 'always' -- "$cur"))
                return
                ;;
        --remote-command)
                COMPREPLY=($(compgen -W 'rsync-system-backup rsync' -- "$cur"))
                return
                ;;
        --password-file | --report | --metrics)
                _filedir
                return
                ;;
        --restrict)
                _filedir -d
                return
                ;;
        --bwlimit | --timeout | --retries | --min-battery | --max-age | --exclude | -x)
                return
                ;;
        esac
        $split && return
        if [[ $cur == -* ]]; then
                COMPREPLY=($(compgen -W '
                        --append-only --backup --bwlimit= --compress= --config= --crypto= --daily=
                        --disable-notifications --dry-run --exclude= --force --help --hourly= --ionice= --list
                        --max-age= --metrics= --min-battery= --minutely= --monthly= --mount= --multi-fs --no-sudo
                        --not-on-metered --only-on-ac --password-file= --prefer-recent --quiet --relaxed
                        --remote-command= --report= --restrict= --retries= --rotate --server --snapshot --status
                        --timeout= --tunnel= --verbose --version --weekly= --yearly=' -- "$cur"))
                [[ ${COMPREPLY-} != *= ]] || compopt -o nospace
                return
        fi
        # A directory here, or a host with a directory or a module behind it.
        [[ $cur == */* || $cur == *:* ]] || _rsync_system_backup_hosts -c
        _filedir -d
} &&
        complete -F _rsync_system_backup rsync-system-backup
