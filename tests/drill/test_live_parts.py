"""Parts of a live drill: marked rows as the log has them, schedules, the webhook, the APIs' clients."""

import json
import threading
import urllib.request
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest
import yaml
from tests.serve import service

from ml_exporter import drill
from ml_exporter.baseline import dump
from ml_exporter.drill.live import ALERT
from ml_exporter.drill.marked import marked
from ml_exporter.errors import ConfigError, ExporterError
from ml_exporter.loading import Loaded, load
from ml_exporter.once import run as finished
from ml_exporter.prometheus import Alertmanager, Prometheus, Sent, server


@pytest.fixture
def loaded(tmp_path) -> Loaded:
    """A drill model without labels."""
    document = service.config("drill")
    del document["models"]["drill"]["labels"]
    text = service.make_artefact(
        tmp_path, document["models"]["drill"] | {"predictions": service.model("any")["predictions"]}
    )
    service.write_baselines(tmp_path, text, ["drill"])
    (tmp_path / "drill.jsonl").touch()
    return load(service.write_config(tmp_path, document))


@pytest.mark.parametrize("lost", [True, False])
def test_marked_rows_are_read_as_the_log_of_the_model(loaded, lost):
    log = marked(loaded, "drill")
    log.write(1_700_000_000.0, 300, lost=lost)
    found = finished(loaded, None, 1_700_000_100_000_000)
    assert not found.findings
    values = {(sample.name, sample.labels): sample.value for sample in found.samples}
    window = ("drill", "1d")
    assert values["ml_window_rows", window] == 300
    assert values["ml_feature_null_ratio", (*window, "temp")] == float(lost)
    assert values["ml_feature_null_ratio", (*window, "carrier")] == 0
    assert values["ml_feature_unseen_category_ratio", (*window, "carrier")] == 0
    assert abs(values["ml_prediction_class_shift_sigmas", (*window, "reference", "yes")]) < 5


def changed(loaded: Loaded, **sections) -> Loaded:
    return replace(loaded, config=msgspec.structs.replace(loaded.config, **sections))


def test_only_a_model_of_its_own_gets_made_up_rows(loaded):
    config, baseline = loaded.config, loaded.baselines["drill"]
    other = replace(
        changed(loaded, models={"risk": config.models["drill"]}), baselines={"risk": replace(baseline, model="risk")}
    )
    with pytest.raises(ConfigError, match="--model: expected a name that starts with 'drill': predictions are made up"):
        marked(other, "risk")
    shared = replace(
        changed(loaded, models={**config.models, "risk": config.models["drill"]}),
        baselines={**loaded.baselines, "risk": baseline},
    )
    with pytest.raises(ConfigError, match=r"sources\.drill: expected a log of the drill model alone, got risk"):
        marked(shared, "drill")
    source = msgspec.structs.replace(config.sources["drill"], files="drill/*.jsonl")
    with pytest.raises(ConfigError, match=r"sources\.drill\.files: expected one JSONL file, got drill/\*\.jsonl"):
        marked(changed(loaded, sources={**config.sources, "drill": source}), "drill")
    assert dump(baseline)


def test_a_schedule_is_an_entry_of_cron_and_a_cron_job(shell, tmp_path):
    options = ["--model", "drill", "--listen", ":8061", "--prometheus", "http://p:9090"]
    code, out, err = shell("drill", "--live", "--config", "drill 100%.yaml", "--schedule", "0 10 * * 1", *options)
    assert (code, err) == (0, "")
    (entry,) = [line for line in out.splitlines() if "ml-exporter drill" in line]
    assert entry.startswith("#   0 10 * * 1 ml-exporter drill --live --config 'drill 100\\%.yaml' --model drill ")
    job = yaml.safe_load(out)
    assert (job["apiVersion"], job["kind"], job["spec"]["schedule"]) == ("batch/v1", "CronJob", "0 10 * * 1")
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"][:5] == ["ml-exporter", "drill", "--live", "--config", "drill 100%.yaml"]
    assert container["command"][container["command"].index("--listen") + 1] == ":8061"
    assert pod["restartPolicy"] == "Never"
    assert job["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 0
    volumes = {item["name"] for item in pod["volumes"]}
    assert {item["name"] for item in container["volumeMounts"]} <= volumes
    code, _, err = shell("drill", "--schedule", "hourly")
    assert code == 2
    assert "--schedule: expected five fields of cron, got 'hourly'." in err


def post(port: int, body: bytes) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_webhook_remembers_what_it_was_told_and_refuses_the_rest():
    with drill.listening("127.0.0.1", 0) as receiver:
        alert = {"labels": {"alertname": ALERT, "model": "drill"}, "status": "firing"}
        assert post(receiver.port, json.dumps({"alerts": [alert]}).encode()) == 200
        for body in (b"", b"{", b"[]", b'{"alerts": [{}]}', b'{"alerts": 3}'):
            assert post(receiver.port, body) == 400, body
        assert receiver.heard({"model": "drill"}, "firing")
        assert not receiver.heard({"model": "drill"}, "resolved")
        assert not receiver.heard({"model": "other"}, "firing")
        with (
            pytest.raises(ExporterError, match="--listen: expected a free address"),
            drill.listening("127.0.0.1", receiver.port),
        ):
            pass


@pytest.fixture
def answering():
    """A server that answers every path with what the test says; yields a function from a text to its address."""
    texts: list[tuple[int, str]] = []
    asked: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.headers.get("Authorization"))
            code, text = texts[-1]
            self.send_response(code)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    web = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()

    def url(text: str, code: int = 200) -> str:
        texts.append((code, text))
        return f"http://127.0.0.1:{web.server_port}"

    url.asked = asked  # type: ignore[attr-defined]
    yield url
    web.shutdown()
    web.server_close()


def test_what_is_no_prometheus_is_said(answering, tmp_path):
    for text, code, got in (
        ("<html>", 200, "JSON, got something else"),
        ('{"data": 1}', 200, "got another answer"),
        ("no\nmore", 403, "got 403 no"),
    ):
        prometheus = Prometheus(server(answering(text, code)))
        with pytest.raises(ExporterError, match=got):
            prometheus.query("up")
        with pytest.raises(ExporterError, match=got):
            prometheus.firing({})
    with pytest.raises(ExporterError, match="the API of Alertmanager, got another answer"):
        Alertmanager(server(answering("{}"))).alert({})
    with pytest.raises(ExporterError, match="a server that answers"):
        Prometheus(server("http://127.0.0.1:1")).query("up")
    for address in ("file:///etc/passwd", "localhost:9090", "http://"):
        with pytest.raises(ConfigError, match="an address with http or https"):
            server(address)
    with pytest.raises(ConfigError, match="a readable file"):
        server("http://x", tmp_path / "missing")


def test_credentials_come_from_a_file(answering, tmp_path):
    (tmp_path / "auth").write_text("ann:secret\n")
    Alertmanager(server(answering("[]"), tmp_path / "auth")).alert({})
    assert answering.asked == ["Basic YW5uOnNlY3JldA=="]


def test_requests_of_notifications_are_summed_over_receivers(answering):
    text = """# TYPE alertmanager_notification_requests_total counter
alertmanager_notification_requests_total{integration="webhook"} 5
alertmanager_notification_requests_total{integration="email"} 2
alertmanager_notification_requests_failed_total{integration="email"} 1
alertmanager_notification_requests_total_other 99
"""
    assert Alertmanager(server(answering(text))).sent() == Sent(6.0, 1.0)
