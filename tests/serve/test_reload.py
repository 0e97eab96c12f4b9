"""SIGHUP: the configuration on disk is taken over, or refused whole while the running one goes on."""

import math
import signal
import urllib.error
import urllib.request

from tests.serve import service
from tests.serve.service import append, model, predictions, serve

from ml_exporter.serve import Exporter

RELOADED = "ml_exporter_config_last_reload_successful"
START = 1_700_000_000.0


def test_a_bad_configuration_is_refused_and_shows(baseline_text, tmp_path):
    path = service.prepare(tmp_path, baseline_text, "risk")
    append(tmp_path / "risk.jsonl", predictions(10))
    good = path.read_text()
    with serve(path) as exporter:
        before = exporter.until_counted("risk", 10)
        bad = service.config("risk", interval="soon", colour="red")
        bad["models"]["risk"]["tier"] = "gold"
        service.write_config(tmp_path, bad)
        exporter.send(signal.SIGHUP)
        refused = exporter.until(lambda found: found(RELOADED) == 0.0, "the reload to be refused")
        append(tmp_path / "risk.jsonl", predictions(5, first=10))
        exporter.until_counted("risk", 15)

        path.unlink()
        exporter.send(signal.SIGHUP)
        service.until(lambda: "a readable file" in exporter.log(), 30, "a second refusal")
        (tmp_path / "risk.json").rename(tmp_path / "gone.json")
        path.write_text(good)
        exporter.send(signal.SIGHUP)
        service.until(lambda: "risk.json" in exporter.log(), 30, "a third refusal")
        assert exporter.metrics()(RELOADED) == 0.0

        (tmp_path / "gone.json").rename(tmp_path / "risk.json")
        exporter.send(signal.SIGHUP)
        accepted = exporter.until(lambda found: found(RELOADED) == 1.0, "the reload to work")
    assert before(RELOADED) == 1.0
    assert refused("ml_model_info", model="risk", task="binary", team="ops", tier="3") == 1.0
    assert accepted("ml_predictions_total", model="risk", version="v1") == 15
    problems = [line for line in exporter.log().splitlines() if "reload refused" in line]
    assert all(line.startswith("time=") and "level=ERROR" in line for line in problems)
    texts = [line.split("reload refused: ")[1] for line in problems]
    assert texts[:3] == [
        "ml-exporter.yaml.colour: expected a known key, got an unknown one. "
        "Remove it, or use one of: sources, models, state, interval, time, dead_letter, web.",
        "ml-exporter.yaml.interval: expected a duration like 90s, 15m or 12h, got 'soon'. "
        "Write a number and a unit, for example 15m.",
        "ml-exporter.yaml.models.risk.tier: expected one of 1, 2, 3, got 'gold'. "
        "Write one of these, in quotes if it looks like a number.",
    ]
    assert len(texts) == 5
    assert "Traceback" not in exporter.log()


def test_models_come_and_go_and_counters_stay(baseline_text, tmp_path):
    path = service.prepare(tmp_path, baseline_text, "risk", "gone")
    service.write_baselines(tmp_path, baseline_text, ["added"])
    append(tmp_path / "risk.jsonl", predictions(10) + b"no json\n")
    append(tmp_path / "added.jsonl", predictions(4))
    (tmp_path / "added-labels.jsonl").touch()
    with serve(path) as exporter:
        before = exporter.until_counted("risk", 10)
        document = service.config("risk", "added", state="elsewhere")
        document["models"]["risk"]["tier"] = "1"
        service.write_config(tmp_path, document)
        exporter.send(signal.SIGHUP)
        after = exporter.until_counted("added", 4)
        append(tmp_path / "risk.jsonl", predictions(5, first=10))
        later = exporter.until_counted("risk", 15)
    assert before.names("gone")
    assert not after.names("gone")
    assert after("ml_exporter_source_up", source="gone") is None
    assert after("ml_model_info", model="risk", task="binary", team="ops", tier="1") == 1.0
    gone = {("model", "gone"), ("source", "gone"), ("source", "gone-labels")}
    kept = [key for key in before.values if key[0].endswith(("_total", "_count", "_bucket")) and not gone & key[1]]
    assert sum(before.values[key] > 0 for key in kept if key[0].startswith("ml_")) > 5
    assert all(after.values[key] >= before.values[key] for key in kept)
    assert after("ml_predictions_total", model="risk", version="v1") == 10
    assert later("ml_exporter_rows_read_total", source="risk") == 16
    assert later("ml_exporter_rows_rejected_total", source="risk", reason="malformed") == 1
    assert not (tmp_path / "elsewhere").exists()
    assert "`state` changes only with a restart" in exporter.log()


def test_a_new_baseline_keeps_what_still_fits(baseline_text, tmp_path):
    """A feature fewer: rows, labels and the other feature are carried over, in windows and in counters."""
    path = service.prepare(tmp_path, baseline_text, "risk")
    append(tmp_path / "risk.jsonl", predictions(200))
    features = {"object": "features", "numeric": {"temp": {"range": [-30, 50]}}}
    with serve(path) as exporter:
        before = exporter.until(lambda found: found("ml_window_rows", model="risk", window="1d") == 200, "200 rows")
        document = service.config("risk")
        document["models"]["risk"]["features"] = features
        service.write_baselines(tmp_path, service.make_artefact(tmp_path, model("any", features=features)), ["risk"])
        service.write_config(tmp_path, document)
        exporter.send(signal.SIGHUP)
        carrier = {"model": "risk", "feature": "carrier", "window": "1d"}
        after = exporter.until(lambda found: found("ml_feature_null_ratio", **carrier) is None, "a feature to go")
    assert before("ml_feature_null_ratio", **carrier) == 0.0
    assert after("ml_window_rows", model="risk", window="1d") == 200
    temp = carrier | {"feature": "temp", "baseline": "reference"}
    assert after("ml_feature_psi", **temp) == before("ml_feature_psi", **temp) is not None
    assert after("ml_predictions_total", model="risk", version="v1") == 200
    assert after("ml_prediction_latency_seconds_count", model="risk") == 200


def test_segments_come_and_go_and_what_is_reset_is_said(baseline_text, tmp_path, caplog):
    """A segment that stays keeps its rows and, with a lower limit, their sum; another column begins anew."""
    path = service.prepare(tmp_path, baseline_text, "risk")
    now = [START]

    def configure(**segments):
        document = service.config("risk")
        document["models"]["risk"]["segments"] = segments
        service.write_config(tmp_path, document)

    def rows(exporter, by):
        found = service.Metrics(exporter.snapshot.exposition.decode())
        return {
            dict(labels)["segment"]: value
            for (name, labels), value in found.values.items()
            if name == "ml_window_rows" and {("segment_by", by), ("window", "1d")} <= labels
        }

    def again(exporter, reload=True):
        if reload:
            exporter.reload()
        exporter.read(math.inf)
        now[0] += 2  # the source is idle then, and the last pane full
        exporter.publish()
        return exporter

    configure(carrier={"column": "features.carrier"}, version=None)
    service.append(tmp_path / "risk.jsonl", service.lines(service.prediction(n, START - 30 + n) for n in range(30)))
    exporter = again(Exporter(path, lambda: now[0] + 3), reload=False)
    assert rows(exporter, "carrier") == {"AA": 10, "UA": 10, "DL": 10}
    assert rows(exporter, "version") == {"v1": 30}
    configure(carrier={"column": "features.carrier", "limit": 1})
    assert rows(again(exporter), "carrier") == {"AA": 10, "__other__": 20}
    assert rows(exporter, "version") == {}
    assert "state reset model=risk slices=segment version" in caplog.text
    caplog.clear()
    configure(carrier={"column": "version"}, version=None)
    assert rows(again(exporter), "carrier") == {}
    assert "state reset model=risk slices=segment carrier" in caplog.text
    service.append(tmp_path / "risk.jsonl", service.lines([service.prediction(31, now[0])]))
    assert rows(again(exporter, reload=False), "carrier") == {"v1": 1}
    assert rows(exporter, "version") == {"v1": 1}
    exporter.close()


def test_a_file_that_the_pattern_no_longer_matches_is_said(baseline_text, tmp_path):
    path = service.prepare(tmp_path, baseline_text, "risk")
    document = service.config("risk")
    document["sources"]["risk"]["files"] = "*risk.jsonl"
    service.write_config(tmp_path, document)
    append(tmp_path / "risk.jsonl", predictions(3))
    append(tmp_path / "b-risk.jsonl", predictions(4, first=3))
    with serve(path) as exporter:
        exporter.until_counted("risk", 7)
        document["sources"]["risk"]["files"] = "risk.jsonl"
        service.write_config(tmp_path, document)
        exporter.send(signal.SIGHUP)
        service.until(lambda: "no longer read" in exporter.log(), 30, "the reload")
        append(tmp_path / "b-risk.jsonl", predictions(5, first=7))
        append(tmp_path / "risk.jsonl", predictions(2, first=12))
        exporter.until_counted("risk", 9)
    said = [line for line in exporter.log().splitlines() if "no longer read" in line]
    assert len(said) == 1
    assert f"source=risk: {tmp_path / 'b-risk.jsonl'} (the pattern of the source does not match it)" in said[0]


def test_over_http_the_result_of_that_very_reload_comes_back_and_the_end_can_be_asked_for(baseline_text, tmp_path):
    path = service.prepare(tmp_path, baseline_text, "risk")
    append(tmp_path / "risk.jsonl", predictions(10))
    good = path.read_text()

    def post(exporter, what):
        request = urllib.request.Request(f"{exporter.server.url}/ml/-/{what}", b"", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    flags = ["--web.enable-lifecycle", "--web.route-prefix=/ml"]
    with serve(path, ready="/ml/-/ready", command=[*service.COMMAND, *flags]) as exporter:
        assert post(exporter, "reload") == (200, "The configuration was reloaded.\n")
        service.write_config(tmp_path, service.config("risk", interval="soon"))
        code, text = post(exporter, "reload")
        assert (code, text.splitlines()[1]) == (
            500,
            "ml-exporter.yaml.interval: expected a duration like 90s, 15m or 12h, got 'soon'. "
            "Write a number and a unit, for example 15m.",
        )
        path.write_text(good)
        assert post(exporter, "reload")[0] == 200
        assert post(exporter, "quit") == (200, "Requesting termination... Goodbye!\n")
        assert exporter.server.process.wait(120) == 0
