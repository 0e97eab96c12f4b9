"""Quality of a multiclass model: over all classes, of each against the others, and macro averages."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ml_exporter.layout import Layout, Vector
from ml_exporter.statistics.auc import auc_from_histograms
from ml_exporter.statistics.intervals import MINIMUM_SCORE_LOSSES
from ml_exporter.tasks import Multiclass
from ml_exporter.units import LOSS_UNIT, PROBABILITY_UNIT
from ml_exporter.vitals.binary import losses
from ml_exporter.vitals.measures import Measure, Measures, area, average, defined, f1, gap, loss, share


class Answers(NamedTuple):
    """Labelled predictions by class, each of shape (classes,): right ones, predicted ones, actual ones."""

    right: Vector
    called: Vector
    actual: Vector


def answers(layout: Layout, vector: Vector) -> Answers:
    """The answers that a vector of classes counts."""
    cells = layout.cells(vector, "quality")
    if "confusion" not in cells:
        return Answers(cells["right"], cells["called"], cells["actual"])
    confusion = cells["confusion"].reshape(len(layout.classes), -1)
    return Answers(confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1))


def measures(layout: Layout, vector: Vector, task: Multiclass) -> Measures:
    """Every measure of the labelled predictions of a vector."""
    found = answers(layout, vector)
    rows = int(found.actual.sum())
    named: dict[str, Measure | None] = {"accuracy": share(int(found.right.sum()), rows)}
    named |= dict(_of_scores(layout, vector, task))
    named |= dict(_of_classes(layout.classes, found))
    if task.class_score_edges:
        named |= dict(_areas(layout, vector))
    return defined(rows, named.items())


def _of_scores(layout: Layout, vector: Vector, task: Multiclass) -> Iterator[tuple[str, Measure | None]]:
    """Measures over all classes together. The gap is mean confidence minus share of right answers."""
    cells = layout.cells(vector, "quality")
    scored = int(cells["scored"][0])
    hits = int(cells["hits"][0])
    difference = int(cells["confidence"][0]) / PROBABILITY_UNIT - hits
    yield "calibration_gap", gap((difference, int(cells["gap2"][0]) / LOSS_UNIT), hits, scored)
    if task.class_score_edges:
        log_loss, brier = losses(cells)
        yield "log_loss", loss(log_loss, scored, MINIMUM_SCORE_LOSSES)
        yield "brier_score", loss(brier, scored, MINIMUM_SCORE_LOSSES, 2.0)


def _of_classes(classes: tuple[str, ...], found: Answers) -> Iterator[tuple[str, Measure | None]]:
    """Precision, recall and F1 of each class, and their means over the classes that were predicted or actual.

    A class that was never predicted has no precision, and counts with 0 in the mean, as in scikit-learn.
    """
    by_class = {
        "precision": [share(tp, called) for tp, called, _ in _rows(found)],
        "recall": [share(tp, actual) for tp, _, actual in _rows(found)],
        "f1": [f1(tp, called - tp, actual - tp) for tp, called, actual in _rows(found)],
    }
    there = np.flatnonzero(found.called + found.actual)
    for name, items in by_class.items():
        for label, item in zip(classes, items, strict=True):
            yield f"{name}:{label}", item
        yield f"{name}_macro", average(items[place] for place in there)


def _rows(found: Answers) -> Iterator[tuple[int, int, int]]:
    return zip(found.right.tolist(), found.called.tolist(), found.actual.tolist(), strict=True)


def _areas(layout: Layout, vector: Vector) -> Iterator[tuple[str, Measure | None]]:
    """AUC of each class against the others by its own score, and the mean over the classes that have one."""
    histogram = layout.cells(vector, "class_scores")["histogram"].reshape(len(layout.classes), 2, -1)
    items = [area(auc_from_histograms(own, others)) for others, own in histogram]
    for label, item in zip(layout.classes, items, strict=True):
        yield f"roc_auc:{label}", item
    yield "roc_auc_macro", average(item for item in items if item)
