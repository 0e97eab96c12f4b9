"""Which values of a segment keep a name: a cap on what a log can put into a label.

Every row has exactly one value under each segment: its text, cut to `MAX_TEXT` characters; `__none__` where it is null
or empty; `__other__` where the names are used up. Names are given to the most frequent values of the reference, which
the baseline holds, then to those seen first. A name is taken back when no pane holds it any more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.intp]

NONE, OTHER = "__none__", "__other__"
MAX_TEXT = 128
"""Characters of a value that are kept. Values that agree in them are one."""
FREE = ""
"""Stands in for a name that was taken back. No row has it: an empty text is `__none__`."""
_FIXED = (NONE, OTHER)


@dataclass(frozen=True)
class By:
    """One segment of a model.

    Its name, the canonical column that it reads and where the log keeps that, how many values keep a name, and which
    ones always do: those of the baseline.
    """

    name: str
    column: str
    path: str
    limit: int
    known: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """What makes it the same segment in another configuration."""
        return f"{self.name}={self.path}"


def cleaned(texts: pa.Array) -> pa.Array:
    """The values of texts: cut, and `__none__` for null and empty ones.

    >>> cleaned(pa.array(["BR", "", None, "x" * 500])).to_pylist()[:3]
    ['BR', '__none__', '__none__']
    """
    cut = pc.utf8_slice_codeunits(pc.fill_null(texts, ""), 0, MAX_TEXT)
    return pc.if_else(pc.equal(cut, ""), NONE, cut)


def ranked(column: pa.ChunkedArray, limit: int) -> tuple[str, ...]:
    """The most frequent values of a column, at most `limit`; the order of the rows does not matter."""
    counts = pc.value_counts(cleaned(column.combine_chunks())).to_pylist()
    order = sorted(counts, key=lambda item: (-item["counts"], item["values"]))
    return tuple(item["values"] for item in order if item["values"] not in _FIXED)[:limit]


@dataclass
class Values:
    """The values of one segment, each with a code below `width` that stays while the value has a name."""

    by: By
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = list(self.by.known[: self.by.limit])

    @property
    def width(self) -> int:
        """Codes are below this."""
        return self.by.limit + len(_FIXED)

    @property
    def labels(self) -> tuple[str, ...]:
        """The value of every code."""
        return (*_FIXED, *self.names)

    def order(self) -> tuple[str, ...]:
        """The values in the order of their names; `__none__` and `__other__` last."""
        return (*(name for name in self.names if name != FREE), *_FIXED)

    def read(self, column: pa.ChunkedArray) -> Codes:
        """The code of every row, shape (n,). New values get a name while there is one."""
        encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
        texts = cleaned(encoded.dictionary)
        self.admit(pc.unique(texts.filter(pc.is_null(self._places(texts)))))
        codes = pc.fill_null(self._places(texts), _FIXED.index(OTHER)).to_numpy()
        return np.asarray(codes[encoded.indices.to_numpy()], np.intp)

    def _places(self, texts: pa.Array) -> pa.Array:
        return pc.index_in(texts, value_set=pa.array(self.labels, pa.string()))

    def admit(self, texts: pa.Array) -> None:
        """Gives names to values that have none, in their order, while there are any."""
        room = self.names.count(FREE) + self.by.limit - len(self.names)
        for text in texts.slice(0, room).to_pylist():
            if FREE in self.names:
                self.names[self.names.index(FREE)] = text
            else:
                self.names.append(text)

    def code(self, value: str) -> int:
        """The code of a value; that of `__other__` if it has no name."""
        labels = self.labels
        return labels.index(value) if value != FREE and value in labels else _FIXED.index(OTHER)

    def called(self, value: str) -> str:
        """The value that rows of a value are counted under now; nothing for nothing."""
        return value if value == FREE or value in self.labels else OTHER

    def release(self, values: Iterable[str]) -> None:
        """Takes names back that are not the baseline's."""
        for value in set(values) - {*self.by.known, *_FIXED}:
            if value in self.names:
                self.names[self.names.index(value)] = FREE

    def restore(self, names: Sequence[str]) -> None:
        """Gives the names that were kept to the values that had them, as far as the limit allows."""
        fresh = [name for name in names if name != FREE and name not in self.labels]
        self.admit(pa.array(fresh, pa.string()))
