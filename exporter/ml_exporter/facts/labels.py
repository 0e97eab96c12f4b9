"""Everything about the labels of one model."""

import math
from collections.abc import Iterator

from ml_exporter.facts.answers import DelayBucket, DelayQuantile, LabelCount, LabelDay, LabelFacts, Value
from ml_exporter.facts.past import Past
from ml_exporter.facts.views import View
from ml_exporter.facts.windows import facts_of, matures, missing, roles
from ml_exporter.layout import Vector
from ml_exporter.records import LABEL_STATUSES
from ml_exporter.vitals.labels import delay_quantile

QUANTILES = (0.5, 0.9, 0.95, 0.99)
STATUSES = {
    "matched": "the first of its prediction",
    "early": "came before its prediction, and is counted again as what it becomes",
    "duplicate": "its prediction has one already: of the same value, or only the first counts",
    "correction": "replaced one of another value",
    "correction_late": "the one that it should replace can no longer be taken back, so neither counts",
    "orphan": "no prediction came within the time that a label waits for one",
    "late": "came after its prediction was given up, or its own time is no longer kept",
    "dropped": "too many labels waited for their prediction",
    "invalid": "is of no known class, no number, or from the future",
}


def label_facts(view: View, values: tuple[Value, ...]) -> LabelFacts:
    """The labels of a model; `values` are those of the whole model."""
    known, counts = view.known, view.counts
    matured = tuple(role for role in roles(view) if role != "current")
    window = max(view.windows.matured, key=lambda item: item.seconds, default=None)
    shown = window is not None and known.has_labels
    return LabelFacts(
        view.at_us / 1e6,
        known.name,
        known.has_labels,
        known.baseline.layout.align,
        known.timing.maturity_us / 1e6,
        tuple(facts_of(view, matured)),
        missing(view, matured),
        matures(view),
        tuple(item for item in values if item.area == "labels"),
        window.name if window and shown else "",
        tuple(_delays(view, window.vector)) if window and shown else (),
        tuple(_quantiles(view, window.vector)) if window and shown else (),
        tuple(LabelCount(name, counts.statuses.get(name, 0), STATUSES[name]) for name in LABEL_STATUSES)
        if known.has_labels
        else (),
        counts.pending_predictions,
        counts.pending_labels,
        counts.dropped_predictions,
        counts.repeated_ids,
        tuple(_days(view)) if known.has_labels else (),
    )


def _delays(view: View, vector: Vector) -> Iterator[DelayBucket]:
    layout, reference = view.known.baseline.layout, view.known.baseline.vector
    here, there = (layout.cells(part, "labels")["delay"].tolist() for part in (vector, reference))
    for bound, count, known in zip((*layout.delay_bounds, None), here, there, strict=True):
        shares = (count / sum(here) if sum(here) else None, known / sum(there) if sum(there) else None)
        yield DelayBucket(bound, count, *shares)


def _quantiles(view: View, vector: Vector) -> Iterator[DelayQuantile]:
    layout = view.known.baseline.layout
    for q in QUANTILES:
        here, there = (delay_quantile(layout, part, q) for part in (vector, view.known.baseline.vector))
        yield DelayQuantile(q, _known(here), _known(there))


def _known(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) else None


def _days(view: View) -> Iterator[LabelDay]:
    layout, settled_us = view.known.baseline.layout, view.at_us - view.known.timing.maturity_us
    for day in Past(view).days:
        labels = layout.cells(day.vector, "labels")
        counted = (int(labels["joinable"][0]), int(labels["labelled"][0]))
        yield LabelDay(day.start_us / 1e6, day.end_us / 1e6, *counted, day.end_us <= settled_us)
