"""Suites of promtool made from a table: the same laws for every alert.

A `Law` says which series an alert reads, with a value of each below its limit and beyond it. From that a world is made
in which every law has a few models (or sources), each for one thing that must hold: it is silent below, fires beyond
and not before its `for`, is silent on a blip, resolves, does not resolve while its data is missing, obeys overrides, is
silent with few rows, and so on. All laws of one world are in one suite, so an alert that reads what belongs to another
one shows as well.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rule_suites import Document, seconds

Spans = Sequence[tuple[int, str]]

ORDER = ("warning", "critical")
QUIET_SECONDS = 25 * 3600


@dataclass(frozen=True)
class Limit:
    """A threshold, and values to override it with: beyond every value of the law, and below its smallest."""

    signal: str
    lenient: float
    strict: float
    window: str = ""
    labels: str = ""
    """Further labels of the most specific override, such as `feature="x"`."""
    needed: Mapping[str, float] = field(default_factory=dict)
    """Where the pack has no limit of its own: the one of each severity that every case gets."""


@dataclass(frozen=True)
class Law:
    """What an alert reads. A series is its name, a space and its labels, but those of the case. None is no sample."""

    alert: str
    moving: Mapping[str, Mapping[str, float | None]]
    """Series by state: `below`, and the severities that the alert has."""
    fixed: Mapping[str, float | None] = field(default_factory=dict)
    """Series with one value in all states."""
    silent: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    """Reasons to be silent although all is beyond the limit: values of fixed or moving series."""
    firing: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    """Reasons that must not silence it."""
    limit: Limit | None = None
    settles: bool = False
    """Whether it is silent for a model or baseline that is new."""
    part: str = ""
    """What tells laws of one alert apart."""
    identity: str = "model"
    """The label that tells cases apart. Empty: the alert is about all exporters, so each case has its own world."""
    grows_for: str = ""
    """The range of an increase, if the series are counters: values are then a growth a minute."""
    best: bool = False
    """Whether of replicas that differ the best one counts: the freshest, or the one with most rows."""
    ages: tuple[str, ...] = ()
    """Moving series that are timestamps: their values are ages in seconds."""

    @property
    def severities(self) -> tuple[str, ...]:
        """The severities in rising order."""
        return tuple(item for item in ORDER if item in next(iter(self.moving.values())))


@dataclass(frozen=True)
class Clock:
    """The grid of a world, and when the alert's data moves."""

    step: int
    onset: int
    end: int


@dataclass(frozen=True)
class Case:
    """One model (or source) of a law: the states over time, and the severities that must fire at the checks."""

    name: str
    spans: Spans
    """From which second on which state; `gap` is without data."""
    fires: tuple[str, ...]
    kept: tuple[str, ...]
    """What still fires in the gap."""
    last: tuple[str, ...]
    held: Mapping[str, float | None] = field(default_factory=dict)
    override: tuple[str, float] | None = None
    """Further labels and the value of an override that begins with the onset."""
    limited: bool = True
    """Whether it has the limit that it needs, where the pack has none."""
    replicas: bool = False
    apart: bool = False
    """Whether a second replica stays below the limit."""
    known_since: int = 0
    rebased_at: int = 0


def times(rule: Document) -> tuple[int, int]:
    """`for` and `keep_firing_for` of an alert in seconds."""
    return seconds(rule["for"]), seconds(rule.get("keep_firing_for", "0s"))


def late_by(law: Law) -> int:
    """After how many seconds an increase holds nothing of what was before."""
    return seconds(law.grows_for) if law.grows_for else 0


def cases(law: Law, rule: Document, clock: Clock) -> Iterator[Case]:
    """All that must hold for one alert."""
    hold, keep = times(rule)
    step, onset = clock.step, clock.onset
    every = law.severities
    top = every[-1]
    calm = ((0, "below"),)
    beyond = ((0, "below"), (onset, top))
    moved = onset + late_by(law) + hold + step
    yield Case("below", calm, (), (), ())
    for place, severity in enumerate(every):
        upto = every[: place + 1]
        yield Case(f"beyond {severity}", ((0, "below"), (onset, severity)), upto, upto, upto)
    if hold > step and not law.grows_for:
        yield Case("blip", ((0, "below"), (onset, top), (onset + hold - step, "below")), (), (), ())
    yield Case("mended", (*beyond, (moved, "below")), every, every if keep or law.grows_for else (), ())
    if keep:
        gap = max(step, keep // 2 // step * step)
        yield Case("gap", (*beyond, (moved, "gap"), (moved + gap, top)), every, every, every)
    for name, held in law.silent.items():
        yield Case(name, beyond, (), (), (), held=held)
    for name, held in law.firing.items():
        yield Case(name, beyond, every, every, every, held=held)
    if law.identity == "model":
        yield from cases_of_models(law, calm, beyond, clock)


def cases_of_models(law: Law, calm: Spans, beyond: Spans, clock: Clock) -> Iterator[Case]:
    """What holds only for alerts about models: replicas are one, overrides win, what is new is silent."""
    every = law.severities
    yield Case("replicas", beyond, every, every, every, replicas=True)
    if not law.grows_for:
        found = () if law.best else every
        yield Case("replicas apart", beyond, found, found, found, apart=True)
    if law.limit is not None:
        yield Case("lenient", beyond, (), (), (), override=("", law.limit.lenient))
        yield Case("strict", calm, every, every, every, override=("", law.limit.strict))
        if law.limit.labels:
            more = "," + law.limit.labels
            yield Case("lenient part", beyond, (), (), (), override=(more, law.limit.lenient))
        if law.limit.needed:
            yield Case("without limit", beyond, (), (), (), limited=False)
    if law.settles:
        yield Case("new model", beyond, (), (), (), known_since=clock.onset - QUIET_SECONDS // 2)
        yield Case("new baseline", beyond, (), (), (), rebased_at=clock.onset - QUIET_SECONDS // 2)


def checks(law: Law, rule: Document, clock: Clock) -> list[tuple[int, str]]:
    """When to look, and at which field of the cases: while `for` runs, when it is over, in the gap, at the end."""
    hold, keep = times(rule)
    step, onset = clock.step, clock.onset
    late = late_by(law)
    moved = onset + late + hold + step
    first = [] if late else [(onset + hold - step, "none"), (onset + hold, "fires")]
    if not late and hold > 2 * step:
        first.insert(0, (onset + step, "none"))
    gap = max(step, keep // 2 // step * step) if keep else step
    middle = [(moved + gap - step, "kept")] if keep and not late else []
    last = (moved + late + keep + 2 * step, "last")
    return [*first, *middle, last] if not late else [(onset + late + hold - step, "fires"), last]


def series(law: Law, case: Case, clock: Clock) -> Iterator[Document]:
    """The input of one case."""
    whole = f"{law.alert}{law.part}/{case.name}"
    identity = f'{law.identity}="{whole}"' if law.identity else ""
    if law.identity == "model":
        since = case.known_since
        yield sample(
            f'ml_model_info{{{identity},task="t",team="red",tier="1"}}',
            lambda now: 1.0 if now >= since else None,
            clock,
        )
    if law.settles:
        turn = case.rebased_at
        for name, is_there in (
            ("old", lambda now: not turn or now < turn),
            ("new", lambda now: bool(turn) and now >= turn),
        ):
            labels = f'{identity},baseline="reference",fingerprint="{name}",dispersion="learned"'
            yield sample(
                f"ml_baseline_info{{{labels}}}", lambda now, there=is_there: 1.0 if there(now) else None, clock
            )
    yield from overrides(law, case, identity, clock)
    for written in (*law.fixed, *law.moving):
        for replica in (1, 2) if case.replicas or case.apart else (0,):
            name, _, labels = written.partition(" ")
            parts = (identity, labels, f'instance="{replica}",job="j"' if replica else "")
            yield one(f"{name}{{{','.join(filter(None, parts))}}}", written, law, case, clock, replica)


def overrides(law: Law, case: Case, identity: str, clock: Clock) -> Iterator[Document]:
    """The thresholds of one case that are not the pack's own. An override replaces the model's at the onset."""
    if law.limit is None:
        return
    window = f',window="{law.limit.window}"' if law.limit.window else ""
    more, instead = case.override or ("", None)
    for severity in law.severities:
        name = f'ml:threshold:override{{signal="{law.limit.signal}",severity="{severity}"{window},{identity}'
        own = law.limit.needed.get(severity) if case.limited else None
        if own is not None:
            end = clock.onset if instead is not None and not more else clock.end + 1
            yield sample(name + "}", lambda now, own=own, end=end: own if now < end else instead, clock)
        if instead is not None and (own is None or more):
            yield sample(name + more + "}", lambda now: instead if now >= clock.onset else None, clock)


def one(text: str, written: str, law: Law, case: Case, clock: Clock, replica: int) -> Document:
    """One series of a case. The first of two replicas ends in the middle of `for`, where the second has begun."""
    total = 0.0

    def value(now: int) -> float | None:
        nonlocal total
        state = next(state for start, state in reversed(case.spans) if now >= start)
        state = "below" if case.apart and replica == 2 else state
        if written in case.held and (law.grows_for or now >= clock.onset):
            found: float | None = case.held[written]
        elif written in law.fixed:
            found = law.fixed[written]
        else:
            found = None if state == "gap" else law.moving[written][state]
        found = now - found if written in law.ages and found is not None else found
        if law.grows_for and (written in law.moving or name_of(written).endswith("_total")):
            total += (found or 0.0) * clock.step / 60
            found = total
        turn = clock.onset + 2 * clock.step
        if case.replicas and ((replica == 1 and now > turn + clock.step) or (replica == 2 and now < turn)):
            return None
        return found

    return sample(text, value, clock)


def name_of(written: str) -> str:
    """The metric of a written series."""
    return written.partition(" ")[0]


def sample(text: str, value: Any, clock: Clock) -> Document:
    """A series on the grid. Where it ends for a while it is marked as stale, as Prometheus does."""
    found, before = [], None
    for now in range(0, clock.end + 1, clock.step):
        current = value(now)
        found.append(
            "stale" if current is None and before is not None else "_" if current is None else f"{current:.12g}"
        )
        before = current
    return {"series": text, "values": " ".join(run_lengths(found))}


def run_lengths(values: Sequence[str]) -> Iterator[str]:
    """Runs of equal values in the short form of promtool: `1x4` are five."""
    place = 0
    while place < len(values):
        end = place
        while end < len(values) and values[end] == values[place]:
            end += 1
        count = end - place
        if values[place] == "stale" or count == 1:
            yield from values[place:end]
        else:
            yield f"{values[place]}x{count if values[place] == '_' else count - 1}"
        place = end


def samples_at(law: Law, rule: Document, clock: Clock, what: str) -> list[Document]:
    """What fires at a check."""
    return [
        {"labels": f'{{{law.identity}="{law.alert}{law.part}/{case.name}",severity="{severity}"}}', "value": 1}
        for case in (() if what == "none" else cases(law, rule, clock))
        for severity in getattr(case, what)
    ]


def asked_for(law: Law) -> str:
    """What fires of an alert, also for models of other laws; of one with parts, only its own."""
    own = f',{law.identity}=~"{law.alert}{law.part}/.+"' if law.part else ""
    return f'count by ({law.identity}, severity) (ALERTS{{alertname="{law.alert}",alertstate="firing"{own}}})'


def world(laws: Sequence[Law], rules: Mapping[str, Document], step: int, warm_up: int) -> Document:
    """One suite for all these laws: a world that they share, and one for each case that needs its own."""
    shared = [law for law in laws if law.identity]
    tests = [common(shared, rules, clock_of(shared, rules, step, warm_up))] if shared else []
    for law in (law for law in laws if not law.identity):
        rule, clock = rules[law.alert], clock_of([law], rules, step, warm_up)
        tests += [alone(law, rule, case, clock) for case in cases(law, rule, clock)]
    return {"evaluation_interval": f"{step}s", "tests": tests}


def clock_of(laws: Iterable[Law], rules: Mapping[str, Document], step: int, warm_up: int) -> Clock:
    """The grid of a world, long enough for all checks."""
    start = Clock(step, warm_up, 0)
    end = max(when for law in laws for when, _ in checks(law, rules[law.alert], start))
    return Clock(step, warm_up, end + step)


def alone(law: Law, rule: Document, case: Case, clock: Clock) -> Document:
    """The world of one case."""
    asked = [
        {
            "expr": f'count by (severity) (ALERTS{{alertname="{law.alert}",alertstate="firing"}})',
            "eval_time": f"{when}s",
            "exp_samples": [
                {"labels": f'{{severity="{severity}"}}', "value": 1}
                for severity in (() if what == "none" else getattr(case, what))
            ],
        }
        for when, what in checks(law, rule, clock)
    ]
    given = list(series(law, case, clock))
    name = f"{law.alert}/{case.name}"
    return {"name": name, "interval": f"{clock.step}s", "input_series": given, "promql_expr_test": asked}


def common(laws: Iterable[Law], rules: Mapping[str, Document], clock: Clock) -> Document:
    """The world that laws share."""
    laws = list(laws)
    given = [item for law in laws for case in cases(law, rules[law.alert], clock) for item in series(law, case, clock)]
    asked = [
        {
            "expr": asked_for(law),
            "eval_time": f"{when}s",
            "exp_samples": samples_at(law, rules[law.alert], clock, what),
        }
        for law in laws
        for when, what in checks(law, rules[law.alert], clock)
    ]
    return {"name": "laws", "interval": f"{clock.step}s", "input_series": given, "promql_expr_test": asked}
