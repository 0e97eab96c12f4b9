"""A Prometheus with a past: days of real flights, answered by three models, as `ml-exporter replay` writes them.

`flight_delay` is the model of the example, `delay_kind` says which of three classes a flight will be, and
`delay_minutes` how many minutes it will be late. An hour takes a minute, and the days end some minutes from now, so
that rules which are evaluated now read what was replayed. Now is ten in the morning of New York, whenever a test
begins: flights leave until midnight, so that counters rise for twelve minutes. The night is over.
"""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from servers import tools
from tests import flight_logs

from ml_exporter import generate, packed
from ml_exporter.loading import read_config

COMMAND = [sys.executable, "-m", "ml_exporter"]
LAST, NOW = "2013-04-25", "2013-04-23T14:00:00Z"
LOGGED = ("2013-04-15", "2013-04-16", "2013-04-21", "2013-04-22", "2013-04-23", "2013-04-24")
"""The last days, and those a week before."""
REFERENCE_FROM = "2013-03-19"
RELEASED = "2013-04-23T10:00:00Z"
FACTOR = 60
"""How much shorter time is: an hour takes a minute."""
BEHIND_SECONDS, AHEAD_SECONDS = 1680, 720
DISTANCES = ["js", "ks", "wasserstein", "spread"]
KINDS = ("early", "on_time", "late")
Row = dict[str, Any]


@dataclass(frozen=True)
class Past:
    """Samples, and the pack for their short clock; its alerts wait for nothing before they fire."""

    history: Path
    now: float
    """When it is `NOW` in it."""
    rules: tuple[Path, ...]
    dashboards: Path


def fill(folder: Path) -> Past:
    """Writes logs and baselines, and replays them."""
    now = int(time.time()) // 60 * 60
    _logs(folder, now)
    config = folder / "ml-exporter.yaml"
    config.write_text(yaml.safe_dump(configuration(), sort_keys=False), encoding="utf-8")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda model: _baseline(folder, model), ANSWERS))
    _run(
        folder,
        "replay",
        "--output",
        "history",
        "--step",
        "30s",
        "--from",
        _iso(now - BEHIND_SECONDS),
        "--to",
        _iso(now + AHEAD_SECONDS),
    )
    return Past(folder / "history", now, *_pack(folder, config))


def _baseline(folder: Path, model: str) -> None:
    logs = [f"--{kind}=reference/{model}-{kind}.jsonl" for kind in ("predictions", "labels")]
    _run(folder, "baseline", "--model", model, *logs)


def configuration() -> Row:
    """Three models with what is opt-in, distances of the first alone."""
    document: Row = yaml.safe_load((flight_logs.EXAMPLE / "ml-exporter.yaml").read_text(encoding="utf-8"))
    binary = document["models"]["flight_delay"]
    columns = {name: name for name in ("prediction", "fallback", "error")}
    columns |= {"version": "model_version", "latency": "latency_seconds"}
    scores = {kind: f"scores.{kind}" for kind in KINDS}
    own = {
        "flight_delay": {"task": "binary", "classes": ["on_time", "late"], "decision_threshold": 0.4},
        "delay_kind": {"task": "multiclass", "classes": list(KINDS), "tier": "2"},
        "delay_minutes": {"task": "regression", "team": "operations", "tier": "2"},
    }
    more: dict[str, Row] = {"flight_delay": {"score": "score"}, "delay_kind": {"scores": scores}, "delay_minutes": {}}
    models = {
        name: {
            **{key: binary[key] for key in ("team", "tier", "latency")},
            **settings,
            "baseline": f"{name}.json",
            "series_limit": 5000,
            "predictions": {"source": name, "columns": columns | more[name]},
            "labels": {"source": f"{name}-labels", "maturity": "180s"},
            "features": binary["features"] | ({"distances": DISTANCES} if name == "flight_delay" else {}),
            "segments": {"origin": {"column": "features.origin"}, "version": None},
            "comparisons": ["previous", "last_week", "version"],
        }
        for name, settings in own.items()
    }
    sources = {name: {"files": f"logs/{name}-predictions.jsonl"} for name in own}
    sources |= {f"{name}-labels": {"files": f"logs/{name}-labels.jsonl"} for name in own}
    for source in sources.values():
        source |= {"settle": "1s", "idle_after": "5s"}
    times = {
        "pane": "1s",
        "hour": "60s",
        "day": f"{86_400 // FACTOR}s",
        "stale_after": "180s",
        "future_tolerance": f"{2 * AHEAD_SECONDS}s",
    }
    return {"interval": "1s", "time": times, "sources": sources, "models": models}


def _logs(folder: Path, now: int) -> None:
    """The logs of all models, in `reference` and `logs`."""
    flight_logs.write(folder / "flights", LOGGED[0], LAST)
    for part in ("reference", "logs"):
        rows = {kind: _read(folder / "flights" / part / f"{kind}.jsonl") for kind in ("predictions", "labels")}
        actual = {row["id"]: row["label"] for row in rows["labels"]}
        delays = dict(zip(actual, _minutes(list(actual.values())), strict=True))
        (folder / part).mkdir()
        for model, answer in ANSWERS.items():
            copies = ("", "-again") if model == "delay_kind" else ("",)  # a busy one, with twenty labels any minute
            made = (answer(row, delays.get(row["id"], 0.0), number) for number, row in enumerate(rows["predictions"]))
            known = ({**row, "label": LABELS[model](row["label"], delays[row["id"]])} for row in rows["labels"])
            for kind, found in (("predictions", made), ("labels", known)):
                lines = "".join(f"{json.dumps(row)}\n" for row in _dated(found, now, copies))
                (folder / part / f"{model}-{kind}.jsonl").write_text(lines, encoding="utf-8")


def _read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _dated(rows: Iterable[Row], now: int, copies: Iterable[str]) -> Iterator[Row]:
    """Rows at their new times, those before the end alone. Days begin with the days of the short clock."""
    shown = datetime.fromisoformat(NOW).timestamp()
    for row in rows:
        at = now + (datetime.fromisoformat(row["timestamp"]).timestamp() - shown) / FACTOR
        day = row["timestamp"][:10]
        if at < now + AHEAD_SECONDS and (day in LOGGED or REFERENCE_FROM <= day < LOGGED[0]):
            yield from (row | {"timestamp": _iso(at), "id": row["id"] + copy} for copy in copies)


def _minutes(labels: list[str]) -> list[float]:
    """How late flights were, which the labels of the example tell by class alone."""
    random = np.random.default_rng(7)
    late, other = random.gamma(2.0, 25.0, len(labels)) + 15, random.normal(-5.0, 9.0, len(labels)).clip(max=15)
    return [float(value) for value in np.where(np.array(labels) == "late", late, other).round(1)]


def _kind(minutes: float) -> str:
    return KINDS[0] if minutes < -10 else KINDS[1] if minutes <= 15 else KINDS[2]


def _common(row: Row, number: int) -> Row:
    """Two versions serve, a third comes on the last day, and some requests fail."""
    version = "2013.3" if row["timestamp"] > RELEASED else "2013.2" if number % 3 == 0 else "2013.1"
    return row | {"model_version": version, "error": number % 97 == 0, "fallback": number % 61 == 0}


def _guess(row: Row, minutes: float) -> float:
    """What the models of this module know of the delay: worse where the wind blows."""
    wind = row["features"].get("wind_speed") or 0.0
    return minutes * (0.8 if wind < 15 else 0.2) + (len(row["id"]) + int(row["score"] * 1e4)) % 23 - 9


def _classified(row: Row, minutes: float, number: int) -> Row:
    guess = _guess(row, minutes) * (-1 if number % 3 == 0 else 1)  # one version is clearly worse
    weights = np.exp([-abs(guess + 18) / 12, -abs(guess - 2) / 12, min(guess - 20, 0) / 12])
    scores = dict(zip(KINDS, (weights / weights.sum()).round(5).tolist(), strict=True))
    prediction = max(scores, key=scores.__getitem__)
    return _common(row, number) | {"scores": scores, "prediction": prediction}


ANSWERS: dict[str, Callable[[Row, float, int], Row]] = {
    "flight_delay": lambda row, minutes, number: _common(row, number),
    "delay_kind": _classified,
    "delay_minutes": lambda row, minutes, number: _common(row, number) | {"prediction": round(_guess(row, minutes), 2)},
}
LABELS: dict[str, Callable[[str, float], Any]] = {
    "flight_delay": lambda label, minutes: label,
    "delay_kind": lambda label, minutes: _kind(minutes),
    "delay_minutes": lambda label, minutes: minutes,
}


def _pack(folder: Path, config: Path) -> tuple[tuple[Path, ...], Path]:
    """Rules and dashboards for these models and their clock."""
    models = generate.expected_models(read_config(config))
    (folder / "thresholds.yaml").write_text(yaml.safe_dump(list(_limits())), encoding="utf-8")
    settings = generate.Settings(expected_models=models, thresholds=folder / "thresholds.yaml", divide_durations=FACTOR)
    files = generate.render(packed.pack_dir(), settings)
    for name, text in files.items():
        (folder / "pack" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "pack" / name).write_text(_at_once(text) if name.startswith("rules/") else text, encoding="utf-8")
    return tuple(sorted((folder / "pack/rules").glob("*.yaml"))), folder / "pack/dashboards"


def _limits() -> Iterator[Row]:
    """A limit for everything that has none, so that panels draw it, and quiet hours are enough for an alert."""
    pack = packed.pack_dir() / "rules" / "thresholds.yaml"
    for row in yaml.safe_load(pack.read_text(encoding="utf-8")):
        if row["value"] in ("none", "required"):
            yield row | {"value": 0.5}
        elif (row["signal"], row.get("window"), row["severity"]) == ("window_rows", "1h", "guard"):
            yield row | {"value": 20}


def _at_once(rules: str) -> str:
    return re.sub(r"^ +for: .*\n", "", rules, flags=re.MULTILINE)


def moved(past: Past, folder: Path) -> Past:
    """The same past as if it had been replayed just now. It moves by whole minutes, which are the steps of panels."""
    seconds = int(time.time() - past.now) // 60 * 60
    folder.mkdir()
    for path in past.history.glob("*.om"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / path.name).write_text("".join(_later(line, seconds) for line in lines), encoding="utf-8")
    return replace(past, history=folder, now=past.now + seconds)


def _later(line: str, seconds: int) -> str:
    """A sample some seconds later, and so is the time that it tells."""
    if line[0] == "#":
        return line
    series, value, at = line.rsplit(" ", 2)
    if series.partition("{")[0].endswith("_timestamp_seconds"):
        value = repr(float(value) + seconds)
    return f"{series} {value} {float(at) + seconds:.3f}\n"


def blocks(past: Past, folder: Path) -> Path:
    """Makes blocks of what was until now; `going_on` has the rest."""
    data = folder / "data"
    data.mkdir(parents=True)
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(past.history.glob("*.om"))}
    texts["levels.om"] = "".join(f"{line}\n" for line in (*_levels(past.now), "# EOF"))
    for name, text in texts.items():
        lines = (line for line in text.splitlines(keepends=True))
        kept = [line for line in lines if line[0] == "#" or float(line[line.rindex(" ") :]) <= past.now]
        (folder / name).write_text("".join(kept), encoding="utf-8")
        command = [tools("latest") / "promtool", "tsdb", "create-blocks-from", "openmetrics", folder / name, data]
        subprocess.run([*command, "--max-block-duration=24h"], check=True, capture_output=True)
    return data


@contextmanager
def going_on(past: Past) -> Iterator[str]:
    """Serves at each moment the samples that the replay has for it, with the labels of their target."""
    at_times: dict[float, list[str]] = {}
    for path in past.history.glob("*.om"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line[0] != "#":
                text, _, at = line.rpartition(" ")
                if float(at) >= past.now:
                    at_times.setdefault(float(at), []).append(text)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            newest = max((at for at in at_times if at <= time.time()), default=None)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write("".join(f"{line}\n" for line in at_times.get(newest or 0.0, [])).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _levels(now: float) -> Iterator[str]:
    """What rules recorded before: levels that others compare with, and alerts that are over or go on."""
    times = [now - minutes * 60 for minutes in range(180, 1, -1)]
    for series, value in LEVELS.items():
        yield f"# TYPE {series.partition('{')[0]} gauge"
        for model in ANSWERS:
            yield from (f"{series.replace('MODEL', model)} {value} {at:.3f}" for at in times)
    yield "# TYPE ALERTS gauge"
    for state, labels, first, last in ALERTS:
        known = labels if "model=" in labels else f'{labels},model="flight_delay",team="travel",tier="1"'
        yield from (
            f'ALERTS{{alertstate="{state}",{known}}} 1 {now - seconds:.3f}' for seconds in range(first, last - 1, -30)
        )


LEVELS = {
    'ml:schema_violation_ratio{model="MODEL",kind="missing_column"}': 0,
    'ml:window_rows:enough{model="MODEL",window="1h"}': 55,
    'ml:prediction_age_seconds{model="MODEL"}': 2,
}
_NULLS = 'alertname="MLFeatureNullRatioHigh",severity="warning",layer="data",family="nulls",feature="temp"'
_SLOW = 'alertname="MLLatencyOverLimit",severity="warning",layer="outcome",family="latency"'
_WRONG = 'alertname="MLAccuracyLow",severity="critical",layer="outcome",family="quality"'
_DOWN = 'alertname="MLExporterDown",severity="critical",layer="meta",family="exporter",model="none",team="ml",tier="1"'
ALERTS = (
    ("pending", _NULLS, 1200, 1080),
    ("firing", _NULLS, 1080, 720),
    ("firing", _NULLS.replace("warning", "critical"), 1000, 720),
    ("pending", _SLOW, 1200, 1020),
    ("firing", _SLOW, 1020, 660),
    ("firing", _SLOW.replace("warning", "critical"), 1000, 660),
    ("pending", _WRONG, 900, 780),
    ("firing", _WRONG, 780, 0),
    ("firing", _DOWN, 1100, 900),
)
"""State, labels, and how many seconds ago it began and ended."""


def _run(folder: Path, *arguments: str) -> str:
    done = subprocess.run([*COMMAND, *arguments], cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
