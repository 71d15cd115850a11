#!/bin/bash
# An ordinary user's run starts itself anew through sudo, which gets a DESTINATION that came from the environment, and
# says what to do where there is none. Capabilities do as well as the user id 0, and --no-sudo keeps from asking.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 100m
prepare_for_user

# without PROGRAM...: as an ordinary user who may still become another one. The launcher would forbid sudo.
without() {
        setpriv --reuid="$ordinary_user" --regid="$ordinary_user" --clear-groups "$@"
}

chmod 755 bin
mkdir -m 700 source parent
echo one >source/one

# What sudo is told, by a sudo of our own.
mkdir -m 755 fake
cat >fake/sudo <<'END'
#!/bin/sh
printf '%s\n' "$@"
END
chmod 755 fake/sudo
expect_status 0 without env PATH="$tmp/fake" "$RSB_PROGRAM" -v "a source" parent/latest
[ "$(cat out)" = "--preserve-env=SSH_AUTH_SOCK,RSYNC_PASSWORD,NO_COLOR,RSYNC_MODULE_PATH,RSYNC_EXIT_STATUS
--
$RSB_PROGRAM
-v
a source
parent/latest" ] || fail "sudo is told something else: $(cat out)"
expect_status 0 without env PATH="$tmp/fake" RSYNC_MODULE_PATH="$tmp/parent/latest" "$RSB_PROGRAM" -s
[ "$(tail -n 2 out)" = "-s
$tmp/parent/latest" ] || fail "the destination of the environment is not handed on: $(cat out)"

# None.
expect_status 1 without env PATH="$tmp/none" "$RSB_PROGRAM" source parent/latest
grep -q '^error: .*no sudo.*--no-sudo' err || fail "it is not told what to do: $(cat err)"
chmod 644 fake/sudo
expect_status 1 without env PATH="$tmp/fake" "$RSB_PROGRAM" source parent/latest
grep -q "^error: cannot execute 'sudo': Permission denied; .*--no-sudo" err || fail "the reason is not told: $(cat err)"
[ -z "$(ls parent)" ] || fail "something was touched"

# The real one, with a rule that is there for this test alone, where the system's own rules let it.
really() {
        command -v sudo >/dev/null && mount -t tmpfs -o mode=755 rsb-test /etc/sudoers.d || return
        echo "#$ordinary_user ALL = (root) NOPASSWD: SETENV: ALL" >/etc/sudoers.d/rsb-test
        chmod 440 /etc/sudoers.d/rsb-test
        without sudo -n true
}
if really 2>err; then
        expect_status 0 without "$RSB_PROGRAM" --disable-notifications -b source "$tmp/parent/latest"
        [ "$(stat -c %u parent/latest parent/latest/one)" = $'0\n0' ] || fail "nothing was made with superuser privileges"
else
        echo "not tried: the real sudo: $(cat err)"
fi

# Capabilities.
install -d -m 700 -o "$ordinary_user" capable
chown -R "$ordinary_user" "$STATE_DIRECTORY" "$XDG_RUNTIME_DIR"
echo two >source/two
chown 12345:12345 source/two
enough=+dac_read_search,+dac_override,+chown,+fowner,+fsetid
expect_status 0 without --inh-caps="$enough" --ambient-caps="$enough" env PATH="$tmp/none" \
        "$RSB" -b source "$tmp/capable/latest"
[ "$(stat -c %u:%g capable/latest/two)" = 12345:12345 ] || fail "the owner is not kept with the capability to do so"
expect_status 1 without --inh-caps="${enough%,*}" --ambient-caps="${enough%,*}" env PATH="$tmp/none" \
        "$RSB_PROGRAM" -b source "$tmp/capable/latest"
grep -q 'no sudo' err || fail "too few capabilities are taken for enough"

# To another machine, with the right to read alone (no server is there, but sudo is not asked for).
chmod 700 source
expect_status 1 without --inh-caps=+dac_read_search --ambient-caps=+dac_read_search env PATH="$tmp/none" \
        "$RSB" -b --retries=0 source 'rsync://127.0.0.1:1/module/latest'
! grep -q sudo err || fail "reading is not enough: $(cat err)"
expect_status 1 without env PATH="$tmp/none" "$RSB_PROGRAM" -b --retries=0 source 'rsync://127.0.0.1:1/module/latest'
grep -q 'no sudo' err || fail "who may not read all does not seek to: $(cat err)"
