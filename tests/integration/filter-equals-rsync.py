#!/usr/bin/env python3
"""What the exclude rules select equals what rsync selects with the same rules (SPEC: --exclude, Left out by default).

Usage: filter-equals-rsync.py FILTER-PROBE [CASES [SEED]]

One tree of tricky names is made, and many lists of rules are drawn: patterns from a grammar, and paths of the tree in
which pieces became wildcards. rsync lists the tree once for each list; filter-probe answers them all in one process.
"""
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

LETTERS = [b'a', b'a', b'b', b'b', b'c', b'A', b'1', b'.', b'-', b'!', b'^', b' ', b'[', b']', b'\\', b'*', b'?', b'+',
           b'#', b':', b'\xc3\xa9', b'\xff', b'\x80', b'\t', b'\n', b'_']
NAMES = [b'a', b'b', b'c', b'aa', b'ab', b'ba', b'abc', b'a.o', b'b.o', b'a*', b'a?', b'[a]', b'\\', b'a\\', b'\\a',
         b'a\\*', b'**', b'***', b'!', b'- a', b'+ a', b' ', b'a ', b'-', b'#1', b'\\#012', b'a-b', b']', b'^']
CLASSES = [b'[a-c]', b'[!a]', b'[^b]', b'[]a]', b'[!]a]', b'[a-]', b'[-a]', b'[\\a-\\c]', b'[[:alpha:]]',
           b'[[:upper:]b]', b'[![:alnum:]]', b'[[:digit:][:space:]]',
           b'[[:punct:]]', b'[[:cntrl:]]', b'[[:graph:]]', b'[[:print:]]',
           b'[[:blank:]]', b'[[:lower:]]', b'[[:xdigit:]]', b'[[:foo:]]', b'[[:alpha:]', b'[[:]', b'[[::]', b'[[:a]',
           b'[', b'[a', b'[!', b'[]', b'[a\\]', b'[\\]]', b'[\\\\]', b'[!-~]', b'[\x80-\xff]', b'[c-a]', b'[/]',
           b'[a/]', b'[!/]', b'[+--]', b'[a-c-]', b'[*?]', b'[**]', b'[***]', b'[\xc3\xa9]', b'[a-[:alpha:]]',
           b'[[:alpha:]-z]', b'[--1]', b'[a', b'[^]', b'[^^]', b'[!!]', b'[[]']
WILDCARDS = [b'*', b'*', b'*', b'**', b'**', b'***', b'****', b'?', b'?', b'*.*', b'?*', b'*/', b'/*', b'/**/', b'/***']


def make_name(rng):
    if rng.random() < 0.6:
        return rng.choice(NAMES)
    name = b''.join(rng.choice(LETTERS) for _ in range(rng.randint(1, 4)))
    return b'a.' if name in (b'.', b'..') else name


def make_tree(root, rng):
    """[(path, is_directory)], parents first, what is below a directory right behind it."""
    entries = []

    def fill(prefix, depth, names):
        for name in sorted(names):
            if len(entries) >= 1000:
                return
            path = prefix + name
            kind = rng.random()
            entries.append((path, kind < 0.5 and depth < 6))
            if entries[-1][1]:
                os.mkdir(root + b'/' + path)
                fill(path + b'/', depth + 1, {make_name(rng) for _ in range(rng.randint(2, 7))})
            elif kind < 0.55:
                os.symlink(b'.', root + b'/' + path)
            else:
                os.close(os.open(root + b'/' + path, os.O_CREAT | os.O_WRONLY))

    fill(b'', 0, set(NAMES) | {make_name(rng) for _ in range(10)})
    return entries


def escape(rng, text):
    return re.sub(rb'([*?\[\]\\])', rb'\\\1', text) if rng.random() < 0.6 else text


def from_path(rng, path):
    """A path in which pieces became wildcards."""
    parts = path.split(b'/')
    if rng.random() < 0.5:
        parts = parts[rng.randrange(len(parts)):]
    if rng.random() < 0.2:
        parts = parts[:rng.randint(1, len(parts))]
    for i, part in enumerate(parts):
        kind = rng.random()
        if kind < 0.2:
            parts[i] = rng.choice([b'*', b'**', b'***', b'?*', b'*?', b'??'])
        elif kind < 0.5:
            at = rng.randrange(len(part))
            parts[i] = escape(rng, part[:at]) + rng.choice(WILDCARDS[:8] + CLASSES) + escape(rng, part[at + 1:])
        elif kind < 0.6:
            parts[i] = b'[' + part[:1] + b']' + escape(rng, part[1:])
        else:
            parts[i] = escape(rng, part) if rng.random() < 0.5 else part
    pattern = b'/'.join(parts)
    if len(parts) > 1 and rng.random() < 0.2:
        at = pattern.index(b'/')
        pattern = pattern[:at] + rng.choice([b'**', b'/**', b'**/', b'/**/', b'*']) + pattern[at + 1:]
    return pattern


def from_grammar(rng):
    pieces = []
    for _ in range(rng.randint(1, 5)):
        kind = rng.random()
        if kind < 0.35:
            pieces.append(rng.choice(LETTERS[:5]))
        elif kind < 0.6:
            pieces.append(rng.choice(WILDCARDS))
        elif kind < 0.72:
            pieces.append(rng.choice(CLASSES))
        elif kind < 0.8:
            pieces.append(b'\\' + rng.choice(LETTERS))
        elif kind < 0.9:
            pieces.append(b'/')
        else:
            pieces.append(rng.choice(NAMES))
    return b''.join(pieces)


def make_pattern(rng, entries):
    pattern = from_path(rng, rng.choice(entries)[0]) if rng.random() < 0.7 else from_grammar(rng)
    if rng.random() < 0.2:
        pattern = rng.choice([b'/', b'/', b'**', b'**/', b'*/', b'//', b'***/', b'***']) + pattern
    if rng.random() < 0.25:
        pattern += rng.choice([b'/', b'/', b'/***', b'/**', b'/*', b'***', b'//', b'/***/', b'\\', b'*'])
    return pattern


def machine_pattern(rng, entries, root):
    """A pattern for the whole path: of the tree and of what is above it."""
    pattern = make_pattern(rng, entries)
    above = root.strip(b'/').split(b'/')
    kind = rng.random()
    if kind < 0.2:
        return pattern
    if rng.random() < 0.4:
        i = rng.randrange(len(above))
        name = above[i]
        above[i] = rng.choice([b'*', b'**', b'***', b'?*', name[:-1] + b'?', b'[' + name[:1] + b']' + name[1:]])
    above = b'/'.join(above[rng.randrange(len(above)):] if kind < 0.5 else above)
    return (b'' if kind < 0.5 else rng.choice([b'/', b'/', b'**/'])) + above + b'/' + pattern.lstrip(b'/')


def make_rules(rng, entries, root):
    rules = []
    for _ in range(rng.choice([1, 2, 2, 3, 3, 4, 5, 8])):
        if rng.random() < 0.12:
            rules.append(('m', machine_pattern(rng, entries, root)))
            continue
        prefix = rng.choice([b'', b'', b'', b'', b'- ', b'+ ', b'+ '])
        rules.append(('x', prefix + make_pattern(rng, entries)))
    if rng.random() < 0.04:
        rules.insert(rng.randrange(len(rules) + 1), ('x', rng.choice([b'!', b'! ', b'!a', b'- !', b'', b' ', b'#'])))
    return rules


def decode(name):
    return re.sub(rb'\\#([0-7]{3})', lambda m: bytes([int(m[1], 8)]), name)


def rsync_selects(rules, root, empty):
    options = [b'--exclude=' + p if kind == 'x' else b'--filter=-/ ' + p for kind, p in rules]
    run = subprocess.run([b'rsync', b'-an', b'-8', b'--out-format=%n'] + options + [root + b'/', empty + b'/'],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, 'LC_ALL': 'C'}, check=False)
    if run.returncode:
        return run.stderr
    return {decode(line).rstrip(b'/') for line in run.stdout.split(b'\n')} - {b'', b'.'}


def probe_answers(probe, cases, entries, root):
    words = [root]
    for path, is_directory in entries:
        words += [b'd' if is_directory else b'f', path]
    words.append(b'')
    for rules in cases:
        for kind, pattern in rules:
            words += [kind.encode(), pattern]
        words.append(b'')
    run = subprocess.run([probe], input=b''.join(word + b'\0' for word in words), stdout=subprocess.PIPE, check=True)
    return run.stdout.split(b'\n')[:-1]


def known_cases():
    """What the manual page shows, and what once was worth a look; the rest is drawn."""
    lists = [[b'*.o'], [b'/a'], [b'a/'], [b'a/*/b'], [b'/a/**/b'], [b'+ */', b'+ *.o', b'*'], [b'/'], [b'//'], [b'**/'],
             [b'a/***/'], [b'a***'], [b'***'], [b'/***'], [b'**/a'], [b'/**/a'], [b'**//a'], [b'\\'], [b'a\\'],
             [b'a\\*'], [b'a\\\\*'], [b'\\**'], [b'\\***'], [b'a/\\***'], [b'[**]/a'], [b'a[/]b'], [b'./a'], [b'a//b'],
             [b'!'], [b'a', b'!', b'b'], [b'a', b'! ', b'b'], [b''], [b'-'], [b'+'], [b'-a'], [b'-  a'], [b'- - a'],
             [b'*' * 4095], [b'a' * 4095], [b'?*' * 40], [b'?' * 63 + b'*b'], [b'/a*a'], [b'/a*ba'],
             [b'+ a/***', b'*'], [b'a/[!x]***'], [b'**' + b'a*' * 30 + b'b']]
    return [[('x', pattern) for pattern in patterns] for patterns in lists]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    probe = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(os.environ.get('SEED', '20261122'))
    if not shutil.which('rsync'):
        print('SKIP: there is no rsync to compare with')
        sys.exit(77)
    rng = random.Random(seed)
    print(f'{count} cases, seed {seed}')

    with tempfile.TemporaryDirectory() as top:
        root = os.path.realpath(os.fsencode(top)) + b'/some place/a'
        empty = os.fsencode(top) + b'/empty'
        os.makedirs(root)
        os.mkdir(empty)
        entries = make_tree(root, rng)
        cases = known_cases() + [make_rules(rng, entries, root) for _ in range(count)]
        answers = probe_answers(probe, cases, entries, root)
        with concurrent.futures.ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1)) as pool:
            judged = list(pool.map(lambda rules: rsync_selects(rules, root, empty), cases))

    failures = telling = 0
    assert len(answers) == len(judged) == len(cases)
    for rules, answer, expected in zip(cases, answers, judged):
        selected = {path for (path, _), bit in zip(entries, answer) if bit == ord('1')}
        telling += 0 < len(selected) < len(entries)
        if selected != expected:
            failures += 1
            if failures <= 10:
                print('DIFFERS:', rules, '' if set(answer) <= set(b'01') else answer)
                if isinstance(expected, bytes):
                    print('  rsync fails:', expected)
                else:
                    print('  only we select:   ', sorted(selected - expected)[:5])
                    print('  only rsync selects:', sorted(expected - selected)[:5])
    print(f'{len(entries)} names, {len(cases)} lists of rules, {telling} of them select a part, {failures} differ')
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    main()
