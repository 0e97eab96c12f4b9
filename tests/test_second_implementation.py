"""`ml-exporter once` over a month of real flights equals a second implementation, sample by sample.

Twice: as the flights were logged, and with rows spoiled in every way. So does the artefact that both start from.
"""

import ast
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pandas as pd
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from scipy import stats
from tests import flight_logs
from tests.second import calibration, distances, estimates, history, logs, outliers, shape, statistics, tasks, vitals
from tests.second.logs import joined, records
from tests.second.vitals import Expected, Key, Settings, disagreements

EXPORTER = Path(sys.executable).with_name("ml-exporter")
EXPIRE = pd.Timedelta(days=35)
BEGIN, END = pd.Timestamp("2013-04-01", tz="UTC"), pd.Timestamp("2013-05-01", tz="UTC")
SETTINGS = Settings(
    model="flight_delay",
    team="travel",
    tier="1",
    latency_limit=0.05,
    budget=1.0,
    windows={
        "1h": (END - pd.Timedelta(hours=1), END),
        "1d": (END - pd.Timedelta(days=1), END),
        "30d": (BEGIN, END),
    },
    distances=("ks", "js", "wasserstein", "spread"),
)


class Run(NamedTuple):
    """What `once` printed, and the folder of config, artefact and logs."""

    samples: dict[Key, float]
    folder: Path


def configuration(windows: dict[str, list[str]], more_columns: dict[str, str]) -> str:
    """The example's configuration with other windows, labels mature at once, and a latency limit that is exceeded."""
    document = yaml.safe_load((flight_logs.EXAMPLE / "ml-exporter.yaml").read_text())
    model = document["models"][SETTINGS.model]
    model["windows"] = windows
    model["features"]["distances"] = list(SETTINGS.distances)
    model["labels"]["maturity"] = "0s"
    model["latency"]["limit"] = f"{SETTINGS.latency_limit:g}s"
    model["predictions"]["columns"] |= more_columns
    return yaml.safe_dump(document)


def exporter(*arguments: str | Path) -> str:
    return subprocess.run([EXPORTER, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """March as the reference with its artefact, and logs from two days before April to two days after it."""
    folder = tmp_path_factory.mktemp("flights")
    flight_logs.write(folder, "2013-03-30", "2013-05-03")
    config = folder / "baseline.yaml"
    config.write_text(configuration({"head": ["1h", "1d"], "features": ["1d"], "quality": []}, {}))
    paths = (folder / "reference" / f"{name}.jsonl" for name in ("predictions", "labels"))
    exporter("baseline", "--config", config, "--predictions", next(paths), "--labels", next(paths))
    return folder


def read(text: str) -> Iterator[tuple[Key, float]]:
    """The samples about models and sources, not those about the run itself."""
    for family in text_string_to_metric_families(text):
        for sample in [] if family.name.startswith("ml_exporter_batch_") else family.samples:
            yield (sample.name, frozenset(sample.labels.items())), sample.value


TOLERANT = ("--max-rejected-ratio", "1")


def once(folder: Path, more_columns: dict[str, str]) -> Run:
    windows = list(SETTINGS.windows)
    config = folder / "ml-exporter.yaml"
    config.write_text(configuration({"head": windows, "features": windows, "quality": []}, more_columns))
    return Run(dict(read(exporter("once", "--config", config, "--at", END.isoformat(), *TOLERANT))), folder)


def rewrite(source: Path, target: Path, spoil: Callable[[int, dict[str, Any]], list[str]]) -> None:
    lines = source.read_text().splitlines()
    spoiled = [text for place, line in enumerate(lines) for text in spoil(place, json.loads(line))]
    target.write_text("\n".join(spoiled) + "\n")


FEATURE_FAULTS: dict[int, tuple[str, Any]] = {
    97: ("temp", 500.0),  # out of range, and clipped
    89: ("dewp", "cold"),
    83: ("humid", math.inf),
    79: ("wind_speed", math.nan),
    73: ("carrier", "ZZ"),
    71: ("pressure", None),
    37: ("dest", None),
    29: ("distance", True),
    127: ("visib", "3.5"),
    131: ("precip", -0.5),
}
FAULTS: dict[int, tuple[str, Any]] = {
    67: ("prediction", "maybe"),
    101: ("prediction", None),
    61: ("score", 1.7),
    59: ("score", None),
    109: ("score", 1.0),
    113: ("score", 0.0),
    53: ("latency_seconds", -1),
    47: ("latency_seconds", None),
    107: ("latency_seconds", 100.0),
    43: ("fallback", None),
    103: ("fallback", True),
    41: ("error", True),
    31: ("id", "B6130-JFK-20130401T0000Z"),
    139: ("timestamp", "yesterday"),
}


def spoiled_prediction(place: int, row: dict[str, Any]) -> list[str]:
    """The line of a row with the faults whose number divides its place; some lines are cut, some absent."""
    row["error"] = False
    row |= {name: value for every, (name, value) in FAULTS.items() if place % every == every - 1}
    row["features"] |= {name: value for every, (name, value) in FEATURE_FAULTS.items() if place % every == every - 1}
    if place % 149 == 148:
        del row["features"]["wind_gust"]
    line = json.dumps(row)
    return [line[: len(line) // 2], ""] if place % 137 == 136 else [line]


def spoiled_label(place: int, row: dict[str, Any]) -> list[str]:
    """The line of a label, or with an unknown class, for an unknown id, 40 days late, or followed by its opposite."""
    if place % 91 == 90:
        row["label"] = "diverted"
    if place % 83 == 82:
        row["id"] = f"nobody-{place}"
    if place % 79 == 78:
        row["timestamp"] = (pd.Timestamp(row["timestamp"]) + pd.Timedelta(days=40)).isoformat()
    other = row | {"label": "late" if row["label"] == "on_time" else "on_time"}
    return [json.dumps(row), json.dumps(other)] if place % 73 == 72 else [json.dumps(row)]


@pytest.fixture(scope="module", params=["as flown", "spoiled"])
def run(request: pytest.FixtureRequest, flown: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    if request.param == "as flown":
        return once(flown, {})
    folder = tmp_path_factory.mktemp("spoiled")
    (folder / "logs").mkdir()
    (folder / "baseline.json").write_bytes((flown / "baseline.json").read_bytes())
    for name, spoil in (("predictions", spoiled_prediction), ("labels", spoiled_label)):
        rewrite(flown / "logs" / f"{name}.jsonl", folder / "logs" / f"{name}.jsonl", spoil)
    return once(folder, {"error": "error"})


def both_logs(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return records(folder / "predictions.jsonl"), records(folder / "labels.jsonl")


@pytest.fixture(scope="module")
def expected(run: Run) -> Expected:
    document = json.loads((run.folder / "baseline.json").read_text())
    predictions, labels = both_logs(run.folder / "logs")
    table = joined(predictions, labels, document["classes"], EXPIRE)
    return vitals.expected(document, SETTINGS, table, labels, tasks.BINARY)


@pytest.fixture(scope="module")
def reference(flown: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """The artefact, and the rows it was made from."""
    document = json.loads((flown / "baseline.json").read_text())
    return document, joined(*both_logs(flown / "reference"), document["classes"], EXPIRE)


@pytest.mark.parametrize("module", [vitals, calibration, distances, history, logs, outliers, statistics])
def test_it_shares_no_code(module: ModuleType) -> None:
    nodes = list(ast.walk(ast.parse(Path(str(module.__file__)).read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not [name for name in names if name.split(".")[0] == "ml_exporter"]
    assert {name for name in names if name.startswith("tests")} <= {
        "tests.second",
        "tests.second.logs",
        "tests.second.statistics",
    }


def test_both_have_the_same_samples(run: Run, expected: Expected) -> None:
    assert sorted(map(str, run.samples.keys() ^ expected.keys())) == []


def test_all_values_agree(run: Run, expected: Expected) -> None:
    wrong = disagreements(run.samples, expected)
    assert not wrong, "\n".join(wrong)


def test_the_artefact_counts_what_the_reference_holds(reference: tuple[dict[str, Any], pd.DataFrame]) -> None:
    document, table = reference
    found = calibration.counts(document, table)
    assert {path: calibration.at_path(document, path) for path in found} == found


def test_standard_deviations_from_sums_of_squares(reference: tuple[dict[str, Any], pd.DataFrame]) -> None:
    """Rounding can move the variance by half a unit of z², 1.2e-4: real values repeat, so it does not average out."""
    for name, from_sums, from_rounded, from_rows in calibration.deviations(*reference):
        assert from_sums == pytest.approx(from_rounded, abs=1e-6), name
        assert from_sums**2 == pytest.approx(from_rows**2, abs=2.0**-13), name


def test_the_artefact_holds_the_distributions_over_the_days_of_the_reference(
    reference: tuple[dict[str, Any], pd.DataFrame],
) -> None:
    document, table = reference
    learned, known = document["noise"]["1d"], calibration.distance_noise(document, table)
    psi = calibration.psi_noise(document, table)
    phi = calibration.phis(document, table) | estimates.phis(estimates.BINARY_MODEL, document, table)
    phi |= calibration.distance_phis(known)
    phi |= calibration.phis_of(shape.measures(document, shape.binary), table)
    assert (learned["psi"].keys(), learned["phi"].keys()) == (psi.keys(), phi.keys())
    for name, found in psi.items():
        assert learned["psi"][name] == pytest.approx(found, rel=1e-9), name
    for name, found in phi.items():
        assert learned["phi"][name] == pytest.approx(found, rel=1e-9), name
    assert learned["js"].keys() == known.keys()
    for name, distances_of in known.items():
        assert learned["js"][name] == pytest.approx(distances_of["js"], rel=1e-9), name
    spread = calibration.spread_noise(document, table)
    assert learned["spread"].keys() == spread.keys()
    for name, found in spread.items():
        assert learned["spread"][name] == pytest.approx(found, rel=1e-6), name


def test_the_artefact_knows_what_distances_show_over_independent_rows(
    reference: tuple[dict[str, Any], pd.DataFrame],
) -> None:
    document, _ = reference
    numeric = {name: item for name, item in document["features"].items() if item["kind"] == "numeric"}
    assert document["independent"].keys() == numeric.keys()
    for name, item in numeric.items():
        for kind, found in document["independent"][name].items():
            expected = distances.independent(kind, item)
            assert (found["sigma"], found["skewness"]) == pytest.approx(expected, rel=1e-9, abs=1e-9), (name, kind)
            bound = distances.exceeded(kind, item, found["comparisons"])
            assert bound == pytest.approx(0.01, rel=1e-5) or found["comparisons"] == 1.0, (name, kind)


def test_the_artefact_knows_how_skewed_the_days_of_the_reference_are(
    reference: tuple[dict[str, Any], pd.DataFrame],
) -> None:
    document, table = reference
    day = table["timestamp"].dt.floor("D")
    errors = [next(outliers.errors(rows)).mean() for _, rows in outliers.crossfitted(document, table).groupby(day)]
    found = {"reconstruction": stats.skew(errors, bias=False)}
    for name, measure in shape.measures(document, shape.binary).items():
        known = [measure(rows) for _, rows in table.groupby(day)]
        found[name] = stats.skew([item.value for item in known if item and item.rows >= 20], bias=False)
    upwards = {name: max(0.0, value) for name, value in found.items()} | {"spread": abs(found["spread"])}
    upwards |= calibration.distance_skews(calibration.distance_noise(document, table))
    assert document["noise"]["1d"]["skew"] == pytest.approx(upwards, rel=1e-6)
