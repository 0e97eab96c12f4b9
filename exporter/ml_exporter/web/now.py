"""What an alert reads, as a model has it now: the table at the head of a runbook."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..facts.answers import ModelFacts, Value, WindowFacts
from ..vitals.windows import REFERENCE
from .runbooks import Reads
from .words import NONE, duration, number, share, utc, visible

MOST_ROWS = 20
"""How many series of one metric are shown, the strongest first."""
_OF_ANOTHER = re.compile(r"_(critical|baseline|estimated)(?=_|$)|_(upper|lower|error)$")
_LEFT_OUT = {"baseline", "feature"}


@dataclass(frozen=True)
class Row:
    """One value as the table shows it, in words."""

    metric: str
    meaning: str
    feature: str
    labels: str
    window: str
    value: str
    interval: str
    critical: str
    strength: str
    beyond: bool
    baseline: str


@dataclass(frozen=True)
class Now:
    """All that an alert reads of one model. `more` says, by metric, how many weaker series are not shown."""

    rows: tuple[Row, ...]
    more: tuple[tuple[str, int], ...]
    windows: tuple[WindowFacts, ...]
    missing_windows: tuple[tuple[str, str], ...]
    stale: str | None


def now(reads: Reads, facts: ModelFacts, feature: str, window: str) -> Now:
    """What an alert reads of a model; of its features only one if it is named.

    `window` counts only for alerts that name none of their own.
    """
    windows = reads.windows or ((window,) if window else ())
    rows, more = list[Row](), list[tuple[str, int]]()
    wanted = dict.fromkeys(name for metric in reads.metrics for name in (metric, _OF_ANOTHER.sub("", metric)))
    values = _values(facts, feature, reads.segments)
    found = [item for item in values if item.labels.get("baseline", REFERENCE) == REFERENCE]  # as alerts do
    for metric in wanted:
        of_metric = [item for item in found if item.metric == metric and _among(item.window, windows)]
        of_metric.sort(key=lambda item: -(item.strength or 0.0))
        rows += map(_row, of_metric[:MOST_ROWS])
        if len(of_metric) > MOST_ROWS:
            more.append((metric, len(of_metric) - MOST_ROWS))
    return Now(
        tuple(rows),
        tuple(more),
        tuple(item for item in facts.windows if _among(item.name, windows)),
        tuple((name, why) for name, why in facts.missing_windows.items() if _among(name.split()[-1], windows)),
        facts.stale,
    )


def _among(name: str, windows: Sequence[str]) -> bool:
    return not name or not windows or name in windows


def _values(facts: ModelFacts, feature: str, segments: bool) -> Iterator[Value]:
    yield from facts.values
    for item in facts.features:
        if feature in ("", item.name):
            yield from item.values
    for segment in facts.segments if segments else ():
        yield from segment.values


def _row(item: Value) -> Row:
    write = {"ratio": share, "seconds": duration}.get(item.unit, number)
    if item.metric.endswith("_timestamp_seconds"):
        write = utc
    labels = (f"{key}={visible(text)}" for key, text in item.labels.items() if text and key not in _LEFT_OUT)
    interval = f"{write(item.lower)} to {write(item.upper)}"
    return Row(
        item.metric,
        item.meaning,
        item.labels.get("feature", ""),
        ", ".join(labels),
        item.window or NONE,
        write(item.value) if item.value is not None else item.missing.get("value", NONE),
        interval if item.lower is not None else item.missing.get("interval", NONE),
        write(item.critical) if item.critical is not None else item.missing.get("critical", NONE),
        "" if item.strength is None else f"{number(item.strength)} times",
        bool(item.beyond),
        write(item.baseline) if item.baseline is not None else item.missing.get("baseline", NONE),
    )
