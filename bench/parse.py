"""Parsing speed of JSON lines against DuckDB alone, in one run on one file. Prints `name value unit` lines.

The file has a million lines of about 430 bytes: id, ISO timestamp, version, score, prediction, latency and nested
features, 10 numeric and 4 categorical. DuckDB parses the whole file to Arrow with two threads and typed columns, and
checks nothing. `Tail.batches` does the same end to end: reading, checking every line, canonical columns. Both run
alternately and the best of each counts, because the machine may be shared.
"""

import argparse
import json
import os
import random
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb

from ml_exporter.config import Source
from ml_exporter.records import Field, Stream
from ml_exporter.sources.follow import Position
from ml_exporter.sources.tail import Tail

NUMERIC = [f"num{number}" for number in range(10)]
CATEGORIES = {
    "origin": ("JFK", "EWR", "LGA"),
    "carrier": ("AA", "UA", "DL", "B6", "WN"),
    "platform": ("web", "ios", "android"),
    "tier": ("gold", "silver", "none"),
}
FIELDS = (
    Field("timestamp", ("timestamp",), "time", True),
    Field("id", ("id",), "id", True),
    Field("version", ("version",), "text"),
    Field("score", ("score",), "number"),
    Field("prediction", ("prediction",), "text"),
    Field("latency", ("latency",), "number"),
    *(Field(f"feature:{name}", ("features", name), "number") for name in NUMERIC),
    *(Field(f"feature:{name}", ("features", name), "text") for name in CATEGORIES),
)
STREAMS = (Stream("bench", "predictions", FIELDS),)
TAIL_BYTES = 4 << 20
ROUNDS = 3
CHANGES: tuple[Callable[[object], object], ...] = (
    lambda value: value,
    str,
    lambda value: True,
    lambda value: "slow",
    lambda value: None,
    lambda value: [value],
)
"""A number, in quotes, a boolean, a word, nothing, a list."""


def row(draw: random.Random, number: int) -> dict[str, object]:
    """One prediction record."""
    features: dict[str, object] = {name: _or_null(draw, 0.02, round(draw.gauss(50, 20), 3)) for name in NUMERIC}
    features |= {name: _or_null(draw, 0.01, draw.choice(values)) for name, values in CATEGORIES.items()}
    hour, minute, second = number // 3600 % 24, number // 60 % 60, number % 60
    return {
        "id": str(uuid.UUID(int=draw.getrandbits(128))),
        "timestamp": f"2026-01-01T{hour:02}:{minute:02}:{second:02}.{number:06}+00:00",
        "version": "2026-01-01",
        "score": draw.random(),
        "prediction": draw.choice("01"),
        "latency": round(draw.expovariate(20), 5),
        "features": features,
    }


def _or_null(draw: random.Random, share: float, value: object) -> object:
    return None if draw.random() < share else value


def damage(draw: random.Random, record: dict[str, object]) -> bytes:
    """A line with one of the faults that logs have."""
    line = json.dumps(record).encode()
    features = dict(record["features"])  # type: ignore[call-overload]
    faults: list[Callable[[], bytes]] = [
        lambda: line[: draw.randrange(1, len(line))],
        lambda: json.dumps(record | {"score": str(record["score"])}).encode(),
        lambda: json.dumps(record | {"score": float("nan")}).encode(),
        lambda: json.dumps(record | {"features": features | {"new": 1}}).encode(),
        lambda: json.dumps(record | {"timestamp": "2026-01-01T00:00:00"}).encode(),
        lambda: json.dumps({key: value for key, value in record.items() if key != "latency"}).encode(),
        lambda: line + line,
        lambda: line.replace(b"web", b"w\xffb"),
    ]
    return draw.choice(faults)()


def write(path: Path, rows: int, dirty_share: float = 0, changes_type: bool = False) -> int:
    """Write a log and return its number of lines, which repeat after 50,000.

    With `changes_type` the latency is of another type in every line.
    """
    draw = random.Random(1)
    records = [row(draw, number) for number in range(min(rows, 50_000))]
    if changes_type:
        records = [item | {"latency": CHANGES[n % len(CHANGES)](item["latency"])} for n, item in enumerate(records)]
    lines = [damage(draw, item) if draw.random() < dirty_share else json.dumps(item).encode() for item in records]
    times = max(1, rows // len(records))
    with path.open("wb") as file:
        for _ in range(times):
            file.writelines(line + b"\n" for line in lines)
    return times * len(records)


def duckdb_seconds(path: Path) -> float:
    """Seconds in which DuckDB alone parses the whole file to Arrow."""
    types = {field.path: "DOUBLE" if field.kind == "number" else "VARCHAR" for field in FIELDS}
    inner = ", ".join(f"{name[1]} {kind}" for name, kind in types.items() if len(name) == 2)
    outer = "".join(f"{name[0]}: '{kind}', " for name, kind in types.items() if len(name) == 1)
    connection = duckdb.connect(":memory:", config={"threads": 2})
    query = f"FROM read_json('{path}', columns = {{{outer}features: 'STRUCT({inner})'}}, format = 'newline_delimited')"
    begin = time.perf_counter()
    table = connection.sql(query).to_arrow_table()
    seconds = time.perf_counter() - begin
    assert table.num_rows
    return seconds


def catch_up_seconds(settings: Source, lines: int, streams: tuple[Stream, ...] = STREAMS) -> float:
    """Seconds in which the whole file is read to batches."""
    with Tail(settings, streams) as tail:
        begin = time.perf_counter()
        read = sum(parsed.lines for parsed, _ in tail.batches(Position(), threading.Event(), time.time()))
        seconds = time.perf_counter() - begin
    assert read == lines, (read, lines)
    return seconds


def tail_seconds(path: Path, folder: Path) -> float:
    """Seconds in which the whole file was read while it grew by 4 MB between two polls; writing does not count."""
    growing = folder / "growing.jsonl"
    growing.touch()
    seconds, position = 0.0, Position()
    with Tail(Source(files=str(growing)), STREAMS) as tail, path.open("rb") as source, growing.open("ab") as sink:
        while piece := source.read(TAIL_BYTES):
            sink.write(piece)
            sink.flush()
            begin = time.perf_counter()
            for _, behind in tail.batches(position, threading.Event(), time.time()):
                position = behind
            seconds += time.perf_counter() - begin
    growing.unlink()
    assert position.files[0].offset == os.path.getsize(path)
    return seconds


def timed(work: Callable[[], float]) -> tuple[float, float]:
    """Wall and processor seconds of something that measures its own wall time."""
    begin = time.process_time()
    return work(), time.process_time() - begin


def measure(rows: int, folder: Path) -> Iterator[str]:
    """The lines to print."""
    path = folder / "log.jsonl"
    lines = write(path, rows)
    yield f"jsonl_line_bytes {os.path.getsize(path) / lines:.0f} bytes"
    log = Source(files=str(path))
    works = (
        lambda: duckdb_seconds(path),
        lambda: catch_up_seconds(log, lines),
        lambda: tail_seconds(path, folder),
    )
    rounds = [[timed(work) for work in works] for _ in range(ROUNDS)]
    duck, catch_up, tail = (tuple(map(min, zip(*column, strict=True))) for column in zip(*rounds, strict=True))
    yield f"duckdb_parse_rows_per_second {lines / duck[0]:.0f} rows/s"
    for name, (wall, processor) in (("catch_up", catch_up), ("tail", tail)):
        yield f"jsonl_parse_{name}_rows_per_second {lines / wall:.0f} rows/s"
        yield f"jsonl_parse_{name}_ratio_to_duckdb {duck[0] / wall:.2f} ratio"
        yield f"jsonl_parse_{name}_processor_ratio_to_duckdb {duck[1] / processor:.2f} ratio"
    for name, share, changes in (
        ("with_a_type_change_in_every_row", 0, True),
        ("at_1_percent_dirty", 0.01, False),
        ("at_10_percent_dirty", 0.1, False),
    ):
        wall = catch_up_per_row(path, write(path, rows // 2, share, changes))
        yield f"jsonl_rows_per_second_{name} {1 / wall:.0f} rows/s"
        yield f"jsonl_ratio_to_clean_{name} {catch_up[0] / rows / wall:.2f} ratio"
    for models in (2, 20):
        streams = streams_of_models(models)
        wall = catch_up_per_row(path, write_models(path, rows // 2, models), streams)
        yield f"jsonl_rows_per_second_of_{models}_models {1 / wall:.0f} rows/s"
        yield f"jsonl_ratio_to_clean_of_{models}_models {catch_up[0] / rows / wall:.2f} ratio"


def catch_up_per_row(path: Path, lines: int, streams: tuple[Stream, ...] = STREAMS) -> float:
    """Seconds a line, the better of two runs."""
    return min(catch_up_seconds(Source(files=str(path)), lines, streams) for _ in range(2)) / lines


def streams_of_models(models: int) -> tuple[Stream, ...]:
    """Streams of one log that has the rows of several models, each with features of its own names."""
    return tuple(
        Stream(
            f"model{number}",
            "predictions",
            tuple(
                replace(item, path=(*item.path[:-1], f"m{number}_{item.path[-1]}")) if len(item.path) == 2 else item
                for item in FIELDS
            ),
            ((("model",), f"model{number}"),),
        )
        for number in range(models)
    )


def write_models(path: Path, rows: int, models: int) -> int:
    """Write a log of several models in any order and return its number of lines, which repeat after 50,000."""
    draw = random.Random(1)
    lines = []
    for number in range(min(rows, 50_000)):
        model, item = draw.randrange(models), row(draw, number)
        features = {f"m{model}_{name}": value for name, value in dict(item["features"]).items()}  # type: ignore[call-overload]
        lines.append(json.dumps({"model": f"model{model}"} | item | {"features": features}).encode() + b"\n")
    times = max(1, rows // len(lines))
    path.write_bytes(b"".join(lines * times))
    return times * len(lines)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    rows = arguments.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(rows, Path(folder)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
