"""Which values a model could have: what the vitals say of the reference, as if every window held it."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from ml_exporter.catalogue import Sample
from ml_exporter.config import Windows as Names
from ml_exporter.config import window_seconds
from ml_exporter.facts.views import Known
from ml_exporter.groups import group_rows
from ml_exporter.layout import Layout, Vector
from ml_exporter.pipeline import DAY, MONTH, alpha
from ml_exporter.units import LABEL_STATES
from ml_exporter.vectorise import make_vectoriser
from ml_exporter.vitals import ALWAYS, VITALS
from ml_exporter.vitals.windows import Window, Windows


def expected(known: Known) -> Iterator[Sample]:
    """Every gauge that the whole model has when all its windows are full; the values mean nothing."""
    windows = full_windows(known)
    for vital in (*ALWAYS, *VITALS):
        yield from vital(windows, known.baseline)


def full_windows(known: Known) -> Windows:
    """Every configured window, each with the rows of the reference."""
    model, time, baseline = known.model, known.time, known.baseline
    vector = baseline.vector
    if known.has_labels and not int(baseline.layout.cells(vector, "labels")["labelled"][0]):
        vector = vector + some_labels(baseline.layout)
    if known.has_labels and baseline.layout.is_class:
        vector = partly_unlabelled(baseline.layout, vector)

    def made(names: tuple[str, ...]) -> tuple[Window, ...]:
        lengths = {name: window_seconds(name, time) for name in names}
        return tuple(
            Window(name, seconds, baseline.start_us, baseline.end_us, vector) for name, seconds in lengths.items()
        )

    matured = made(quality_names(model.windows)) if known.has_labels else ()
    before = made((MONTH,)) if DAY in quality_names(model.windows) and MONTH in quality_names(model.windows) else ()
    return Windows(
        known.name,
        made(model.windows.head),
        matured,
        model.windows.features,
        alpha(model, time),
        float(model.latency.limit),
        matured if baseline.layout.align == "arrival" else None,
        before=before[0] if before and matured else None,
        distances=model.features.distances,
    )


def quality_names(names: Names) -> tuple[str, ...]:
    """The windows that quality is computed over: those of the head, then its own."""
    return tuple(dict.fromkeys((*names.head, *names.quality)))


def partly_unlabelled(layout: Layout, vector: Vector) -> Vector:
    """A window in which as many predictions again have no label: a reference may have labels for all of its rows."""
    found = vector.copy()
    histogram = layout.cells(found, "scores")["histogram"].reshape(len(layout.classes), len(LABEL_STATES), -1)
    histogram[:, 0] += histogram.sum(axis=1)
    return found


def some_labels(layout: Layout) -> Vector:
    """What labels add, of rows of all kinds that define every measure: each pair of classes, or a few numbers."""
    pairs = np.array(list(product(range(max(3, len(layout.classes))), repeat=2)))
    if layout.is_class:
        pairs = pairs[(pairs < len(layout.classes)).all(axis=1)]
    kind = np.int16 if layout.is_class else np.float64
    predicted, actual = pairs.T.astype(kind)
    vectoriser, scores = make_vectoriser(layout), np.full((len(pairs), layout.join_scores), 0.5)
    _, groups = group_rows(np.zeros(len(pairs), np.int64))
    found: Vector = vectoriser.labels(vectoriser.scored(predicted, scores), actual, np.ones(len(pairs)), groups)[0]
    return np.maximum(found, 0)
