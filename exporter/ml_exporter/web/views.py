"""What each page shows, from the facts: sorted, grouped, put into words, and cut where it would be too long."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..facts.answers import (
    FeatureSummary,
    LabelFacts,
    ModelFacts,
    Models,
    SegmentFacts,
    Value,
)
from ..facts.judging import is_beyond
from ..vitals.windows import REFERENCE
from .charts import Bar, histogram
from .rows import Row, rows_of, since, text, title
from .story import GOOD, Finding, conclusion, findings, level_of, main_window, outcome_of, rank, told
from .trends import coverage, model_trend
from .words import duration, number

MOST_FEATURES, MOST_SEGMENTS, MOST_COLUMNS, MOST_ROWS = 20, 50, 6, 100
_AREAS = (
    ("Answers", ("predictions",)),
    ("Volume", ("volume",)),
    ("Data as a whole", ("data", "drift")),
    ("Labels", ("labels",)),
    ("Versions beside each other", ("versions",)),
)


@dataclass(frozen=True)
class FeatureRow:
    """A feature in the list of a model's features, over its longest window."""

    name: str
    strength: float | None
    psi: str
    noise: str
    cells: tuple[tuple[str, bool], ...]
    """Nulls, unreadable, out of range or unseen, mean shift: each with whether it is beyond its noise."""
    since: str
    """Since when its drift is beyond its noise."""
    remark: str


@dataclass(frozen=True)
class Group:
    """Vitals of one area."""

    title: str
    rows: tuple[Row, ...]
    left_out: int
    is_open: bool


@dataclass(frozen=True)
class Pivot:
    """The values of segments: a column for each vital."""

    columns: tuple[str, ...]
    lines: tuple[tuple[str, str, str, tuple[str, ...]], ...]
    """Name of the segment, its value, its rows, and a text for each column."""
    left_out: int


def models_view(facts: Models | None) -> Mapping[str, object]:
    """The list of models: what is wrong first, then by tier."""
    ranked = sorted(facts.models, key=rank) if facts else []
    return {"models": [(item, level_of(item), outcome_of(item)) for item in ranked]}


def model_view(facts: ModelFacts) -> Mapping[str, object]:
    """One model."""
    found = findings(facts)
    main = main_window(facts)
    whole = [value for value in facts.values if "class" not in value.labels]
    outcome = [value for area in ("quality", "latency") for value in whole if value.area == area]
    by_class = [value for value in facts.values if "class" in value.labels]
    lengths = {window.name: window.length_seconds for window in facts.windows}
    rows = [_feature_row(item, lengths) for item in facts.features]
    return {
        "facts": facts,
        "findings": list(told(found)),
        "conclusion": conclusion(facts, found),
        "level": _worst(found, level_of(facts.summary)),
        "main": main,
        "outcome": rows_of(value for value in outcome if value.window == main),
        "other_outcome": _group("", (value for value in outcome if value.window != main)),
        "outcome_by_class": _group("By class", (value for value in by_class if value.area == "quality")),
        "groups": [
            group
            for heading, areas in _AREAS
            if (group := _group(heading, (value for value in facts.values if value.area in areas))).rows
        ],
        "features": rows[:MOST_FEATURES],
        "more_features": rows[MOST_FEATURES:],
        "window": max(
            (value.window for item in facts.features for value in item.values),
            key=lambda name: lengths.get(name, 0),
            default="",
        ),
        "segments": _pivot(facts.segments),
        "trend": model_trend(facts),
    }


def labels_view(facts: LabelFacts) -> Mapping[str, object]:
    """The labels of one model."""
    bars, since = [], 0.0
    for bucket in facts.delays:
        upper = bucket.upper_seconds
        name = f"over {duration(since)}" if upper is None else f"up to {duration(upper)}"
        bars.append(Bar(name, bucket.baseline_share, bucket.share))
        since = since if upper is None else upper
    return {
        "facts": facts,
        "rows": rows_of(facts.values),
        "bars": list(zip(bars, facts.delays, strict=True)),
        "delays": histogram(bars, "Labels by how long after their prediction they came, in the reference and now."),
        "coverage": coverage(facts.days),
    }


def _worst(found: Sequence[Finding], level: str) -> str:
    levels = {item.level for item in found}
    if "bad" in levels:
        return "bad"
    return "look" if "look" in levels and level == GOOD else level


def _group(heading: str, values: Iterable[Value]) -> Group:
    """Vitals under a heading; those that are beyond something come first if not all can be shown."""
    listed = list(values)
    left_out = max(0, len(listed) - MOST_ROWS)
    if left_out:
        listed = sorted(listed, key=lambda value: is_beyond(value) is not True)[:MOST_ROWS]
    return Group(heading, rows_of(listed), left_out, any(is_beyond(value) for value in listed))


def _feature_row(item: FeatureSummary, lengths: Mapping[str, float]) -> FeatureRow:
    window = max((value.window for value in item.values), key=lambda name: lengths.get(name, 0.0), default="")
    found = {
        value.metric: value
        for value in item.values
        if value.window == window and value.labels.get("baseline", REFERENCE) == REFERENCE
    }
    psi = found.get("ml_feature_psi")
    outside = "ml_feature_out_of_range_ratio" if item.kind == "numeric" else "ml_feature_unseen_category_ratio"
    shown = ("ml_feature_null_ratio", "ml_feature_invalid_ratio", outside, "ml_feature_mean_shift_sigmas")
    cells = tuple(
        (text(value, value.value), bool(is_beyond(value))) if (value := found.get(name)) else ("–", False)
        for name in shown
    )
    reasons = () if psi is None else psi.missing.values()
    return FeatureRow(
        item.name,
        item.strength,
        number(None if psi is None else psi.value),
        number(None if psi is None else psi.critical),
        cells,
        "" if psi is None else since(psi.since),
        "; ".join(reasons),
    )


def _pivot(segments: Sequence[SegmentFacts]) -> Pivot:
    """Segments as lines, and the first few vitals that they have as columns."""
    columns: dict[tuple[str, str, str], str] = {}
    for segment in segments:
        for value in segment.values:
            about = value.labels.get("class", "")
            name = f"{title(value.metric)}{f' of {about}' if about else ''} ({value.window})"
            columns.setdefault((value.metric, about, value.window), name)
    chosen = sorted(columns, key=lambda key: key[1] != "")[:MOST_COLUMNS]
    lines = []
    for segment in segments[:MOST_SEGMENTS]:
        texts = {
            (value.metric, value.labels.get("class", ""), value.window): text(value, value.value)
            for value in segment.values
        }
        rows = ", ".join(f"{number(count)} ({window})" for window, count in segment.rows.items())
        lines.append((segment.by, segment.value, rows, tuple(texts.get(key, "–") for key in chosen)))
    return Pivot(tuple(columns[key] for key in chosen), tuple(lines), max(0, len(segments) - MOST_SEGMENTS))
