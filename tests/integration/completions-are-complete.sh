#!/bin/bash
# completions-are-complete.sh bash|zsh|fish: the shell completes every option of --help and no other, and offers what
# stands in fstab, crypttab, ssh's files and the configured jobs.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 50m
shell=$1
need "$shell"
completions=$here/../../completions
"$RSB" --help | grep -o -e '--[a-z][a-z-]*' | sort -u >options
[ "$(wc -l <options)" -gt 20 ] || fail "--help names hardly any option"

# A machine of our own.
mkdir upper work
mount -t overlay -o "lowerdir=/etc,upperdir=$tmp/upper,workdir=$tmp/work" overlay /etc ||
        skip "cannot mount an overlay"
trap 'status=$?; umount -l /etc; clean_up "$status"' EXIT
mkdir -p /etc/rsync-system-backup places/here "$HOME/.ssh"
printf '# dev point\n/dev/sdz1 /mnt/of\\040two none\nUUID=1 none swap sw\n/dev/sdz2 /srv/mirror auto\n' >/etc/fstab
printf '# a comment\nvault UUID=2 none luks\n' >/etc/crypttab
touch /etc/rsync-system-backup/laptop.ini
printf 'Host bastion-of-ours !bastion-of-others\n' >"$HOME/.ssh/config"
printf 'vps.example.org ssh-ed25519 AAAA\n' >"$HOME/.ssh/known_hosts"
chmod 600 "$HOME/.ssh"/*

# What is typed, and what it becomes. One line each, in both files.
cat >typed <<'QUESTIONS'
it --mul
it --ionice=best
it -i re
it --compress=nev
it --mount=/srv/
it -m /mnt/o
it --crypto=va
it -c va
it --config=/etc/rsync-system-backup/l
it --password-file=opt
it --restrict=pla
it --tunnel=basti
it pla
it . vps
it . root@basti
it --hourly=al
QUESTIONS
cat >expected <<'ANSWERS'
--multi-fs
--ionice=best-effort
-i|realtime
--compress=never
--mount=/srv/mirror
-m|/mnt/of two
--crypto=vault
-c|vault
--config=/etc/rsync-system-backup/laptop.ini
--password-file=options
--restrict=places/
--tunnel=bastion-of-ours
places/
.|vps.example.org:
.|root@bastion-of-ours:
--hourly=always
ANSWERS

case $shell in
bash)
        files=(/usr/share/bash-completion/bash_completion)
        [ -e "${files[0]}" ] || skip "needs bash-completion"
        cat >set-up <<SETUP
HISTFILE=
. ${files[0]}
. '$completions/rsync-system-backup.bash'
complete -F _rsync_system_backup it
it() { local IFS='|'; echo "{\$*}"; }
bind 'set enable-bracketed-paste off' 'set completion-query-items 0' 'set page-completions off'
PS1='@> '
echo READY
SETUP
        command=(bash --norc --noprofile -i)
        ;;
zsh)
        cat >set-up <<SETUP
fpath=('$completions' \$fpath)
autoload -Uz compinit && compinit -u -d '$tmp/zcompdump'
compdef _rsync-system-backup it
it() { local IFS='|'; echo "{\$*}"; }
unset zle_bracketed_paste
unsetopt promptsp autoremoveslash
LISTMAX=10000
PROMPT='@> '
echo READY
SETUP
        command=(zsh -f -i)
        ;;
fish)
        export XDG_CONFIG_HOME=$tmp/fish XDG_DATA_HOME=$tmp/fish
        sed 's/^it/rsync-system-backup/' typed >asked
        while read -r line; do
                fish --no-config -c "source '$completions/rsync-system-backup.fish'; complete -C '$line'" | cut -f 1 >lines
                [ "$(wc -l <lines)" = 1 ] || fail "not one answer to '$line': $(cat lines)"
                words=${line#* }
                case $words in *' '*) printf '%s|' "${words%% *}" ;; esac
                cat lines
        done <asked >answers
        fish --no-config -c "source '$completions/rsync-system-backup.fish'; complete -C 'rsync-system-backup --'; complete -C 'rsync-system-backup . '" >listed
        rm /etc/crypttab /etc/fstab
        fish --no-config -c "source '$completions/rsync-system-backup.fish'; complete -C 'rsync-system-backup -c '; complete -C 'rsync-system-backup -m '" >out 2>&1
        [ ! -s out ] || fail "without crypttab and fstab: $(cat out)"
        ;;
esac
if [ "$shell" != fish ]; then
        (cat typed && echo 'it --?' && echo 'it . ?') | "$PYTHON" "$here/at-prompt.py" "$tmp/set-up" "${command[@]}" >told
        head -n "$(wc -l <typed)" told >answers
        tail -n "+$(($(wc -l <typed) + 1))" told >listed
fi
diff expected answers || fail "$shell completes otherwise (>)"
grep -o -e '--[a-z][a-z-]*' listed | sort -u | diff options - || fail "$shell lacks options (<), or has others (>)"
if [ "$shell" = zsh ]; then
        # It looks into the configuration when there are no others.
        rm "$HOME/.ssh/known_hosts"
        : >/etc/hosts
        echo 'it . ?' | "$PYTHON" "$here/at-prompt.py" "$tmp/set-up" "${command[@]}" >>listed
fi
grep -q bastion-of-ours listed || fail "$shell lists no hosts: $(cat listed)"
! grep bastion-of-others listed || fail "$shell takes what ssh negates for a host"
