"""The committed rules for 100 models of 50 features in one Prometheus, the newest supported: `name value unit` lines.

What the exporter serves of one model is copied for every model, each under its own name, and scraped. A group of rules
is evaluated every 15 seconds here, every minute as committed. Prometheus is new: what looks back a day finds
minutes. CPU is that of a scrape and an evaluation of everything, with Prometheus' own work between them.
"""

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/harness"))

from servers import Prometheus, fetch, prometheus, serving, tools, until

MODELS, NUMERIC, CATEGORICAL = 100, 40, 10
INTERVAL_SECONDS = 15
ROUNDS = 2
"""Evaluations that are measured, after one that is not."""
COMMAND = [sys.executable, "-m", "ml_exporter"]
NAME = "m0"


def configured(folder: Path) -> Path:
    """One model with everything that is on by default."""
    columns = ("version", "prediction", "score", "latency", "fallback", "error")
    model = {
        "task": "binary",
        "team": "bench",
        "classes": ["0", "1"],
        "baseline": "baseline.json",
        "predictions": {"source": "predictions", "columns": {name: name for name in columns}},
        "labels": {"source": "labels", "maturity": "1h"},
        "features": {
            "object": "f",
            "numeric": {f"n{place}": {"range": [-5, 5]} for place in range(NUMERIC)},
            "categorical": {f"c{place}": None for place in range(CATEGORICAL)},
        },
    }
    sources = {name: {"files": f"{name}.jsonl"} for name in ("predictions", "labels")}
    path = folder / "ml-exporter.yaml"
    path.write_text(json.dumps({"sources": sources, "models": {NAME: model}}), encoding="utf-8")
    return path


def write_logs(folder: Path, prefix: str, times: np.ndarray) -> None:
    """Predictions at these times, and labels that are right nine times of ten, half an hour later."""
    draw = np.random.default_rng(len(times))
    with (
        (folder / f"{prefix}predictions.jsonl").open("w", encoding="utf-8") as log,
        (folder / f"{prefix}labels.jsonl").open("w", encoding="utf-8") as labels,
    ):
        for number, at in enumerate(times.tolist()):
            score = float(draw.random())
            numbers, codes = draw.normal(size=NUMERIC).round(3).tolist(), draw.integers(0, 5, CATEGORICAL).tolist()
            features = {f"n{place}": value for place, value in enumerate(numbers)}
            features |= {f"c{place}": f"v{code}" for place, code in enumerate(codes)}
            row = {"timestamp": at, "id": str(number), "version": "v1", "score": score, "latency": score / 4}
            row |= {"prediction": str(int(score >= 0.5)), "fallback": False, "error": False, "f": features}
            log.write(json.dumps(row) + "\n")
            label = str(int((score >= 0.5) == (number % 10 > 0)))
            labels.write(json.dumps({"timestamp": at + 1800, "id": str(number), "label": label}) + "\n")


def exposed(folder: Path) -> str:
    """What the exporter serves of the model after a day with a row every 15 seconds."""
    path = configured(folder)
    now = time.time()
    write_logs(folder, "reference-", np.arange(now - 9 * 86_400, now - 2 * 86_400, 120.0))
    write_logs(folder, "", np.arange(now - 27 * 3600, now, 15.0))
    reference = [f"--{name}={folder}/reference-{name}.jsonl" for name in ("predictions", "labels")]
    subprocess.run([*COMMAND, "baseline", "--config", path, *reference], check=True, stdout=subprocess.PIPE)

    def command(port: int) -> list[str]:
        return [*COMMAND, "serve", "--config", str(path), "--web.listen-address", f"127.0.0.1:{port}"]

    with serving("exporter", command, folder) as server:
        return str(fetch(f"{server.url}/metrics"), "utf-8")


def copied(text: str) -> str:
    """The same with every series of the model once a model; series of the exporter as they are."""
    label = f'model="{NAME}"'
    lines = []
    for line in text.splitlines():
        copies = MODELS if label in line and not line.startswith("#") else 1
        lines += [line.replace(label, f'model="m{place}"') for place in range(copies)]
    return "\n".join(lines) + "\n"


@contextmanager
def answering(text: str) -> Iterator[str]:
    """An address that gives this text to whoever asks."""
    content = text.encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def quickened(folder: Path) -> list[Path]:
    """The committed rules, evaluated more often."""
    written = []
    for path in sorted((ROOT / "rules/out").glob("ml-exporter-*.yaml")):
        groups = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)["groups"]
        found = [group | {"interval": f"{INTERVAL_SECONDS}s"} for group in groups]
        written.append(folder / path.name)
        written[-1].write_text(yaml.dump({"groups": found}, Dumper=yaml.CSafeDumper), encoding="utf-8")
    return written


class Own:
    """Prometheus' metrics of itself."""

    def __init__(self, prom: Prometheus) -> None:
        self._text = fetch(f"{prom.server.url}/metrics").decode()

    def values(self, name: str) -> list[float]:
        """The values of all series of a metric."""
        return [float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self._text, re.MULTILINE)]

    def total(self, name: str) -> float:
        """Their sum."""
        return sum(self.values(name))


def evaluated(prom: Prometheus, after: float) -> Own | None:
    """What Prometheus says of itself once every group was evaluated after that time."""
    found = Own(prom)
    times = found.values("prometheus_rule_group_last_evaluation_timestamp_seconds")
    return found if times and min(times) > after else None


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = exposed(folder)
        with answering(copied(text)) as address:
            job = {"job_name": "ml-exporter", "static_configs": [{"targets": [address]}]}
            interval = f"{INTERVAL_SECONDS}s"
            config = {
                "global": {"scrape_interval": interval, "scrape_timeout": "10s", "evaluation_interval": interval},
                "scrape_configs": [job],
            }
            with prometheus(tools("latest"), config, folder, quickened(folder)) as prom:
                until(lambda: prom.query("up == 1"), 30, "a scrape")
                scraped = time.time()
                first = until(lambda: evaluated(prom, scraped), 60, "a first evaluation")
                assert first
                report(prom, first)


def report(prom: Prometheus, first: Own) -> None:
    """Prints what the next evaluations cost."""
    start = time.time()
    time.sleep(ROUNDS * INTERVAL_SECONDS)
    last = Own(prom)
    rounds = (time.time() - start) / INTERVAL_SECONDS
    broken = [rule["name"] for rule in prom.rules() if rule["health"] != "ok"]
    assert not broken, broken
    cpu = last.total("process_cpu_seconds_total") - first.total("process_cpu_seconds_total")
    (scraped,) = prom.query('scrape_samples_scraped{job="ml-exporter"}')
    groups = last.values("prometheus_rule_group_last_duration_seconds")
    print(f"rules_exported_series {scraped.value:.0f} series")
    print(f"rules_series {last.total('prometheus_tsdb_head_series'):.0f} series")
    print(f"rules_evaluated {last.total('prometheus_rule_group_rules'):.0f} rules")
    print(f"rules_evaluation_seconds {sum(groups):.2f} s")
    print(f"rules_evaluation_longest_group_seconds {max(groups):.2f} s")
    print(f"rules_and_scrape_cpu_seconds {cpu / rounds:.2f} s")
    print(f"rules_missed_evaluations {last.total('prometheus_rule_group_iterations_missed_total'):.0f} evaluations")
    print(f"rules_memory_mib {last.total('process_resident_memory_bytes') / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
