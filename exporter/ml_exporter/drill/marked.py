"""The made-up predictions of a live drill, as the log of its model has them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ml_exporter.baseline import Baseline
from ml_exporter.config import prediction_stream
from ml_exporter.drilling import context_of
from ml_exporter.errors import ConfigError, Problem
from ml_exporter.faults import Context
from ml_exporter.layout import CategoryBins, FeatureBins
from ml_exporter.loading import Loaded
from ml_exporter.records import FEATURE_PREFIX, Stream

MARK = "drill"
"""The name of the model starts with it, ids of its predictions too, and it is their version."""


@dataclass
class Marked:
    """Writes predictions of a drill model: ordinary ones, or with one feature lost."""

    path: Path
    stream: Stream
    context: Context
    feature: str
    generator: np.random.Generator
    written: int = 0

    def write(self, now: float, rows: int, *, lost: bool) -> None:
        """Appends rows of this second (Unix time) to the log. Raises OSError."""
        stamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as log:
            log.writelines(json.dumps(self._row(stamp, number, lost)) + "\n" for number in range(rows))
        self.written += rows

    def _row(self, stamp: str, number: int, lost: bool) -> Mapping[str, Any]:
        values: dict[str, Any] = {"timestamp": stamp, "id": f"{MARK}-{stamp}-{self.written + number}", "version": MARK}
        values |= {"latency": 0.001, "fallback": False, "error": False, **self._answer()}
        values |= {FEATURE_PREFIX + item.name: self._usual(item) for item in self.context.features}
        if lost:
            values[FEATURE_PREFIX + self.feature] = None
        row: dict[str, Any] = {}
        for path, text in self.stream.where:
            _put(row, path, text)
        for item in self.stream.fields:
            if item.name in values:
                _put(row, item.path, values[item.name])
        return row

    def _answer(self) -> Mapping[str, Any]:
        """A prediction and its scores, as often as in the reference."""
        classes, drawn = self.context.classes, float(self.generator.random())
        if not classes:
            return {"prediction": self.context.target[0]}
        place = int(np.searchsorted(np.cumsum(self.context.predicted[:-1]), drawn)) if self.context.predicted else 0
        scores = {f"score:{name}": 0.4 / max(len(classes) - 1, 1) for name in classes} | {
            f"score:{classes[place]}": 0.6
        }
        score = 0.6
        if len(classes) == 2:
            limit = self.context.threshold
            score = (limit + 1.0) / 2.0 if place else limit / 2.0
        return {"prediction": classes[place], "score": score, **scores}

    def _usual(self, item: FeatureBins) -> Any:
        if isinstance(item, CategoryBins):
            return item.categories[int(self.generator.integers(len(item.categories)))] if item.categories else "none"
        return item.centre + item.scale * float(np.clip(self.generator.normal(), -2.0, 2.0))


def _put(row: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Writes a value where the log keeps it.

    >>> row = {}
    >>> _put(row, ("meta", "id"), 7); row
    {'meta': {'id': 7}}
    """
    for key in path[:-1]:
        row = row.setdefault(key, {})
    row[path[-1]] = value


def marked(loaded: Loaded, name: str) -> Marked:
    """What writes the log of a drill model. Raises ConfigError for a model or log that is not one's own to write."""
    config, baseline = loaded.config, loaded.baselines[name]
    source = config.sources[config.models[name].predictions.source]
    problems = list(_problems(loaded, name))
    feature = _complete(baseline)
    if feature is None:
        problems.append(Problem(f"models.{name}", "a feature that the reference always knows", "none", "Add one"))
    if problems or feature is None:
        raise ConfigError(problems)
    path = loaded.directory / source.files
    stream = prediction_stream(name, config)
    return Marked(path, stream, context_of(baseline), feature, np.random.default_rng(0))


def _problems(loaded: Loaded, name: str) -> Iterator[Problem]:
    config = loaded.config
    source = config.models[name].predictions.source
    if not name.startswith(MARK):
        action = "Configure a model of its own for live drills, see docs/drills.md"
        yield Problem("--model", f"a name that starts with {MARK!r}: predictions are made up", repr(name), action)
    settings = config.sources[source]
    if settings.format != "jsonl" or any(sign in settings.files for sign in "*?["):
        yield Problem(
            f"sources.{source}.files", "one JSONL file", settings.files, "Give the drill model a log of its own"
        )
    others = [other for other, model in config.models.items() if other != name and model.predictions.source == source]
    if others:
        yield Problem(
            f"sources.{source}", "a log of the drill model alone", ", ".join(others), "Give it a log of its own"
        )


def _complete(baseline: Baseline) -> str | None:
    """The feature that was null least often in the reference."""
    layout = baseline.layout
    shares = {
        item.name: int(layout.cells(baseline.vector, FEATURE_PREFIX + item.name)["null"][0]) for item in layout.features
    }
    return min(shares, key=lambda name: shares[name]) if shares else None
