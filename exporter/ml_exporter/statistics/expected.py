"""What quality is to be expected of predictions without labels: confidence-based performance estimation (CBPE).

The reference tells how often the label of a score's bin is positive (`isotonic`). A window's rows then have expected
labels, and every measure its expected counts. Known from NannyML; here on histograms, so that it costs a sum over
bins. It assumes that a score still means what it meant: it follows other inputs, and cannot see another truth.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

Floats = npt.NDArray[np.float64]

EDGE_FLOOR = 1e-8
"""Edges nearer to 0 or 1 have no finite logit of use."""


class Expected(NamedTuple):
    """A measure, and the variance that its realised value has while the scores stay (independent labels)."""

    value: float
    variance: float


def midpoints(edges: Floats) -> Floats:
    """A probability for each bin (k + 1,) between inner edges (k,): the middle of its logits.

    The outer bins are taken as wide as their neighbours.

    >>> midpoints(np.array([0.2, 0.5, 0.8])).round(3).tolist()
    [0.111, 0.333, 0.667, 0.889]
    """
    if not edges.size:
        return np.full(1, 0.5)
    logits = logit(np.clip(edges, EDGE_FLOOR, 1.0 - EDGE_FLOOR))
    first, last = (logits[1] - logits[0], logits[-1] - logits[-2]) if edges.size > 1 else (1.0, 1.0)
    whole = np.concatenate(([logits[0] - first], logits, [logits[-1] + last]))
    middle: Floats = expit((whole[1:] + whole[:-1]) / 2.0)
    return middle


def isotonic(hits: Floats, rows: Floats, places: Floats) -> Floats:
    """The share of hits in each bin (bins,), increasing with the bin: isotonic regression of counts, by weight.

    Bins without rows lie on the line between their neighbours with rows, by `places` (bins,), as scikit-learn's
    IsotonicRegression predicts between what it has seen; outside they have the nearest value. Shares stay half a row
    away from 0 and 1, so that no label is taken as certain. Without rows all are 0.

    >>> isotonic(np.array([0.0, 3.0, 1.0]), np.array([4.0, 4.0, 4.0]), np.array([0.2, 0.5, 0.8])).tolist()
    [0.038461538461538464, 0.5, 0.5]
    """
    known = rows > 0
    total = float(rows.sum())
    if not total:
        return np.zeros(rows.size)
    fitted = pooled(hits[known], rows[known])
    least = 0.5 / (total + 1.0)
    shares: Floats = np.interp(places, places[known], fitted).clip(least, 1.0 - least)
    return shares


def pooled(hits: Floats, rows: Floats) -> Floats:
    """The shares `hits / rows`, made not to fall from bin to bin with the least squared error weighted by rows.

    Shapes (bins,), rows above 0. Pool adjacent violators (Barlow et al. 1972): neighbours out of order become one bin.
    SciPy has it too, in a module whose import is a tenth of the start of an exporter.

    >>> pooled(np.array([1.0, 2.0, 1.0]), np.array([4.0, 4.0, 4.0])).tolist()
    [0.25, 0.375, 0.375]
    """
    pools: list[tuple[float, float, int]] = []
    for hit, row in zip(hits.tolist(), rows.tolist(), strict=True):
        pool = (hit, row, 1)
        while pools and pools[-1][0] * pool[1] >= pool[0] * pools[-1][1]:
            before = pools.pop()
            pool = (before[0] + pool[0], before[1] + pool[1], before[2] + pool[2])
        pools.append(pool)
    sums = np.array(pools).reshape(-1, 3)
    shares: Floats = np.repeat(sums[:, 0] / sums[:, 1], sums[:, 2].astype(np.int64))
    return shares


def binary(positive: Floats, negative: Floats, score: Floats) -> Mapping[str, Expected]:
    """Measures of expected labels of two classes.

    `positive` and `negative`, shape (2, bins), are expected rows by predicted class and score bin, `score` (bins,) is
    the probability that stands for a bin. Counts of labels instead of expected ones give the realised measures.
    Measures of a class of which less than one row is expected are left out.

    Variances: delta method over independent labels, `Σ n c (1 - c) (∂m/∂y)²` for n rows of share c.

    >>> found = binary(np.array([[1.0, 2.0], [0.0, 6.0]]), np.array([[9.0, 0.0], [0.0, 2.0]]), np.array([0.2, 0.7]))
    >>> found["accuracy"].value, found["precision"].value, round(found["recall"].value, 3)
    (0.75, 0.75, 0.667)
    """
    rows = positive + negative
    if rows.sum() < 1.0:
        return {}
    spread = np.divide(positive * negative, rows, out=np.zeros_like(rows), where=rows > 0)
    found = dict(_answers(positive, negative, spread)) | dict(_losses(positive, negative, (spread, score)))
    area = _area(positive.sum(axis=0), negative.sum(axis=0), spread.sum(axis=0))
    return found | ({"roc_auc": area} if area else {})


def _answers(positive: Floats, negative: Floats, spread: Floats) -> Iterator[tuple[str, Expected]]:
    """Accuracy, precision, recall and F1. Each derivative by a label depends on the predicted class alone."""
    tp, fp, fn, tn = (float(part.sum()) for part in (positive[1], negative[1], positive[0], negative[0]))
    below, above = spread.sum(axis=1).tolist()
    n = tp + fp + fn + tn
    yield "accuracy", Expected((tp + tn) / n, (above + below) / n**2)
    if tp + fp >= 1.0:
        yield "precision", Expected(tp / (tp + fp), above / (tp + fp) ** 2)
    if tp + fn >= 1.0:
        share = tp / (tp + fn)
        yield "recall", Expected(share, (above * (1 - share) ** 2 + below * share**2) / (tp + fn) ** 2)
        f1 = 2 * tp / (2 * tp + fp + fn)
        yield "f1", Expected(f1, (above * (2 - f1) ** 2 + below * f1**2) / (2 * tp + fp + fn) ** 2)


def _losses(positive: Floats, negative: Floats, at: tuple[Floats, Floats]) -> Iterator[tuple[str, Expected]]:
    """Mean losses of the scores. Their derivative is the loss of a positive less that of a negative."""
    spread, score = at
    n = float((positive + negative).sum())
    losses = {"log_loss": (-np.log(score), -np.log1p(-score)), "brier_score": ((1.0 - score) ** 2, score**2)}
    for name, (one, zero) in losses.items():
        value = float((positive * one + negative * zero).sum()) / n
        yield name, Expected(value, float((spread * (one - zero) ** 2).sum()) / n**2)


def _area(positive: Floats, negative: Floats, spread: Floats) -> Expected | None:
    """AUC of expected rows by bin, as `auc.auc_from_histograms` has it of counts.

    By a label of bin b it changes by (share of negatives below b - A) / P - (share of positives above b - A) / N.
    """
    positives, negatives = float(positive.sum()), float(negative.sum())
    if min(positives, negatives) < 1.0:
        return None
    beaten = (np.cumsum(negative) - 0.5 * negative) / negatives
    beating = 1.0 - (np.cumsum(positive) - 0.5 * positive) / positives
    value = float((positive * beaten).sum()) / positives
    slope = (beaten - value) / positives - (beating - value) / negatives
    return Expected(value, float((spread * slope * slope).sum()))


def multiclass(right: Floats, wrong: Floats, others: Floats | None) -> Mapping[str, Expected]:
    """Accuracy and macro averages of expected labels of several classes.

    `right` and `wrong`, shape (classes, bins), are expected rows by predicted class and bin of the confidence.
    `others` (classes, classes) are the shares of the actual classes among wrong rows of each predicted one (rows sum to
    1, zeros on the diagonal); without it there are neither recall nor F1. Macro averages are over the classes of which
    half a row or more is predicted or actual.

    >>> even = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> found = multiclass(np.array([[8.0], [6.0]]), np.array([[2.0], [4.0]]), even)
    >>> found["accuracy"].value, found["precision_macro"].value, round(found["recall_macro"].value, 4)
    (0.7, 0.7, 0.7083)
    """
    rows = right + wrong
    if rows.sum() < 1.0:
        return {}
    hit, called = right.sum(axis=1), rows.sum(axis=1)
    spread = np.divide(right * wrong, rows, out=np.zeros_like(rows), where=rows > 0).sum(axis=1)
    found = {"accuracy": Expected(float(hit.sum() / called.sum()), float(spread.sum() / called.sum() ** 2))}
    missed = wrong.sum(axis=1) @ others if others is not None else np.zeros(hit.size)
    actual = hit + missed
    there = called + missed >= 0.5
    share = np.divide(hit, called, out=np.zeros_like(hit), where=called > 0)
    inner = np.divide(1.0, called, out=np.zeros_like(hit), where=called > 0)
    count = max(1, int(there.sum()))
    found["precision_macro"] = Expected(float(share[there].mean()), float((spread * inner**2)[there].sum()) / count**2)
    if others is None:
        return found
    ratios = {"recall_macro": (hit, actual), "f1_macro": (2.0 * hit, called + actual)}
    for name, (part, whole) in ratios.items():
        value = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
        inner = np.divide(1.0, whole, out=np.zeros_like(part), where=whole > 0) * there
        gain = np.eye(hit.size) * (1.0 if name == "recall_macro" else 2.0)
        slopes = (gain - value) * inner / count
        found[name] = Expected(float(value[there].mean()), _variance(right, wrong, others, slopes))
    return found


def _variance(right: Floats, wrong: Floats, others: Floats, slopes: Floats) -> float:
    """Variance of a measure that changes by `slopes[k, j]` for a row predicted k whose label is j.

    A row of class k and bin b has label k with its share of right ones, else j with `others[k, j]`.
    """
    rows = right + wrong
    own = np.diagonal(slopes)[:, None]
    mean, square = (others * slopes).sum(axis=1)[:, None], (others * slopes**2).sum(axis=1)[:, None]
    first = np.divide(right * own + wrong * mean, rows, out=np.zeros_like(rows), where=rows > 0)
    return float((right * own**2 + wrong * square - rows * first**2).sum())


def mean_of_bins(counts: Floats, means: Floats, variances: Floats) -> Expected | None:
    """Mean of values of which rows of a bin have expectation and variance; shapes (bins,). None without rows.

    >>> mean_of_bins(np.array([3.0, 1.0]), np.array([1.0, 5.0]), np.array([4.0, 4.0]))
    Expected(value=2.0, variance=1.0)
    """
    n = float(counts.sum())
    if n < 1.0:
        return None
    return Expected(float((counts * means).sum()) / n, float((counts * variances).sum()) / n**2)


def excess_error(variance: float, phi: float, rows: float, of_reference: tuple[float, float]) -> float:
    """Standard error of the realised less the expected measure, for a window of so many rows.

    `of_reference` are the rows that the expectation was learned from, and those of an average window of this length.
    `V [(1 + n/M) + (phi - 1) (n / min(n, m) + n/M)]`: labels vary by chance, `V`, less so the more rows there are; what
    windows have in common (`phi` from the reference's own windows of m rows) stays however many rows there are.

    >>> [round(excess_error(1e-4, *rest, (1e9, 100.0)), 4) for rest in ((1.0, 100.0), (9.0, 100.0), (9.0, 400.0))]
    [0.01, 0.03, 0.0574]
    """
    known, usual = of_reference
    part = rows / known
    return float(np.sqrt(variance * (1.0 + part + (phi - 1.0) * (rows / max(1.0, min(rows, usual)) + part))))
