"""Every series that a dashboard reads exists: in the catalogue, among what the rules record, or by name elsewhere."""

import re
from pathlib import Path

import pytest
import yaml
from boards import BOARDS, filled, queries

from ml_exporter.catalogue import BY_NAME

ROOT = Path(__file__).parents[2]
RECORDED = {
    rule["record"]
    for name in ("rules", "alerts")
    for group in yaml.safe_load((ROOT / f"rules/out/ml-exporter-{name}.yaml").read_text())["groups"]
    for rule in group["rules"]
    if "record" in rule
}
EXPECTED = "ml:model:expected"
"""Recorded where a configuration is given."""
PROMETHEUS = {
    "ALERTS",
    "up",
    "scrape_duration_seconds",
    "prometheus_rule_group_last_duration_seconds",
    "prometheus_notifications_dropped_total",
    "prometheus_notifications_errors_total",
    "prometheus_notifications_alertmanagers_discovered",
}
ALERTMANAGER = {
    "alertmanager_notifications_total",
    "alertmanager_notifications_failed_total",
    "alertmanager_notification_latency_seconds_bucket",
    "alertmanager_silences",
    "alertmanager_alerts",
}
HISTOGRAMS = {f"{name}_bucket" for name, metric in BY_NAME.items() if metric.type == "histogram"}
KNOWN = set(BY_NAME) | HISTOGRAMS | RECORDED | {EXPECTED} | PROMETHEUS | ALERTMANAGER
WORDS = {"and", "or", "unless", "offset", "bool", "Inf"}


def read(query):
    """The names of the series of a query: what is no string, label, function, duration or word of the language."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', "", filled(query))
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on|ignoring|without|group_left|group_right) \([^)]*\)", " ", text)
    return set(re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?![\w:]|\s*\()", text)) - WORDS


def labels_of(query):
    """Pairs of a metric of the catalogue and a label that its selector names."""
    for name, selector in re.findall(r"\b(ml_\w+)\{((?:[^}\"]|\"[^\"]*\")*)\}", query):
        base = name.removesuffix("_bucket") if name in HISTOGRAMS else name
        yield from ((base, label) for label in re.findall(r"(\w+)(?:=~|!~|!=|=)\"", selector) if label != "le")


def test_names_are_told_from_the_rest_of_a_query():
    query = 'sum by (le) (rate(a:b_total{x="up"}[5m] offset 5m)) / on (model) c and vector(1) or topk(5, d @ end())'
    assert read(query) == {"a:b_total", "c", "d"}


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_what_a_query_reads_exists(query):
    names = read(query)
    assert names <= KNOWN
    assert names or query == "vector(1)"
    for name, label in labels_of(query):
        assert label in BY_NAME[name].labels, f"{name} has no label {label}"


@pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
def test_what_a_variable_reads_exists(board):
    for item in board["templating"]["list"][1:]:
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", item["query"]["query"]).groups()
        assert read(series) <= KNOWN
        (name,) = read(series)
        if name in BY_NAME:
            assert label in BY_NAME[name].labels
        assert all(asked in BY_NAME[metric].labels for metric, asked in labels_of(series))


def test_nothing_is_allowed_that_nobody_reads():
    used = set().union(*(read(query) for query in queries()))
    assert used >= PROMETHEUS | ALERTMANAGER
