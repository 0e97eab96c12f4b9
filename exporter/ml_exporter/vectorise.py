"""Rows to vectors: a batch of predictions, or of joined labels, as one int64 vector for each group of rows.

Everything is counted or summed in fixed point, so any split of the rows, in any order, adds up to the same vector, bit
for bit. No Python loop runs over rows; the loops here run over features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ml_exporter.columns import floats, present, true
from ml_exporter.features import count_categorical, count_numeric, lookup
from ml_exporter.groups import Groups
from ml_exporter.heads import Head, Scored, Values, make_head
from ml_exporter.layout import Bools, CategoryBins, Floats, Layout, NumericBins, Vector
from ml_exporter.oddness import JointCounter, Odd, make_joint_counter
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.statistics.binner import Binner, Codes, make_binner
from ml_exporter.units import DELAY_UNIT, LATENCY_UNIT

EXAMPLES = 2
"""So many values that are no number are noted of a feature and batch: each costs parsing its line again."""


class Counted(NamedTuple):
    """Vectors of predictions (groups, cells), what a join needs of each row, and which rows are outliers, if known.

    `unseen` are the rows (n,) with a category that the reference does not know, by feature, where there are any, and
    `invalid` the last few places of values that are no number.
    """

    matrix: Vector
    scored: Scored
    odd: Odd | None
    unseen: Mapping[str, Bools]
    invalid: Mapping[str, Codes]


@dataclass(frozen=True)
class Vectoriser:
    """A layout with its lookup tables. Build it once with `make_vectoriser`."""

    layout: Layout
    head: Head
    latency: Binner
    delay: Binner
    features: tuple[Binner | pa.Array, ...]
    joint: JointCounter | None

    def predictions(self, table: pa.Table, groups: Groups, joinable: bool) -> Counted:
        """Counts predictions. Columns as in `records`; absent ones count as null."""
        matrix = np.zeros((groups.count, self.layout.size), np.int64)
        self.layout.cells(matrix, "rows")["rows"][:, 0] = groups.rows()
        scored = self.head.predictions(table, groups, matrix)
        self._flags(table, groups, matrix)
        self._latency(table, groups, matrix)
        if joinable:
            known = scored.known & present(table, "id")
            self.layout.cells(matrix, "labels")["joinable"][:, 0] = groups.where(known)
        z, unseen, invalid = self._features(table, groups, matrix)
        odd = None
        if self.joint is not None:
            outside = np.logical_or.reduce(list(unseen.values())) if unseen else np.zeros(table.num_rows, np.bool_)
            odd = self.joint.look(z, outside, scored, self.head.judged(scored))
            self.joint.count(odd, groups, matrix)
        return Counted(matrix, scored, odd, unseen, invalid)

    def _features(
        self, table: pa.Table, groups: Groups, matrix: Vector
    ) -> tuple[Floats, dict[str, Bools], dict[str, Codes]]:
        """Counts every feature. Returns what whole rows are judged by, and the last few values that are no number.

        That is: the standardised values (features, n) of the numeric features, if they are judged, and which rows (n,)
        have a category that the reference does not know, by feature.
        """
        kept = len([item for item in self.layout.features if isinstance(item, NumericBins)]) if self.joint else 0
        z, unseen, invalid = np.empty((kept, table.num_rows)), dict[str, Bools](), dict[str, Codes]()
        places = iter(z)
        for item, found in zip(self.layout.features, self.features, strict=True):
            cells = self.layout.cells(matrix, FEATURE_PREFIX + item.name)
            if isinstance(item, NumericBins) and isinstance(found, Binner):
                values = floats(table, FEATURE_PREFIX + item.name)
                count_numeric(values, item, found, groups, cells, next(places, None))
                if cells["invalid"].any():
                    invalid[item.name] = np.flatnonzero(np.isinf(values))[-EXAMPLES:]
            elif isinstance(item, CategoryBins):
                codes = count_categorical(table, item, found, groups, cells)
                if codes is not None and cells["unseen"].any():
                    unseen[item.name] = codes == len(item.categories)
        return z, unseen, invalid

    def _flags(self, table: pa.Table, groups: Groups, matrix: Vector) -> None:
        cells = self.layout.cells(matrix, "flags")
        if "fallback" in table.column_names:
            cells["fallback_rows"][:, 0] = groups.where(present(table, "fallback"))
            cells["fallback"][:, 0] = groups.where(true(table, "fallback"))
        if "error" in table.column_names:
            cells["error_rows"][:, 0] = groups.where(present(table, "error"))
            cells["error"][:, 0] = groups.where(true(table, "error"))

    def _latency(self, table: pa.Table, groups: Groups, matrix: Vector) -> None:
        if "latency" not in table.column_names:
            return
        latency = floats(table, "latency")
        cells = self.layout.cells(matrix, "latency")
        with np.errstate(invalid="ignore"):
            usable = (latency >= 0) & (latency < 1e6)
        cells["rows"][:, 0] = groups.where(usable)
        cells["invalid"][:, 0] = groups.where(~usable & ~np.isnan(latency))
        values = latency if usable.all() else latency[usable]
        kept = groups if usable.all() else groups.take(usable)
        counts = kept.counts(self.latency.codes(values, values), self.latency.width)
        cells["buckets"][:] = counts[:, : cells["buckets"].shape[1]]
        cells["sum"][:, 0] = kept.exact(np.rint(values * LATENCY_UNIT))

    def scored(self, predicted: Values, scores: Floats) -> Scored:
        """Rows that were counted before, with the bins of their scores found again. NaN is a row without a score.

        `predicted` has shape (n,), `scores` (n, `Layout.join_scores`).
        """
        return self.head.scored(predicted, scores)

    def actual(self, column: pa.ChunkedArray) -> Values:
        """Labels as a join keeps them (n,); what is no label of the task is not `heads.known`."""
        return self.head.actual(column)

    def labels(self, scored: Scored, actual: Values, delay_seconds: Floats, groups: Groups) -> Vector:
        """What labels of predictions add, shape (groups, cells); its negative takes the same labels back.

        All arrays have shape (n,). With `Layout.align` arrival, the cells of `Layout.arriving` belong to the pane of
        the label's time and the others to that of the prediction's, so group by each and keep the cells of each.
        """
        matrix = np.zeros((groups.count, self.layout.size), np.int64)
        labels = self.layout.cells(matrix, "labels")
        labels["labelled"][:, 0] = groups.rows()
        delays = self.delay.codes(delay_seconds, delay_seconds)
        labels["delay"][:] = groups.counts(delays, self.delay.width)[:, : labels["delay"].shape[1]]
        labels["delay_sum"][:, 0] = groups.sums(np.rint(delay_seconds * DELAY_UNIT))
        self.head.labels(scored, actual, groups, matrix)
        return matrix


def make_vectoriser(layout: Layout) -> Vectoriser:
    """The lookup tables of a layout."""
    lookups = tuple(lookup(item) for item in layout.features)
    bounds = (_upper(layout.latency_bounds), _upper(layout.delay_bounds))
    joint = make_joint_counter(layout, layout.joint) if layout.joint else None
    return Vectoriser(layout, make_head(layout), *bounds, lookups, joint)


def _upper(bounds: tuple[float, ...]) -> Binner:
    """A binner for inclusive upper bounds, as Prometheus' `le` has them."""
    edges = np.nextafter(np.asarray(bounds, np.float64), np.inf)
    return make_binner(edges, edges)
