"""What faults have to know of a model, from its baseline."""

import numpy as np

from ml_exporter.baseline import Baseline
from ml_exporter.faults import Context
from ml_exporter.layout import Vector
from ml_exporter.tasks import Binary, Regression
from ml_exporter.units import LABEL_STATES
from ml_exporter.vitals.multiclass import answers
from ml_exporter.vitals.prediction import shares

QUANTILES = 201


def context_of(baseline: Baseline) -> Context:
    """Classes and their shares, quantiles of the scores, features; of a regression centre and scale of its labels."""
    layout, task = baseline.layout, baseline.layout.task
    if isinstance(task, Regression):
        return Context(layout.features, target=(task.label_centre, task.label_scale))
    actual = answers(layout, baseline.vector).actual
    binary = isinstance(task, Binary)
    return Context(
        features=layout.features,
        classes=layout.classes,
        threshold=task.decision_threshold if isinstance(task, Binary) else 0.5,
        predicted=tuple(shares(layout, baseline.vector).values()),
        actual=tuple((actual / actual.sum()).tolist()) if actual.sum() else (),
        scores=_quantiles(baseline, task) if binary and isinstance(task, Binary) else (),
    )


def _quantiles(baseline: Baseline, task: Binary) -> tuple[float, ...]:
    """Evenly spaced quantiles of the reference's scores, from their histogram; nothing without scores."""
    cells = baseline.layout.cells(baseline.vector, "scores")["histogram"]
    counts: Vector = cells.reshape(len(task.classes), len(LABEL_STATES), -1).sum(axis=(0, 1))
    if not counts.sum():
        return ()
    limits = np.array([0.0, *task.score_edges, 1.0])
    edges = np.clip(limits, 0.0, 1.0)
    risen = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    found: list[float] = np.interp(np.linspace(0.0, 1.0, QUANTILES), risen, edges).tolist()
    return tuple(found)
