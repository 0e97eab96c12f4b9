"""Quality on labelled predictions, with 95 % intervals that know how much the reference's own windows vary."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from ml_exporter.baseline import Baseline, Phi
from ml_exporter.catalogue import QUALITY, Sample
from ml_exporter.layout import Layout, Vector
from ml_exporter.statistics.auc import Auc, auc_from_histograms, auc_interval
from ml_exporter.statistics.dispersion import interval_sigmas
from ml_exporter.statistics.intervals import (
    MINIMUM_SCORE_LOSSES,
    Interval,
    f1_interval,
    gap_interval,
    loss_interval,
    wilson,
)
from ml_exporter.units import LABEL_STATES, LOSS2_UNIT, LOSS_UNIT, PROBABILITY_UNIT
from ml_exporter.vitals.windows import REFERENCE, Estimate, Windows, mean, phi_of, ratio


class Labelled(NamedTuple):
    """The labelled predictions of a window: confusion counts, AUC, and sums over those with a score."""

    tn: int
    fp: int
    fn: int
    tp: int
    auc: Auc | None
    scored: int
    log_loss: tuple[float, float]
    brier: tuple[float, float]
    gap: float
    positives: int

    @property
    def rows(self) -> int:
        """Number of labelled predictions."""
        return self.tn + self.fp + self.fn + self.tp


def labelled(layout: Layout, vector: Vector) -> Labelled:
    """Reads the labelled predictions out of a vector.

    Losses are (sum, sum of squares); `gap` is the sum of score minus label, `positives` that of the labels.
    """
    cells = layout.cells(vector, "quality")
    counts = cells["confusion"].tolist()
    negative, positive = _labelled_scores(layout, vector)
    losses = [
        (int(cells[name][0]) / LOSS_UNIT, int(cells[name + "2"][0]) / LOSS2_UNIT) for name in ("log_loss", "brier")
    ]
    positives = int(cells["positive"][0])
    gap = int(cells["score"][0]) / PROBABILITY_UNIT - positives
    tn, fp, fn, tp = counts
    return Labelled(
        tn,
        fp,
        fn,
        tp,
        auc_from_histograms(positive, negative),
        int(cells["scored"][0]),
        losses[0],
        losses[1],
        gap,
        positives,
    )


def _labelled_scores(layout: Layout, vector: Vector) -> Vector:
    """Counts of labelled scores by label and bin, shape (2, bins)."""
    if layout.align == "arrival":
        return layout.cells(vector, "arrived")["histogram"].reshape(len(LABEL_STATES) - 1, -1)
    histogram = layout.cells(vector, "scores")["histogram"]
    by_label: Vector = histogram.reshape(len(layout.classes), len(LABEL_STATES), -1).sum(axis=0)[1:]
    return by_label


def values(found: Labelled) -> dict[str, float]:
    """Every measure of the catalogue that these rows define."""
    tn, fp, fn, tp = found[:4]
    parts = {
        "accuracy": (tp + tn, found.rows),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "f1": (2 * tp, 2 * tp + fp + fn),
        "log_loss": (found.log_loss[0], found.scored),
        "brier_score": (found.brier[0], found.scored),
        "calibration_gap": (found.gap, found.scored),
    }
    known = {name: part / whole for name, (part, whole) in parts.items() if whole}
    if found.auc:
        known["roc_auc"] = found.auc.value
    return {name: known[name] for name in QUALITY if name in known}


def interval(found: Labelled, name: str, noise: Phi) -> Interval | None:
    """The 95 % interval of one measure."""
    tn, fp, fn, tp = found[:4]
    phi, z = noise.phi, interval_sigmas(noise.windows, noise.phi)
    if name == "roc_auc":
        return auc_interval(found.auc, phi, z) if found.auc else None
    if name == "f1":
        return f1_interval(tp, fp, fn, phi, z)
    if name == "calibration_gap":
        return gap_interval(found.gap, found.positives, found.brier[0], found.scored, phi, z)
    if name in ("accuracy", "precision", "recall"):
        part, whole = {"accuracy": (tp + tn, found.rows), "precision": (tp, tp + fp), "recall": (tp, tp + fn)}[name]
        return wilson(part, whole, phi, z)
    sums = {"log_loss": found.log_loss, "brier_score": found.brier}[name]
    ends = loss_interval(*sums, found.scored, phi, z, MINIMUM_SCORE_LOSSES)
    most = 1.0 if name == "brier_score" else math.inf
    return Interval(ends.lower, min(most, ends.upper)) if ends else None


def quality(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Every measure with its interval by matured window, and its value in the reference."""
    for window in windows.matured:
        found = labelled(baseline.layout, window.vector)
        key = (windows.model, window.name)
        yield Sample("ml_labelled_rows", key, float(found.rows))
        for name, value in values(found).items():
            yield Sample(f"ml_{name}", key, value)
            ends = interval(found, name, phi_of(baseline, window, name))
            if ends:
                yield Sample(f"ml_{name}_lower", key, ends.lower)
                yield Sample(f"ml_{name}_upper", key, ends.upper)
    for name, value in values(labelled(baseline.layout, baseline.vector)).items():
        yield Sample(f"ml_baseline_{name}", (windows.model, REFERENCE), value)


def estimates(layout: Layout, vector: Vector) -> Iterator[tuple[str, Estimate | None]]:
    """The statistics of quality whose noise the baseline learns.

    F1 varies as TP / (TP + FP + FN), of which it is a function.
    """
    found = labelled(layout, vector)
    tn, fp, fn, tp = found[:4]
    yield "accuracy", ratio(tp + tn, found.rows)
    yield "precision", ratio(tp, tp + fp)
    yield "recall", ratio(tp, tp + fn)
    yield "f1", ratio(tp, tp + fp + fn)
    yield "log_loss", mean(*found.log_loss, found.scored)
    yield "brier_score", mean(*found.brier, found.scored)
    yield "calibration_gap", mean(found.gap, found.brier[0], found.scored)
    yield "roc_auc", _auc_estimate(found.auc) if found.auc else None


def _auc_estimate(auc: Auc) -> Estimate:
    """The error of an AUC shrinks with the harmonic size of both classes."""
    return Estimate(auc.value, auc.standard_error, auc.positives * auc.negatives / (auc.positives + auc.negatives))
