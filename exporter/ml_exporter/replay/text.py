"""OpenMetrics text with timestamps, as `promtool tsdb create-blocks-from openmetrics` reads it.

A metric family stands together, in it a series, in that its points in the order of time.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from ml_exporter.catalogue import BY_NAME
from ml_exporter.exposition import escaped, number
from ml_exporter.replay.parts import UP, Whole, replacing

_ROWS = 1 << 17
"""Rows are turned into text so many at a time."""


def write(whole: Whole, path: Path) -> None:
    """Writes everything, whole or not at all. Raises OSError."""
    with replacing(path) as file:
        starts = np.flatnonzero(_family_starts(whole))
        for start, stop in zip(starts, [*starts[1:], len(whole.value)], strict=True):
            file.write(_header(whole.metric[whole.line[start]]))
            _write_rows(whole, int(start), int(stop), file)
        file.write(b"# EOF\n")


def _family_starts(whole: Whole) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Which rows (n,) are the first of their metric."""
    code = {name: place for place, name in enumerate(dict.fromkeys(whole.metric))}
    codes = np.array([code[name] for name in whole.metric], np.int64)[whole.line]
    return np.asarray(np.diff(codes, prepend=-1) != 0, np.bool_)


def _write_rows(whole: Whole, start: int, stop: int, file: BinaryIO) -> None:
    text = whole.text
    for first in range(start, stop, _ROWS):
        rows = slice(first, min(first + _ROWS, stop))
        times, instant = np.unique(whole.at_us[rows], return_inverse=True)
        stamps = [timestamp(at_us) for at_us in times.tolist()]
        columns = zip(whole.line[rows].tolist(), whole.value[rows].tolist(), instant.tolist(), strict=True)
        file.write("".join([f"{text[line]}{number(value)} {stamps[at]}\n" for line, value, at in columns]).encode())


def timestamp(at_us: int) -> str:
    """Seconds since 1970 as text, to the millisecond, which is all that Prometheus keeps.

    >>> timestamp(1_700_000_000_000_000), timestamp(1_700_000_000_250_000)
    ('1700000000', '1700000000.250')
    """
    seconds, rest = divmod(at_us // 1000, 1000)
    return f"{seconds}.{rest:03}" if rest else str(seconds)


def _header(name: str) -> bytes:
    """The metadata of a family. One of counters is named without `_total`."""
    if name == UP:
        return b"# HELP up Whether the target could be scraped.\n# TYPE up gauge\n"
    metric = BY_NAME[name]
    family = name.removesuffix("_total") if metric.type == "counter" else name
    return f"# HELP {family} {escaped(metric.help)}\n# TYPE {family} {metric.type}\n".encode()
