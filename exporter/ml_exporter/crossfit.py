"""What is learned of whole rows of the reference, and which of its own rows that would call outliers.

A row must not have a say in what is usual for it. So the reference is cut into folds of whole days (of hours, if it is
short), and each is judged by what the others show: their ranges, categories, components and quantiles. What serves is
learned from all of them. Everything is learned from whole numbers, minima and maxima, so the order of the rows does
not reach the artefact.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from scipy.special import expit, logit

from ml_exporter.columns import codes, floats
from ml_exporter.config import Time
from ml_exporter.features import standardise
from ml_exporter.groups import group_rows
from ml_exporter.heads import Scored, known, make_head
from ml_exporter.joint import (
    CLIP,
    MAX_FEATURES,
    SCALE_FLOOR,
    VALUE_UNIT,
    VARIANCE_FLOOR,
    VECTOR_UNIT,
    WEIGHT_UNIT,
    Components,
    Joint,
    Limits,
)
from ml_exporter.layout import Bools, CategoryBins, Floats, Layout, NumericBins
from ml_exporter.oddness import Odd, make_projector
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.statistics.binner import Codes
from ml_exporter.statistics.components import components_kept, leave_one_out, principal
from ml_exporter.units import PROBABILITY_FLOOR

MAX_FOLDS = 64
ENOUGH_DAYS = 5
"""A reference of fewer is cut by the hour."""
KEPT_VARIANCE = 0.9
BEYOND_ROWS, BEYOND_SHARE = 10, 1000
"""One in so many rows of the reference lies beyond the distance of outliers, but at least ten rows."""
ROWS_OF_A_COMPONENT = 10
FEWEST_ROWS = 100


@dataclass(frozen=True)
class Folds:
    """The fold of each row (n,), and how many there are."""

    index: Codes
    count: int

    def lows(self, place: Codes, width: int, values: Floats) -> Floats:
        """The smallest value by fold and place, shape (count, width); infinite where there is none. NaN is none."""
        found = np.full((self.count, width), np.inf)
        there = ~np.isnan(values)
        np.minimum.at(found, (self.index[there], place[there]), values[there])
        return found


@dataclass(frozen=True)
class Fitted:
    """What serves, how the others judge each row of the reference, and what a reviewer should know."""

    joint: Joint
    odd: Odd
    warnings: tuple[str, ...]


def fit_joint(table: pa.Table, layout: Layout, time: Time) -> Fitted:
    """What reference rows (columns as in `records`) with a layout's units show of whole rows."""
    folds = make_folds(np.asarray(table.column("timestamp").to_numpy(), np.int64), time)
    _, groups = group_rows(np.zeros(table.num_rows, np.int64))
    head = make_head(layout)
    scored = head.predictions(table, groups, np.zeros((1, layout.size), np.int64))
    ranges, outside = [], np.zeros(table.num_rows, np.bool_)
    for item in layout.features:
        if isinstance(item, NumericBins):
            limits, odd = _fit_range(table, item, folds)
            ranges.append(limits)
        else:
            odd = _seen_once(table, item, folds)
        outside |= odd
    answers, odd_answers = _fit_answers(layout, scored, head.judged(scored), folds)
    joint = Joint(tuple(ranges), answers)
    numeric = [item for item in layout.features if isinstance(item, NumericBins)]
    warnings = tuple(_warnings(len(numeric), table.num_rows, folds))
    none = np.zeros(table.num_rows, np.bool_)
    if not numeric or not _enough(table.num_rows, min(len(numeric), MAX_FEATURES)):
        return Fitted(joint, Odd(outside, none, odd_answers, None), warnings)
    found = _fit_components(table, numeric[:MAX_FEATURES], folds)
    odd_rows = Odd(outside, found.far, odd_answers, found.errors if found.components.reconstructs else None)
    return Fitted(replace(joint, components=found.components), odd_rows, (*warnings, *found.warnings))


def make_folds(times: Codes, time: Time) -> Folds:
    """Runs of whole days, or of hours where there are fewer than `ENOUGH_DAYS` days; at most `MAX_FOLDS`."""
    for seconds, enough in ((time.day, ENOUGH_DAYS), (time.hour, 1)):
        place = times // round(float(seconds) * 1e6)
        place -= place.min()
        units = int(place.max()) + 1
        if units >= enough:
            break
    count = min(units, MAX_FOLDS)
    return Folds((place * count // units).astype(np.intp), count)


def _widened(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Limits half the width beyond the smallest and the largest value."""
    with np.errstate(over="ignore", invalid="ignore"):
        half = np.maximum(high - low, 0.0) / 2.0
        return low - half, high + half


def _others(values: Floats) -> Floats:
    """The smallest value of the other folds; of all where there is only one. Shape (count, width)."""
    return leave_one_out(values) if len(values) > 1 else values


def _fit_range(table: pa.Table, item: NumericBins, folds: Folds) -> tuple[Limits, Bools]:
    """How far values of a feature may lie, and which rows (n,) lie further than the other folds allow.

    A feature without any value has no limits.
    """
    x = floats(table, FEATURE_PREFIX + item.name)
    x = np.where(np.isfinite(x), x, np.nan)
    one = np.zeros(len(x), np.intp)
    lows, highs = folds.lows(one, 1, x), -folds.lows(one, 1, -x)
    low, high = _widened(_others(lows), -_others(-highs))
    low, high = np.where(low > high, -np.inf, low), np.where(low > high, np.inf, high)
    z = standardise(x, item)
    with np.errstate(invalid="ignore"):
        odd = (z < standardise(low, item)[folds.index, 0]) | (z > standardise(high, item)[folds.index, 0])
    whole = _widened(lows.min(axis=0), highs.max(axis=0))
    limits = (float(whole[0][0]), float(whole[1][0]))
    return (limits if limits[0] <= limits[1] else (-np.inf, np.inf)), odd


def _seen_once(table: pa.Table, item: CategoryBins, folds: Folds) -> Bools:
    """Which rows (n,) have a category that no other fold has, or that has no bin."""
    other = len(item.categories)
    column = table.column(FEATURE_PREFIX + item.name)
    found = codes(column, pa.array(item.categories, pa.string()), other)
    null = np.asarray(column.is_null().to_numpy(), np.bool_)
    seen = np.zeros((folds.count, other + 1), np.bool_)
    seen[folds.index, found] = True
    alone = seen.sum(axis=0) == 1 if folds.count > 1 else np.zeros(other + 1, np.bool_)
    alone[other] = True
    return np.asarray(alone[found] & ~null, np.bool_)


def _fit_answers(layout: Layout, scored: Scored, judged: Floats, folds: Folds) -> tuple[tuple[Limits, ...], Bools]:
    """How far a prediction may lie, and which rows (n,) lie further than the other folds allow.

    Scores are compared in logits, by predicted class; a class that was never predicted has no usual score.
    """
    width = max(len(layout.classes), 1)
    place = np.maximum(scored.predicted, 0).astype(np.intp) if layout.is_class else np.zeros(len(judged), np.intp)
    usable = known(scored.predicted) & np.isfinite(judged)
    values = np.where(usable, judged, np.nan)
    if layout.is_class:
        values = logit(np.clip(values, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR))
    lows, highs = folds.lows(place, width, values), -folds.lows(place, width, -values)
    low, high = _answer_limits(layout, *_widened(_others(lows), -_others(-highs)))
    odd = usable & ((judged < low[folds.index, place]) | (judged > high[folds.index, place]))
    whole = _answer_limits(layout, *_widened(lows.min(axis=0), highs.max(axis=0)))
    return tuple(zip(whole[0].tolist(), whole[1].tolist(), strict=True)), odd


def _answer_limits(layout: Layout, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Limits in the unit of what is judged. Beyond the floor of probabilities a side is open."""
    if not layout.is_class:
        return low, high
    least, most = logit(PROBABILITY_FLOOR), logit(1.0 - PROBABILITY_FLOOR)
    empty = low > high
    below, above = np.where(low > least, expit(low), 0.0), np.where(high < most, expit(high), 1.0)
    return np.where(empty, 1.0, below), np.where(empty, 0.0, above)


@dataclass(frozen=True)
class _Sums:
    """Rows, sums and sums of products of clipped values in units of `VALUE_UNIT`: whole numbers."""

    rows: int
    totals: Floats
    products: Floats

    def without(self, other: "_Sums") -> "_Sums":
        """The sums of the other rows."""
        return _Sums(self.rows - other.rows, self.totals - other.totals, self.products - other.products)

    def correlation(self) -> tuple[Floats, Floats, Floats]:
        """Means (d,), scales (d,), and the correlations (d, d) in these scales."""
        means = self.totals / self.rows / VALUE_UNIT
        covariance = self.products / self.rows / VALUE_UNIT**2 - np.outer(means, means)
        scales = np.maximum(np.sqrt(np.maximum(np.diag(covariance), 0.0)), SCALE_FLOOR)
        return means, scales, covariance / np.outer(scales, scales)


@dataclass(frozen=True)
class _FittedComponents:
    components: Components
    far: Bools
    errors: Floats
    warnings: tuple[str, ...]


def _fit_components(table: pa.Table, items: list[NumericBins], folds: Folds) -> _FittedComponents:
    """Components of all rows, and distances and errors of each fold by those of the others."""
    order = np.argsort(folds.index, kind="stable")
    ends = np.searchsorted(folds.index[order], np.arange(1, folds.count))
    parts = np.split(order, ends)
    sums = [_sums(_standardised(table, items, rows)) for rows in parts]
    totals, products = np.sum([part.totals for part in sums], axis=0), np.sum([part.products for part in sums], axis=0)
    whole = _Sums(table.num_rows, totals, products)
    distances, errors = np.zeros(table.num_rows), np.zeros(table.num_rows)
    for rows, own in zip(parts, sums, strict=True):
        rest = whole.without(own)
        learned = _components(rest if _enough(rest.rows, len(items)) else whole)
        if len(rows):
            distances[rows], errors[rows] = make_projector(learned).measure(_standardised(table, items, rows))
    limit, far = _quantiles(distances, folds)
    found = replace(_components(whole), limit=int(limit))
    return _FittedComponents(found, far, errors, tuple(_singular(whole, items)))


def _standardised(table: pa.Table, items: list[NumericBins], rows: Codes) -> Floats:
    """Standardised values (features, rows), as they are counted: 0 for what is no number."""
    found = np.empty((len(items), len(rows)))
    for place, item in enumerate(items):
        x = floats(table, FEATURE_PREFIX + item.name)[rows]
        found[place] = np.clip(np.where(np.isfinite(x), standardise(x, item), 0.0), -CLIP, CLIP)
    return found


def _sums(z: Floats) -> _Sums:
    whole = np.rint(z * VALUE_UNIT)
    return _Sums(z.shape[1], whole.sum(axis=1), whole @ whole.T)


def _components(sums: _Sums) -> Components:
    means, scales, correlation = sums.correlation()
    vectors, variances = principal(correlation)
    weights = np.rint(WEIGHT_UNIT / np.maximum(variances, VARIANCE_FLOOR)).astype(np.int64)
    whole = np.rint(vectors * VECTOR_UNIT).astype(np.int64).tolist()
    kept = components_kept(variances, KEPT_VARIANCE)
    units = (tuple(means.tolist()), tuple(scales.tolist()))
    return Components(*units, tuple(map(tuple, whole)), tuple(weights.tolist()), kept, 0)


def _enough(rows: int, features: int) -> bool:
    return rows >= max(FEWEST_ROWS, ROWS_OF_A_COMPONENT * features)


def _quantiles(distances: Floats, folds: Folds) -> tuple[float, Bools]:
    """The distance of outliers, and which rows (n,) lie beyond that of the other folds."""
    order = np.argsort(-distances, kind="stable")
    ranked, of = distances[order], folds.index[order]
    limits = np.full(folds.count, ranked[_beyond(len(ranked))])
    for fold in range(folds.count if folds.count > 1 else 0):
        others = np.flatnonzero(of != fold)
        if len(others) >= FEWEST_ROWS:
            limits[fold] = ranked[others[_beyond(len(others))]]
    return float(ranked[_beyond(len(ranked))]), distances > limits[folds.index]


def _beyond(rows: int) -> int:
    """How many of so many rows may lie beyond the distance of outliers."""
    return max(BEYOND_ROWS, rows // BEYOND_SHARE)


def _warnings(numeric: int, rows: int, folds: Folds) -> Iterator[str]:
    if folds.count == 1:
        yield "the reference lies within one hour: its own outliers are judged by itself."
    if numeric > MAX_FEATURES:
        yield f"outlying distances and multivariate drift see the first {MAX_FEATURES} of {numeric} numeric features."
    if numeric and not _enough(rows, min(numeric, MAX_FEATURES)):
        yield f"{rows} rows are too few for outlying distances and multivariate drift of {numeric} numeric features."


def _singular(sums: _Sums, items: list[NumericBins]) -> Iterator[str]:
    """Constant and collinear features: their distances count as if they varied by a tenth of a standard deviation."""
    vectors, variances = principal(sums.correlation()[2])
    flat = variances < VARIANCE_FLOOR
    if flat.any():
        part = np.abs(vectors[flat]).max(axis=0) > 0.3
        names = ", ".join(item.name for item, found in zip(items, part, strict=True) if found)
        yield (
            f"{int(flat.sum())} of {len(items)} components of the numeric features hardly vary; constant or collinear: "
            f"{names}. Rows in which they differ are outliers soon: leave out what another feature says."
        )
