"""From log line to committed pane against DuckDB that only parses. Prints `name value unit` lines.

One run on one file of a million lines (see `parse.py`). `serve`'s own loop reads, counts and commits; DuckDB parses the
same whole file to Arrow with two threads. Both run alternately, and the best of each counts, because the machine may be
shared. Also: scrapes during that, and memory.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
from parse import CATEGORIES, NUMERIC, TAIL_BYTES, duckdb_seconds, write
from render import samples_of_many_models

from ml_exporter.baseline import dump
from ml_exporter.config import parse
from ml_exporter.exposition import Renderer, compress
from ml_exporter.groups import group_rows
from ml_exporter.ingest import Fleet
from ml_exporter.loading import load
from ml_exporter.make_baseline import ReferenceLogs, make
from ml_exporter.records import Batch, Ints
from ml_exporter.serve import Exporter
from ml_exporter.sources.follow import Position
from ml_exporter.web import Address, Server, Snapshot, create_app

ROUNDS = 3
AFTER_SECONDS = 1767312000.0
"""The clock of the bench, UTC midnight after the log's day."""
SAMPLES = 75_000
SCRAPES = 200
SCRAPER = """
import sys, time, urllib.request
times = []
for _ in range(int(sys.argv[2])):
    begin = time.perf_counter()
    request = urllib.request.Request(sys.argv[1], headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=30) as response:
        response.read()
    times.append(time.perf_counter() - begin)
    time.sleep(0.02)
print(sorted(times)[int(len(times) * 0.99)], flush=True)
"""


def configured(folder: Path, labelled: bool) -> Path:
    """A configuration for the bench's log and its baseline, in a folder."""
    model = {
        "task": "binary",
        "team": "bench",
        "baseline": "baseline.json",
        "classes": ["0", "1"],
        "predictions": {
            "source": "log",
            "columns": {"version": "version", "prediction": "prediction", "score": "score", "latency": "latency"},
        },
        "features": {
            "object": "features",
            "numeric": dict.fromkeys(NUMERIC),
            "categorical": dict.fromkeys(CATEGORIES),
        },
    }
    document: dict[str, object] = {"sources": {"log": {"files": "log.jsonl"}, "labels": {"files": "labels.jsonl"}}}
    if labelled:
        (folder / "labels.jsonl").touch()
        model["labels"] = {"source": "labels", "maturity": "1h"}
    document["models"] = {"bench": model}
    path = folder / "ml-exporter.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    write(folder / "reference.jsonl", 20_000)
    made = make(parse(path.read_text(encoding="utf-8")), "bench", ReferenceLogs(("reference.jsonl",), ()), folder)
    (folder / "baseline.json").write_text(dump(made.baseline), encoding="utf-8")
    return path


def started(config: Path) -> Exporter:
    """An exporter that has read nothing."""
    for name in ("state.sqlite", "state.sqlite-wal"):
        (config.parent / "state" / name).unlink(missing_ok=True)
    return Exporter(config, clock=lambda: AFTER_SECONDS)


def read_everything(exporter: Exporter) -> None:
    """The loop of `serve` until all is read and committed."""
    while not exporter.read(time.monotonic() + 1.0):
        exporter.commit()
    exporter.commit()


def catch_up_seconds(config: Path, lines: int) -> float:
    """Seconds to read, count and commit the whole log."""
    exporter = started(config)
    begin = time.perf_counter()
    read_everything(exporter)
    seconds = time.perf_counter() - begin
    assert exporter.fleet.feeds[0].rows_read == lines
    exporter.close()
    return seconds


def tail_seconds(config: Path, whole: Path) -> float:
    """Seconds for the same while the log grows by 4 MB between two polls; writing does not count."""
    log = config.parent / "log.jsonl"
    log.write_bytes(b"")
    exporter, seconds = started(config), 0.0
    with whole.open("rb") as source, log.open("ab", buffering=0) as sink:
        while piece := source.read(TAIL_BYTES):
            sink.write(piece)
            begin = time.perf_counter()
            read_everything(exporter)
            seconds += time.perf_counter() - begin
    exporter.close()
    return seconds


def vectorise_rows_per_second(config: Path) -> float:
    """The numbers alone, grouped by minute, in two threads: batches that were read before."""
    fleet = Fleet.of(load(config))
    feed = fleet.feeds[0]
    tables: list[pa.Table] = []

    def take(batch: Batch, _: int) -> Mapping[str, Ints]:
        tables.append(batch.table)
        return {}

    feed.takes = (take,)
    feed.position = Position()
    while feed.step(round(AFTER_SECONDS * 1e6)):
        pass
    counting = fleet.countings["bench"]
    counting.panes.newest_us = round(AFTER_SECONDS * 1e6) - 86_400_000_000

    def count(table: pa.Table) -> int:
        _, groups = group_rows(table.column("timestamp").to_numpy() // 60_000_000)
        counting.vectoriser.predictions(table, groups, joinable=False)
        return int(table.num_rows)

    with ThreadPoolExecutor(2) as pool:
        best = 0.0
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            rows = sum(pool.map(count, tables))
            best = max(best, rows / (time.perf_counter() - begin))
    fleet.close()
    return best


def scrape_p99_seconds(config: Path) -> float:
    """99th percentile of a scrape of 75,000 samples while the log is read at full speed, again and again."""
    text = Renderer().render(samples_of_many_models(SAMPLES, 1))
    snapshot = Snapshot(text, compress(text), time.time(), True, 15.0, ())
    server = Server(create_app(lambda: snapshot, time.time, "bench"), [Address("127.0.0.1", 0)])
    server.start()
    url = f"http://127.0.0.1:{server.port}/metrics"
    scraper = subprocess.Popen([sys.executable, "-c", SCRAPER, url, str(SCRAPES)], stdout=subprocess.PIPE, text=True)
    while scraper.poll() is None:
        exporter = started(config)
        read_everything(exporter)
        exporter.close()
    server.stop()
    assert scraper.stdout is not None
    return float(scraper.stdout.read())


def peak_memory_bytes(config: Path) -> int:
    """Most memory that a process of its own holds while it reads the whole log and keeps its predictions waiting."""
    child = [sys.executable, __file__, "--peak-memory-of", str(config)]
    return int(subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure(rows: int, folder: Path) -> Iterator[str]:
    """The lines of the report."""
    config = configured(folder, labelled=False)
    whole, log = folder / "whole.jsonl", folder / "log.jsonl"
    lines = write(whole, rows)
    duck, fast, tail = [], [], []
    for _ in range(ROUNDS):
        duck.append(duckdb_seconds(whole))
        log.unlink(missing_ok=True)
        log.hardlink_to(whole)
        fast.append(catch_up_seconds(config, lines))
        log.unlink()
        tail.append(tail_seconds(config, whole))
    log.unlink()
    log.hardlink_to(whole)
    yield f"duckdb_parse_rows_per_second {lines / min(duck):.0f} rows/s"
    yield f"jsonl_catch_up_rows_per_second {lines / min(fast):.0f} rows/s"
    yield f"jsonl_catch_up_ratio_to_duckdb {min(duck) / min(fast):.2f} ratio"
    yield f"jsonl_tail_ratio_to_duckdb {min(duck) / min(tail):.2f} ratio"
    yield f"vectorise_rows_per_second {vectorise_rows_per_second(config):.0f} rows/s"
    yield f"scrape_p99_seconds {scrape_p99_seconds(config):.4f} seconds"
    labelled = configured(folder, labelled=True)
    yield f"jsonl_catch_up_waiting_for_labels_ratio_to_duckdb {min(duck) / catch_up_seconds(labelled, lines):.2f} ratio"
    yield f"peak_memory_bytes {peak_memory_bytes(labelled)} bytes"


def main() -> None:
    """Runs everything in a temporary folder."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--peak-memory-of", type=Path, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.peak_memory_of:
        read_everything(started(chosen.peak_memory_of))
        status = Path("/proc/self/status").read_text(encoding="ascii")  # ru_maxrss would include the parent's
        print(int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024)
        return
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(chosen.rows, Path(folder)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
