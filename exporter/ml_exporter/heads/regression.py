"""A number: predictions as a feature is counted, errors (label minus prediction) and labels in sums of powers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.columns import floats
from ml_exporter.features import count_numeric, standardise
from ml_exporter.groups import Groups
from ml_exporter.heads.scored import Scored, Values
from ml_exporter.layout import Floats, Layout, NumericBins, Vector
from ml_exporter.statistics.binner import Binner, make_binner
from ml_exporter.tasks import Regression
from ml_exporter.units import ERROR_UNIT, LOSS2_UNIT, WIDE_SPLIT, WIDE_UNIT, Z_LIMIT


@dataclass(frozen=True)
class RegressionHead:
    """The head of a regression task."""

    layout: Layout
    task: Regression
    item: NumericBins
    binner: Binner
    errors: Binner

    def predictions(self, table: pa.Table, groups: Groups, matrix: Vector) -> Scored:
        """Counts predictions. An infinite one is invalid, as one that is no number."""
        predicted = floats(table, "prediction")
        cells = self.layout.cells(matrix, "predictions")
        as_feature = {**cells, "valid": cells["predicted"]}
        count_numeric(predicted, self.item, self.binner, groups, as_feature)
        return self.scored(predicted, np.zeros((len(predicted), 0)))

    def scored(self, predicted: Values, scores: Floats) -> Scored:
        """Predictions that were counted before."""
        return Scored(predicted, scores, np.full(len(predicted), -1, np.intp))

    def judged(self, scored: Scored) -> Floats:
        """The predicted numbers."""
        return np.asarray(scored.predicted, np.float64)

    def actual(self, column: pa.ChunkedArray) -> Values:
        """Labels as numbers."""
        return np.asarray(pc.fill_null(column, np.nan).to_numpy(), np.float64)

    def labels(self, scored: Scored, actual: Values, groups: Groups, matrix: Vector) -> None:
        """Counts errors by bin, and sums errors and labels."""
        cells, task = self.layout.cells(matrix, "quality"), self.task
        actual = np.asarray(actual, np.float64)
        cells["rows"][:, 0] = groups.rows()
        with np.errstate(over="ignore"):
            error = (actual - scored.predicted) / task.error_scale
            label = (actual - task.label_centre) / task.label_scale
        cells["clipped"][:, 0] = groups.where(np.abs(error) > Z_LIMIT)
        cells["label_clipped"][:, 0] = groups.where(np.abs(label) > Z_LIMIT)
        error = np.clip(error, -Z_LIMIT, Z_LIMIT)
        label = np.clip(label, -Z_LIMIT, Z_LIMIT)
        counts = groups.counts(self.errors.codes(error, error), self.errors.width)
        cells["bins"][:] = counts[:, : cells["bins"].shape[1]]
        _powers(error, groups, cells)
        self._residuals(scored.predicted, error, groups, matrix)
        _wide("label", label, groups, cells)
        _wide("label_square", label * label, groups, cells)

    def _residuals(self, predicted: Values, error: Floats, groups: Groups, matrix: Vector) -> None:
        """Counts rows, and sums absolute errors and their squares, by bin of the prediction."""
        cells = self.layout.cells(matrix, "residuals")
        made = np.asarray(predicted, np.float64)
        codes, width = self.binner.codes(made, standardise(made, self.item)), cells["rows"].shape[1]
        cells["rows"][:] = groups.counts(codes, width)
        cells["absolute"][:] = groups.exact_by(codes, width, np.rint(np.abs(error) * ERROR_UNIT))
        cells["square"][:] = groups.exact_by(codes, width, np.rint(error * error * LOSS2_UNIT))


def _powers(error: Floats, groups: Groups, cells: Mapping[str, Vector]) -> None:
    """Sums of the error, its absolute value, its square, and its fourth power."""
    squares = error * error
    cells["error"][:, 0] = groups.exact(np.rint(error * ERROR_UNIT))
    cells["absolute"][:, 0] = groups.exact(np.rint(np.abs(error) * ERROR_UNIT))
    _wide("square", squares, groups, cells)
    _wide("fourth", squares * squares, groups, cells)


def _wide(name: str, values: Floats, groups: Groups, cells: Mapping[str, Vector]) -> None:
    """Sums values into two cells. A float holds its multiple of the split and the rest exactly."""
    whole = np.rint(values * WIDE_UNIT)
    high = np.floor(whole / WIDE_SPLIT)
    cells[f"{name}_high"][:, 0] = groups.exact(high)
    cells[f"{name}_low"][:, 0] = groups.exact(whole - high * WIDE_SPLIT)


def make_regression(layout: Layout, task: Regression) -> RegressionHead:
    """The head with its lookup tables."""
    item = NumericBins("prediction", task.edges, task.centre, task.scale, -np.inf, np.inf)
    inner, errors = np.asarray(task.edges, np.float64), np.asarray(task.error_edges, np.float64)
    binner = make_binner(inner, standardise(inner, item))
    return RegressionHead(layout, task, item, binner, make_binner(errors, errors))
