"""Segments of real flights, and a day against the day and the week before, equal a second implementation."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests import flight_logs
from tests.second.logs import joined
from tests.second.parts import earlier, most_frequent, segments, value_of
from tests.second.vitals import Artefact, Check, Key
from tests.test_second_implementation import END, EXPIRE, SETTINGS, Run, both_logs, configuration, exporter, read

LIMIT = 4
DAY = pd.Timedelta(days=1)
WINDOWS = {"head": ["1d", "30d"], "features": ["1d"], "quality": [], "segments": ["30d"]}


def configured() -> str:
    document = yaml.safe_load(configuration(WINDOWS, {}))
    model = document["models"][SETTINGS.model]
    model["segments"] = {
        "carrier": {"column": "features.carrier", "limit": LIMIT},
        "airport": {"column": "features.origin"},
        "nothing": {"column": "not.there"},
    }
    model["comparisons"] = ["previous", "last_week"]
    return yaml.safe_dump(document)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("parts")
    flight_logs.write(folder, "2013-03-30", "2013-05-03")
    config = folder / "ml-exporter.yaml"
    config.write_text(configured())
    paths = [folder / "reference" / f"{name}.jsonl" for name in ("predictions", "labels")]
    exporter("baseline", "--config", config, "--predictions", paths[0], "--labels", paths[1])
    return Run(dict(read(exporter("once", "--config", config, "--at", END.isoformat()))), folder)


def tables(folder: Path, document: dict[str, list[str]]) -> pd.DataFrame:
    predictions, labels = both_logs(folder)
    return joined(predictions, labels, document["classes"], EXPIRE)


def wrong(run: Run, expected: dict[Key, tuple[Check, ...]]) -> list[str]:
    return [
        f"{key[0]} {sorted(key[1])}: got {run.samples.get(key)!r}, expected {check.value!r} within {check.tolerance:g}"
        for key, checks in expected.items()
        for check in checks
        if not abs(run.samples.get(key, math.nan) - check.value) <= check.tolerance
    ]


def test_segments_are_what_their_rows_alone_give(run: Run) -> None:
    document = json.loads((run.folder / "baseline.json").read_text())
    reference, table = (tables(run.folder / name, document) for name in ("reference", "logs"))
    names = most_frequent(reference["feature:carrier"], LIMIT)
    assert document["segments"]["carrier"] == names
    start, end = SETTINGS.windows["30d"]
    rows = table[(table["timestamp"] >= start) & (table["timestamp"] < end)]
    by = {
        "carrier": value_of(table["feature:carrier"], names),
        "airport": value_of(table["feature:origin"], most_frequent(reference["feature:origin"], 20)),
        "nothing": pd.Series("__none__", table.index),
    }
    found = list(segments(Artefact(document), SETTINGS, "30d", rows, by))
    expected = {(item.name, frozenset({**item.labels, "model": SETTINGS.model}.items())): item.checks for item in found}
    ours = {key for key in run.samples if "segment_by" in dict(key[1])}
    assert sorted(map(str, ours ^ expected.keys())) == []
    assert wrong(run, expected) == []
    assert {dict(labels)["segment"] for _, labels in ours} >= {"__none__", "__other__", "EWR", *names}


def test_a_day_against_the_day_and_the_week_before(run: Run) -> None:
    document = json.loads((run.folder / "baseline.json").read_text())
    artefact, table = Artefact(document), tables(run.folder / "logs", document)

    def day(ago: int) -> pd.DataFrame:
        return table[(table["timestamp"] >= END - (ago + 1) * DAY) & (table["timestamp"] < END - ago * DAY)]

    phi = {name: artefact.phi("1d", 86400.0, f"class:{name}")["phi"] for name in document["classes"]}
    found = [
        item
        for baseline, ago in (("previous", 1), ("last_week", 7))
        for item in earlier(document, "1d", baseline, (day(0), day(ago)), phi)
    ]
    expected = {(item.name, frozenset({**item.labels, "model": SETTINGS.model}.items())): item.checks for item in found}
    ours = {key for key in run.samples if dict(key[1]).get("baseline") in {"previous", "last_week"}}
    assert sorted(map(str, ours ^ expected.keys())) == []
    assert wrong(run, expected) == []
