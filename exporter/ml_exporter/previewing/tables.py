"""Answers as columns.

A column is a list of texts or numbers; all columns of a table have the same length. A missing cell is None.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ml_exporter.previewing.answers import Answer, name_of
from ml_exporter.previewing.fields import NUMBER, STRING, TIME

Cell = float | str | None


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    kind: str
    cells: tuple[Cell, ...]
    ref: str = ""


Table = tuple[Column, ...]


def frames(answers: Sequence[Answer]) -> list[Table]:
    """A table for each query of format `table`, and one for each series of any other."""
    found: list[Table] = []
    several = len(answers) > 1
    for answer in answers:
        if answer.target.format == "table":
            found.append(_labelled(answer, f"Value #{answer.target.ref}" if several else "Value"))
            continue
        for item in answer.series:
            times = Column("Time", TIME, item.times, answer.target.ref)
            found.append((times, Column(name_of(item, answer), NUMBER, item.values, answer.target.ref)))
    return found


def _labelled(answer: Answer, value: str) -> Table:
    """A row for each sample: time, labels, value."""
    names = sorted({name for item in answer.series for name in item.labels if name != "__name__"})
    rows = [
        (item.labels, at, number) for item in answer.series for at, number in zip(item.times, item.values, strict=True)
    ]
    ref = answer.target.ref
    return (
        Column("Time", TIME, tuple(at for _, at, _ in rows), ref),
        *(Column(name, STRING, tuple(labels.get(name) for labels, _, _ in rows), ref) for name in names),
        Column(value, NUMBER, tuple(number for _, _, number in rows), ref),
    )
