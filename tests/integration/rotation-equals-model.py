#!/usr/bin/env python3
"""The rotation marks equal those of an independent model, on 10,000 random sets and schemes.

Pins the rules of rotation: which snapshots are preserved, and for which reasons. The model below is written from the
rules alone, with datetime's calendar, and in the most obvious way: for each frequency it makes a dictionary from
periods to snapshots.

Usage: rotation-equals-model.py PROBE [SEED [CASES]]     PROBE: the executable of tests/unit/scheme-probe.c
"""

import calendar
import random
import subprocess
import sys
from datetime import datetime, timedelta

PERIODS = {
    "minutely": lambda t: (t.year, t.month, t.day, t.hour, t.minute),
    "hourly": lambda t: (t.year, t.month, t.day, t.hour),
    "daily": lambda t: (t.year, t.month, t.day),
    "weekly": lambda t: tuple(t.isocalendar())[:2],
    "monthly": lambda t: (t.year, t.month),
    "yearly": lambda t: (t.year,),
}
LENGTHS = {
    "minutely": timedelta(minutes=1),
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(weeks=1),
}
FORMS = [
    ("%Y-%m-%d %H:%M:%S", timedelta(seconds=1)),
    ("%Y-%m-%dT%H:%M:%S", timedelta(seconds=1)),
    ("%Y%m%d%H%M%S", timedelta(seconds=1)),
    ("%Y-%m-%d %H:%M", timedelta(minutes=1)),
    ("%Y_%m_%d_%H_%M", timedelta(minutes=1)),
    ("%Y-%m-%d", timedelta(days=1)),
    ("%Y%m%d", timedelta(days=1)),
]


class Snapshot:
    def __init__(self, name, time, complete=True, own=False, ignored=False):
        self.name, self.time = name, time
        self.complete, self.own, self.ignored = complete, own, ignored

    def __repr__(self):
        return f"{self.name!r} complete={self.complete} own={self.own} ignored={self.ignored}"


class Scheme:
    def __init__(self, counts, relaxed, prefer_recent):
        self.counts, self.relaxed, self.prefer_recent = counts, relaxed, prefer_recent

    def __str__(self):
        words = [f"{frequency}={count}" for frequency, count in self.counts.items()]
        return " ".join(words + ["relaxed"] * self.relaxed + ["prefer-recent"] * self.prefer_recent)


# ------------------------------------------------------------------------------------------------------- the model


def earlier(time, frequency, count):
    """The moment @count periods before @time; None when the calendar does not reach back so far."""
    if frequency in LENGTHS:
        try:
            return time - count * LENGTHS[frequency]
        except OverflowError:
            return None
    month = time.year * 12 + (time.month - 1) - count * (12 if frequency == "yearly" else 1)
    year, month = month // 12, month % 12 + 1
    if year < 1:
        return None
    return time.replace(year=year, month=month, day=min(time.day, calendar.monthrange(year, month)[1]))


def reference(snapshots):
    """The moment from which the windows reach back; a run that comes after a year may have a wrong clock."""
    newest = snapshots[-1]
    if newest.own and len(snapshots) > 1:
        limit = earlier(newest.time, "yearly", 1)
        if limit and snapshots[-2].time < limit:
            return snapshots[-2].time
    return newest.time


def frequency_preserves(scheme, frequency, snapshots):
    """@snapshots are sorted, oldest first."""
    count = scheme.counts[frequency]
    periods = {}
    for snapshot in snapshots:
        periods.setdefault(PERIODS[frequency](snapshot.time), []).append(snapshot)
    chosen = [members[-1 if scheme.prefer_recent else 0] for members in periods.values()]
    if count == "always":
        return chosen
    if not scheme.relaxed:
        limit = earlier(reference(snapshots), frequency, count)
        chosen = [snapshot for snapshot in chosen if limit is None or snapshot.time >= limit]
    return chosen[-count:]


def model(scheme, snapshots, now):
    """Snapshots in the order of time, each with the list of reasons for which it is preserved."""
    ordered = sorted(snapshots, key=lambda s: (s.time, s.name.encode()))
    reasons = {snapshot: [] for snapshot in ordered}
    taking_part = [s for s in ordered if s.time <= now and not s.ignored]
    if taking_part:
        for frequency in PERIODS:
            if frequency in scheme.counts:
                for snapshot in frequency_preserves(scheme, frequency, taking_part):
                    reasons[snapshot].append(frequency)
        reasons[taking_part[-1]].append("newest")
        complete = [s for s in taking_part if s.complete]
        if complete and complete[-1] is not taking_part[-1]:
            reasons[complete[-1]].append("newest complete")
    for snapshot in ordered:
        if snapshot.own:
            reasons[snapshot].append("made by this run")
        if snapshot.time > now:
            reasons[snapshot].append("dated in the future")
        if snapshot.ignored:
            reasons[snapshot].append("left out by the include or exclude list")
    return [(s.name, "preserved: " + ", ".join(reasons[s]) if reasons[s] else "removed") for s in ordered]


# ------------------------------------------------------------------------------------------------- random material


def random_scheme(rng):
    while True:
        counts = {}
        for frequency in PERIODS:
            if rng.random() < 0.4:
                counts[frequency] = rng.choice(
                    ["always", 1, 2, rng.randint(1, 7), rng.randint(1, 60), rng.choice([400, 30000, 10**9])]
                )
        if counts:
            return Scheme(counts, rng.random() < 0.4, rng.random() < 0.4)


def random_times(rng, newest):
    """Moments up to about @newest, dense or sparse, at regular or irregular distances."""
    step = timedelta(seconds=rng.choice([7, 60, 600, 3600, 5000, 86400, 100000, 7 * 86400, 30 * 86400, 366 * 86400]))
    count = rng.choice([0, 1, 2, rng.randint(3, 15), rng.randint(3, 60), rng.randint(3, 60), rng.randint(20, 150)])
    regular = rng.random() < 0.3
    time = newest
    for _ in range(count):
        yield time
        try:
            time -= step if regular else step * rng.choice([0, 0.1, rng.random(), 1, 1, rng.random() * 5])
        except OverflowError:
            return


def interesting_moment(rng):
    """Often at the edges: New Year and ISO weeks, ends of months, leap days, the last second of a period."""
    year = rng.choice([1, 2, 1969, 1970, 1999, 2000, 2020, 2021, 2024, 2025, 2026, 2100, 9998, rng.randint(1, 9998)])
    month = rng.choice([1, 2, 3, 12, rng.randint(1, 12)])
    last = calendar.monthrange(year, month)[1]
    day = rng.choice([1, 3, 4, last, last - 1, rng.randint(1, last)])
    hour, minute, second = rng.choice(
        [(0, 0, 0), (23, 59, 59), (12, 0, 0), (rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59))]
    )
    return datetime(year, month, day, hour, minute, second)


def window_edges(rng, scheme, newest):
    """Moments next to where the windows of @scheme begin."""
    for frequency, count in scheme.counts.items():
        edge = earlier(newest, frequency, count) if count != "always" and rng.random() < 0.3 else None
        if edge and edge > datetime(1, 1, 9):
            yield edge + rng.choice([-1, 0, 1]) * timedelta(seconds=1) + rng.choice([-2, -1, 0, 0, 1, 2]) * timedelta(1)


def random_snapshots(rng, scheme, newest):
    snapshots = {}
    bad_runs, ignoring = rng.choice([0, 0, 0.2, 0.9, 1]), rng.choice([0, 0, 0.2, 0.6])
    canonical = rng.random() < 0.5
    for time in [*random_times(rng, newest), *window_edges(rng, scheme, newest)]:
        form, _ = FORMS[0] if canonical else rng.choice(FORMS)
        name = f"{time.year:04d}" + time.strftime(form.replace("%Y", ""))
        snapshots[name] = Snapshot(
            name,
            # What a name leaves out is 0.
            datetime.strptime(name, form),
            complete=rng.random() >= bad_runs,
            ignored=rng.random() < ignoring,
        )
    result = list(snapshots.values())
    if result and rng.random() < 0.5:
        (max(result, key=lambda s: s.time) if rng.random() < 0.8 else rng.choice(result)).own = True
    rng.shuffle(result)
    return result


def random_case(rng):
    scheme, newest = random_scheme(rng), interesting_moment(rng)
    snapshots = random_snapshots(rng, scheme, newest)
    now = newest
    if snapshots and rng.random() < 0.3:
        # Some are dated in the future.
        now = rng.choice(snapshots).time - timedelta(seconds=rng.choice([0, 1])) * (newest.year > 1)
    elif rng.random() < 0.3:
        now = newest + timedelta(days=rng.randint(0, 300))
    return scheme, snapshots, max(now, datetime(1, 1, 1))


# -------------------------------------------------------------------------------------------------------- judging


def lines_of(scheme, snapshots, now):
    yield f"scheme {scheme}"
    yield f"now {now.isoformat(' ', 'seconds')}"
    for s in snapshots:
        flags = "i" * (not s.complete) + "o" * s.own + "x" * s.ignored
        yield f"item {flags or '-'} {s.name}"
    yield "mark"


def answers_of(output):
    answer = []
    for line in output.splitlines():
        if line == "end":
            yield answer
            answer = []
        else:
            answer.append(tuple(line.split("\t")))


def main():
    probe = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20261121
    number = int(sys.argv[3]) if len(sys.argv) > 3 else 10000
    rng = random.Random(seed)
    cases = [random_case(rng) for _ in range(number)]
    text = "".join(line + "\n" for case in cases for line in lines_of(*case))
    output = subprocess.run([probe], input=text, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
    answers = list(answers_of(output))
    if len(answers) != number:
        sys.exit(f"{len(answers)} answers to {number} cases")
    marked = removed = 0
    for index, (case, answer) in enumerate(zip(cases, answers)):
        expected = model(*case)
        marked += len(expected)
        removed += sum(verdict == "removed" for _, verdict in expected)
        if answer != expected:
            print(f"seed {seed}, case {index}:", *lines_of(*case), sep="\n")
            for theirs, ours in zip(expected, answer):
                sign = "   " if theirs == ours else "-> "
                print(sign, f"{theirs[0]}: model: {theirs[1]}; program: {ours[0]}: {ours[1]}")
            sys.exit(1)
    # Guards against generated cases that prove nothing.
    if number >= 1000 and not 0.1 < removed / marked < 0.9:
        sys.exit(f"of {marked} snapshots {removed} were removed: the cases are not varied enough")
    print(f"{number} cases, {marked} snapshots, {removed} removed: all equal")


if __name__ == "__main__":
    main()
