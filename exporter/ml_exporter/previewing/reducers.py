"""One number of several: the calculations of legends, single numbers and tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

from ml_exporter.errors import ExporterError

HEADINGS = {
    "lastNotNull": "Last",
    "last": "Last",
    "firstNotNull": "First",
    "min": "Min",
    "max": "Max",
    "mean": "Mean",
    "sum": "Total",
}
"""What the names of calculations are on a page."""

_REDUCERS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "lastNotNull": lambda values: values[-1],
    "last": lambda values: values[-1],
    "firstNotNull": lambda values: values[0],
    "first": lambda values: values[0],
    "min": min,
    "max": max,
    "mean": lambda values: sum(values) / len(values),
    "sum": sum,
    "count": lambda values: float(len(values)),
    "range": lambda values: max(values) - min(values),
    "delta": lambda values: values[-1] - values[0],
    "diff": lambda values: values[-1] - values[0],
    "changeCount": lambda values: float(sum(a != b for a, b in pairwise(values))),
}


def reduced(values: Iterable[float | None], how: str) -> float:
    """One number of several, without those that are no numbers; NaN where none is left. Raises ExporterError."""
    if how not in _REDUCERS:
        raise ExporterError(f"calculation: expected one of {', '.join(_REDUCERS)}, got {how!r}. Look at it in Grafana.")
    kept = [value for value in values if value is not None and value == value]  # noqa: PLR0124 - not NaN
    return _REDUCERS[how](kept) if kept else float("nan")
