"""`generate`: the same texts every time, settings that reach the files, and errors that say what to do."""

import json
import re
import shutil
from dataclasses import replace

import _jsonnet
import msgspec
import pytest
import rjsonnet
import yaml

from ml_exporter import config, generate, packed
from ml_exporter.errors import ConfigError, ExporterError
from ml_exporter.generate import ExpectedModel, Settings

PACK = packed.pack_dir()


@pytest.fixture(scope="module")
def plain():
    return generate.render(PACK, Settings())


def rules_of(files, name="alerts"):
    groups = yaml.safe_load(files[f"rules/ml-exporter-{name}.yaml"])["groups"]
    return [rule for group in groups for rule in group["rules"]]


def changed(tmp_path, text, name="thresholds"):
    path = tmp_path / f"{name}.yaml"
    path.write_text(text)
    return replace(Settings(), **{name: path})


def test_committed_files_are_fresh():
    assert generate.check(PACK, generate.render_committed(PACK)) == []


def test_the_same_texts_every_time(plain):
    assert generate.render(PACK, Settings()) == plain


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("prometheusRules", ("rules",)),
        # Half a minute of that implementation, to which strings are slow.
        pytest.param("prometheusAlerts", ("alerts", "escalation"), marks=pytest.mark.soak),
    ],
)
def test_the_mixin_alone_gives_the_same_rules(plain, field, names):
    """For those who only have jsonnet, here its reference implementation: no Python, no external variable."""
    text = _jsonnet.evaluate_snippet("x", f"(import '{PACK}/rules/mixin.libsonnet').{field}")
    files = [yaml.safe_load(plain[f"rules/ml-exporter-{name}.yaml"]) for name in names]
    assert json.loads(text)["groups"] == [group for file in files for group in file["groups"]]


def test_the_mixin_alone_has_its_fields_and_is_nothing_else():
    text = _jsonnet.evaluate_snippet("x", f"std.objectFieldsAll(import '{PACK}/rules/mixin.libsonnet')")
    assert {"_config", "grafanaDashboards", "prometheusAlerts", "prometheusRules"} <= set(json.loads(text))
    assert _jsonnet.evaluate_snippet("x", f"import '{PACK}/rules/mixin.libsonnet'").split() == ["{", "}"]


VENDORED = """
local mixin = (import 'github.com/ml-exporter/ml-exporter/rules/mixin.libsonnet') + {
  _config+:: {
    selector: 'env="prod"',
    job: 'fraud-exporter',
    thresholdChanges: std.parseYaml(importstr 'limits.yaml'),
    alerts+: { MLAccuracyLow+: { 'for': 3600 } },
  },
};
"""
LIMITS = """
- {signal: accuracy, severity: critical, window: 1d, value: 0.6, reason: ours}
- signal: segment_accuracy_gap
  severity: warning
  window: 1d
  overrides:
  - {model: fraud, value: 0.2, reason: small}
  - {model: fraud, segment_by: country, segment: BR, value: 0.3, reason: smaller}
"""


@pytest.fixture(scope="module")
def vendored(tmp_path_factory):
    """A folder with the pack below vendor/, as jsonnet-bundler puts it there, and the rules of the mixin above."""
    folder = tmp_path_factory.mktemp("vendored")
    place = folder / "vendor" / "github.com" / "ml-exporter" / "ml-exporter"
    for name in ("rules", "dashboards"):
        shutil.copytree(PACK / name, place / name)
    (folder / "limits.yaml").write_text(LIMITS)
    path = folder / "mine.jsonnet"
    path.write_text(VENDORED + "mixin.prometheusRules.groups + mixin.prometheusAlerts.groups")
    groups = json.loads(rjsonnet.evaluate_file(str(path), jpathdir=[str(folder / "vendor")]))
    return folder, [rule for group in groups for rule in group["rules"]]


def test_a_vendored_mixin_takes_a_selector_and_durations(vendored):
    _, rules = vendored
    exprs = [rule["expr"] for rule in rules]
    plain = [re.sub('"[^"]*"', "", expr) for expr in exprs]
    reads = [text for expr in plain for text in re.findall(r"\b(?:ml_\w+|up)\b(?:\{[^}]*\})?", expr)]
    assert len(reads) > 100
    assert [text for text in reads if "env=" not in text] == []
    assert 'up{job="fraud-exporter",env="prod"} == 0' in exprs
    assert {rule["for"] for rule in rules if rule.get("alert") == "MLAccuracyLow" and "for" in rule} == {"1h"}


def test_a_selector_has_no_braces():
    with pytest.raises(ExporterError, match=r'expected matchers such as env="prod" in _config.selector'):
        generate.render(PACK, Settings(selector='{env="prod"}'))


def test_the_mixin_and_generate_change_limits_alike(vendored):
    folder, rules = vendored

    def limits(found):
        return [rule for rule in found if rule.get("record") in {"ml:threshold:default", "ml:threshold:override"}]

    files = generate.render(PACK, Settings(thresholds=folder / "limits.yaml"))
    made = limits(rules_of(files, "rules") + rules_of(files))
    assert limits(rules) == made
    assert len([rule for rule in made if rule["record"] == "ml:threshold:override"]) == 2


def test_write_writes_what_differs_and_check_lists_it(tmp_path):
    files = {"rules/out/a.yaml": "a\n", "b.json": "b\n"}
    assert generate.check(tmp_path, files) == ["rules/out/a.yaml", "b.json"]
    assert generate.write(tmp_path, files) == ["rules/out/a.yaml", "b.json"]
    assert generate.check(tmp_path, files) == []
    assert generate.write(tmp_path, files | {"b.json": "c\n"}) == ["b.json"]
    assert generate.check(tmp_path, files) == ["b.json"]
    (tmp_path / "rules/out/orphan.yaml").write_text("")
    (tmp_path / "mine.json").write_text("")
    assert generate.check(tmp_path, files) == ["b.json", "rules/out/orphan.yaml"]


def test_divided_durations_keep_windows_and_latency(plain):
    divided = generate.render(PACK, Settings(divide_durations=600))
    by_name = {rule.get("alert"): rule for rule in rules_of(divided)}
    assert by_name["MLFeatureDrift"]["for"] == "36s"
    assert by_name["MLFeatureDrift"]["keep_firing_for"] == "6s"
    assert by_name["MLFeatureNullRatioHigh"]["for"] == "1s500ms"
    assert by_name["MLLatencyOverLimit"]["for"] == "1s"
    # The exporter lives in the clock's time, so that its start is no outage.
    assert by_name["MLExporterAbsent"]["for"] == "30s"
    groups = yaml.safe_load(divided["rules/ml-exporter-rules.yaml"])["groups"]
    assert {group["interval"] for group in groups} == {"1s"}
    plainly = {rule.get("alert"): rule for rule in rules_of(plain)}
    assert {name: rule["expr"] for name, rule in by_name.items() if name} == {
        name: rule["expr"] for name, rule in plainly.items() if name
    }
    values = {
        rule["labels"]["signal"]: rule["expr"]
        for rule in rules_of(divided)
        if rule.get("record") == "ml:threshold:default"
    }
    assert values["window_latency_seconds"] == "0.5"
    assert values["exporter_evaluation_age_seconds"] == "30"
    timers = re.findall(r"(?:wait|interval|timeout): (\S+)", divided["alertmanager.yaml"])
    assert set(timers) <= {"0s", "1s", "1s500ms", "24s", "2m24s"}


def test_durations_can_only_be_made_shorter():
    with pytest.raises(ConfigError, match=r"^divide_durations: expected a number of at least 1, got 0\.5\."):
        generate.render(PACK, Settings(divide_durations=0.5))


def test_a_thresholds_file_changes_values_and_adds_overrides(tmp_path, plain):
    text = """
    - {signal: accuracy, severity: critical, window: 1d, value: 0.6, reason: ours}
    - signal: feature_psi
      severity: warning
      window: 1d
      overrides:
      - {model: flights, value: 0.3, reason: weather}
      - {model: flights, feature: temp, value: 0.9, reason: seasons}
    - {signal: exporter_evaluation_age_seconds, severity: critical, value: 10m, reason: slow disk}
    """
    records = rules_of(generate.render(PACK, changed(tmp_path, text)))
    found = {
        (rule["record"], *sorted(rule["labels"].items())): rule["expr"]
        for rule in records
        if rule.get("record") in {"ml:threshold:default", "ml:threshold:override"}
    }

    def value(record, **labels):
        return found.get((f"ml:threshold:{record}", *sorted(labels.items())))

    assert value("default", signal="accuracy", severity="critical", window="1d") == "0.6"
    assert value("default", signal="accuracy", severity="warning", window="1d") == "0.7"
    assert value("default", signal="feature_psi", severity="warning", window="1d") == "0.2"
    psi = {"signal": "feature_psi", "severity": "warning", "window": "1d", "model": "flights"}
    assert value("override", **psi) == "0.3"
    assert value("override", **psi, feature="temp") == "0.9"
    assert value("default", signal="exporter_evaluation_age_seconds", severity="critical") == "600"
    # Changing a limit changes no alert.
    alerts = [rule for rule in records if "alert" in rule]
    assert alerts == [rule for rule in rules_of(plain) if "alert" in rule]


def test_overrides_of_the_same_target_are_replaced_and_others_kept():
    row = generate.data.Threshold(
        "a",
        "warning",
        value=1.0,
        reason="r",
        overrides=(generate.data.Override("m", 2.0, "old"), generate.data.Override("n", 3.0, "kept")),
    )
    change = generate.data.Threshold("a", "warning", overrides=(generate.data.Override("m", 4.0, "new"),))
    (merged,) = generate.data.merged([row], [change])
    assert merged.value == 1.0
    assert {item.model: item.value for item in merged.overrides} == {"m": 4.0, "n": 3.0}


def test_an_override_of_a_segment_replaces_no_other():
    def row(*overrides):
        return generate.data.Threshold("a", "warning", overrides=tuple(overrides))

    whole, brazil, peru = (
        generate.data.Override("m", value, "r", **parts)
        for value, parts in (
            (1.0, {}),
            (2.0, {"segment_by": "country", "segment": "BR"}),
            (3.0, {"segment_by": "country", "segment": "PE"}),
        )
    )
    (merged,) = generate.data.merged([row(whole, brazil)], [row(peru, msgspec.structs.replace(brazil, value=4.0))])
    assert [(item.segment, item.value) for item in merged.overrides] == [
        (whole.segment, 1.0),
        ("PE", 3.0),
        ("BR", 4.0),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {signal: psi, severity: warning, window: 1d, value: 1, reason: r}", "got psi/1d/warning"),
        ("- {signal: feature_psi, severity: critical, window: 1d, value: 1, reason: r}", "got feature_psi/1d/critical"),
        (
            "- {signal: accuracy, severity: warning, window: 1d,"
            " overrides: [{model: m, feature: f, value: 1, reason: r}]}",
            "expected overrides of accuracy/1d/warning with model, value and reason, got",
        ),
        ("- {signal: accuracy, severity: warning, window: 1d, value: 5x, reason: r}", "expected a duration like 90s"),
        ("- {signal: accuracy, severity: warning, windows: 1d}", "Object contains unknown field `windows`"),
        ("- {severity: warning}", "Object missing required field `signal`"),
        ("- {signal: accuracy, severity: warning, window: 1d, value: 1}", "Expected `value` and `reason` together"),
        ("- {signal: accuracy, severity: warning, window: 1d, overrides: [{model: m, value: 1}]}", "field `reason`"),
        ("- [", "expected a YAML document"),
    ],
)
def test_a_wrong_thresholds_file_is_refused(tmp_path, text, message):
    with pytest.raises(ExporterError, match=re.escape(message)):
        generate.render(PACK, changed(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="expected a file that can be read, got No such file"):
        generate.render(PACK, Settings(routing=tmp_path / "none.yaml"))


def test_links_job_and_expected_models():
    files = generate.render(
        PACK,
        Settings(
            job="scores",
            runbook_url_pattern="https://wiki.test/a%20b/%s",
            grafana_url="https://grafana.test",
            expected_models=(ExpectedModel("fraud", "payments", "1"),),
        ),
    )
    alerts = {rule["alert"]: rule for rule in rules_of(files) if "alert" in rule}
    assert alerts["MLAccuracyLow"]["annotations"]["runbook_url"] == "https://wiki.test/a%20b/MLAccuracyLow"
    assert alerts["MLAccuracyLow"]["annotations"]["dashboard_url"].startswith("https://grafana.test/d/ml-model?")
    # An alert about the exporter must not need the exporter to be read.
    assert "wiki.test" not in alerts["MLExporterDown"]["annotations"]["runbook_url"]
    assert alerts["MLExporterAbsent"]["expr"] == 'absent(up{job="scores"})'
    expected = [rule for rule in rules_of(files, "rules") if rule["record"] == "ml:model:expected"]
    assert expected == [
        {"record": "ml:model:expected", "expr": "1", "labels": {"model": "fraud", "team": "payments", "tier": "1"}}
    ]


def test_the_models_of_a_configuration_are_expected():
    model = config.Model(
        task="binary",
        team="red",
        baseline="b.json",
        classes=("no", "yes"),
        predictions=config.Predictions(source="p"),
        tier="1",
    )
    found = generate.expected_models(config.Config(sources={}, models={"churn": model}))
    assert found == (ExpectedModel("churn", "red", "1"),)


def test_settings_from_a_file(tmp_path):
    path = tmp_path / "pack.yaml"
    path.write_text(
        "{job: j, selector: 'e=\"p\"', thresholds: t.yaml, routing: /r.yaml, grafana_url: g, grafana_folder: f, "
        "runbook_url_pattern: p, webhook_url: w}"
    )
    found = generate.read_settings(path)
    assert found.grafana_folder == "f"
    assert found.selector == 'e="p"'
    assert (found.job, found.grafana_url, found.runbook_url_pattern, found.webhook_url) == ("j", "g", "p", "w")
    assert found.thresholds == tmp_path / "t.yaml"
    assert str(found.routing) == "/r.yaml"
    path.write_text("{jobs: j}")
    with pytest.raises(
        ConfigError, match=r"pack\.yaml\.jobs: expected a known key, got an unknown one\. .* one of: job, "
    ):
        generate.read_settings(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("'ml_feature_psi'", "'ml_feature_pis'", "expected a metric of lib/catalogue.json, got ml_feature_pis"),
        ("signal, '1d', 'warning'", "signal, '1h', 'warning'", "expected a limit of signals.libsonnet"),
        ("'MLFeatureDrift'", "'MLFeatureDrifts'", "expected durations of MLFeatureDrifts in _config.alerts"),
    ],
)
def test_a_rule_that_names_what_does_not_exist_does_not_compile(tmp_path, old, new, message):
    for folder in ("rules", "dashboards", "runbooks"):
        shutil.copytree(PACK / folder, tmp_path / folder, ignore=shutil.ignore_patterns("out"))
    path = tmp_path / "rules" / "drift.libsonnet"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ExporterError, match=re.escape(message)):
        generate.render(tmp_path, Settings())


def test_a_label_that_a_metric_does_not_have_does_not_compile():
    snippet = f"(import '{PACK}/rules/lib/metric.libsonnet').metric('ml_accuracy', {{feature: 'x'}})"
    with pytest.raises(
        RuntimeError, match=r"expected a label of ml_accuracy \(model, window, segment_by, segment\), got feature"
    ):
        rjsonnet.evaluate_snippet("x", snippet)


@pytest.mark.parametrize(
    ("text", "seconds"), [("'90s'", 90), ("'15m'", 900), ("'6h'", 21600), ("'1d'", 86400), ("42", 42)]
)
def test_durations_are_read(text, seconds):
    snippet = f"(import '{PACK}/rules/lib/duration.libsonnet').seconds({text})"
    assert json.loads(rjsonnet.evaluate_snippet("x", snippet)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (1, "1s"), (90, "1m30s"), (5400, "1h30m"), (86400, "1d"), (0.5, "500ms")]
)
def test_durations_are_written(seconds, text):
    call = f".text({{divideDurations: 1, shortestDurationSeconds: 1}}, {seconds})"
    assert json.loads(rjsonnet.evaluate_snippet("x", f"(import '{PACK}/rules/lib/duration.libsonnet')" + call)) == text
