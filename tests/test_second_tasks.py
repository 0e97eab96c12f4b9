"""`ml-exporter once` on models of several classes and of numbers equals a second implementation, sample by sample.

Both models answer for real flights. Once as they answered, and once with rows and labels spoiled in every way.
"""

import ast
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pandas as pd
import pytest
import yaml
from tests import delay_logs
from tests.second import calibration, classes, estimates, numbers, outliers, shape, tasks
from tests.second.calibration import Counted, Measure
from tests.second.logs import records
from tests.second.statistics import Json
from tests.second.vitals import Expected, Key, Settings, Task, disagreements
from tests.second.vitals import expected as expected_of
from tests.test_second_implementation import EXPIRE, exporter, read

END = pd.Timestamp("2013-02-18 23:00", tz="UTC")
LIMIT = 0.05
WINDOWS = {"1h": 1, "1d": 24, "3d": 72}


class Kind(NamedTuple):
    """What the second implementation has for a task."""

    task: Task
    joined: Callable[..., pd.DataFrame]
    counts: Counted
    measures: Callable[[Json], Mapping[str, Measure]]
    estimates: Callable[[Json, pd.DataFrame], dict[str, Json]]
    answers: shape.Read


KINDS = {
    "delay_kind": Kind(
        tasks.MULTICLASS,
        classes.joined,
        classes.counts,
        classes.measures,
        partial(estimates.phis, estimates.CLASS_MODEL),
        shape.classes,
    ),
    "delay_minutes": Kind(
        tasks.REGRESSION, numbers.joined, numbers.counts, numbers.measures, estimates.phis_of_numbers, shape.numbers
    ),
}
CONFIG = """
sources:
  predictions: {files: logs/predictions.jsonl}
  labels: {files: logs/labels.jsonl}
models:
  MODEL:
    team: travel
    tier: "2"
    baseline: baseline.json
    predictions:
      source: predictions
      columns: {version: model_version, prediction: prediction, latency: latency_seconds, fallback: fallback}
    labels: {source: labels, maturity: 0s}
    latency: {limit: 50ms}
    features:
      object: features
      numeric: {dep_delay: {range: [-60, 1500]}, distance: {range: [10, 6000]}}
      categorical: {carrier: }
"""


class Run(NamedTuple):
    """What `once` printed of a model, its folder, and what it is compared with."""

    samples: dict[Key, float]
    folder: Path
    model: str

    @property
    def document(self) -> Json:
        found: Json = json.loads((self.folder / "baseline.json").read_text())
        return found

    def joined(self, log: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Predictions with their labels, and the label log."""
        made, known = (records(self.folder / log / f"{name}.jsonl") for name in ("predictions", "labels"))
        return KINDS[self.model].joined(self.document, made, known, EXPIRE), known


def configuration(model: str, windows: dict[str, Any]) -> str:
    document = yaml.safe_load(CONFIG.replace("MODEL", model))
    settings = document["models"][model]
    settings["windows"] = windows
    if model == "delay_kind":
        settings |= {"task": "multiclass", "classes": list(delay_logs.CLASSES)}
        settings["predictions"]["columns"]["scores"] = {name: f"scores.{name}" for name in delay_logs.CLASSES}
    else:
        settings["task"] = "regression"
    return yaml.safe_dump(document)


@pytest.fixture(scope="module", params=[(model, spoiled) for model in KINDS for spoiled in (False, True)], ids=str)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Spoiled labels are invalid, not refused: `once` would call data unfit of which one row in sixty is refused."""
    model, spoiled = request.param
    folder = tmp_path_factory.mktemp(model)
    delay_logs.write(folder, model == "delay_minutes", spoiled)
    config = folder / "ml-exporter.yaml"
    config.write_text(configuration(model, {"head": ["1h", "1d"], "features": ["1d"], "quality": []}))
    made, known = (folder / "reference" / f"{name}.jsonl" for name in ("predictions", "labels"))
    exporter("baseline", "--config", config, "--predictions", made, "--labels", known)
    config.write_text(configuration(model, {"head": [*WINDOWS], "features": [*WINDOWS], "quality": []}))
    return Run(dict(read(exporter("once", "--config", config, "--at", END.isoformat()))), folder, model)


@pytest.fixture(scope="module")
def expected(run: Run) -> Expected:
    windows = {name: (END - pd.Timedelta(hours=hours), END) for name, hours in WINDOWS.items()}
    settings = Settings(run.model, "travel", "2", LIMIT, 1.0, windows)
    table, labels = run.joined("logs")
    return expected_of(run.document, settings, table, labels, KINDS[run.model].task)


def test_both_have_the_same_samples(run: Run, expected: Expected) -> None:
    assert sorted(map(str, run.samples.keys() ^ expected.keys())) == []


def test_all_values_agree(run: Run, expected: Expected) -> None:
    wrong = disagreements(run.samples, expected)
    assert not wrong, "\n".join(wrong)


def test_the_artefact_holds_the_distributions_over_the_days_of_the_reference(run: Run) -> None:
    document, kind = run.document, KINDS[run.model]
    table = outliers.crossfitted(document, run.joined("reference")[0])
    learned = document["noise"]["1d"]
    psi = calibration.psi_noise(document, table, kind.counts)
    phi = calibration.phis_of({**calibration.of_features(document), **kind.measures(document)}, table)
    phi |= kind.estimates(document, table)
    phi |= calibration.distance_phis(calibration.distance_noise(document, table))
    phi |= calibration.phis_of(shape.measures(document, kind.answers), table)
    assert (learned["psi"].keys(), learned["phi"].keys()) == (psi.keys(), phi.keys())
    for name, found in psi.items():
        assert learned["psi"][name] == pytest.approx(found, rel=1e-9), name
    for name, found in phi.items():
        assert learned["phi"][name] == pytest.approx(found, rel=1e-6), name


@pytest.mark.parametrize("module", [classes, numbers, estimates, shape, tasks, delay_logs])
def test_they_share_no_code(module: ModuleType) -> None:
    nodes = list(ast.walk(ast.parse(Path(str(module.__file__)).read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not [name for name in names if name.split(".")[0] == "ml_exporter"]
