#!/bin/bash
# Clients and agents that do not keep to the protocol: absurd lengths and counts, names with ".." and slashes, listings that
# are not sorted, contents that are longer or shorter, wrong sums, streams without an end, zstd bombs, answers that nobody
# asked for, requests in the wrong order, or in spite of a refusal. The other side says what is wrong and ends, without a
# crash and without much memory; nothing outside of the tree changes, no snapshot does, and the next honest run is as if
# nothing had been. RSB_HOSTILE and RSB_HOSTILE_AGENTS choose some of them, RSB_HOSTILE_SHOW=1 tells what each came to.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 1g
. "$here/ssh.sh"
. "$here/agent.sh"

start_far
fence=$tmp/srv
mkdir -p srv/own srv/other srv/files outside/sub source/dir/sub
chmod 700 srv/*
echo precious | tee srv/files/file outside/file outside/sub/file >/dev/null
echo old >source/file
printf '#!/bin/true\n' >source/power
chmod 4755 source/power
head -c 300000 /dev/urandom >source/big
echo x | tee source/dir/file source/dir/sub/file >/dev/null
expect_status 0 run_backup -b -s source srv/own/latest
expect_status 0 run_backup source srv/other/latest
mkdir srv/own/'2020-01-01 00:00:00'
echo kept >srv/own/'2020-01-01 00:00:00/file'
frozen srv/own

export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}exitcode=99" STATE_DIRECTORY=$tmp/far-state XDG_RUNTIME_DIR=$tmp/far-run
# clients [OPTION]...: all of them, or those of $RSB_HOSTILE.
clients() {
        "$PYTHON" "$here/hostile-peers.py" client "$tmp" "$RSB" "--restrict=$fence" "$@" || fail "hostile clients $*"
        expect_status 0 run_backup -b -s source srv/own/latest
        same source srv/own/latest
        frozen srv/own
}

clients
# Those that want more than to send.
RSB_HOSTILE=${RSB_HOSTILE:-removes-what-is-no-snapshot what-was-not-announced everything-twice not-listening-other wrong-sums} \
        clients --append-only

# A malicious agent, and an honest client.
before=$("$PYTHON" "$here/facts.py" source)
for case in ${RSB_HOSTILE_AGENTS:-$("$PYTHON" "$here/hostile-peers.py" cases)}; do
        status=0
        agent="$PYTHON $here/hostile-peers.py agent $case #"
        timeout -k 5 150 "$PYTHON" - "$RSB" --disable-notifications --retries=0 -v --remote-command="$agent" --hourly=1 \
                source far:/srv/latest >out 2>err <<'END' || status=$?
import os, resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
has_sanitizer = b"__asan_init" in open(os.environ["RSB_PROGRAM"], "rb").read()
sys.exit(98 if peak > (4 << 20 if has_sanitizer else 700 << 10) else status)
END
        [ -z "${RSB_HOSTILE_SHOW:-}" ] || echo "$case: $status $(grep -m 1 error: err | cut -c 1-200)"
        case $status in
        0 | 1 | 23) ;;
        *) fail "status $status with the agent $case: $(tail -c 3000 err)" ;;
        esac
        ! grep -q $'\033' out err || fail "escapes get through from the agent $case: $(grep $'\033' out err | head -n 3 | cat -v)"
        ! grep -q 'runtime error' err || fail "the agent $case: $(cat err)"
done
[ "$before" = "$("$PYTHON" "$here/facts.py" source)" ] || fail "the source was changed"
