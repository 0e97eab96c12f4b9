"""The last outliers of a model, and the last texts where numbers should be: few, for people who ask which ones.

Nothing is computed with them.

They live in memory alone, and start empty with the process. Ids are as the log has them, cut: hostile, and perhaps
personal.
"""

from collections import deque
from dataclasses import dataclass, field
from itertools import compress
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
        places = np.flatnonzero(odd.range | odd.distance | odd.prediction)[-KEPT:]
        if not len(places):
            return
        ids, versions = _texts(table, "id", places), _texts(table, "version", places)
        why = np.stack([getattr(odd, reason)[places] for reason in REASONS], axis=1).tolist()
        for name, version, time_us, marks in zip(ids, versions, times[places].tolist(), why, strict=True):
            self.rows.append(Outlying(name, version, time_us, tuple(compress(REASONS, marks))))


@dataclass
class LastTexts:
    """Different texts that were read last in place of a number, the newest at the end, with their event times."""

    texts: dict[str, int] = field(default_factory=dict)

    def note(self, text: str, time_us: int) -> None:
        """Keeps a text, cut, as the newest."""
        cut = text[:TEXT_CHARACTERS]
        self.texts.pop(cut, None)
        self.texts[cut] = time_us
        if len(self.texts) > KEPT:
            del self.texts[next(iter(self.texts))]

    def forget(self, oldest_us: int) -> None:
        """Forgets the texts of rows before that."""
        self.texts = {text: time_us for text, time_us in self.texts.items() if time_us >= oldest_us}


def _texts(table: pa.Table, name: str, places: Vector) -> list[str]:
    """A text of some rows; bytes that are no UTF-8 are spelled out."""
    if name not in table.schema.names:
        return [""] * len(places)
    column = table.column(name)
    found = (column[place].as_buffer() for place in places.tolist())  # cheaper for few than a kernel
    return ["" if text is None else _decoded(text) for text in found]


def _decoded(text: pa.Buffer) -> str:
    octets: bytes = text.to_pybytes()
    return octets.decode(errors="backslashreplace")[:TEXT_CHARACTERS]
