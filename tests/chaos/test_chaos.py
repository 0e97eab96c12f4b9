"""Chaos: an exporter is killed again and again while logs are written, rotated, truncated, compressed and spoiled.

Seeds that are odd copy and truncate the log of the model "risk" instead of renaming it; those that leave 2 or 3 when
divided by 4, that of its labels. At the end all that it counted equals a plain recount of every line ever written, bit
for bit; its quality equals what scikit-learn says of the joined data; and every line that it refused is noted with the
right reason. One seed gives one history of the logs; when exactly a process is killed is left to the machine, which is
the point.
"""

import json
import os
import random
import signal
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from servers import fetch, free_port, until
from tests.chaos.formats import CSV, JSONL, LINE_BYTES
from tests.chaos.life import Cradle
from tests.chaos.truth import Truth
from tests.chaos.world import Drops, World
from tests.serve import service
from tests.serve.service import Metrics

from ml_exporter.layout import Layout
from ml_exporter.loading import load
from ml_exporter.panes import decompress
from ml_exporter.store import FILE

SETTLES = 240.0
"""Seconds within which everything is read, on a slow and busy machine; rows leave the windows after 540."""
FORMATS = {"risk": JSONL, "loan": CSV}


def prepare(folder: Path, baseline_text: str) -> Path:
    """The configuration of the models of all worlds."""
    document = service.config(*FORMATS)
    document["sources"]["shop"] = document["sources"]["risk"] | {"files": "shop-*.parquet", "format": "parquet"}
    document["models"]["shop"] = service.model("shop")
    document["models"]["shop"]["predictions"]["columns"] |= {"label": "label", "label_timestamp": "known"}
    del document["models"]["shop"]["labels"]["source"]
    for name, source in [item for item in document["sources"].items() if item[0] != "shop"]:
        log = FORMATS[name.removesuffix("-labels")]
        source |= {"files": f"{name}.{log.name}", "format": log.name, "max_line_bytes": f"{LINE_BYTES}B"}
    document["models"]["loan"]["labels"]["corrections"] = "last"
    document["time"]["future_tolerance"] = "30s"
    document["dead_letter"] = {"max_size": "64MiB"}
    path = service.write_config(folder, document)
    service.write_baselines(folder, baseline_text, document["models"])
    return path


def live_and_die(worlds: Sequence[World | Drops], path: Path, kills: int, chance: random.Random) -> None:
    """The worlds go on while exporters are born and killed, sometimes with a while without any."""
    cradle = Cradle()
    begin(cradle, path)
    for number in range(kills):
        log = path.parent / f"life{number}.log"
        with cradle.life(path, 0, log) as process:
            end = time.monotonic() + chance.choice([0.05, 0.3, 0.8, 1.5]) * chance.random() * 2
            while time.monotonic() < end:
                chance.choice(worlds).step()
                time.sleep(0.004)
            assert process.is_alive(), log.read_text()
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        for _ in range(chance.choice([0, 0, 3, 12])):
            chance.choice(worlds).step()
    for world in worlds:
        world.end()


def begin(cradle: Cradle, path: Path) -> None:
    """A first life that lasts until the logs are known: what was rotated away before that is of no concern to it."""
    port, log = free_port(), path.parent / "first.log"
    with cradle.life(path, port, log):
        until(lambda: scrape(port), 60, "a first scrape")


def settle(path: Path, truths: Mapping[str, Truth]) -> Metrics:
    """The last life: reads what is left, shows it, and ends in peace. Gives its last scrape."""
    port, log = free_port(), path.parent / "last.log"
    expected = {name: truth.counts for name, truth in truths.items()}
    with Cradle().life(path, port, log) as process:
        end, seen = time.monotonic() + SETTLES, None
        while seen != expected:
            assert time.monotonic() < end, f"expected rows and labelled rows {expected}, got {seen}"
            time.sleep(0.1)
            found = scrape(port)
            seen = {name: counts(found, name) for name in truths} if found else None
        process.terminate()
        process.join(120)
        assert process.exitcode == 0, log.read_text()
    assert found is not None
    return found


def scrape(port: int) -> Metrics | None:
    """What the exporter shows; None before it does."""
    try:
        return Metrics(fetch(f"http://127.0.0.1:{port}/metrics").decode())
    except OSError:
        return None


def counts(found: Metrics, name: str) -> tuple[float | None, float | None]:
    """Rows of the day, and labelled ones."""
    return found("ml_window_rows", model=name, window="1d"), found("ml_labelled_rows", model=name, window="1d")


def committed(path: Path, name: str, layout: Layout) -> list[int]:
    """The sum of all hours that the state on disk holds."""
    with closing(sqlite3.connect(path.parent / "state" / FILE)) as state:
        blobs = state.execute(
            "SELECT cells FROM panes WHERE model = ? AND kind = 'hour' AND scope = ''", (name,)
        ).fetchall()
    return list(sum((decompress(cells) for (cells,) in blobs), layout.zeros()).tolist())


def named(layout: Layout, vector: list[int]) -> dict[str, int]:
    """The cells that are not zero, by name, so that a difference can be read."""
    found = {}
    for item in layout.slices:
        for key, where in item.fields.items():
            cells = vector[item.start + where.start : item.start + where.stop]
            found |= {f"{item.name}.{key}[{place}]": value for place, value in enumerate(cells) if value}
    return found


def noted(path: Path) -> dict[str, str]:
    """Why each line was refused, by its digest, as the dead-letter file has it."""
    notes = (json.loads(line) for line in (path.parent / "state" / "dead-letter.jsonl").read_bytes().splitlines())
    return {note["digest"]: note["reason"] for note in notes}


def run(folder: Path, baseline_text: str, seed: int, kills: int) -> None:
    """One history."""
    path, chance = prepare(folder, baseline_text), random.Random(seed)
    logged = [
        World("risk", JSONL, folder, chance, time.time, (seed % 2 == 1, seed % 4 >= 2)),
        World("loan", CSV, folder, chance, time.time),
    ]
    worlds = [*logged, Drops("shop", folder, chance, time.time)]
    live_and_die(worlds, path, kills, random.Random(seed + 1))
    baselines = load(path).baselines
    truths = {world.name: Truth(world, "last" if world.name == "loan" else "first") for world in worlds}
    shown = settle(path, truths)
    for name, truth in truths.items():
        layout = baselines[name].layout
        assert named(layout, committed(path, name, layout)) == named(layout, truth.vector(layout))
        for measure, value in truth.quality(layout).items():
            assert shown(f"ml_{measure}", model=name, window="1d") == pytest.approx(value, abs=1e-7), (name, measure)
    cut = logged[0].cut | logged[1].cut
    notes = {cut.get(digest, digest): reason for digest, reason in noted(path).items()}
    assert notes == logged[0].refused | logged[1].refused


@pytest.mark.parametrize("seed", [4, 7])
def test_twenty_kills_lose_nothing_and_double_nothing(seed: int, baseline_text: str, tmp_path: Path) -> None:
    """Twenty in all: logs that are renamed, and logs that are copied and truncated under their writer."""
    run(tmp_path, baseline_text, seed, kills=10)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_two_hundred_kills_lose_nothing_and_double_nothing(seed: int, baseline_text: str, tmp_path: Path) -> None:
    run(tmp_path, baseline_text, seed=100 + seed, kills=20)
