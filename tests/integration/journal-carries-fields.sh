#!/bin/bash
# In the journal messages carry fields, and events an identifier (journal-carries-fields.py looks); where it cannot be
# reached they are lines on standard error.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 50m
prepare_for_user
docs=$here/../../docs/systemd.md
mount -t tmpfs -o mode=755 run /run || skip "cannot mount a tmpfs over /run"
mount -t tmpfs -o mode=755 class /sys/class || skip "cannot mount a tmpfs over /sys/class"
mkdir -p /sys/class/power_supply/BAT0
echo Battery >/sys/class/power_supply/BAT0/type
echo Discharging >/sys/class/power_supply/BAT0/status
export RSB
"$PYTHON" "$here/journal-carries-fields.py" "$docs" "$ordinary_user"
