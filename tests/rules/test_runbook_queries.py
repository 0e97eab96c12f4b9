"""Every query of a runbook, run by Prometheus on series of every metric that the exporter has.

Two models, two replicas of one of them, segments and classes: what cannot be joined, or finds nothing, is noticed.
"""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import rule_suites

from ml_exporter.catalogue import METRICS, Metric

BOOKS = sorted((Path(__file__).parents[2] / "runbooks").glob("*.md"))
GROUPS = rule_suites.groups_of(rule_suites.committed())
STEP, END = 150, 4200
FILLED = {"$model": "m", "$feature": "x", "$source": "s", "$instance": "e:1"}
VALUES = {
    "window": ("5m", "1h", "2h", "1d", "30d"),
    "baseline": ("reference", "previous_30d"),
    "feature": ("x", "y"),
    "class": ("no", "yes"),
    "reason": ("range", "distance", "prediction", "future"),
    "metric": ("accuracy", "roc_auc"),
    "signal": ("window_rows", "window_latency_seconds_p99", "prediction_confidence_mean", "accuracy"),
    "bound": ("centre", "lower", "upper"),
    "q": ("0.5", "0.99"),
    "dispersion": ("provisional",),
    "team": ("red",),
    "source": ("s",),
}
"""Values of labels; of the others there is one."""
OTHERS = {
    'up{job="ml-exporter",instance="e:1"}': "0",
    'scrape_samples_scraped{job="ml-exporter",instance="e:1"}': "9",
    'scrape_duration_seconds{job="ml-exporter",instance="e:1"}': "1",
    'prometheus_config_last_reload_successful{job="prometheus"}': "0",
    'prometheus_notifications_alertmanagers_discovered{job="prometheus"}': "1",
    'prometheus_notifications_errors_total{job="prometheus",alertmanager="a"}': "0+1",
    'prometheus_rule_evaluation_failures_total{rule_group="/r.yaml;ml-data.rules",job="prometheus"}': "0+1",
    'prometheus_rule_group_last_evaluation_timestamp_seconds{job="prometheus",rule_group="/r.yaml;ml-data.rules"}': "0",
    'alertmanager_notifications_failed_total{job="alertmanager",integration="webhook"}': "0+1",
}
"""Series of others."""
NOTHING = {
    " offset ": "these series are an hour old",
    "ml:volume_": "it needs yesterday and a week ago",
}
"""Queries that find nothing here, by a part of their text, and why."""


def queries() -> dict[str, str]:
    """Every query, with values in place of variables, and the runbook that it stands in first."""
    found: dict[str, str] = {}
    for book in BOOKS:
        for block in re.findall(r"```promql\n(.*?)```", book.read_text(), re.DOTALL):
            for line in filter(None, map(str.strip, block.splitlines())):
                query = line
                for name, value in FILLED.items():
                    query = query.replace(name, value)
                found.setdefault(query, book.stem)
    return found


def series(metric: Metric) -> Iterator[tuple[str, str]]:
    """The series of a metric: of model m by two replicas, of model n by one."""
    value = "0.1" if re.search("critical|baseline|_lower$", metric.name) else "2" if "sigmas" in metric.name else "0.5"
    value = "1000" if metric.name in {"ml_window_rows", "ml_labelled_rows"} else value
    value = "0" if re.search("_timestamp_seconds$|_up$|_successful$", metric.name) else value
    value = "0+10" if metric.type != "gauge" else value
    for labels in combinations(metric):
        for model, instance in (("m", "e:1"), ("m", "e:2"), ("n", "e:1")):
            own = {"model": model} if "model" in metric.labels else {}
            if not own and model == "n":
                continue
            text = ",".join(f'{name}="{item}"' for name, item in {**labels, **own, "instance": instance}.items())
            for suffix, more in suffixes(metric):
                yield f'{metric.name}{suffix}{{{text}{more},job="ml-exporter"}}', value


def suffixes(metric: Metric) -> tuple[tuple[str, str], ...]:
    """What is behind the name and the labels of the series of a metric."""
    if metric.type != "histogram":
        return (("", ""),)
    return (("_bucket", ',le="0.5"'), ("_bucket", ',le="+Inf"'), ("_count", ""), ("_sum", ""))


def combinations(metric: Metric) -> Iterator[dict[str, str]]:
    """Values of its labels but the model: of the whole, and of each kind of part that it may have."""
    names = [name for name in metric.labels if name not in {"model", *metric.optional}]
    parts: list[dict[str, tuple[str, ...]]] = [{}]
    if "segment_by" in metric.optional:
        parts += [{"segment_by": ("country",), "segment": ("BR",)}]
    for name in {"class", "reason"} & set(metric.optional):
        parts += [{name: VALUES[name]}]
    for part in parts:
        choices = [VALUES.get(name, ("v",)) for name in names] + list(part.values())
        for chosen in product(*choices):
            yield dict(zip((*names, *part), chosen, strict=True))


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What promtool says of a test that expects every query to find nothing."""
    steps = END // STEP
    given = {name: value for metric in METRICS for name, value in series(metric)} | OTHERS
    document = {
        "evaluation_interval": "5m",
        "tests": [
            {
                "interval": f"{STEP}s",
                "input_series": [{"series": name, "values": f"{value}x{steps}"} for name, value in given.items()],
                "promql_expr_test": [{"expr": query, "eval_time": f"{END}s", "exp_samples": []} for query in queries()],
            }
        ],
    }
    return rule_suites.run(document, GROUPS, tmp_path_factory.mktemp("queries"), "floor")[1]


def test_every_query_can_be_evaluated(said):
    assert "err:" not in said, said[said.index("err:") - 1000 :][:2000]


def test_every_query_finds_something(said):
    for query, book in queries().items():
        reason = next((reason for part, reason in NOTHING.items() if part in query), None)
        text = query.replace("\\", "\\\\").replace('"', '\\"')
        assert (f'expr: "{text}"' in said) == (reason is None), f"{book}: {query}"
