"""The canonical record: what every source turns its rows into, whatever the log looks like.

A batch is an Arrow table with one column for each `Field`, in the field's canonical encoding:

| kind     | Arrow type                     | null          | unreadable (wrong type, infinite) |
|----------|--------------------------------|---------------|-----------------------------------|
| `time`   | int64, microseconds since 1970 | line rejected | line rejected (`bad_timestamp`)   |
| `id`     | string                         | line rejected when required | line rejected (`wrong_type`) |
| `text`   | string                         | null          | (every JSON value has a text)     |
| `number` | double                         | null or NaN   | positive infinity                 |
| `flag`   | bool                           | null          | null, counted as a violation      |

So a number column tells three states without a second column: NaN and null are both "no value" (Python's json module
writes NaN for a missing float), an infinity is "a value that is not a number".
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Kind = Literal["time", "id", "text", "number", "flag"]
Role = Literal["predictions", "labels"]
Ints = npt.NDArray[np.int64]

ARROW_TYPES: Mapping[Kind, pa.DataType] = {
    "time": pa.int64(),
    "id": pa.string(),
    "text": pa.string(),
    "number": pa.float64(),
    "flag": pa.bool_(),
}

FEATURE_PREFIX = "feature:"
SCORE_PREFIX = "score:"
SEGMENT_PREFIX = "segment:"

REJECT_REASONS = (
    "malformed",
    "wrong_type",
    "missing_column",
    "bad_timestamp",
    "too_long",
    "no_model",
    "future",
    "before_windows",
    "too_late",
)
"""Why a whole row is refused.

`no_model`: it is a row, but no configured model wants it. `future`, `before_windows` and `too_late` are decided with
the clock, the others by the parser. A row that is older than any window is `before_windows` while no row of its model
was counted yet, as in a log that began long ago, and `too_late` afterwards.
"""

VIOLATION_KINDS = ("missing_column", "unknown_column", "wrong_type")
"""What is wrong with one value of a row that is kept.

A configured column is absent, a feature is unknown, or a value has another type.
"""

LABEL_STATUSES = (
    "matched",
    "early",
    "duplicate",
    "correction",
    "correction_late",
    "orphan",
    "late",
    "dropped",
    "invalid",
)
"""What became of a label.

It was the first of its prediction; it came before its prediction; the prediction has one (of the same value, or only
the first counts); it replaced one of another value; the one it should replace can no longer be taken back, so neither
counts; no prediction came; it came after expiry, or its own pane is gone; too many labels waited; not a known class.

`early` is an event, not an end: such a label is counted again as what it becomes. So labels taken in = the sum of all
others + those that still wait.
"""


@dataclass(frozen=True)
class Field:
    """One column of the canonical record and where the log keeps it.

    `name` is canonical (`timestamp`, `score`, `feature:temp`); `path` are the JSON keys from the outside in. With
    `may_lack` a row without the key is as it should be. A number is what the log has, divided by `per`.
    """

    name: str
    path: tuple[str, ...]
    kind: Kind
    required: bool = False
    may_lack: bool = False
    per: int = 1


@dataclass(frozen=True)
class Stream:
    """What one model wants from a source: its fields, of those rows in which each path of `where` has that text."""

    model: str
    role: Role
    fields: tuple[Field, ...]
    where: tuple[tuple[tuple[str, ...], str], ...] = ()


@dataclass(frozen=True)
class Reject:
    """One line that is no row: why, and its byte position in its file (Parquet: row number)."""

    reason: str
    offset: int


def _none() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Batch:
    """Rows of one stream, and everything that was lost on the way.

    `table` has one column for each field, in the encoding above. `lines` counts every row that the stream wanted: those
    of the table and those refused. `violations` counts values by kind (see `VIOLATION_KINDS`). `offsets` are the places
    of the table's rows in their file, in bytes (Parquet: row numbers); without them, rows are numbered. `refused` are
    the places of rows that were refused, by reason. `by_row` (n,) are the violations of each row of the table, by kind.
    `text_at`, where there is one, gives what the log says of a column in the row at a place in the file.
    """

    table: pa.Table
    lines: int
    violations: Mapping[str, int] = field(default_factory=dict)
    offsets: Ints = field(default_factory=_none)
    refused: Mapping[str, Ints] = field(default_factory=dict)
    by_row: Mapping[str, Ints] = field(default_factory=dict)
    text_at: Callable[[int, str], str | None] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if len(self.offsets) != self.table.num_rows:
            object.__setattr__(self, "offsets", np.arange(self.table.num_rows))


def union(streams: Iterable[Stream]) -> tuple[Field, ...]:
    """What has to be read for all of these streams: each path and kind once, and the paths of `where` as text.

    Names and `required` mean nothing here.

    >>> labels = Stream("a", "labels", (Field("id", ("id",), "id", True),), ((("event",), "label"),))
    >>> other = Stream("b", "labels", (Field("id", ("id",), "id", True), Field("label", ("y",), "text")))
    >>> [(item.path, item.kind) for item in union([labels, other])]
    [(('id',), 'id'), (('event',), 'text'), (('y',), 'text')]
    """
    found: dict[tuple[tuple[str, ...], Kind], Field] = {}
    for stream in streams:
        asked = (Field(".".join(path), path, "text") for path, _ in stream.where)
        for item in (*stream.fields, *asked):
            found.setdefault((item.path, item.kind), item)
    return tuple(found.values())


def schema(fields: tuple[Field, ...]) -> pa.Schema:
    """The Arrow schema of a batch with these fields.

    >>> schema((Field("score", ("p",), "number"),)).names
    ['score']
    """
    return pa.schema([(item.name, ARROW_TYPES[item.kind]) for item in fields])
