"""A real Prometheus takes whatever a log puts into a segment: cut, capped, and each value as the text that it is."""

import json
import time

import pytest
from servers import prometheus, tools, until
from tests.live.test_scrape import config_for
from tests.serve import service

HOSTILE = [
    "<script>alert(1)</script>",
    'say "hi" \\ {},=',
    "two\nlines\r\t",
    "\u202eright to left",
    "nul\x00and escape\x1b",
    "x" * 100_000,
    "東京 🛫",
]


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_hostile_values_are_text_and_few(version, tmp_path):
    artefact = service.make_artefact(tmp_path)
    document = service.config("risk")
    document["models"]["risk"]["segments"] = {"place": {"column": "place", "limit": len(HOSTILE)}}
    path = service.prepare(tmp_path, artefact, "risk")
    service.write_config(tmp_path, document)
    at = time.time() - 30
    places = [*HOSTILE, None, "", *(f"value {number}" for number in range(1000))]
    rows = [service.prediction(number, at, place=place) for number, place in enumerate(places)]
    (tmp_path / "risk.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with service.serve(path) as exporter, prometheus(tools(version), config_for(exporter.server.url), tmp_path) as prom:
        exporter.until(lambda found: found("ml_window_rows", model="risk", window="1d") == len(rows), "all rows")
        query = 'ml_window_rows{segment_by="place",window="1d"}'
        until(lambda: sum(item.value for item in prom.query(query)) == len(rows), 30, "a scrape with all rows")
        found = prom.query(query)
        until(lambda: [target["lastError"] for target in prom.targets()] == [""], 10, "a target without an error")
        assert prom.server.warnings() == []
    counts = {sample.labels["segment"]: sample.value for sample in found}
    assert sum(counts.values()) == len(rows)
    assert counts.pop("__none__") == 2
    assert counts.pop("__other__") == 1000
    assert set(counts) == {text[:128] for text in HOSTILE}
