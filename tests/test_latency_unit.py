"""Latency in any unit of the log is the same latency."""

from typing import Any

import pytest
import yaml
from tests.serve import service

from ml_exporter import baseline as artefact
from ml_exporter import make_baseline
from ml_exporter.config import parse

COLUMNS = ("version", "prediction", "score", "latency", "fallback", "error")


def made(folder: Any, unit: str, factor: int, form: str) -> str:
    """The baseline of the same 500 rows, with latencies in that unit."""
    rows = [service.prediction(number, 1_700_000_000 + number * 2) for number in range(500)]
    rows = [row | {"latency": number % 40 * factor // 100, "features": {}} for number, row in enumerate(rows)]
    if form == "csv":
        names = ("timestamp", "id", *COLUMNS)
        text = "".join(",".join(str(item[name]) for name in names) + "\n" for item in rows)
        (folder / "log").write_text(",".join(names) + "\n" + text)
    else:
        (folder / "log").write_bytes(service.lines(rows))
    settings = service.model("any", latency={"limit": "100ms", "unit": unit}, features={})
    document = service.config("any") | {"models": {"any": settings}}
    document["sources"]["any"]["format"] = form
    config = parse(yaml.safe_dump(document))
    return artefact.dump(make_baseline.make(config, "any", make_baseline.ReferenceLogs(["log"], []), folder).baseline)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_latencies_are_the_same_in_every_unit(tmp_path, form):
    found = {made(tmp_path, unit, factor, form) for unit, factor in (("ms", 1000), ("us", 10**6), ("ns", 10**9))}
    (text,) = found
    layout = artefact.load(text, "any.json").layout
    vector = artefact.load(text, "any.json").vector
    assert layout.cells(vector, "latency")["sum"].tolist() == [round(sum(n % 40 for n in range(500)) * 1e4)]
