"""A small model service and what it logs, and the exporter that follows it. An hour takes a minute."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families
from servers import PATIENCE, Server, fetch, serving, until

from ml_exporter import baseline as artefact
from ml_exporter import make_baseline
from ml_exporter.config import parse
from ml_exporter.counting import Counting
from ml_exporter.loading import load
from ml_exporter.panes import decompress
from ml_exporter.store import FILE
from ml_exporter.vitals.history import observed

Row = dict[str, Any]
DAY_SECONDS = 600
COMMAND = [sys.executable, "-m", "ml_exporter", "serve"]
HOSTILE = 'a"b\n<script>alert(1)</script>\'; {x="y"} \\ \t é\u2028'
SOON = 30.0
"""Seconds within which the exporter shows what was written."""


def model(source: str, **changes: Any) -> Row:
    """The configuration of a model whose sources are called `source` and `source-labels`."""
    return {
        "task": "binary",
        "team": "ops",
        "baseline": f"{source}.json",
        "classes": ["no", "yes"],
        "latency": {"limit": "500ms"},
        "predictions": {
            "source": source,
            "columns": {name: name for name in ("version", "prediction", "score", "latency", "fallback", "error")},
        },
        "labels": {"source": f"{source}-labels", "maturity": "1s", "grace": "1h"},
        "features": {"object": "features", "numeric": {"temp": {"range": [-30, 50]}}, "categorical": {"carrier": None}},
    } | changes


def config(*names: str, **changes: Any) -> Row:
    """A configuration with a model and two logs a name."""
    logs = [f"{name}{kind}" for name in names for kind in ("", "-labels")]
    return {
        "interval": "200ms",
        "time": {"pane": "1s", "hour": "60s", "day": f"{DAY_SECONDS}s", "future_tolerance": "5s"},
        "sources": {log: {"files": f"{log}.jsonl", "settle": "0s", "idle_after": "1s"} for log in logs},
        "models": {name: model(name) for name in names},
    } | changes


def write_config(folder: Path, document: Mapping[str, Any]) -> Path:
    """Writes a configuration."""
    path = folder / "ml-exporter.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def prediction(number: int, at: float, **changes: Any) -> Row:
    """One prediction; its values follow from its number."""
    score = (number * 37 % 101) / 100
    features = {"temp": float(number * 7 % 40 - 10), "carrier": ("AA", "UA", "DL")[number % 3]}
    row = {"timestamp": at, "id": f"p{number}", "version": "v1", "prediction": "yes" if score >= 0.5 else "no"}
    row |= {"score": score, "latency": (number % 40) / 100, "fallback": number % 50 == 0, "error": number % 99 == 0}
    return row | {"features": features} | changes


def label(number: int, at: float) -> Row:
    """The label of the prediction of that number: right two times of three."""
    right = (number * 37 % 101) / 100 >= 0.5
    return {"timestamp": at, "id": f"p{number}", "label": "yes" if right == (number % 3 > 0) else "no"}


def lines(rows: Iterable[Row]) -> bytes:
    """Rows as a log has them."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def predictions(count: int, first: int = 0, **changes: Any) -> bytes:
    """Lines of predictions made half a minute ago."""
    at = time.time() - 30
    return lines(prediction(number, at + (number % 1000) / 1000, **changes) for number in range(first, first + count))


def append(path: Path, content: bytes) -> None:
    """Adds bytes to a log in one write."""
    with path.open("ab", buffering=0) as log:
        log.write(content)


def make_artefact(folder: Path, settings: Row | None = None) -> str:
    """The baseline of a model called `any`, from ten days of its service."""
    numbers = range(3000)
    times = [1_700_000_000 + number * 2 for number in numbers]
    (folder / "reference.jsonl").write_bytes(lines(map(prediction, numbers, times)))
    (folder / "reference-labels.jsonl").write_bytes(lines(label(number, times[number] + 5) for number in numbers))
    document = config("any") | {"models": {"any": settings or model("any")}}
    logs = make_baseline.ReferenceLogs(["reference.jsonl"], ["reference-labels.jsonl"])
    return artefact.dump(make_baseline.make(parse(yaml.safe_dump(document)), "any", logs, folder).baseline)


def write_baselines(folder: Path, text: str, names: Iterable[str]) -> None:
    """The same baseline for every model."""
    found = artefact.load(text, "any.json")
    for name in names:
        (folder / f"{name}.json").write_text(artefact.dump(replace(found, model=name)))


def prepare(folder: Path, text: str, *names: str, **changes: Any) -> Path:
    """A folder with configuration, baselines and empty logs, ready to be served; returns the configuration."""
    document = config(*names, **changes)
    write_baselines(folder, text, document["models"])
    for source in document["sources"].values():
        (folder / source["files"]).touch()
    return write_config(folder, document)


def write_full_windows(folder: Path, start: float) -> float:
    """Writes so many predictions, nearly all labelled, that windows can have every gauge; returns the last time."""
    times = [start + number / 400 for number in range(6000)]
    append(folder / "risk.jsonl", lines(map(prediction, range(6000), times)))
    known = (label(number, at + 0.5) for number, at in enumerate(times) if number % 20)
    append(folder / "risk-labels.jsonl", lines(known))
    return times[-1]


def remember_days(counting: Counting, days: int) -> None:
    """A history, up to now, of every signal that the newest day has."""
    newest, day_us = counting.panes.newest_us, counting.history.lengths["1d"]
    signals = observed(counting.layout, counting.panes.sum(*counting.timing.grid.span(newest, day_us, newest)), True)
    for name, length in counting.history.lengths.items():
        for start in range(newest // day_us * day_us - days * day_us, newest, length):
            counting.history.put(
                (name, start), dict.fromkeys(signals, (0.5, 0.7, 0.6, 0.65, 0.55)[start // day_us % 5])
            )


def prepare_hostile(folder: Path, count: int, at: float) -> Path:
    """A log and a configuration whose features, classes, versions and files have quotes, newlines and HTML."""
    outer = "fe'a\"t"
    settings = model("risk", classes=[HOSTILE, "yes"])
    settings["features"] = {"object": outer, "numeric": {HOSTILE: None}, "categorical": {f"{HOSTILE}2": None}}
    document = config("risk") | {"models": {"risk": settings}}
    document["sources"]["risk-labels"]["files"] = "<b>&.jsonl"
    rows = [prediction(number, at, version=HOSTILE) for number in range(count)]
    for number, row in enumerate(rows):
        row[outer] = {HOSTILE: number, f"{HOSTILE}2": HOSTILE}
        row["prediction"] = HOSTILE if number % 2 else "yes"
    append(folder / "risk.jsonl", lines(rows))
    path = write_config(folder, document)
    making = [*COMMAND[:3], "baseline", "--config", path, "--predictions", "risk.jsonl"]
    subprocess.run(making, cwd=folder, check=True, stdout=subprocess.PIPE)
    return path


class Metrics:
    """One scrape, by name and labels."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self.values = {
            (item.name, frozenset(item.labels.items())): item.value for family in families for item in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        """The value of a series; None when it is not there."""
        return self.values.get((name, frozenset(labels.items())))

    def series(self, name: str) -> list[dict[str, str]]:
        """Labels of every series of a metric."""
        return [dict(labels) for found, labels in self.values if found == name]

    def names(self, model: str) -> set[str]:
        """The metrics that a model has."""
        return {name for name, labels in self.values if ("model", model) in labels}


@dataclass(frozen=True)
class Exporter:
    """A serving exporter."""

    server: Server
    folder: Path

    def metrics(self) -> Metrics:
        """What a scrape gives now."""
        return Metrics(fetch(f"{self.server.url}/metrics").decode())

    def until(self, accepts: Callable[[Metrics], Any], what: str) -> Metrics:
        """The first scrape that is accepted."""

        def scrape() -> Metrics | None:
            found = self.metrics()
            return found if accepts(found) else None

        found = until(scrape, SOON, what)
        assert found is not None
        return found

    def until_counted(self, name: str, rows: int) -> Metrics:
        """The first scrape with that many predictions of version v1 counted since the start; never more."""

        def counted(found: Metrics) -> bool:
            count = found("ml_predictions_total", model=name, version="v1") or 0.0
            assert count <= rows
            return count == rows

        return self.until(counted, f"{rows} predictions of {name}")

    def send(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.server.process.send_signal(number)

    def log(self) -> str:
        """What it logged so far."""
        return self.server.log.read_text(errors="replace")


@contextmanager
def serve(
    path: Path, name: str = "exporter", ready: str = "/-/ready", command: list[str] | None = None
) -> Iterator[Exporter]:
    """Runs `ml-exporter serve`, by default until it caught up, and stops it with SIGTERM."""

    def arguments(port: int) -> list[str]:
        return [*(command or COMMAND), "--config", str(path), "--web.listen-address", f"127.0.0.1:{port}"]

    with serving(name, arguments, path.parent, ready) as server:
        yield Exporter(server, path.parent)


def run_to_the_end(path: Path, command: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs an exporter that ends by itself."""
    arguments = [*(command or COMMAND), "--config", str(path), "--web.listen-address", "127.0.0.1:0"]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60 * PATIENCE, check=False)


@dataclass(frozen=True)
class Counted:
    """Rows, and labelled rows by actual and predicted class."""

    rows: int
    confusion: Mapping[tuple[str, str], int]


def counted(path: Path, name: str) -> Counted:
    """What the state on disk holds for a model. The exporter must have ended."""
    loaded = load(path)
    layout = loaded.baselines[name].layout
    with closing(sqlite3.connect(path.parent / loaded.config.state / FILE)) as state:
        blobs = state.execute("SELECT cells FROM panes WHERE model = ? AND kind = 'hour'", (name,)).fetchall()
    total = sum((decompress(cells) for (cells,) in blobs), layout.zeros())
    cells = layout.cells(total, "quality")["confusion"].tolist()
    pairs = [(actual, predicted) for actual in layout.classes for predicted in layout.classes]
    return Counted(int(layout.cells(total, "rows")["rows"][0]), dict(zip(pairs, cells, strict=True)))


def recount(written: Iterable[Row], labels: Iterable[Row]) -> Counted:
    """The same from what was written, one row after the other; the first label of a prediction counts."""
    predicted = {row["id"]: row["prediction"] for row in written}
    actual: Row = {}
    for row in labels:
        actual.setdefault(row["id"], row["label"])
    confusion = dict.fromkeys(((a, b) for a in ("no", "yes") for b in ("no", "yes")), 0)
    for name in actual.keys() & predicted.keys():
        confusion[actual[name], predicted[name]] += 1
    return Counted(len(predicted), confusion)
