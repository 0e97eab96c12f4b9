"""Samples of many instants as columns: what a replay keeps until it writes a whole file."""

import json
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import ipc

from ml_exporter.budget import AnySample
from ml_exporter.catalogue import METRICS, HistogramSample
from ml_exporter.exposition import escaped, texts_before
from ml_exporter.records import Ints

Floats = npt.NDArray[np.float64]
LINES = b"lines"

UP = "up"
"""Prometheus writes it of every scrape, so that a replay has to."""
Key = tuple[object, ...]
"""Name and labels of a series; of a histogram, also its bounds."""


@dataclass
class Part:
    """The samples of some instants: a row a line of text, and a table of the lines. `labels` are those of the target.

    The lines of a series are numbered one after the other.
    """

    labels: Mapping[str, str]
    metric: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    place: list[int] = field(default_factory=list)
    line: "array[int]" = field(default_factory=lambda: array("i"))
    at_us: "array[int]" = field(default_factory=lambda: array("q"))
    value: "array[float]" = field(default_factory=lambda: array("d"))
    _first: dict[Key, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.value)

    def add(self, now_us: int, samples: Iterable[AnySample]) -> None:
        """Takes in the samples of an instant, and that the target was up."""
        before = len(self.value)
        self.line.append(self._line_of((UP,), (f"{UP} ",)))
        self.value.append(1.0)
        for sample in samples:
            key = sample[:3] if isinstance(sample, HistogramSample) else sample[:2]
            first = self._first.get(key)
            if first is None:
                first = self._line_of(key, texts_before(sample))
            if isinstance(sample, HistogramSample):
                cumulative = [float(count) for count in accumulate(sample.counts)]
                self.line.extend(range(first, first + len(cumulative) + 2))
                self.value.extend((*cumulative, cumulative[-1], sample.total))
            else:
                self.line.append(first)
                self.value.append(sample.value)
        self.at_us.extend(array("q", [now_us]) * (len(self.value) - before))

    def _line_of(self, key: Key, texts: tuple[str, ...]) -> int:
        """The number of the first line of a series, which gets one if it is new."""
        if key in self._first:
            return self._first[key]
        first = self._first[key] = len(self.text)
        labels = ",".join(f'{name}="{escaped(value)}"' for name, value in self.labels.items())
        for place, text in enumerate(texts):
            bare, is_labelled = text.rstrip(" ").removesuffix("}"), text.endswith("} ")
            self.metric.append(str(key[0]))
            self.text.append(f"{bare},{labels}}} " if is_labelled else f"{bare}{{{labels}}} ")
            self.place.append(place)
        return first

    def write(self, path: Path) -> None:
        """Writes it to a file, whole or not at all. Raises OSError."""
        lines = json.dumps([self.metric, self.text, self.place])
        columns = {"line": pa.array(self.line, pa.int32()), "at_us": self.at_us, "value": self.value}
        table = pa.table(columns).replace_schema_metadata({LINES: lines})
        with replacing(path) as file, ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)


@dataclass(frozen=True)
class Whole:
    """The samples of some parts, in the order in which OpenMetrics wants them.

    Metrics in the order of the catalogue, series in the order in which they came, then by time. `line` (n,) numbers
    the `text` before a value; `at_us` (n,) and `value` (n,) are the rows.
    """

    metric: list[str]
    text: list[str]
    line: Ints
    at_us: Ints
    value: Floats

    @classmethod
    def of(cls, paths: Sequence[Path]) -> "Whole":
        """Reads the files of parts. Raises OSError."""
        metric: list[str] = []
        text: list[str] = []
        place: list[int] = []
        number_of: dict[str, int] = {}
        lines, times, values = [], [], []
        for path in paths:
            with pa.OSFile(str(path)) as file:
                table = ipc.open_file(file).read_all()
            own = list(zip(*json.loads(table.schema.metadata[LINES]), strict=True))
            for name, before, at in own:
                if before not in number_of:
                    number_of[before] = len(text)
                    metric.append(name)
                    text.append(before)
                    place.append(at)
            known = np.array([number_of[before] for _, before, _ in own], np.int64)
            lines.append(known[table.column("line").to_numpy()])
            times.append(table.column("at_us").to_numpy())
            values.append(table.column("value").to_numpy())
        line, at_us, value = (np.concatenate(part) for part in (lines, times, values))
        order = _order(metric, np.array(place, np.int64), line, at_us)
        return cls(metric, text, line[order], at_us[order], value[order])


def _order(metric: Sequence[str], place: Ints, line: Ints, at_us: Ints) -> Ints:
    """The places of the rows, sorted by metric, series, time and line."""
    rank = {name: number for number, name in enumerate((UP, *(item.name for item in METRICS)))}
    series = np.cumsum(place == 0) - 1
    of_metric = np.array([rank[name] for name in metric], np.int64)
    series_rank = np.argsort(np.argsort(of_metric[place == 0], kind="stable"), kind="stable")
    instants, instant = np.unique(at_us, return_inverse=True)
    key = (series_rank[series[line]] * len(instants) + instant) * (int(place.max()) + 1) + place[line]
    return np.argsort(key, kind="stable")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that has its name only once it is whole and on the disk."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
