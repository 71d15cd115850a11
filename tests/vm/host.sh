# shellcheck shell=bash
# What `guest` and the tests that start it share.

# why_no_guest: prints the reason for which there can be none, if so.
why_no_guest() {
        if ! command -v linux.uml >/dev/null; then
                echo "needs linux.uml (user-mode-linux)"
        elif ! compgen -G '/usr/lib/uml/modules/*/kernel' >/dev/null; then
                echo "needs the modules of linux.uml"
        elif grep -q '__[at]san_init' "${RSB_PROGRAM:-/dev/null}"; then
                echo "a guest has not enough addresses for this sanitizer"
        fi
}

# roomy: a directory for what guests keep in files, their memory among it; in memory if there is enough of it.
roomy() {
        local free

        free=$(stat -f -c '%a %S' /dev/shm 2>/dev/null) || free='0 0'
        if [ -w /dev/shm ] && [ "$((${free% *} * ${free#* } >> 30))" -ge 2 ]; then
                echo /dev/shm
        else
                echo "${TMPDIR:-/tmp}"
        fi
}
