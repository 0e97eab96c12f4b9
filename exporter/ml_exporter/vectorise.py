"""Rows to vectors: a batch of predictions, or of joined labels, as one int64 vector for each group of rows.

Everything is counted or summed in fixed point, so any split of the rows, in any order, adds up to the same vector, bit
for bit. No Python loop runs over rows; the loops here run over features.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.layout import (
    DELAY_UNIT,
    LABEL_STATES,
    LATENCY_UNIT,
    LOSS2_UNIT,
    LOSS_UNIT,
    PROBABILITY_FLOOR,
    PROBABILITY_UNIT,
    Z2_UNIT,
    Z_LIMIT,
    Z_UNIT,
    Bools,
    CategoryBins,
    Floats,
    Layout,
    NumericBins,
    Vector,
)
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.statistics.binner import Binner, Codes, make_binner

UNKNOWN_CLASS = -1
_HALF = 1 << 20


@dataclass(frozen=True)
class Groups:
    """Which group each row belongs to.

    `index` has shape (n,) and values below `count`; `starts` where each group begins, if sorted.
    """

    index: Codes
    count: int
    starts: Codes | None

    def sums(self, values: Floats) -> Vector:
        """Sum of whole numbers held as floats, by group; exact below 2**53. Shape (count,)."""
        if self.starts is not None and len(values):
            return np.add.reduceat(values, self.starts).astype(np.int64)
        return np.bincount(self.index, values, self.count).astype(np.int64)

    def counts(self, codes: Codes, width: int) -> Vector:
        """How often each code occurs, by group. Shape (count, width)."""
        flat = codes if self.count == 1 else self.index * width + codes
        return np.bincount(flat, minlength=self.count * width).reshape(self.count, width)

    def where(self, mask: Bools) -> Vector:
        """How many rows are marked, by group. Shape (count,)."""
        if self.starts is not None and len(mask):
            marked: Vector = np.add.reduceat(mask, self.starts, dtype=np.int64)
            return marked
        return np.bincount(self.index[mask], minlength=self.count)

    def take(self, mask: Bools) -> "Groups":
        """The groups of the marked rows."""
        return self if mask.all() else Groups(self.index[mask], self.count, None)


def group_rows(keys: Vector) -> tuple[Vector, Groups]:
    """Distinct keys in ascending order, and the group of every row.

    `keys` has shape (n,), such as the pane of each row.
    """
    if len(keys) == 0:
        return keys, Groups(np.zeros(0, np.intp), 0, None)
    step = np.diff(keys)
    if (step >= 0).all():
        starts = np.concatenate([np.zeros(1, np.intp), np.flatnonzero(step) + 1])
        index = np.zeros(len(keys), np.intp)
        index[starts[1:]] = 1
        return keys[starts], Groups(np.cumsum(index), len(starts), starts)
    distinct, inverse = np.unique(keys, return_inverse=True)
    return distinct, Groups(inverse, len(distinct), None)


@dataclass(frozen=True)
class Scored:
    """What later joins with the label.

    Class index (n,), -1 where there is none or it is unknown; scores (n, `Layout.join_scores`), NaN for none; bin of
    the score (n,).
    """

    predicted: npt.NDArray[np.int16]
    scores: Floats
    bin: Codes

    @property
    def score(self) -> Floats:
        """The only score, shape (n,)."""
        score: Floats = self.scores[:, 0]
        return score


@dataclass(frozen=True)
class Vectoriser:
    """A layout with its lookup tables. Build it once with `make_vectoriser`."""

    layout: Layout
    scores: Binner
    latency: Binner
    delay: Binner
    features: tuple[Binner | pa.Array, ...]

    def predictions(self, table: pa.Table, groups: Groups, joinable: bool) -> tuple[Vector, Scored]:
        """Vectors of predictions, shape (groups, cells), and what a join needs.

        Columns as in `records`; absent ones count as null.
        """
        matrix = np.zeros((groups.count, self.layout.size), np.int64)
        self.layout.cells(matrix, "rows")["rows"][:, 0] = np.bincount(groups.index, minlength=groups.count)
        scored = self._predictions(table, groups, matrix)
        self._flags(table, groups, matrix)
        self._latency(table, groups, matrix)
        if joinable:
            known = (scored.predicted != UNKNOWN_CLASS) & _present(table, "id")
            self.layout.cells(matrix, "labels")["joinable"][:, 0] = groups.where(known)
        for item, lookup in zip(self.layout.features, self.features, strict=True):
            cells = self.layout.cells(matrix, FEATURE_PREFIX + item.name)
            if isinstance(item, NumericBins) and isinstance(lookup, Binner):
                _numeric(_floats(table, FEATURE_PREFIX + item.name), item, lookup, groups, cells)
            elif isinstance(item, CategoryBins):
                _categorical(table, item, lookup, groups, cells)
        return matrix, scored

    def _predictions(self, table: pa.Table, groups: Groups, matrix: Vector) -> Scored:
        layout = self.layout
        score = _floats(table, "score")
        with np.errstate(invalid="ignore"):
            usable = (score >= 0) & (score <= 1)
        scored = self.scored(_classes(table, layout, score, usable), np.where(usable, score, np.nan)[:, None])
        predicted, bins = scored.predicted, scored.bin
        cells = layout.cells(matrix, "predictions")
        known = predicted >= 0
        cells["classes"][:] = groups.take(known).counts(predicted[known].astype(np.intp), len(layout.classes))
        cells["unknown"][:, 0] = groups.where(_present(table, "prediction") & ~known)
        cells["predicted"][:, 0] = cells["classes"].sum(axis=1)
        histogram = layout.cells(matrix, "scores")["histogram"]
        width = len(layout.score_edges) + 1
        both = known & usable
        code = predicted.astype(np.intp) * (len(LABEL_STATES) * width) + bins
        code = code if both.all() else code[both]
        histogram[:] = groups.take(both).counts(code, histogram.shape[1])
        layout.cells(matrix, "scores")["invalid"][:, 0] = groups.where(~usable & ~np.isnan(score))
        flags = layout.cells(matrix, "flags")
        confidence = np.where(predicted == 1, scored.score, 1.0 - scored.score)
        flags["confidence_rows"][:, 0] = groups.where(both)
        flags["confidence"][:, 0] = groups.sums(np.where(both, np.rint(confidence * PROBABILITY_UNIT), 0.0))
        return scored

    def _flags(self, table: pa.Table, groups: Groups, matrix: Vector) -> None:
        cells = self.layout.cells(matrix, "flags")
        if "fallback" in table.column_names:
            cells["fallback_rows"][:, 0] = groups.where(_present(table, "fallback"))
            cells["fallback"][:, 0] = groups.where(_true(table, "fallback"))
        if "error" in table.column_names:
            cells["error_rows"][:, 0] = groups.where(_present(table, "error"))
            cells["error"][:, 0] = groups.where(_true(table, "error"))

    def _latency(self, table: pa.Table, groups: Groups, matrix: Vector) -> None:
        if "latency" not in table.column_names:
            return
        latency = _floats(table, "latency")
        cells = self.layout.cells(matrix, "latency")
        with np.errstate(invalid="ignore"):
            usable = (latency >= 0) & (latency < 1e6)
        cells["rows"][:, 0] = groups.where(usable)
        cells["invalid"][:, 0] = groups.where(~usable & ~np.isnan(latency))
        values = latency if usable.all() else latency[usable]
        kept = groups if usable.all() else groups.take(usable)
        cells["buckets"][:] = kept.counts(self.latency.codes(values, values), self.latency.width)[
            :, : cells["buckets"].shape[1]
        ]
        micros = np.rint(values * LATENCY_UNIT)
        high = np.floor(micros / _HALF)  # in two halves, since the sum of many long ones may exceed 2**53
        cells["sum"][:, 0] = kept.sums(high) * _HALF + kept.sums(micros - high * _HALF)

    def scored(self, predicted: npt.NDArray[np.int16], scores: Floats) -> Scored:
        """Rows that were counted before, with the bins of their scores found again. NaN is a row without a score.

        `predicted` has shape (n,), `scores` (n, `Layout.join_scores`).
        """
        score = scores[:, 0]
        usable = ~np.isnan(score)
        kept = np.where(usable, score, 0.5)
        return Scored(predicted, scores, np.where(usable, self.scores.codes(kept, _score_keys(kept)), -1))

    def labels(self, scored: Scored, actual: npt.NDArray[np.int16], delay_seconds: Floats, groups: Groups) -> Vector:
        """What labels of predictions add, shape (groups, cells); its negative takes the same labels back.

        All arrays have shape (n,). With `Layout.align` arrival, the cells of `Layout.arriving` belong to the pane of
        the label's time and the others to that of the prediction's, so group by each and keep the cells of each.
        """
        layout = self.layout
        matrix = np.zeros((groups.count, layout.size), np.int64)
        labels = layout.cells(matrix, "labels")
        labels["labelled"][:, 0] = np.bincount(groups.index, minlength=groups.count)
        delays = self.delay.codes(delay_seconds, delay_seconds)
        labels["delay"][:] = groups.counts(delays, self.delay.width)[:, : labels["delay"].shape[1]]
        labels["delay_sum"][:, 0] = groups.sums(np.rint(delay_seconds * DELAY_UNIT))
        quality = layout.cells(matrix, "quality")
        both = actual.astype(np.intp) * len(layout.classes) + scored.predicted
        quality["confusion"][:] = groups.counts(both, quality["confusion"].shape[1])
        usable = ~np.isnan(scored.score)
        self._move_scores(scored, actual, usable, groups.take(usable), matrix)
        self._arrive(scored.bin[usable], actual[usable], groups.take(usable), matrix)
        self._losses(scored.score[usable], actual[usable], groups.take(usable), quality)
        return matrix

    def _arrive(self, bins: Codes, actual: npt.NDArray[np.int16], groups: Groups, matrix: Vector) -> None:
        """The scores of labelled rows a second time, in the slice that falls into the pane of the label."""
        if self.layout.align == "arrival":
            cells = self.layout.cells(matrix, "arrived")["histogram"]
            code = actual.astype(np.intp) * (len(self.layout.score_edges) + 1) + bins
            cells[:] = groups.counts(code, cells.shape[1])

    def _move_scores(
        self, scored: Scored, actual: npt.NDArray[np.int16], usable: Bools, groups: Groups, matrix: Vector
    ) -> None:
        """Takes the scores out of the histogram of the unlabelled and puts them into that of their label."""
        width = len(self.layout.score_edges) + 1
        histogram = self.layout.cells(matrix, "scores")["histogram"]
        base = scored.predicted[usable].astype(np.intp) * (len(LABEL_STATES) * width) + scored.bin[usable]
        histogram -= groups.counts(base, histogram.shape[1])
        histogram += groups.counts(base + (actual[usable].astype(np.intp) + 1) * width, histogram.shape[1])

    def _losses(
        self, score: Floats, actual: npt.NDArray[np.int16], groups: Groups, cells: Mapping[str, Vector]
    ) -> None:
        positive = actual == 1
        likelihood = np.clip(np.where(positive, score, 1.0 - score), PROBABILITY_FLOOR, 1.0)
        log_loss = -np.log(likelihood)
        brier = (score - positive) ** 2
        cells["scored"][:, 0] = np.bincount(groups.index, minlength=groups.count)
        cells["positive"][:, 0] = groups.where(positive)
        cells["score"][:, 0] = groups.sums(np.rint(score * PROBABILITY_UNIT))
        for name, loss in (("log_loss", log_loss), ("brier", brier)):
            cells[name][:, 0] = groups.sums(np.rint(loss * LOSS_UNIT))
            cells[name + "2"][:, 0] = groups.sums(np.rint(loss * loss * LOSS2_UNIT))


def make_vectoriser(layout: Layout) -> Vectoriser:
    """The lookup tables of a layout."""
    edges = np.asarray(layout.score_edges, np.float64)
    lookups: list[Binner | pa.Array] = []
    for item in layout.features:
        if isinstance(item, NumericBins):
            inner = np.asarray(item.edges, np.float64)
            lookups.append(make_binner(inner, _standardise(inner, item)))
        else:
            lookups.append(pa.array(item.categories, pa.string()))
    scores = make_binner(edges, _score_keys(edges))
    return Vectoriser(layout, scores, _upper(layout.latency_bounds), _upper(layout.delay_bounds), tuple(lookups))


def _upper(bounds: tuple[float, ...]) -> Binner:
    """A binner for inclusive upper bounds, as Prometheus' `le` has them."""
    edges = np.nextafter(np.asarray(bounds, np.float64), np.inf)
    return make_binner(edges, edges)


def _score_keys(score: Floats) -> Floats:
    """An increasing key that is as fine near 1 as near 0: -1/p below one half, 1/(1-p) from there on."""
    low = score < 0.5
    with np.errstate(divide="ignore", over="ignore"):
        keys: Floats = np.where(low, -1.0, 1.0) / np.where(low, score, 1.0 - score)
    return keys


def _standardise(x: Floats, bins: NumericBins) -> Floats:
    """Return z = (x - centre) / scale.

    NaN stays NaN and an infinity stays one; a finite overflow becomes one, which the binner searches.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        z = x - bins.centre
        z /= bins.scale
    return z


def _numeric(x: Floats, item: NumericBins, binner: Binner, groups: Groups, cells: Mapping[str, Vector]) -> None:
    """Counts and sums of one numeric feature, into its cells."""
    z = _standardise(x, item)
    codes = binner.codes(x, z)
    counts = groups.counts(codes, binner.width)
    bins = binner.null
    cells["bins"][:] = counts[:, :bins]
    cells["null"][:, 0] = counts[:, binner.null]
    cells["invalid"][:, 0] = counts[:, binner.invalid]
    cells["valid"][:, 0] = counts[:, :bins].sum(axis=1)
    if counts[:, bins:].any():
        np.copyto(z, 0.0, where=codes >= bins)
    beyond = np.abs(z) > Z_LIMIT
    if beyond.any():
        cells["clipped"][:, 0] = groups.where(beyond)
        np.clip(z, -Z_LIMIT, Z_LIMIT, out=z)
    if item.low > -np.inf or item.high < np.inf:
        outside = (x < item.low) | (x > item.high)
        if outside.any():
            cells["out_of_range"][:, 0] = groups.where(outside & np.isfinite(x))
    squares = z * z
    squares *= Z2_UNIT
    cells["z2"][:, 0] = groups.sums(np.rint(squares, out=squares))
    z *= Z_UNIT
    cells["z"][:, 0] = groups.sums(np.rint(z, out=z))


def _categorical(
    table: pa.Table, item: CategoryBins, known: pa.Array, groups: Groups, cells: Mapping[str, Vector]
) -> None:
    """Counts of one categorical feature, into its cells.

    The last bin holds every category that the reference does not know.
    """
    name = FEATURE_PREFIX + item.name
    other, null = len(item.categories), len(item.categories) + 1
    if name not in table.column_names:
        cells["null"][:, 0] = np.bincount(groups.index, minlength=groups.count)
        return
    column = table.column(name)
    codes = _codes(column, known, other)
    if column.null_count:
        codes[_nulls(column)] = null
    counts = groups.counts(codes, null + 1)
    cells["bins"][:] = counts[:, :null]
    cells["null"][:, 0] = counts[:, null]
    cells["valid"][:, 0] = counts[:, :null].sum(axis=1)
    cells["unseen"][:, 0] = counts[:, other]


def _codes(column: pa.ChunkedArray, known: pa.Array, other: int) -> Codes:
    """Index of each value in `known`, `other` where it is not there (null as well)."""
    index = pc.fill_null(pc.index_in(column, value_set=known), other)
    return np.asarray(index.to_numpy(), np.intp)


def _classes(table: pa.Table, layout: Layout, score: Floats, usable: Bools) -> npt.NDArray[np.int16]:
    """Index of the predicted class, -1 where there is none. Without a prediction column the score decides."""
    if "prediction" in table.column_names:
        return _codes(table.column("prediction"), pa.array(layout.classes), UNKNOWN_CLASS).astype(np.int16)
    with np.errstate(invalid="ignore"):
        return np.where(usable, (score >= layout.decision_threshold).astype(np.int16), np.int16(UNKNOWN_CLASS))


def _floats(table: pa.Table, name: str) -> Floats:
    """A number column as floats, NaN for null; all NaN if the table has none of that name."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return np.asarray(table.column(name).to_numpy(), np.float64)


def _nulls(column: pa.ChunkedArray) -> Bools:
    return np.asarray(pc.is_null(column).to_numpy(), np.bool_)


def _present(table: pa.Table, name: str) -> Bools:
    """Where a column has a value; nowhere if the table has none of that name."""
    if name not in table.column_names:
        return np.zeros(table.num_rows, np.bool_)
    return ~_nulls(table.column(name))


def _true(table: pa.Table, name: str) -> Bools:
    return np.asarray(pc.fill_null(table.column(name), False).to_numpy(), np.bool_)
