#!/bin/bash
# On a terminal there is a live line, and colours; elsewhere there is neither. terminal-shows-progress.py looks.
. "$(dirname "$0")/lib.sh"
need_root "$@"
need_program
in_memory 100m
"$PYTHON" "$here/terminal-shows-progress.py"
