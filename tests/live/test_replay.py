"""What was replayed is the past of a real Prometheus: samples as written, and recorded levels that read each other."""

import os
import subprocess
import time

import pytest
from servers import free_port, prometheus, tools
from tests.serve import service
from tests.test_replay import equal as same
from tests.test_replay import samples

DAYS_BACK = 3
ROWS = 1200


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_a_level_three_days_back(version, tmp_path, shell):
    start = time.time() // 3600 * 3600 - DAYS_BACK * 86_400
    path = service.prepare(tmp_path, service.make_artefact(tmp_path), "risk")
    times = [start + number / 2 for number in range(ROWS)]
    service.append(tmp_path / "risk.jsonl", service.lines(map(service.prediction, range(ROWS), times)))
    known = service.lines(service.label(number, at + 20) for number, at in enumerate(times))
    service.append(tmp_path / "risk-labels.jsonl", known)
    out, data = tmp_path / "out", tmp_path / "prometheus" / "data"
    code, script, _ = shell("replay", "--config", path, "--output", out, "--step", "15s")
    assert code == 0
    data.mkdir(parents=True)
    binaries = tools(version)
    environment = {"PROMTOOL": binaries / "promtool", "PROMETHEUS": binaries / "prometheus", "DATA": data}
    environment |= {"ADDRESS": f"127.0.0.1:{free_port()}", "MERGE": "yes" if version == "floor" else "no"}
    environment = os.environ | {name: str(value) for name, value in environment.items()}
    done = subprocess.run(["sh"], input=script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if version == "floor":
        assert len(list(data.glob("01*"))) == len(list(out.glob("*.om")))
    at = start + 555
    written = {(name, labels): value for (name, labels, when), value in samples(out).items() if when == at}
    with prometheus(binaries, {}, tmp_path) as prom:
        found = {
            (item.labels.pop("__name__"), frozenset(item.labels.items())): item.value
            for item in prom.query(f'last_over_time({{__name__=~"ml_.*|up"}}[1s] @ {at:.0f})')
        }
        assert len(found) > 300
        assert same(found, written)
        (rows,) = prom.query(f'ml:window_rows{{window="1h"}} @ {at:.0f}')
        assert rows.labels == {"__name__": "ml:window_rows", "model": "risk", "window": "1h"}
        assert rows.value == 120.0
        enough = prom.query(f'count by (__name__) ({{__name__=~"ml:threshold:effective|ml:.+:enough"}} @ {at:.0f})')
        assert len(enough) == 3, "levels that read other levels"
        assert all("Overlapping blocks" in line for line in prom.server.warnings()), "those that are left to be merged"
