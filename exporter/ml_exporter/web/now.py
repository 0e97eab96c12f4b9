"""What an alert reads, as a model or the exporter has it now: the table at the head of a runbook."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..facts.answers import ModelFacts, Value, WindowFacts
from ..vitals.windows import REFERENCE
from .rows import since
from .runbooks import Reads
from .words import NONE, duration, number, share, utc, visible

MOST_ROWS = 20
"""How many series of one metric are shown, the strongest first."""
_OF_ANOTHER = re.compile(r"_(critical|baseline|estimated)(?=_|$)|_(upper|lower|error)$")
_LEFT_OUT = {"baseline", "feature", "window"}
_PART_OF_FACTS = {"ml_control_limit"}
"""Shown beside the value that it limits."""
Labelled = tuple[Mapping[str, str], float]
"""Labels and value of a sample."""


@dataclass(frozen=True)
class Row:
    """One value as the table shows it, in words."""

    metric: str
    feature: str
    labels: str
    window: str
    value: str
    interval: str
    critical: str
    strength: str
    since: str
    """Since when it is beyond, in words."""
    beyond: bool
    baseline: str


@dataclass(frozen=True)
class Now:
    """All that an alert reads of one model, or of the exporter. `more` says, by metric, how many are not shown."""

    rows: tuple[Row, ...]
    more: tuple[tuple[str, int], ...]
    windows: tuple[WindowFacts, ...]
    missing_windows: tuple[tuple[str, str], ...]
    stale: str | None


@dataclass(frozen=True)
class About:
    """What a runbook is opened for: a model by its facts, or the exporter; a feature and a window, where named."""

    facts: ModelFacts | None
    feature: str = ""
    window: str = ""


def now(reads: Reads, about: About, exposed: Callable[[str], Sequence[Labelled]]) -> Now:
    """What an alert reads; of a model's features only one if it is named.

    The window counts only for alerts that name none of their own. What no fact is about comes as it is `exposed`.
    """
    windows = reads.windows or ((about.window,) if about.window else ())
    rows, more = list[Row](), list[tuple[str, int]]()
    values = _values(about, reads.segments)
    found = [item for item in values if item.labels.get("baseline", REFERENCE) == REFERENCE]  # as alerts do
    facts = {item.metric for item in found}
    wanted = dict.fromkeys(name for metric in reads.metrics for name in (metric, _OF_ANOTHER.sub("", metric)))
    for metric in wanted:
        of_metric = [item for item in found if item.metric == metric and _among(item.window, windows)]
        of_metric.sort(key=lambda item: -(item.strength or 0.0))
        of_metric_rows = [_row(item) for item in of_metric[:MOST_ROWS]]
        count = len(of_metric)
        if not facts & {metric, _OF_ANOTHER.sub("", metric)} and metric not in _PART_OF_FACTS:
            plain = [item for item in exposed(metric) if _among(item[0].get("window", ""), windows)]
            of_metric_rows, count = [_plain(metric, *item) for item in plain[:MOST_ROWS]], len(plain)
        rows += of_metric_rows
        if count > MOST_ROWS:
            more.append((metric, count - MOST_ROWS))
    facts_of = about.facts
    return Now(
        tuple(rows),
        tuple(more),
        tuple(item for item in facts_of.windows if _among(item.name, windows)) if facts_of else (),
        tuple(item for item in facts_of.missing_windows.items() if _among(item[0].split()[-1], windows))
        if facts_of
        else (),
        facts_of.stale if facts_of else None,
    )


def _among(name: str, windows: Sequence[str]) -> bool:
    return not name or not windows or name in windows


def _values(about: About, segments: bool) -> Iterator[Value]:
    if about.facts is None:
        return
    yield from about.facts.values
    for item in about.facts.features:
        if about.feature in ("", item.name):
            yield from item.values
    for segment in about.facts.segments if segments else ():
        yield from segment.values


def _row(item: Value) -> Row:
    write = _writing(item.metric, item.unit)
    interval = f"{write(item.lower)} to {write(item.upper)}"
    limits = f"control limits {write(item.control.lower)} to {write(item.control.upper)}" if item.control else ""
    return Row(
        item.metric,
        item.labels.get("feature", ""),
        _labels(item.labels),
        item.window or NONE,
        write(item.value) if item.value is not None else item.missing.get("value", NONE),
        interval if item.lower is not None else item.missing.get("interval", NONE),
        write(item.critical) if item.critical is not None else limits or item.missing.get("critical", NONE),
        "" if item.strength is None else f"{number(item.strength)} times",
        since(item.since),
        bool(item.beyond),
        write(item.baseline) if item.baseline is not None else item.missing.get("baseline", NONE),
    )


def _plain(metric: str, labels: Mapping[str, str], value: float) -> Row:
    """A sample that no fact is about."""
    unit = "ratio" if metric.endswith("_ratio") else "seconds" if metric.endswith("_seconds") else ""
    window, feature = labels.get("window", NONE), labels.get("feature", "")
    return Row(metric, feature, _labels(labels), window, _writing(metric, unit)(value), NONE, NONE, "", "", False, NONE)


def _writing(metric: str, unit: str) -> Callable[[float | None], str]:
    if metric.endswith("_timestamp_seconds"):
        return utc
    return {"ratio": share, "seconds": duration}.get(unit, number)


def _labels(labels: Mapping[str, str]) -> str:
    """The labels that have no column of their own."""
    return ", ".join(f"{key}={visible(text)}" for key, text in labels.items() if text and key not in _LEFT_OUT)
