"""The join with millions of waiting predictions. Prints `name value unit` lines.

Predictions are taken in and committed as `serve` does it, in batches of 10,000, with runs on disk and merges in their
thread. Then labels are looked up (not joined): sorted as the join does it, over the runs as they are and over one run
of the same rows. Beside it, on fewer rows, what a dictionary of tuples and rows in SQLite manage in the same process.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ml_exporter.counting import Counting, Timing
from ml_exporter.join import Records, Run, merged
from ml_exporter.layout import CategoryBins, Layout
from ml_exporter.panes import Grid
from ml_exporter.store import Store
from ml_exporter.store.files import FOLDER, open_run, run_path, write_run
from ml_exporter.tasks import Binary

BATCH = 10_000
BATCHES_PER_COMMIT = 10
LOOKUPS = 200_000
ROUNDS = 5
PEERS = 200_000
STEP_US = 100_000
"""Ten predictions a second: ten million are eleven and a half days."""
DAY_US = 86_400_000_000


def counting() -> Counting:
    """A binary model of which only the join is used."""
    layout = Layout(Binary(("no", "yes"), 0.5, (0.5,)), (0.1, 1.0), (3600.0,), (CategoryBins("carrier", ("AA",)),))
    times = (60_000_000, 300_000_000, DAY_US // 8, 300_000_000, DAY_US, 35 * DAY_US, 3_600_000_000, 33 * DAY_US, DAY_US)
    return Counting(layout, Timing(Grid(60_000_000, 3_600_000_000), *times), has_labels=True)


def hashes_of(numbers: np.ndarray) -> np.ndarray:
    """Hashes of ids by number: splitmix64."""
    state = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def fresh(found: Counting, first: int, count: int) -> Records:
    """Predictions with new ids, ten a second."""
    rows = np.zeros(count, found.join.dtype)
    rows["hash"] = hashes_of(np.arange(first, first + count))
    rows["time_us"] = np.arange(first, first + count) * STEP_US
    rows["scores"][:, 0] = np.linspace(0, 1, count)
    return rows


def fill(store: Store, rows: int) -> tuple[list[float], list[float]]:
    """Takes in predictions with new ids. Returns seconds inside the join of each batch, and those of each commit."""
    found, inside, commits = counting(), [], []
    store.filled = found  # type: ignore[attr-defined]
    for number in range(rows // BATCH):
        batch = fresh(found, number * BATCH, BATCH)
        begin = time.perf_counter()
        found.join.predictions(batch)
        inside.append(time.perf_counter() - begin)
        if number % BATCHES_PER_COMMIT == BATCHES_PER_COMMIT - 1:
            found.panes.newest_us = (number + 1) * BATCH * STEP_US
            found.expire(found.panes.newest_us)
            begin = time.perf_counter()
            store.commit({"bench": found}, {"log": str(number)})
            commits.append(time.perf_counter() - begin)
    return inside, commits


def lookups_per_second(find: object, hashes: np.ndarray) -> float:
    """Best of some rounds."""
    best = 0.0
    for number in range(ROUNDS):
        part = hashes[number * LOOKUPS : (number + 1) * LOOKUPS]
        begin = time.perf_counter()
        find(part)  # type: ignore[operator]
        best = max(best, LOOKUPS / (time.perf_counter() - begin))
    return best


def join_lines(rows: int, folder: Path) -> Iterator[str]:
    """The join alone."""
    store = Store(folder)
    cpu = time.process_time()
    inside, commits = fill(store, rows)
    cpu = time.process_time() - cpu
    yield f"join_inserts_per_second {rows / sum(inside):.0f} rows/s"
    yield f"join_insert_seconds_worst {max(inside):.4f} seconds"
    yield f"join_inserts_with_commits_per_cpu_second {rows / cpu:.0f} rows/s"
    yield f"commit_seconds {np.median(commits):.4f} seconds"
    yield f"commit_seconds_worst {max(commits):.4f} seconds"
    found = store.filled  # type: ignore[attr-defined]
    shelf = found.join.shelf
    yield f"join_runs {len(shelf.runs)} runs"
    stored = sum(path.stat().st_blocks * 512 for path in (folder / FOLDER).iterdir())
    yield f"join_bytes_per_row {stored / sum(run.rows for run in shelf.runs):.1f} bytes"
    chance = np.random.default_rng(1)
    hashes = hashes_of(chance.integers(0, rows, ROUNDS * LOOKUPS))
    sorted_parts = np.concatenate([np.sort(part) for part in hashes.reshape(ROUNDS, -1)])
    yield f"join_lookups_per_second {lookups_per_second(shelf.find, sorted_parts):.0f} rows/s"

    def sorting(part: np.ndarray) -> None:
        order = np.argsort(part, kind="stable")
        shelf.find(part[order])

    yield f"join_lookups_unsorted_per_second {lookups_per_second(sorting, hashes):.0f} rows/s"
    unknown = np.sort(hashes_of(np.arange(ROUNDS * LOOKUPS) + rows).reshape(ROUNDS, -1)).ravel()
    yield f"join_lookups_unknown_per_second {lookups_per_second(shelf.find, unknown):.0f} rows/s"
    begin = time.process_time()
    whole = one_run(folder, shelf.runs)
    yield f"merge_rows_per_cpu_second {whole.rows / (time.process_time() - begin):.0f} rows/s"
    yield f"join_lookups_one_run_per_second {lookups_per_second(whole.find, sorted_parts):.0f} rows/s"
    store.close()


def one_run(folder: Path, runs: list[Run]) -> Run:
    """All runs as one."""
    dtype, rows = counting().join.dtype, sum(run.rows for run in runs)
    write_run(run_path(folder, 99_999_999), dtype, rows, merged(runs, -(1 << 62)))
    facts = {"number": 99_999_999, "first_us": 0, "newest_us": 0, "waiting": 0}
    return open_run(run_path(folder, 99_999_999), facts)


def peer_lines(folder: Path) -> Iterator[str]:
    """A dictionary of tuples, and rows in SQLite, with ids of 36 characters as text."""
    names = [f"{number:08x}-0000-4000-8000-{number * 7919 % 10**12:012d}" for number in range(PEERS)]
    begin = time.perf_counter()
    table = {name: (0.5, 1, number) for number, name in enumerate(names)}
    yield f"dict_inserts_per_second {PEERS / (time.perf_counter() - begin):.0f} rows/s"
    chosen = [names[place] for place in np.random.default_rng(2).integers(0, PEERS, PEERS).tolist()]
    begin = time.perf_counter()
    for name in chosen:
        table[name]
    yield f"dict_lookups_per_second {PEERS / (time.perf_counter() - begin):.0f} rows/s"
    database = sqlite3.connect(folder / "peer.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.execute(
        "CREATE TABLE waiting (id TEXT PRIMARY KEY, score REAL, class INTEGER, time INTEGER) WITHOUT ROWID"
    )
    np.random.default_rng(3).shuffle(names)
    begin = time.perf_counter()
    for start in range(0, PEERS, BATCH):
        database.execute("BEGIN")
        rows = [(name, 0.5, 1, start) for name in names[start : start + BATCH]]
        database.executemany("INSERT INTO waiting VALUES (?, ?, ?, ?)", rows)
        database.execute("COMMIT")
    yield f"sqlite_inserts_per_second {PEERS / (time.perf_counter() - begin):.0f} rows/s"
    begin = time.perf_counter()
    for start in range(0, PEERS, 1000):
        marks = ",".join("?" * 1000)
        database.execute(f"SELECT * FROM waiting WHERE id IN ({marks})", chosen[start : start + 1000]).fetchall()
    yield f"sqlite_lookups_per_second {PEERS / (time.perf_counter() - begin):.0f} rows/s"
    database.close()


def main() -> None:
    """Runs everything in a temporary folder."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for line in join_lines(chosen.rows, Path(folder)):
            print(line, flush=True)
        for line in peer_lines(Path(folder)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
