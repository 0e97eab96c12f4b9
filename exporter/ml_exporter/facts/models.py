"""Everything of one model."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from ml_exporter.config import VERSION
from ml_exporter.facts.answers import (
    BaselineFacts,
    DayValue,
    FeatureSummary,
    ModelDay,
    ModelFacts,
    SegmentFacts,
    Value,
    VersionFacts,
)
from ml_exporter.facts.answers.models import FeatureKind
from ml_exporter.facts.expected import expected
from ml_exporter.facts.past import Past
from ml_exporter.facts.reasons import reasons
from ml_exporter.facts.summaries import drifted, summary
from ml_exporter.facts.valued import Place, Valuer, in_order, places
from ml_exporter.facts.views import Known, View, key_of
from ml_exporter.facts.windows import facts_of, missing, roles, stale
from ml_exporter.layout import FeatureBins, Layout, NumericBins, Vector
from ml_exporter.pipeline import DAY, learned_windows
from ml_exporter.statistics.dispersion import state
from ml_exporter.vitals.windows import REFERENCE, Segment, Window

ANSWERS = frozenset(f"ml_prediction_{name}" for name in ("class_ratio", "fallback_ratio", "error_ratio", "psi"))
"""What is told of the answers of each day."""


def full_places(known: Known) -> tuple[Place, ...]:
    """The places at which a model has a value when all its windows are full."""
    return tuple(places(key_of(sample) for sample in expected(known)))


def values_of(view: View, full: Iterable[Place], wanted: Callable[[Place], bool]) -> tuple[Value, ...]:
    """The values of those places and of all others that are there, if `wanted`, with reasons for what is missing."""
    valuer = Valuer(view.known.name, view.by_series)
    found: dict[tuple[str, str, frozenset[tuple[str, str]]], Value] = {}
    for place in in_order([*(() if view.stale else full), *places(view.by_series)]):
        key = (place.metric, place.window, frozenset(place.labels.items()))
        if key not in found and wanted(place):
            value = valuer.value(place)
            explained = place.is_whole and place.of_reference and not view.stale
            told = reasons(view, place, value) if explained else {}
            found[key] = replace(value, missing=told) if told else value
    return tuple(found.values())


def model_facts(view: View, full: Iterable[Place]) -> ModelFacts:
    """One model; `full` are the places that it has a value at when all its windows are full."""
    past = Past(view)
    values = tuple(past.dated(values_of(view, full, lambda place: True)))
    whole = [item for item in values if "segment" not in item.labels]
    return ModelFacts(
        view.at_us / 1e6,
        summary(view),
        stale(view),
        tuple(facts_of(view, roles(view))),
        missing(view, roles(view)),
        _baseline(view.known),
        _versions(view),
        tuple(_segment(view, part, values) for part in view.windows.segments),
        tuple(item for item in whole if "feature" not in item.labels),
        _features(view, whole),
        view.exported.series,
        view.exported.dropped,
        tuple(_days(view, past, whole)),
    )


def _baseline(known: Known) -> BaselineFacts:
    baseline = known.baseline
    layout = baseline.layout
    return BaselineFacts(
        baseline.fingerprint,
        baseline.start_us / 1e6,
        baseline.end_us / 1e6,
        rows_of(layout, baseline.vector),
        int(layout.cells(baseline.vector, "labels")["labelled"][0]),
        state(learned_windows(baseline, known.model, known.time)),
        {name: max((item.windows for item in noise.psi.values()), default=0) for name, noise in baseline.noise.items()},
        baseline.warnings,
    )


def rows_of(layout: Layout, vector: Vector) -> int:
    """The predictions of a vector."""
    return int(layout.cells(vector, "rows")["rows"][0])


def _versions(view: View) -> tuple[VersionFacts, ...]:
    counts, seen = view.counts, view.counts.versions_us
    rows = {part.value: _rows(view, part.current) for part in view.windows.segments if part.by == VERSION}
    names = sorted(seen.keys() | counts.by_version.keys(), key=lambda name: (-seen.get(name, 0), name))
    return tuple(
        VersionFacts(
            name,
            counts.by_version.get(name, 0),
            seen[name] / 1e6 if name in seen else None,
            rows.get(name, {}),
        )
        for name in names
    )


def _rows(view: View, windows: Iterable[Window]) -> Mapping[str, int]:
    return {window.name: rows_of(view.known.baseline.layout, window.vector) for window in windows}


def _segment(view: View, part: Segment, values: Iterable[Value]) -> SegmentFacts:
    own = {"segment_by": part.by, "segment": part.value}
    found = (item for item in values if own.items() <= item.labels.items())
    return SegmentFacts(part.by, part.value, _rows(view, part.current), tuple(found))


def _days(view: View, past: Past, values: Iterable[Value]) -> Iterator[ModelDay]:
    """Its days, with those of its values that a page draws."""
    drawn = [Place(value.metric, DAY, value.labels) for value in values if value.window == DAY and _is_drawn(value)]
    matured_us, ended_us = past.settled_us("quality"), past.settled_us("volume")
    for day in past.days:
        labelled = day.end_us <= matured_us
        found = [past.on(day, place) for place in drawn]
        shown = tuple(
            DayValue(item.metric, item.labels, item.value, item.lower, item.upper)
            for item in found
            if item.value is not None and (labelled or item.area != "quality")
        )
        bounds = (day.start_us / 1e6, day.end_us / 1e6)
        yield ModelDay(
            *bounds, rows_of(view.known.baseline.layout, day.vector), day.end_us <= ended_us, labelled, shown
        )


def _is_drawn(value: Value) -> bool:
    if value.metric in ANSWERS:
        return value.labels.get("baseline", REFERENCE) == REFERENCE
    return "class" not in value.labels and value.area in {"quality", "latency"} and value.metric != "ml_labelled_rows"


def _features(view: View, values: Iterable[Value]) -> tuple[FeatureSummary, ...]:
    strengths = drifted(view)
    found: dict[str, list[Value]] = {}
    for item in values:
        if "feature" in item.labels:
            found.setdefault(item.labels["feature"], []).append(item)
    made = [
        FeatureSummary(item.name, kind_of(item), strengths.get(item.name), tuple(found.get(item.name, ())))
        for item in view.known.baseline.layout.features
    ]
    return tuple(sorted(made, key=lambda item: -(item.strength or 0.0)))


def kind_of(item: FeatureBins) -> FeatureKind:
    """Whether a feature is a number or a category."""
    return "numeric" if isinstance(item, NumericBins) else "categorical"
