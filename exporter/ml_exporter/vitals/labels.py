"""Labels: how many matured predictions have one, how long it took, and whether those are like the others."""

from collections.abc import Iterator

import numpy as np

from ml_exporter.baseline import SCORE, SELECTION, Baseline
from ml_exporter.catalogue import Sample
from ml_exporter.layout import Layout, Vector
from ml_exporter.statistics.distances import psi
from ml_exporter.units import LABEL_STATES
from ml_exporter.vitals.drift import limit_of
from ml_exporter.vitals.windows import Windows, alpha_of, psi_noise_of


def coverage(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Share of predictions in the matured window that have a label."""
    for window in windows.matured:
        cells = baseline.layout.cells(window.vector, "labels")
        if int(cells["joinable"][0]):
            value = int(cells["labelled"][0]) / int(cells["joinable"][0])
            yield Sample("ml_label_coverage_ratio", (windows.model, window.name), value)


def selection(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """PSI between the scores of labelled and of unlabelled matured predictions, with what chance alone gives.

    Labelled against unlabelled, never against all: the labelled are part of those, which hides a difference. What gets
    no label comes in runs (flights of one storm are cancelled together), so the reference's own windows say how far
    the two lie apart as a rule; where they had no labels, it is as of independent rows. Models without scores
    (regression) have none.
    """
    if not baseline.layout.is_class:
        return
    for window in windows.matured:
        unlabelled, labelled = scores_by_label(baseline, window.vector)
        found = psi(labelled, unlabelled)
        if found is None:
            continue
        alpha = alpha_of(windows.alpha, window.seconds, baseline.day_seconds)
        noise = psi_noise_of(baseline, window, SELECTION)
        limit = limit_of(noise, found, (int(labelled.sum()), int(unlabelled.sum())), alpha)
        yield Sample("ml_label_selection_psi", (windows.model, window.name), found.value)
        yield Sample("ml_label_selection_psi_critical", (windows.model, window.name), limit)


def scores_by_label(baseline: Baseline, vector: Vector) -> tuple[Vector, Vector]:
    """Counts of scores in the bins of PSI: of predictions without a label, and of those with one."""
    layout = baseline.layout
    histogram = layout.cells(vector, "scores")["histogram"].reshape(len(layout.classes), len(LABEL_STATES), -1)
    none, *some = histogram.sum(axis=0)
    groups = baseline.groups[SCORE]
    return np.bincount(groups, none).astype(np.int64), np.bincount(groups, np.sum(some, axis=0)).astype(np.int64)


def delay_quantile(layout: Layout, vector: Vector, q: float) -> float | None:
    """Seconds within which a share `q` of the labels came: the upper end of the bucket that holds the quantile.

    Infinite beyond the last bound; None without labels.
    """
    counts = np.cumsum(layout.cells(vector, "labels")["delay"])
    if not counts[-1]:
        return None
    place = int(np.searchsorted(counts, q * counts[-1]))
    return layout.delay_bounds[place] if place < len(layout.delay_bounds) else float("inf")
