"""Measures of quality: values with their errors and intervals, made of counts and sums."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ml_exporter.statistics.auc import MINIMUM_ROWS_PER_CLASS, Auc, auc_interval
from ml_exporter.statistics.intervals import (
    MINIMUM_LOSSES,
    MINIMUM_ROWS,
    Interval,
    equal_losses,
    f1_interval,
    gap_interval,
    loss_interval,
    mean_interval,
    wilson,
)
from ml_exporter.vitals.windows import Estimate, Shortage, mean, ratio

Ends = Callable[[float, float], Interval | None]
"""The 95 % interval, given phi and the number of standard errors to either side."""


class Measure(NamedTuple):
    """A value, the statistic whose noise the baseline learns for it (in its own unit), and its interval.

    Both are None for a value that has no interval. `stands_on` is what it takes to have one.
    """

    value: float
    estimate: Estimate | None
    interval: Ends | None
    stands_on: Shortage | None = None


@dataclass(frozen=True)
class Measures:
    """The labelled predictions of a window: how many, and every measure they define.

    A measure of one class is called `<measure>:<class>`, the others by their name in the catalogue, without `ml_`.
    """

    rows: int
    named: Mapping[str, Measure]


def defined(rows: int, found: Iterable[tuple[str, Measure | None]]) -> Measures:
    """Measures without those that the rows do not define."""
    return Measures(rows, {name: item for name, item in found if item is not None})


def share(part: int, whole: int) -> Measure | None:
    """A ratio of rows; None of nothing."""
    if not whole:
        return None
    return Measure(part / whole, ratio(part, whole), lambda phi, z: wilson(part, whole, phi, z))


def f1(tp: int, fp: int, fn: int) -> Measure | None:
    """F1, which varies as TP / (TP + FP + FN), of which it is a function; None of nothing."""
    found = ratio(tp, tp + fp + fn)
    if found is None:
        return None
    return Measure(2 * tp / (2 * tp + fp + fn), found, lambda phi, z: f1_interval(tp, fp, fn, phi, z))


def loss(
    sums: tuple[float, float], rows: int, minimum: float = MINIMUM_LOSSES, high: float = math.inf
) -> Measure | None:
    """The mean of values from 0 to `high`, from their sum and sum of squares; None of nothing.

    Values that count as fewer than `minimum` equal ones have no interval.
    """
    if not rows:
        return None
    total, squares = sums

    def ends(phi: float, z: float) -> Interval | None:
        found = loss_interval(total, squares, rows, phi, z, minimum)
        return Interval(found.lower, min(high, found.upper)) if found else None

    counted = Shortage(equal_losses(total, squares), minimum, "losses that weigh the same")
    return Measure(total / rows, mean(total, squares, rows), ends, counted)


def gap(sums: tuple[float, float], hits: int, rows: int) -> Measure | None:
    """The mean of a probability minus whether it came true, from sum and sum of squares; None of nothing."""
    if not rows:
        return None
    total, squares = sums
    found = mean(total, squares, rows)
    return Measure(total / rows, found, lambda phi, z: gap_interval(total, hits, squares, rows, phi, z))


def difference(sums: tuple[float, float], rows: int) -> Measure | None:
    """The mean of values of either sign, from their sum and sum of squares; None of nothing."""
    if not rows:
        return None
    total, squares = sums
    found, counted = mean(total, squares, rows), Shortage(rows, MINIMUM_ROWS, "labelled rows")
    return Measure(total / rows, found, lambda phi, z: mean_interval(total, squares, rows, phi, z), counted)


def area(auc: Auc | None) -> Measure | None:
    """An AUC, whose error shrinks with the harmonic size of both classes; None where a class has no rows."""
    if auc is None:
        return None
    rows = auc.positives * auc.negatives / (auc.positives + auc.negatives)
    estimate = Estimate(auc.value, auc.standard_error, rows)
    rarer = Shortage(min(auc.positives, auc.negatives), MINIMUM_ROWS_PER_CLASS, "labelled rows of the rarer class")
    return Measure(auc.value, estimate, lambda phi, z: auc_interval(auc, phi, z), rarer)


def average(found: Iterable[Measure | None]) -> Measure | None:
    """The mean of measures, which has no interval: those of the classes depend on each other. None counts as 0."""
    values = [item.value if item else 0.0 for item in found]
    return Measure(sum(values) / len(values), None, None) if values else None


def scaled(measure: Measure | None, unit: float) -> Measure | None:
    """The measure in units of which one of its own has `unit`; its noise keeps the unit it was learned in."""
    if measure is None or measure.interval is None:
        return measure
    own = measure.interval

    def ends(phi: float, z: float) -> Interval | None:
        found = own(phi, z)
        return Interval(found.lower * unit, found.upper * unit) if found else None

    return Measure(measure.value * unit, measure.estimate, ends, measure.stands_on)


def root(measure: Measure | None) -> Measure | None:
    """The square root of a mean square, with the roots of its ends; its noise is that of the mean square."""
    if measure is None or measure.interval is None:
        return measure
    own = measure.interval

    def ends(phi: float, z: float) -> Interval | None:
        found = own(phi, z)
        return Interval(math.sqrt(found.lower), math.sqrt(found.upper)) if found else None

    return Measure(math.sqrt(measure.value), measure.estimate, ends, measure.stands_on)
