#!/bin/bash
# The documentation says what the program does: each option of --help has an entry in rsync-system-backup(8), each key of a
# file one in (5), and there are no others; each variable of the environment is told of; no command and no configuration
# file that is shown is refused; links lead somewhere.
. "$(dirname "$0")/lib.sh"
need_program
docs=$here/../../docs
cd "$tmp"

# differ A B: lines that are in one of them only.
differ() {
        sort -u "$1" >"$1.sorted"
        sort -u "$2" >"$2.sorted"
        [ "$(wc -l <"$1.sorted")" -gt 20 ] || fail "$1: hardly any were found"
        diff "$1.sorted" "$2.sorted" >difference || fail "$1 (<) is not $2 (>): $(cat difference)"
}

# ---- options and keys ----

"$RSB" --help | grep -o -e '--[a-z][a-z-]*' | cut -c 3- >options
sed -n 's/^\.It .*Fl Fl \([a-z][a-z-]*\).*/\1/p' "$docs/rsync-system-backup.8" >options-in-8
differ options options-in-8

# A file has the keys that it does not refuse as such; the last line is refused in any case.
sort -u options - <<<$'source\ndestination' | while read -r key; do
        printf '[job]\n%s = /\nthis is refused\n' "$key" >job.ini
        expect_status 2 "$RSB" --config=job.ini
        grep -q "job.ini:2: $key: \(there is no such option\|this option is for the command line only\)" err || echo "$key"
done >keys
sed -n '/^\.Sh KEYS/,/^\.Sh FILES/s/^\.It Cm \([a-z][a-z-]*\) No =.*/\1/p' "$docs/rsync-system-backup.5" >keys-in-5
differ keys keys-in-5

# What is asked of the environment, and what the manual says of it.
grep -rhoE '(getenv|is_set)\("[A-Z_]+"\)' "$here/../../src" | sed 's/.*("//; s/").*//' | sort -u >variables
[ "$(wc -l <variables)" -gt 15 ] || fail "hardly any variables were found"
sed -n '/^\.Sh ENVIRONMENT/,/^\.Sh FILES/s/^\.It Ev //p' "$docs/rsync-system-backup.8" | sed 's/ , /\n/g' | sort -u >variables-in-8
if comm -23 variables variables-in-8 | grep . >unknown; then
        fail "the manual does not tell of variables: $(cat unknown)"
fi

# ---- what is shown ----

# Each indented block, or literal display of a manual page, that has a destination, and each example: a file for it.
awk '
        FNR == 1 { inside = 0 }
        FILENAME ~ /\.md$/ { inside = /^    / || (inside && /^$/) }
        /^\.Bd -literal/ { inside = 1; next }
        /^\.Ed/ { inside = 0 }
        !inside { block = 0; next }
        FILENAME ~ /\.md$/ { sub(/^    /, "") }
        /^\[/ && !block { block = 1; name = "shown-" ++count ".ini"; print FILENAME >name ".from" }
        /^#/ && !block { next }
        block { print >name }
' "$docs"/*.md "$docs"/*.[1-8] "$here"/../../README.md
for file in "$docs"/examples/*.ini; do
        cp "$file" "shown-${file##*/}"
        echo "$file" >"shown-${file##*/}.from"
done
shown=0
for file in shown-*.ini; do
        grep -q '^destination' "$file" || continue
        shown=$((shown + 1))
        while read -r section; do
                # It is read and checked as a whole, but nothing is connected to or mounted. 1 and 3: no run is remembered.
                status=0
                "$RSB" --status --config="$file" "$section" >out 2>err || status=$?
                [ $status = 1 ] || [ $status = 3 ] || fail "a configuration in $(cat "$file.from") is refused: $(cat err "$file")"
        done < <(sed -n 's/^\[\(.*\)\].*/\1/p' "$file")
done
[ $shown -gt 8 ] || fail "only $shown configurations were found"

# The options of each command; not of others in the same line.
grep -h -o -e '^ \{4\}\([a-z0-9]*[#$] \)\?\(.*[ /]\)\?rsync-system-backup .*' -e '^\.D[l1] .*rsync-system-backup .*' \
        "$docs"/*.md "$docs"/*.[1-8] "$here/../../README.md" | sed 's/.*rsync-system-backup //; s/ [|#] .*//' >commands
[ "$(wc -l <commands)" -gt 20 ] || fail "hardly any commands were found"
sed 's/^/ /' commands | grep -o -e ' --[a-z][a-z-]*' | cut -c 4- | sort -u >used
if comm -23 used options.sorted | grep . >unknown; then
        fail "options that do not exist are shown: $(cat unknown)"
fi

# ---- links ----

# What a title is called as a fragment.
fragments() {
        sed -n 's/^##* //p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

links=0
for document in "$docs"/*.md "$docs"/../*.md; do
        while IFS='#' read -r path fragment; do
                links=$((links + 1))
                target=$(dirname "$document")/$path
                [ -n "$path" ] || target=$document
                [ -e "$target" ] || fail "${document##*/}: there is no '$path'"
                grep -q "'\(\.\./\)\?${target##*/}'" "$docs/meson.build" || [ "${target##*/}" = LICENSE ] ||
                        fail "'$path', which ${document##*/} links to, is not installed"
                [ -z "$fragment" ] || fragments "$target" | grep -qxF -e "$fragment" ||
                        fail "${document##*/}: '$path' has no title '#$fragment'"
        done < <(grep -o '\](\([^)]*\))' "$document" | sed 's/^](//; s/)$//' | grep -v '^[a-z]*:')
done
[ $links -gt 20 ] || fail "only $links links were found"
