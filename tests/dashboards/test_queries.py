"""What queries answer, by promtool of the oldest and newest supported Prometheus, on series made for it."""

import subprocess

import pytest
import yaml
from boards import BOARDS, filled, panels
from servers import tools

VERSIONS = ("floor", "latest")
ALL = {"team": ".+", "tier": ".+", "alertname": "ML.+", "model": ".+", "feature": ".+"}


def query(uid, title, column=None, **chosen):
    """The query of a panel, or of a column of a table, with its variables replaced."""
    panel = next(item for item in panels(BOARDS[uid]) if item["title"] == title)
    names = {"Value": panel["targets"][0]["refId"]}
    if column is not None:
        names = panel["transformations"][1]["options"]["renameByName"]
        names = {name: key.removeprefix("Value #").replace("Value", "A") for key, name in names.items()}
    wanted = names["Value" if column is None else column]
    text = next(target["expr"] for target in panel["targets"] if target["refId"] == wanted)
    text = filled(text)
    for name, value in (ALL | chosen).items():
        text = text.replace(f"${name}", value)
    return text


def evaluated(tmp_path, version, series, wanted, at="6h"):
    """Whether promtool gives `wanted`, {query: {labels as text: value}}, over six hours of `series`."""
    tests = [
        {
            "expr": text,
            "eval_time": at,
            "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
        }
        for text, samples in wanted.items()
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    suite = {"tests": [{"interval": "1m", "input_series": inputs, "promql_expr_test": tests}]}
    path = tmp_path / "queries.test.yaml"
    path.write_text(yaml.safe_dump(suite))
    command = [tools(version) / "promtool", "test", "rules", path]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def alert(name, severity="warning", model="a", **more):
    labels = {"alertname": name, "severity": severity, "model": model, "alertstate": "firing", "team": "red"} | more
    return "ALERTS{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


@pytest.mark.parametrize("version", VERSIONS)
def test_history_counts_firings_short_ones_and_time(tmp_path, version):
    """Firings of 10, 10 and 100 minutes, and one that goes on. Rungs, the heartbeat and pending ones do not count."""
    series = {
        alert("MLFeatureDrift"): "_x10 1x9 stale _x50 1x9 stale _x50 1x99 stale _x100",
        alert("MLAccuracyLow", "critical"): "_x301 1x59",
        alert("MLAccuracyLow", "critical", escalation="1"): "_x330 1x30",
        alert("MLWatchdog", "none"): "1x360",
        alert("MLVolumeDrop", alertstate="pending"): "1x360",
    }
    drift, accuracy = (
        '{alertname="MLFeatureDrift",severity="warning"}',
        '{alertname="MLAccuracyLow",severity="critical"}',
    )
    of = ("ml-alerts", "By alert")
    wanted = {
        query(*of, "Firings"): {drift: 3, accuracy: 1},
        query(*of, "A week"): {drift: 84, accuracy: 28},
        query(*of, "Short"): {drift: 2},
        query(*of, "Short of all"): {drift: 2 / 3},
        query(*of, "Time in all"): {drift: 120 * 60, accuracy: 60 * 60},
        query(*of, "Mean time to end"): {drift: 40 * 60, accuracy: 60 * 60},
        query("ml-alerts", "Firings"): {"{}": 4},
        query("ml-alerts", "Short firings"): {"{}": 0.5},
        query("ml-alerts", "Mean time to end"): {"{}": 45 * 60},
        query("ml-alerts", "Pages that fire"): {"{}": 1},
        query("ml-alerts", "Escalated"): {"{}": 1},
        query("ml-alerts", "Pending"): {"{}": 1},
        query("ml-alerts", "Firings", model="b"): {"{}": 0},
    }
    evaluated(tmp_path, version, series, wanted)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_overview_puts_the_most_urgent_first(tmp_path, version):
    """Severity before tier, tier 1 before 2 before one that is no number; who does not report is there too."""
    owners = {"a": "1", "b": "1", "c": "2", "d": "lab"}
    series = {f'ml:model:owner{{model="{name}",team="red",tier="{tier}"}}': "1x360" for name, tier in owners.items()}
    series |= {
        'ml:model:expected{model="gone",team="red",tier="3"}': "1x360",
        'ml:model:expected{model="a",team="red",tier="1"}': "1x360",
        alert("MLModelMissing", model="gone", tier="3"): "1x360",
        alert("MLFeatureDrift", model="b", tier="1"): "1x360",
        alert("MLVolumeDrop", "critical", model="c", tier="2"): "1x360",
        alert("MLFeatureDrift", model="c", tier="2"): "1x360",
        alert("MLExporterDown", "critical", model="none", layer="meta", tier="1"): "1x360",
        'ml:window_rows{model="a",window="1h"}': "7x360",
    }
    owners["gone"] = "3"

    def of(name):
        return f'{{model="{name}",team="red",tier="{owners[name]}"}}'

    table = ("ml-overview", "Models, the most urgent first")
    wanted = {
        query(*table, "urgency"): {of("c"): 23, of("b"): 14, of("gone"): 12, of("a"): 4, of("d"): 0},
        query(*table, "State"): {of("c"): 2, of("b"): 1, of("gone"): 1, of("a"): 0, of("d"): 0},
        query(*table, "Critical"): {of("c"): 1},
        query(*table, "Warnings"): {of("b"): 1, of("c"): 1, of("gone"): 1},
        query(*table, "Predictions, 1h"): {of("a"): 7},
        query(*table, "State", tier="2"): {of("c"): 2},
        query("ml-overview", "Models"): {"{}": 4},
        query("ml-overview", "Models with a page"): {"{}": 1},
        query("ml-overview", "Models with only warnings"): {"{}": 2},
        query("ml-overview", "Models that do not report"): {"{}": 1},
        query("ml-overview", "Alerts about the exporter"): {"{}": 1},
    }
    evaluated(tmp_path, version, series, wanted)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_alert_that_pages_and_warns_is_listed_as_one_that_pages(tmp_path, version):
    series = {
        **{
            alert("MLAccuracyLow", severity, layer="outcome", tier="1"): "1x360" for severity in ("warning", "critical")
        },
        alert("MLFeatureDrift", layer="diagnostic", tier="1"): "1x360",
        alert("MLWatchdog", "none"): "1x360",
    }
    labels = '{alertname="%s", layer="%s", model="a", team="red", tier="1"}'
    listed = {labels % ("MLAccuracyLow", "outcome"): 2, labels % ("MLFeatureDrift", "diagnostic"): 1}
    evaluated(tmp_path, version, series, {query("ml-overview", "Firing alerts", "Severity"): listed})


@pytest.mark.parametrize("version", VERSIONS)
def test_features_are_ranked_by_drift_over_their_noise_floor(tmp_path, version):
    """PSI of 0.75 at a floor of 0.25 is more than 0.8 at 0.8; what was once the highest is drawn all along."""
    series = {
        "ml:threshold:effective"
        + '{signal="feature_psi",severity="warning",window="1d",model="m",feature="steady"}': "0.2x360"
    }
    for feature, value, floor in (("steady", "0.75x360", "0.25x360"), ("wild", "0.8x360", "0.8x360")):
        labels = f'{{model="m",feature="{feature}",window="1d"}}'
        series |= {f"ml:feature_psi{labels}": value, f"ml:feature_psi_critical{labels}": floor}
    series['ml:feature_psi:significant{model="m",feature="steady",window="1d"}'] = "0.75x360"
    for number in range(10):
        labels = f'{{model="m",feature="f{number}",window="1d"}}'
        value = "5x20 0.1x340" if number == 0 else "0.2x360"
        series |= {f"ml:feature_psi{labels}": value, f"ml:feature_psi_critical{labels}": "0.5x360"}
    table = ("ml-features", "Features, the most drifted first")
    ranked = {'{feature="steady"}': 3, '{feature="wild"}': 1, '{feature="f0"}': 0.2}
    ranked |= {f'{{feature="f{number}"}}': 0.4 for number in range(1, 10)}
    drawn = query("ml-features", "PSI in multiples of the noise floor", model="m")
    shown = {labels: value for labels, value in ranked.items() if labels in {'{feature="steady"}', '{feature="wild"}'}}
    wanted = {
        query(*table, "PSI / noise floor", model="m"): ranked,
        query(*table, "PSI / noise floor", model="m", feature="wild|none"): {'{feature="wild"}': 1},
        query("ml-features", "Drifted", model="m"): {"{}": 1},
        query("ml-features", "Drifted", model="m", feature="wild"): {"{}": 0},
        query("ml-features", "Drifted", model="gone"): {},
        query("ml-model", "Features that drifted", model="m"): {"{}": 1},
        query("ml-model", "Features that drifted", model="gone"): {},
        f'{drawn} and on (feature) {{feature=~"steady|wild|f0",__name__="ml:feature_psi"}}': shown
        | {'{feature="f0"}': 0.2},
        f"count({drawn})": {"{}": 10},
    }
    evaluated(tmp_path, version, series, wanted)


def marks(name, step):
    """The query of an annotation, asked at a distance, over five hours."""
    mark = next(item for item in BOARDS["ml-model"]["annotations"]["list"] if item["name"] == name)
    return f"({mark['expr'].replace('$model', 'm').replace('$__interval', step)})[5h:{step}]"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_new_version_is_marked_once_whatever_the_distance_of_the_points(tmp_path, version):
    """Not the one that was there before, and not again after a scrape was missed."""
    series = {
        'ml_model_version_info{model="m",version="1",instance="x"}': "1x100 stale _x2 1x300",
        'ml_model_version_info{model="m",version="2",instance="x"}': "_x152 1x300",
        'ml_model_version_info{model="m",version="2",instance="y"}': "_x153 1x300",
    }
    once = {'{model="m",version="2"}': 1}
    wanted = {f"count_over_time({marks('New version', step)})": once for step in ("1m", "7m", "30m", "2h")}
    evaluated(tmp_path, version, series, wanted)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_page_falls_between_two_points(tmp_path, version):
    series = {alert("MLAccuracyLow", "critical", "m", escalation=""): "_x152 1x3 stale"}
    labels = '{alertname="MLAccuracyLow",model="m"}'
    wanted = {f"count_over_time({marks('Pages', step)}) > bool 0": {labels: 1} for step in ("1m", "7m", "30m", "2h")}
    evaluated(tmp_path, version, series, wanted)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_nothing_is_known_of_is_no_green_zero(tmp_path, version):
    kinds = ("null", "invalid", "out_of_range", "unseen_category")
    series = {f'ml:feature_{kind}_excess_ratio{{model="m",feature="f",window="1h"}}': "0x360" for kind in kinds}
    series['ml:feature_mean_shift_sigmas{model="m",feature="f",window="1d"}'] = "0x360"
    series['ml:exporter_source_up{source="s"}'] = "1x360"
    wanted = {query("ml-exporter", "Sources that cannot be read"): {"{}": 0}}
    for title in ("Mean has moved", "Too many nulls", "Strange values"):
        wanted[query("ml-features", title, model="m")] = {"{}": 0}
        wanted[query("ml-features", title, model="gone")] = {}
    evaluated(tmp_path, version, series, wanted)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_limit_that_is_switched_off_has_no_line(tmp_path, version):
    """`none` in the thresholds is an infinite limit: it would take the scale of the axis with it."""
    series = {
        f'ml:threshold:effective{{signal="precision",severity="{severity}",window="1d",model="m"}}': values
        for severity, values in (("critical", "_x359 -Inf -Inf"), ("warning", "_x359 0.5 0.5"))
    }
    panel = next(item for item in panels(BOARDS["ml-labels"]) if item["title"] == "Precision")
    drawn = {item["legendFormat"]: item["expr"].replace("$model", "m") for item in panel["targets"]}
    evaluated(tmp_path, version, series, {drawn["critical limit"]: {}, drawn["warning limit"]: {"{}": 0.5}})
