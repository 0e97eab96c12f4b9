"""Quality of a regression model, from sums of powers of its errors (label minus prediction)."""

from ml_exporter.layout import Layout, Vector
from ml_exporter.tasks import Regression
from ml_exporter.units import ERROR_UNIT, WIDE_SPLIT, WIDE_UNIT
from ml_exporter.vitals.measures import Measure, Measures, defined, difference, loss, root, scaled


def measures(layout: Layout, vector: Vector, task: Regression) -> Measures:
    """Every measure of the labelled predictions of a vector."""
    cells = {name: int(value[0]) for name, value in layout.cells(vector, "quality").items() if len(value) == 1}
    rows, unit = cells["rows"], task.error_scale
    error, absolute = cells["error"] / ERROR_UNIT, cells["absolute"] / ERROR_UNIT
    square, fourth = _wide(cells, "square"), _wide(cells, "fourth")
    found = {
        "mean_absolute_error": scaled(loss((absolute, square), rows), unit),
        "root_mean_squared_error": scaled(root(loss((square, fourth), rows)), unit),
        "mean_error": scaled(difference((error, square), rows), unit),
        "r2": _r2(cells, task),
    }
    return defined(rows, found.items())


def _wide(cells: dict[str, int], name: str) -> float:
    return (cells[f"{name}_high"] * WIDE_SPLIT + cells[f"{name}_low"]) / WIDE_UNIT


def _r2(cells: dict[str, int], task: Regression) -> Measure | None:
    """One minus the squared errors over the squared distances of the labels from their mean; None without any."""
    rows = cells["rows"]
    if rows < 2:
        return None
    mean = _wide(cells, "label") / rows
    variance = _wide(cells, "label_square") / rows - mean * mean
    if variance * WIDE_UNIT <= 4.0 * (1.0 + abs(mean)):  # nothing but rounding
        return None
    error = _wide(cells, "square") / rows * (task.error_scale / task.label_scale) ** 2
    return Measure(1.0 - error / variance, None, None)
