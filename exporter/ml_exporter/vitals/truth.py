"""What the reference teaches about labels, and what that leads one to expect of rows whose labels are not known.

Everything is read from the histogram of answers, which counts a row whatever its label: `answers` of all rows, or of
the labelled ones alone. So an expectation does not depend on which labels have come.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ml_exporter.layout import Floats, Layout, Vector
from ml_exporter.statistics.expected import Expected, binary, isotonic, mean_of_bins, midpoints, multiclass
from ml_exporter.tasks import Binary, Multiclass, Regression
from ml_exporter.units import ERROR_UNIT, LABEL_STATES, LOSS2_UNIT
from ml_exporter.vitals.binary import losses
from ml_exporter.vitals.windows import Shortage

FEWEST_LABELLED = 100
"""With fewer labelled rows, or fewer than 10 of either kind, the reference teaches nothing."""
FEWEST_OF_A_KIND = 10


@dataclass(frozen=True)
class BinaryTruth:
    """The share of positives, and the probability that stands for them, of each score bin (bins,)."""

    rows: float
    shares: Floats
    score: Floats

    def expected(self, counts: Floats) -> Mapping[str, Expected]:
        """Measures of rows by predicted class and bin (2, bins)."""
        return binary(counts * self.shares, counts * (1.0 - self.shares), self.score)


@dataclass(frozen=True)
class MulticlassTruth:
    """The share of right answers by predicted class and bin, and the actual classes of wrong ones, if kept."""

    rows: float
    shares: Floats
    others: Floats | None

    def expected(self, counts: Floats) -> Mapping[str, Expected]:
        """Measures of rows by predicted class and bin (classes, bins)."""
        return multiclass(counts * self.shares, counts * (1.0 - self.shares), self.others)


@dataclass(frozen=True)
class RegressionTruth:
    """Mean and variance of the absolute error by bin of the prediction (bins,), in the unit of the labels."""

    rows: float
    means: Floats
    variances: Floats

    def expected(self, counts: Floats) -> Mapping[str, Expected]:
        """The mean absolute error of rows by bin (bins,)."""
        found = mean_of_bins(counts, self.means, self.variances)
        return {"mean_absolute_error": found} if found else {}


Truth = BinaryTruth | MulticlassTruth | RegressionTruth


def answers(layout: Layout, vector: Vector) -> Floats:
    """Rows by predicted class and bin of the score or confidence, or by bin of the predicted number."""
    if not layout.is_class:
        return layout.cells(vector, "predictions")["bins"].astype(np.float64)
    found: Floats = _by_label(layout, vector).sum(axis=1)
    return found


def labelled_answers(layout: Layout, vector: Vector) -> Floats:
    """Of `answers` those with a label."""
    if not layout.is_class:
        return layout.cells(vector, "residuals")["rows"].astype(np.float64)
    found: Floats = _by_label(layout, vector)[:, 1:].sum(axis=1)
    return found


def shortage(layout: Layout, vector: Vector) -> Shortage | None:
    """What a vector lacks to teach anything; None where `learn` does."""
    counts = labelled_answers(layout, vector)
    rows = float(counts.sum())
    if rows < FEWEST_LABELLED:
        return Shortage(rows, FEWEST_LABELLED, "labelled rows of the reference")
    if layout.is_class:
        rarest = float(_by_label(layout, vector)[:, 1:].sum(axis=(0, 2)).min())
        if rarest < FEWEST_OF_A_KIND:
            return Shortage(rarest, FEWEST_OF_A_KIND, "labelled rows of either kind in the reference")
    return None


def learn(layout: Layout, vector: Vector) -> Truth | None:
    """What the labelled rows of a vector teach; None where they are too few."""
    task = layout.task
    if shortage(layout, vector) is not None:
        return None
    if isinstance(task, Regression):
        return _learn_regression(layout, vector, task)
    by_label = _by_label(layout, vector)
    rows = float(by_label[:, 1:].sum())
    if isinstance(task, Multiclass):
        return _learn_multiclass(layout, vector, task)
    score = midpoints(np.asarray(task.score_edges, np.float64))
    by_bin = by_label.sum(axis=0)
    return BinaryTruth(rows, isotonic(by_bin[2], by_bin[1] + by_bin[2], score), score)


def _learn_multiclass(layout: Layout, vector: Vector, task: Multiclass) -> MulticlassTruth:
    """A class without labelled predictions has the shares of all classes together."""
    wrong, right = _by_label(layout, vector)[:, 1], _by_label(layout, vector)[:, 2]
    places = midpoints(np.asarray(task.confidence_edges, np.float64))
    whole = isotonic(right.sum(axis=0), (right + wrong).sum(axis=0), places)
    shares = [
        isotonic(hits, hits + misses, places) if (hits + misses).any() else whole
        for hits, misses in zip(right, wrong, strict=True)
    ]
    return MulticlassTruth(float((right + wrong).sum()), np.array(shares), _others(layout, vector, task))


def _others(layout: Layout, vector: Vector, task: Multiclass) -> Floats | None:
    """Shares of the actual classes among the wrong answers of each predicted one (classes, classes).

    Where none was wrong, the other classes have equal shares. None where pairs of classes are not counted.
    """
    if not task.keeps_confusion:
        return None
    count = len(task.classes)
    pairs = layout.cells(vector, "quality")["confusion"].reshape(count, count).T * (1.0 - np.eye(count))
    none = pairs.sum(axis=1) == 0
    pairs[none] = (1.0 - np.eye(count))[none]
    shares: Floats = pairs / pairs.sum(axis=1, keepdims=True)
    return shares


def _learn_regression(layout: Layout, vector: Vector, task: Regression) -> RegressionTruth:
    """Bins without labelled rows lie between their neighbours."""
    cells = layout.cells(vector, "residuals")
    rows = cells["rows"].astype(np.float64)
    known = np.flatnonzero(rows)
    mean = cells["absolute"][known] / ERROR_UNIT / rows[known]
    variance = np.maximum(cells["square"][known] / LOSS2_UNIT / rows[known] - mean * mean, 0.0)
    places, unit = np.arange(rows.size), task.error_scale
    means, variances = (np.interp(places, known, part) for part in (mean * unit, variance * unit * unit))
    return RegressionTruth(float(rows.sum()), means, variances)


def realised(layout: Layout, vector: Vector) -> Mapping[str, float]:
    """The measures that `Truth.expected` expects, of the labels of the same rows: those with a label and an answer.

    Where quality falls into the time of the label, those that need its sums are left out.
    """
    task = layout.task
    if isinstance(task, Regression):
        cells = layout.cells(vector, "residuals")
        rows = int(cells["rows"].sum())
        return (
            {"mean_absolute_error": int(cells["absolute"].sum()) / ERROR_UNIT / rows * task.error_scale} if rows else {}
        )
    _, wrong, right = np.moveaxis(_by_label(layout, vector), 1, 0)
    if isinstance(task, Multiclass):
        others = None if layout.arrival_slices else _others(layout, vector, task)
        return {name: item.value for name, item in multiclass(right, wrong, others).items()}
    return _realised_binary(layout, vector, task)


def _realised_binary(layout: Layout, vector: Vector, task: Binary) -> Mapping[str, float]:
    """Losses are those of every row's own score, not of its bin."""
    _, negative, positive = np.moveaxis(_by_label(layout, vector), 1, 0)
    score = midpoints(np.asarray(task.score_edges, np.float64))
    found = {name: item.value for name, item in binary(positive, negative, score).items()}
    cells = layout.cells(vector, "quality")
    sums, rows = losses(cells), int(cells["scored"][0])
    for name, (total, _) in zip(("log_loss", "brier_score"), sums, strict=True):
        found.pop(name, None)
        if rows and not layout.arrival_slices:
            found[name] = total / rows
    return found


def _by_label(layout: Layout, vector: Vector) -> Floats:
    """Rows by predicted class, label (none, negative or wrong, positive or right) and bin, as floats."""
    histogram = layout.cells(vector, "scores")["histogram"]
    return histogram.reshape(len(layout.classes), len(LABEL_STATES), -1).astype(np.float64)
