"""Reading of CSV and Parquet against pyarrow and DuckDB alone, in one run. Prints `name value unit` lines.

The rows are those of `parse.py`: a million with 10 numeric and 4 categorical features. CSV is as Python's csv module
writes it; `quoted` has every text in quotes. pyarrow and DuckDB parse the whole file to Arrow with two threads and
typed columns, and check nothing; `Tail.batches` does the same end to end: reading, checking every record, canonical
columns. All run alternately and the best of each counts, because the machine may be shared.
"""

import argparse
import csv
import datetime
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
from parse import FIELDS, STREAMS, TAIL_BYTES, catch_up_seconds, row, timed
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from ml_exporter.config import Source
from ml_exporter.sources.follow import Position
from ml_exporter.sources.tail import Tail

ROUNDS = 3
BLOCK_ROWS = 50_000
COLUMNS = [".".join(field.path) for field in FIELDS]
NUMBERS = {".".join(field.path) for field in FIELDS if field.kind == "number"}
Row = dict[str, object]


def records() -> list[Row]:
    """The rows that repeat in every file."""
    draw = random.Random(1)
    return [row(draw, number) for number in range(BLOCK_ROWS)]


def cells(record: Row) -> list[object]:
    """A row as the cells of a CSV record."""
    found = []
    for field in FIELDS:
        value: object = record
        for key in field.path:
            value = value[key]  # type: ignore[index]
        found.append(value)
    return found


def damaged(draw: random.Random, line: str) -> str:
    """A CSV record with one of the faults that logs have."""
    cell = line.split(",")
    faults: list[Callable[[], str]] = [
        lambda: line[: draw.randrange(1, len(line) - 1)] + "\n",
        lambda: ",".join([*cell[:3], "high", *cell[4:]]),
        lambda: line.replace(",", ',"x"', 1),
        lambda: ",".join([cell[0].replace("+00:00", ""), *cell[1:]]),
        lambda: line.rstrip("\n") + line,
        lambda: line.replace("web", "w\0b"),
    ]
    return draw.choice(faults)()


def write_csv(
    path: Path, rows: int, quoting: Literal[0, 1, 2, 3] = csv.QUOTE_MINIMAL, dirty: float = 0, changes: bool = False
) -> int:
    """Write a CSV log and return its number of records. From the middle on a number may have a unit."""
    draw = random.Random(2)
    with path.with_suffix(".block").open("w+", newline="") as block:
        csv.writer(block, quoting=quoting, lineterminator="\n").writerows(map(cells, records()))
        block.seek(0)
        lines = [damaged(draw, line) if draw.random() < dirty else line for line in block]
    text = "".join(lines)
    place = COLUMNS.index("latency")
    united = "".join(_with_unit(line, place) for line in lines) if changes else ""
    times = max(1, rows // len(lines))
    with path.open("w", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        for part in range(times):
            file.write(united if changes and part >= times // 2 else text)
    return times * len(lines)


def _with_unit(line: str, place: int) -> str:
    """A record in which one cell has a unit."""
    parts = line.split(",")
    return ",".join([*parts[:place], f"{parts[place]} s", *parts[place + 1 :]])


def write_parquet(path: Path, rows: int) -> int:
    """Write a Parquet file of one large row group."""
    block = records()
    for record in block:
        record["timestamp"] = datetime.datetime.fromisoformat(str(record["timestamp"]))
    table = pa.Table.from_pylist(block)
    times = max(1, rows // len(table))
    parquet.write_table(pa.concat_tables([table] * times), path, row_group_size=1 << 20)
    return times * len(table)


def pyarrow_csv_seconds(path: Path) -> float:
    """Seconds in which pyarrow alone parses the whole file."""
    types = {name: pa.float64() if name in NUMBERS else pa.string() for name in COLUMNS}
    begin = time.perf_counter()
    table = arrow_csv.read_csv(path, convert_options=arrow_csv.ConvertOptions(column_types=types))
    assert table.num_rows
    return time.perf_counter() - begin


def duckdb_csv_seconds(path: Path) -> float:
    """Seconds in which DuckDB alone parses the whole file to Arrow."""
    types = ", ".join(f"'{name}': '{'DOUBLE' if name in NUMBERS else 'VARCHAR'}'" for name in COLUMNS)
    connection = duckdb.connect(":memory:", config={"threads": 2})
    begin = time.perf_counter()
    table = connection.sql(f"FROM read_csv('{path}', header = true, auto_detect = false, columns = {{{types}}})")
    assert table.to_arrow_table().num_rows
    return time.perf_counter() - begin


def pyarrow_parquet_seconds(path: Path) -> float:
    """Seconds in which pyarrow alone reads the whole file."""
    begin = time.perf_counter()
    assert parquet.read_table(path).num_rows
    return time.perf_counter() - begin


def read_seconds(path: Path, rows: int) -> float:
    """Seconds in which the whole file is read to batches."""
    return catch_up_seconds(Source(files=str(path), format=path.suffix[1:]), rows)  # type: ignore[arg-type]


def tail_seconds(path: Path, folder: Path) -> float:
    """Seconds in which a CSV file was read while it grew by 4 MB between two polls; writing does not count."""
    growing = folder / "growing.csv"
    growing.touch()
    seconds, position = 0.0, Position()
    settings = Source(files=str(growing), format="csv")
    with Tail(settings, STREAMS) as tail, path.open("rb") as source, growing.open("ab") as sink:
        while piece := source.read(TAIL_BYTES):
            sink.write(piece)
            sink.flush()
            begin = time.perf_counter()
            for _, behind in tail.batches(position, threading.Event(), time.time()):
                position = behind
            seconds += time.perf_counter() - begin
    growing.unlink()
    return seconds


def peak_memory_bytes(path: Path, rows: int) -> int:
    """Most memory that a process of its own holds while it reads a whole file."""
    child = [sys.executable, __file__, "--peak-memory-of", str(path), "--rows", str(rows)]
    return int(subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True).stdout)


def compare(name: str, rows: int, works: dict[str, Callable[[], float]]) -> Iterator[str]:
    """The speed of the first of some works, and its ratio to the others, in wall and in processor time."""
    rounds = [[timed(work) for work in works.values()] for _ in range(ROUNDS)]
    best = [tuple(map(min, zip(*column, strict=True))) for column in zip(*rounds, strict=True)]
    yield f"{name}_rows_per_second {rows / best[0][0]:.0f} rows/s"
    for other, (wall, processor) in list(zip(works, best, strict=True))[1:]:
        yield f"{name}_ratio_to_{other} {wall / best[0][0]:.2f} ratio"
        yield f"{name}_processor_ratio_to_{other} {processor / best[0][1]:.2f} ratio"


def seconds_per_row(path: Path, rows: int) -> float:
    """Processor seconds in which a file is read, by its rows."""
    return min(timed(lambda: read_seconds(path, rows))[1] for _ in range(ROUNDS)) / rows


def against_parsers(name: str, path: Path, rows: int) -> Iterator[str]:
    """A CSV file against both parsers."""
    yield f"{name}_record_bytes {path.stat().st_size / rows:.0f} bytes"
    works = {
        "": lambda: read_seconds(path, rows),
        "pyarrow": lambda: pyarrow_csv_seconds(path),
        "duckdb": lambda: duckdb_csv_seconds(path),
    }
    yield from compare(name, rows, works)


def measure_csv(rows: int, folder: Path) -> Iterator[str]:
    """The lines about CSV."""
    path = folder / "log.csv"
    yield from against_parsers("csv_quoted", path, write_csv(path, rows, csv.QUOTE_NONNUMERIC))
    count = write_csv(path, rows)
    yield from against_parsers("csv", path, count)
    clean = seconds_per_row(path, count)
    tail = min(timed(lambda: tail_seconds(path, folder))[1] for _ in range(ROUNDS)) / count
    yield f"csv_tail_processor_ratio_to_catch_up {clean / tail:.2f} ratio"
    yield f"csv_peak_memory_bytes {peak_memory_bytes(path, count)} bytes"
    kinds = (("type_change", 0, True), ("dirty_1_percent", 0.01, False), ("dirty_10_percent", 0.1, False))
    for name, dirty, changes in kinds:
        own = seconds_per_row(path, write_csv(path, rows // 2, csv.QUOTE_MINIMAL, dirty, changes))
        yield f"csv_{name}_processor_ratio_to_clean {clean / own:.2f} ratio"


def measure_parquet(rows: int, folder: Path) -> Iterator[str]:
    """The lines about Parquet."""
    path = folder / "log.parquet"
    count = write_parquet(path, rows)
    yield f"parquet_row_bytes {path.stat().st_size / count:.0f} bytes"
    works = {"": lambda: read_seconds(path, count), "pyarrow": lambda: pyarrow_parquet_seconds(path)}
    yield from compare("parquet", count, works)
    yield f"parquet_peak_memory_bytes {peak_memory_bytes(path, count)} bytes"


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--peak-memory-of", type=Path, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.peak_memory_of:
        read_seconds(chosen.peak_memory_of, chosen.rows)
        status = Path("/proc/self/status").read_text(encoding="ascii")  # ru_maxrss would include the parent's
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        print(int(peak.split()[1]) * 1024)
        return
    with tempfile.TemporaryDirectory() as folder:
        for measure in (measure_csv, measure_parquet):
            for line in measure(chosen.rows, Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
