"""Restart with 20 models of 50 features, 35 days of panes and 400 days of history. Prints `name value unit` lines.

The state is written by the store from panes of the bench's log; then a process of its own serves it, and what counts is
the time from its start to the first scrape that has the rows of every model, and the memory it holds then.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from ml_exporter.baseline import dump
from ml_exporter.charting import remember
from ml_exporter.config import parse
from ml_exporter.counting import Counting
from ml_exporter.ingest import Fleet
from ml_exporter.loading import load
from ml_exporter.make_baseline import ReferenceLogs, make
from ml_exporter.panes import HOUR
from ml_exporter.store import FILE, Store

FEATURES = 50
PORT = 18_931
ROUNDS = 3
PENDING_AT_ONCE = 1 << 17


def configured(folder: Path, models: int) -> Path:
    """Models that share one baseline, each with an empty log."""
    names = [f"m{number}" for number in range(models)]
    columns = {"version": "version", "prediction": "prediction", "score": "score", "latency": "latency"}
    features = {"object": "f", "numeric": {f"f{number}": None for number in range(FEATURES)}}
    base = {"task": "binary", "team": "bench", "classes": ["0", "1"], "features": features}
    document = {
        "sources": {f"{name}{kind}": {"files": f"{name}{kind}.jsonl"} for name in names for kind in ("", "-labels")},
        "models": {
            name: base
            | {"baseline": f"{name}.json", "predictions": {"source": name, "columns": columns}}
            | {"labels": {"source": f"{name}-labels", "maturity": "1h"}}
            for name in names
        },
    }
    path = folder / "ml-exporter.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    draw = np.random.default_rng(5)
    with (folder / "reference.jsonl").open("w", encoding="utf-8") as log:
        for number in range(4000):
            score = float(draw.random())
            row = {"timestamp": 1_700_000_000 + number * 20, "id": str(number), "version": "v1", "score": score}
            row |= {"prediction": str(int(score >= 0.5)), "latency": score / 2}
            row["f"] = {f"f{place}": float(value) for place, value in enumerate(draw.normal(size=FEATURES))}
            log.write(json.dumps(row) + "\n")
    config = parse(path.read_text(encoding="utf-8"))
    made = make(config, names[0], ReferenceLogs(("reference.jsonl",), ()), folder).baseline
    for name in names:
        (folder / f"{name}.json").write_text(dump(replace(made, model=name)), encoding="utf-8")
        (folder / f"{name}.jsonl").touch()
        (folder / f"{name}-labels.jsonl").touch()
    return path


def write_state(path: Path, days: int, pending: int) -> None:
    """Every hour and every fine pane of every model, each with other counts, and predictions that wait for a label."""
    loaded = load(path)
    fleet, store, draw = Fleet.of(loaded), Store(path.parent / "state"), np.random.default_rng(6)
    now_us = time.time_ns() // 1000
    for name, counting in fleet.countings.items():
        grid, vector = counting.timing.grid, loaded.baselines[name].vector
        counting.panes.advance(now_us)
        starts = [
            (HOUR, start) for start in range(grid.start(HOUR, now_us - days * 86_400_000_000), now_us, grid.hour_us)
        ]
        starts += [("fine", start) for start in range(grid.fine_from(now_us), now_us, grid.pane_us)]
        for kind, start in starts:
            counting.panes.add(kind, start, draw.binomial(np.maximum(vector, 0), 0.05).astype(np.int64))
        counting.versions_us["v1"] = now_us
        remember(counting, now_us)
        write_year(counting, now_us, draw)
    for first in range(0, pending, PENDING_AT_ONCE):
        for counting in fleet.countings.values():
            waiting = np.zeros(min(PENDING_AT_ONCE, pending - first), counting.join.dtype)
            waiting["hash"], waiting["time_us"] = draw.integers(0, 1 << 63, len(waiting)), now_us
            waiting["scores"] = draw.random(waiting["scores"].shape)
            counting.join.predictions(waiting)
        store.commit(fleet.countings, {})
    begin = time.perf_counter()
    store.commit(fleet.countings, {})
    print(f"state_first_commit_seconds {time.perf_counter() - begin:.2f} seconds", flush=True)
    store.close()
    fleet.close()


def write_year(counting: Counting, now_us: int, draw: np.random.Generator) -> None:
    """The rest of the 400 days of history."""
    history = counting.history
    signals = next(iter(history.blocks.values())).keys()
    for name, length in history.lengths.items():
        for start in range((now_us - history.kept_us) // length * length, history.begin_us, length):
            history.put((name, start), dict(zip(signals, draw.random(len(signals)).tolist(), strict=True)))


def restart(path: Path, models: int) -> tuple[float, int, float]:
    """Seconds to the first correct scrape, memory in bytes, and seconds of a graceful stop."""
    command = [sys.executable, "-m", "ml_exporter", "serve", "--config", str(path)]
    begin = time.perf_counter()
    process = subprocess.Popen([*command, "--web.listen-address", f"127.0.0.1:{PORT}"], stderr=subprocess.DEVNULL)
    want = re.compile(rb'^ml_window_rows\{model="[^"]+",window="1d"\} [1-9]', re.MULTILINE)
    while True:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=30) as answer:
            if len(want.findall(answer.read())) == models:
                break
        time.sleep(0.02)
    seconds = time.perf_counter() - begin
    time.sleep(20)
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    memory = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024
    begin = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    process.wait()
    return seconds, memory, time.perf_counter() - begin


def measure(folder: Path, models: int, days: int, pending: int) -> Iterator[str]:
    """The lines of the report."""
    path = configured(folder, models)
    write_state(path, days, pending)
    yield f"state_disk_bytes {(folder / 'state' / FILE).stat().st_size} bytes"
    found = [restart(path, models) for _ in range(ROUNDS)]
    yield f"restart_seconds {min(item[0] for item in found):.2f} seconds"
    yield f"state_memory_bytes {max(item[1] for item in found)} bytes"
    yield f"stop_seconds {min(item[2] for item in found):.2f} seconds"


def main() -> None:
    """Runs everything in a temporary folder."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--models", type=int, default=20)
    arguments.add_argument("--days", type=int, default=35)
    arguments.add_argument("--pending", type=int, default=0, help="predictions of each model that wait for a label")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(Path(folder), chosen.models, chosen.days, chosen.pending):
            print(line, flush=True)


if __name__ == "__main__":
    main()
