"""The segments that a configuration and a baseline ask for."""

from collections.abc import Mapping

from ml_exporter.config import VERSION, Model, segment_limits
from ml_exporter.records import SEGMENT_PREFIX
from ml_exporter.segments.values import By


def plan(model: Model, known: Mapping[str, tuple[str, ...]]) -> tuple[By, ...]:
    """The segments of a model. `known` are the most frequent values of the reference, by segment."""
    found = []
    for name, limit in segment_limits(model).items():
        segment = model.segments.get(name)
        path = model.predictions.columns.version if name == VERSION else segment and segment.column
        column = VERSION if name == VERSION else SEGMENT_PREFIX + name
        found.append(By(name, column, path or "", limit, known.get(name, ())))
    return tuple(found)
