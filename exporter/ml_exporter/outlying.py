"""The last outliers of a model: few rows, for people who ask which ones. Nothing is computed with them.

They live in memory alone, and start empty with the process. Ids are as the log has them, cut: hostile, and perhaps
personal.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ml_exporter.joint import REASONS
from ml_exporter.layout import Vector
from ml_exporter.oddness import Odd

KEPT = 20
TEXT_CHARACTERS = 200


class Outlying(NamedTuple):
    """One outlier: its id and version ("" for none), its event time in microseconds, and why it is one."""

    id: str
    version: str
    time_us: int
    reasons: tuple[str, ...]


@dataclass
class LastOutliers:
    """The outliers that were read last, the newest at the end."""

    rows: deque[Outlying] = field(default_factory=lambda: deque(maxlen=KEPT))

    def note(self, table: pa.Table, times: Vector, odd: Odd) -> None:
        """Keeps the last outliers of rows that were just counted; `times` (n,) in microseconds."""
        masks = {reason: getattr(odd, reason) for reason in REASONS}
        places = np.flatnonzero(np.logical_or.reduce(list(masks.values())))[-KEPT:]
        for place in places.tolist():
            reasons = tuple(reason for reason, mask in masks.items() if mask[place])
            texts = (_text(table, "id", place), _text(table, "version", place))
            self.rows.append(Outlying(*texts, int(times[place]), reasons))


def _text(table: pa.Table, name: str, place: int) -> str:
    """A text of a row; bytes that are no UTF-8 are spelled out."""
    if name not in table.column_names:
        return ""
    found = table.column(name)[place].as_buffer()
    return "" if found is None else found.to_pybytes().decode(errors="backslashreplace")[:TEXT_CHARACTERS]
