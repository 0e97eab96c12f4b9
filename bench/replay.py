"""How fast `ml-exporter replay` makes a past of recorded logs. Prints `name value unit` lines.

A day of a million predictions of a binary model with 14 features and as many labels, which come within six hours, is
replayed into an OpenMetrics file with a scrape a minute: reading, counting, joining, evaluating, writing, committing.
CPU seconds are of all threads and both processes; where the machine is shared, they say more than the clock.
The thread that counts is the longest: all else is done beside it, so on two idle cores a day takes little longer.
"""

import argparse
import json
import os
import random
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from ingest import configured
from parse import row

from ml_exporter.loading import load
from ml_exporter.replay import Settings
from ml_exporter.replay.running import Run

BEGIN = 1_767_225_600
DAY = 86_400
POOL = 5_000


def write_logs(folder: Path, rows: int) -> None:
    """A day of predictions and their labels, both in the order in which they were written."""
    draw = random.Random(1)
    pool = [json.dumps(row(draw, number))[1:] for number in range(POOL)]
    rest = [text[text.index('"version"') :] for text in pool]
    known: list[tuple[float, str]] = []
    with (folder / "log.jsonl").open("w", encoding="ascii") as file:
        for number in range(rows):
            at, name = BEGIN + number * DAY / rows, str(uuid.UUID(int=draw.getrandbits(128)))
            file.write(f'{{"timestamp": {at:.3f}, "id": "{name}", {rest[number % POOL]}\n')
            known.append((at + 60 + draw.random() * 21_600, name))
    known.sort()
    with (folder / "labels.jsonl").open("w", encoding="ascii") as file:
        for at, name in known:
            file.write(f'{{"timestamp": {at:.3f}, "id": "{name}", "label": "{draw.choice("01")}"}}\n')


def cpu_seconds() -> float:
    """CPU seconds of this process and of those that it has waited for."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def measure(folder: Path, rows: int, step: int) -> Iterator[str]:
    """The lines of the report."""
    config = configured(folder, labelled=True)
    write_logs(folder, rows)
    settings = Settings(folder / "out", step * 1_000_000, {"job": "bench"}, stop_us=(BEGIN + DAY) * 1_000_000)
    settings.output.mkdir()
    begin, cpu, own = time.perf_counter(), cpu_seconds(), time.thread_time()
    with Run(load(config), settings, beside=(os.cpu_count() or 1) > 1) as run:
        for _ in run.steps():
            pass
        done = run.outcome()
    wall, cpu, own = time.perf_counter() - begin, cpu_seconds() - cpu, time.thread_time() - own
    written = sum(path.stat().st_size for path in done.files)
    yield f"replay_rows_per_second {rows / wall:.0f} rows/s"
    yield f"replay_rows_per_cpu_second {rows / cpu:.0f} rows/s"
    yield f"replay_evaluations_per_second {done.instants / wall:.0f} evaluations/s"
    yield f"replay_evaluations_per_cpu_second {done.instants / cpu:.0f} evaluations/s"
    yield f"replay_series {done.samples / done.instants:.0f} series"
    yield f"replay_seconds_for_a_day {wall:.1f} seconds"
    yield f"replay_cpu_seconds_for_a_day {cpu:.1f} seconds"
    yield f"replay_cpu_seconds_of_the_counting_thread {own:.1f} seconds"
    yield f"replay_bytes_per_sample {written / done.samples:.0f} bytes"


def main() -> None:
    """Runs everything in a temporary folder."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--step", type=int, default=60, help="seconds between two scrapes")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(Path(folder), chosen.rows, chosen.step):
            print(line, flush=True)


if __name__ == "__main__":
    main()
