"""Quality of a regression model, from sums of powers of its errors (label minus prediction)."""

from ml_exporter.layout import Layout, Vector
from ml_exporter.tasks import Regression
from ml_exporter.units import ERROR_UNIT, FOURTH_SPLIT, FOURTH_UNIT, SQUARE_UNIT
from ml_exporter.vitals.measures import Measure, Measures, defined, difference, loss, root, scaled


def measures(layout: Layout, vector: Vector, task: Regression) -> Measures:
    """Every measure of the labelled predictions of a vector."""
    cells = {name: int(value[0]) for name, value in layout.cells(vector, "quality").items() if len(value) == 1}
    rows, unit = cells["rows"], task.error_scale
    error, absolute = cells["error"] / ERROR_UNIT, cells["absolute"] / ERROR_UNIT
    square = cells["square"] / SQUARE_UNIT
    fourth = (cells["fourth_high"] * FOURTH_SPLIT + cells["fourth_low"]) / FOURTH_UNIT
    found = {
        "mean_absolute_error": scaled(loss((absolute, square), rows), unit),
        "root_mean_squared_error": scaled(root(loss((square, fourth), rows)), unit),
        "mean_error": scaled(difference((error, square), rows), unit),
        "r2": _r2(cells, task),
    }
    return defined(rows, found.items())


def _r2(cells: dict[str, int], task: Regression) -> Measure | None:
    """One minus the squared errors over the squared distances of the labels from their mean; None without any.

    In whole numbers up to the division: the labels' sums cancel where their spread is small against the reference's.
    """
    rows, total, squares = cells["rows"], cells["label"], cells["label2"]
    if not rows:
        return None
    spread = (squares / SQUARE_UNIT - total / ERROR_UNIT * (total / ERROR_UNIT) / rows) * task.label_scale**2
    if spread <= 0:
        return None
    return Measure(1.0 - cells["square"] / SQUARE_UNIT * task.error_scale**2 / spread, None, None)
