"""The main job on real data: a silent failure of April 2013 travels from log line to page in about three minutes.

Everything runs on loopback: a writer that compresses time, the exporter, Prometheus, Alertmanager, and a webhook that
plays the pager.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests/harness")]

from flights import REFERENCE_FROM, SERVING_FROM, prepared_table
from screen import Screen, Vitals
from servers import (
    Notification,
    Prometheus,
    ServerError,
    WebhookReceiver,
    alertmanager,
    fetch,
    prometheus,
    serving,
    tools,
    until,
)
from write_logs import Compression, between, label_log, microseconds, prediction_log, write_live, write_log

FACTOR = 600
LIVE_FROM = pd.Timestamp("2013-04-22 14:00", tz="UTC")
"""What lies before is loaded as catch-up. The incident begins that afternoon."""
SERVING_TO = pd.Timestamp("2013-04-27", tz="UTC")
PREPARE_SECONDS = 12.0
PATIENCE_SECONDS = 300.0
COMMAND = [sys.executable, "-m", "ml_exporter"]


@dataclass(frozen=True)
class Clock:
    """The compressed clock: when which instant of 2013 is played."""

    start: float

    def wall(self, instant: pd.Timestamp) -> float:
        """Unix time at which an instant of 2013 is played."""
        return self.start + (instant - SERVING_FROM).total_seconds() / FACTOR

    def played(self, wall: float) -> datetime:
        """The instant of 2013 that is played at a Unix time."""
        return (
            SERVING_FROM.to_pydatetime()
            + (datetime.fromtimestamp(wall, UTC) - datetime.fromtimestamp(self.start, UTC)) * FACTOR
        )


def compressed_config(out: Path) -> Path:
    """Writes the example's configuration with every duration divided by the factor. Names of windows stay."""
    config = yaml.safe_load((HERE / "ml-exporter.yaml").read_text(encoding="utf-8"))
    hour = 3600 / FACTOR
    config["interval"] = "1s"
    config["time"] = {
        "pane": "1s",
        "hour": f"{hour:g}s",
        "day": f"{24 * hour:g}s",
        "stale_after": f"{3 * hour:g}s",
        "future_tolerance": "2s",
    }
    for source in config["sources"].values():
        source |= {"settle": f"{60_000 / FACTOR:g}ms", "idle_after": f"{300_000 / FACTOR:g}ms"}
    path = out / "ml-exporter.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def make_baseline(out: Path, config: Path, table: pd.DataFrame) -> str:
    """Writes March, compressed by the same factor, and makes the baseline from it.

    March begins with a day of the compressed clock and ends before April is played, so the baseline is not years old.
    """
    day = 24 * 3600 / FACTOR
    april = time.time() - (LIVE_FROM - SERVING_FROM).total_seconds() / FACTOR
    start = (april - (SERVING_FROM - REFERENCE_FROM).total_seconds() / FACTOR) // day * day
    clock = Compression(microseconds(REFERENCE_FROM), round(start * 1e6), FACTOR)
    march = between(table, REFERENCE_FROM, SERVING_FROM)
    logs = {"predictions": prediction_log(march, clock), "labels": label_log(march, clock)}
    arguments = []
    for name, log in logs.items():
        write_log(out / f"reference/{name}.jsonl", log)
        arguments += [f"--{name}", str(out / f"reference/{name}.jsonl")]
    return run(["baseline", "--config", str(config), *arguments])


def run(arguments: list[str]) -> str:
    """Runs ml-exporter and returns what it printed. What it prints on stderr is passed through."""
    done = subprocess.run([*COMMAND, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def start_writer(out: Path, table: pd.DataFrame) -> Clock:
    """Starts the service that writes the logs: what is past at once, the rest as its compressed time comes."""
    start = time.time() + PREPARE_SECONDS - (LIVE_FROM - SERVING_FROM).total_seconds() / FACTOR
    served = between(table, SERVING_FROM, SERVING_TO)
    clock = Compression(microseconds(SERVING_FROM), round(start * 1e6), FACTOR)
    logs = {
        out / "logs/predictions.jsonl": prediction_log(served, clock),
        out / "logs/labels.jsonl": label_log(served, clock),
    }
    threading.Thread(target=write_live, args=(logs,), name="writer", daemon=True).start()
    return Clock(start)


def generate_pack(out: Path, config: Path, exporter_url: str, webhook_url: str) -> Path:
    """Generates the rules pack for this demo, with all durations divided."""
    settings = {
        "exporter_url": exporter_url,
        "runbook_url_pattern": f"{exporter_url}/runbooks/%s",
        "thresholds": str(HERE / "thresholds.yaml"),
        "webhook_url": webhook_url,
    }
    path = out / "pack.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    pack = out / "pack"
    options = ["--config", str(config), "--settings", str(path), "--divide-durations", str(FACTOR)]
    run(["generate", "--out", str(pack), *options])
    return pack


def start_exporter(stack: ExitStack, out: Path, config: Path) -> str:
    """Starts the exporter and returns its URL once it has caught up."""

    def command(port: int) -> list[str]:
        return [*COMMAND, "serve", "--config", str(config), "--web.listen-address", f"127.0.0.1:{port}"]

    return stack.enter_context(serving("exporter", command, out)).url


def limit() -> float:
    """The threshold below which the accuracy of this model pages."""
    rows = yaml.safe_load((HERE / "thresholds.yaml").read_text(encoding="utf-8"))
    found = next(row for row in rows if (row["signal"], row["severity"]) == ("accuracy", "critical"))
    return float(found["overrides"][0]["value"])


def is_page(notification: Notification) -> bool:
    """Whether a notification has a firing alert that pages."""
    alerts = notification.payload["alerts"]
    return any(item["status"] == "firing" and item["labels"].get("severity") == "critical" for item in alerts)


def play(out: Path, screen: Screen, keep: bool) -> bool:
    """Runs the chain until the first page was delivered. Returns whether one was."""
    with ExitStack() as stack:
        screen.step("the flights of 2013 and the answers of a model trained on January and February")
        table = prepared_table(out / "cache")
        config = compressed_config(out)
        screen.done(f"{len(table):,} flights")
        screen.step("the baseline: March, which the model has not seen")
        screen.done(make_baseline(out, config, table).splitlines()[0].split(": ")[-1])
        screen.step(f"catch-up: three weeks of logs, then live at {FACTOR} times the speed")
        clock = start_writer(out, table)
        url = start_exporter(stack, out, config)
        screen.done(f"exporter at {url}")
        webhook = stack.enter_context(WebhookReceiver())
        prom = start_servers(stack, out, generate_pack(out, config, url, webhook.url), url, screen)
        deadline = clock.wall(LIVE_FROM) + PATIENCE_SECONDS
        while time.time() < deadline:
            vitals = Vitals.parse(fetch(f"{url}/metrics").decode())
            alerts = prom.alerts() if prom and prom.query('up{job="ml-exporter"} == 1') else []
            screen.show(clock.played(time.time()), vitals, alerts)
            page = next((item for item in webhook.notifications if is_page(item)), None)
            if page:
                screen.page(page.payload)
                if prom:
                    draw_dashboards(out, prom.server.url, screen)
            elif prom is None and vitals.accuracy_upper < limit():
                screen.alone(limit(), url)
            else:
                time.sleep(1.0)
                continue
            if not keep:
                screen.ended()
                return True
            screen.wait(url)
    return False


def draw_dashboards(out: Path, url: str, screen: Screen) -> None:
    """Draws what Grafana would show of the minutes that were played, as one page."""
    page = out / "preview.html"
    given = ["--dashboard", "all", "--dashboards", str(out / "pack/dashboards"), "--from", "now-3m", "--step", "2s"]
    command = [*COMMAND, "preview", "--prometheus.url", url, *given, "--out", str(page)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    screen.drawn(page, done.stderr.strip() if done.returncode else "")


def start_servers(stack: ExitStack, out: Path, pack: Path, url: str, screen: Screen) -> Prometheus | None:
    """Starts Alertmanager and Prometheus with the generated files; None when their packages are missing."""
    screen.step("Prometheus and Alertmanager with the generated rules")
    try:
        binaries = tools("latest")
    except ServerError as error:
        screen.done(f"not here, so the exporter runs alone ({error})")
        return None
    manager = stack.enter_context(alertmanager(binaries, (pack / "alertmanager.yaml").read_text(encoding="utf-8"), out))
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [manager.server.url.removeprefix("http://")]}]}]
        },
        "scrape_configs": [{"job_name": "ml-exporter", "static_configs": [{"targets": [url.removeprefix("http://")]}]}],
    }
    prom = stack.enter_context(prometheus(binaries, config, out, sorted((pack / "rules").glob("*.yaml"))))
    warming = 'ALERTS{alertname=~"MLExporterAbsent|MLModelMissing"}'
    until(lambda: prom.query("ml:model:owner") and not prom.query(warming), 30, "Prometheus to see the exporter")
    screen.done(f"Prometheus at {prom.server.url}, Alertmanager at {manager.server.url}")
    return prom


def main() -> int:
    """Plays the demo. Exit code 1 when no page came in time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep everything up after the first page, until Ctrl-C")
    parser.add_argument("--out", type=Path, default=HERE / "out", help="folder for logs, state and servers")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    for old in ("state/state.sqlite", "state/state.sqlite-wal"):
        (chosen.out / old).unlink(missing_ok=True)
    screen = Screen()
    try:
        return 0 if play(chosen.out, screen, chosen.keep) else screen.failed()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
