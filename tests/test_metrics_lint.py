"""What is served passes `promtool check metrics`, oldest and newest supported, without a word."""

import math
import subprocess

import pytest
from servers import tools
from tests import build
from tests.serve import service

from ml_exporter.catalogue import METRICS
from ml_exporter.serve import Exporter

START = 1_700_000_000.0


def served(path, now, days=0):
    """Return the exposition of an exporter that has read everything."""
    exporter = Exporter(path, lambda: now)
    exporter.read(math.inf)
    if days:
        service.remember_days(exporter.fleet.countings["risk"], days)
    exporter.publish()
    exporter.close()
    return exporter.snapshot.exposition


@pytest.fixture(scope="module")
def expositions(tmp_path_factory):
    """Return one exposition with every metric, and one with hostile label values."""
    full, hostile = tmp_path_factory.mktemp("full"), tmp_path_factory.mktemp("hostile")
    features = {"numeric": {"score": None, "latency": None}, "categorical": {"version": None}}
    path = service.prepare(full, service.make_artefact(full, service.model("any", features=features)), "risk")
    document = service.config("risk")
    document["models"]["risk"] |= {
        "features": features,
        "segments": {"carrier": {"column": "features.carrier"}},
        "comparisons": ["previous", "version"],
    }
    document["models"]["risk"]["features"]["distances"] = ["js", "ks", "wasserstein", "spread"]
    service.write_config(full, document)
    now = service.write_full_windows(full, START) + 3
    rows = (full / "risk.jsonl").read_text().splitlines(keepends=True)
    (full / "risk.jsonl").write_text("".join([*rows[::2], *(row.replace('"v1"', '"v2"') for row in rows[1::2])]))
    return served(path, now, days=60), served(service.prepare_hostile(hostile, 200, START), START + 3)


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_promtool_has_nothing_to_say(expositions, version):
    command = [tools(version) / "promtool", "check", "metrics"]
    for exposition in expositions:
        found = subprocess.run(command, input=exposition, capture_output=True, check=False)
        assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")


def test_the_full_exposition_has_every_metric_of_the_catalogue(expositions):
    """But those of `once`, which tests/test_once.py looks for."""
    found = {line.split()[2] for line in expositions[0].decode().splitlines() if line.startswith("# TYPE ml_")}
    names = {metric.name for metric in METRICS if not metric.name.startswith("ml_exporter_batch_")}
    assert found <= names
    assert names - found == build.NOT_BINARY
