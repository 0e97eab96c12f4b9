"""What a level is of two replicas that differ: the worse value, on every record that takes one of several.

Which of two values is the worse is said here, and not read from the rules: less is worse for the names below, more is
for all others. A level of absolute values takes the one that is further off.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

Rule = dict[str, Any]

ONE_OF = re.compile(r"(?:max|min) without \(([^)]*)\) \(([^{}]*?)(\w+)(?:\{([^}]*)\})?\)*", re.DOTALL)
LESS_IS_WORSE = {
    *("ml:accuracy", "ml:accuracy_upper", "ml:segment_accuracy", "ml:segment_accuracy_upper"),
    *("ml:precision", "ml:precision_upper", "ml:recall", "ml:recall_upper", "ml:f1", "ml:f1_upper"),
    *("ml:roc_auc", "ml:roc_auc_upper", "ml:roc_auc_macro"),
    *("ml:precision_macro", "ml:recall_macro", "ml:f1_macro"),
    *("ml:estimated_accuracy", "ml:estimated_roc_auc", "ml:version_quality_difference_upper"),
    *("ml:calibration_gap_upper", "ml:prediction_confidence_mean", "ml:label_coverage_ratio"),
    *("ml:baseline_created_timestamp_seconds", "ml:exporter_last_evaluation_timestamp_seconds"),
    *("ml:exporter_source_up", "ml:exporter_state_up"),
    *("ml:exporter_config_last_reload_successful", "ml:exporter_web_config_last_reload_successful"),
}
REPLICAS = {"instance": ("a:1", "b:1"), "pod": ("a", "b")}
KEPT = {"model": "m", "window": "1d", "feature": "f"}


def taken(rules: Sequence[Rule]) -> list[Rule]:
    """The records that are one of the values that replicas export."""
    return [rule for rule in rules if "record" in rule and ONE_OF.fullmatch(rule["expr"].strip())]


def suite(rules: Sequence[Rule]) -> dict[str, Any]:
    """A suite of promtool, one test for each of these records."""
    return {"evaluation_interval": "1m", "tests": [_test(rule) for rule in rules]}


def _test(rule: Rule) -> dict[str, Any]:
    found = ONE_OF.fullmatch(rule["expr"].strip())
    assert found is not None
    dropped, function, metric, matchers = found.groups()
    labels = KEPT | dict(_matched(matchers or ""))
    values, worse = _values(rule["record"], function)
    left = {name: value for name, value in labels.items() if name not in dropped.split(", ")}
    series = [
        {"series": _series(metric, labels | {name: both[place] for name, both in REPLICAS.items()}), "values": value}
        for place, value in enumerate(values)
    ]
    sample = {"labels": _series(rule["record"], left | rule.get("labels", {})), "value": worse}
    check = {"expr": _series(rule["record"], rule.get("labels", {})), "eval_time": "1m", "exp_samples": [sample]}
    return {"interval": "1m", "input_series": series, "promql_expr_test": [check]}


def _values(record: str, function: str) -> tuple[tuple[str, str], float]:
    """The values of two replicas, and the worse of them."""
    if "ln" in function:
        return ("0.5 0.5", "1.5 1.5"), 2.0
    if "abs" in function:
        return ("-3 -3", "1 1"), 3.0
    return ("1 1", "3 3"), 1.0 if record in LESS_IS_WORSE else 3.0


def _matched(matchers: str) -> Iterator[tuple[str, str]]:
    """Labels that match: those that are to be empty are left out, others that are not to be have a value."""
    for name, operator, value in re.findall(r'(\w+)(=|!=)"([^"]*)"', matchers):
        if operator == "=" and value:
            yield name, value
        elif operator == "!=":
            yield name, f"some {name}"


def _series(name: str, labels: dict[str, str]) -> str:
    return name + "{" + ",".join(f'{label}="{value}"' for label, value in sorted(labels.items())) + "}"
