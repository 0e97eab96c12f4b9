"""Whether finished data is fit for use: what `ml-exporter once` finds wrong with it, for the gate behind a batch job.

The limits of vitals are those of the pack's alerts (`rules/thresholds.yaml`): an effect that matters, beyond what
the reference's own windows show, in a window with enough rows.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ml_exporter.catalogue import Sample, labels_of
from ml_exporter.config import Config
from ml_exporter.errors import Problem
from ml_exporter.ingest import Feed
from ml_exporter.pipeline import NULL_RATIO, alerting_windows
from ml_exporter.vitals.windows import REFERENCE

MAX_REJECTED_RATIO = 0.01
PSI_FLOOR = 0.2
PSI_CRITICAL_MAXIMUM = 1.0
"""A critical value above it means that the window is too short for the feature."""
DRIFT_ROWS = 200
NULL_FLOOR = 0.3
NULL_ROWS = 50
_NOT_WANTED = "no_model"
"""A row for a model that is not configured is no fault of the data."""


@dataclass(frozen=True)
class Limits:
    """What is tolerated: a share of rejected lines, and vitals beyond their limits (`drift`, `nulls`) unless named."""

    max_rejected_ratio: float = MAX_REJECTED_RATIO
    fail_on: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Finding:
    """One thing that makes the data of some models unfit, in a line."""

    models: frozenset[str]
    text: str


def of_feed(feed: Feed, unread_bytes: int, limits: Limits) -> Iterator[Finding]:
    """What is wrong with a source: not readable, not read to its end, too many lines refused."""
    where, models = f"sources.{feed.name}", feed.models()
    if not feed.up:
        for line in feed.error.splitlines():
            yield Finding(models, f"{where}: {line}")
    elif unread_bytes:
        got = f"{unread_bytes} bytes behind the last one"
        action = "Run this when the files are finished, and set `complete: true` if they have no newline at their end"
        yield Finding(models, str(Problem(where, "a newline behind every row", got, action)))
    rejected = min(feed.rows_read, feed.rejected.total() - feed.rejected[_NOT_WANTED])
    if rejected > limits.max_rejected_ratio * feed.rows_read:
        expected = f"at most {limits.max_rejected_ratio:.4g} of the rows refused"
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(feed.rejected.items()) if count)
        got = f"{rejected / feed.rows_read:.4g} of {feed.rows_read} ({reasons})"
        action = "Mend what writes them, or raise --max-rejected-ratio"
        yield Finding(models, str(Problem(where, expected, got, action)))


def of_model(name: str, config: Config, samples: Sequence[Sample], limits: Limits) -> Iterator[Finding]:
    """What is wrong with a model's windows: no row, drift, nulls."""
    rows = _by_window(samples, "ml_window_rows")
    problems: list[Problem] = []
    if not any(rows.values()):
        got = f"no usable row in {config.models[name].predictions.source}"
        action = "See what was rejected, and compare `columns` and --at with the log"
        problems.append(Problem(f"models.{name}", "predictions", got, action))
    if "drift" in limits.fail_on:
        windows = alerting_windows(config.models[name], config.time, "feature_psi")
        problems += _drifting(name, [window for window in windows if rows.get(window, 0) >= DRIFT_ROWS], samples)
    if "nulls" in limits.fail_on:
        windows = alerting_windows(config.models[name], config.time, NULL_RATIO)
        problems += _null(name, [window for window in windows if rows.get(window, 0) >= NULL_ROWS], samples)
    for problem in problems:
        yield Finding(frozenset({name}), str(problem))


def _drifting(name: str, windows: Iterable[str], samples: Sequence[Sample]) -> Iterator[Problem]:
    for window in windows:
        limits = _by_feature(samples, "ml_feature_psi_critical", window)
        for feature, value in _by_feature(samples, "ml_feature_psi", window).items():
            critical = limits.get(feature, math.inf)
            if value > max(PSI_FLOOR, critical) and critical <= PSI_CRITICAL_MAXIMUM:
                where = f"models.{name}.features.{feature}"
                expected = f"a PSI of at most {max(PSI_FLOOR, critical):.3g} over {window}"
                yield Problem(where, expected, f"{value:.3g}", "See the runbook MLFeatureDrift")


def _null(name: str, windows: Iterable[str], samples: Sequence[Sample]) -> Iterator[Problem]:
    usual = _by_feature(samples, "ml_feature_baseline_null_ratio")
    for window in windows:
        limits = _by_feature(samples, "ml_feature_null_critical_ratio", window)
        for feature, value in _by_feature(samples, "ml_feature_null_ratio", window).items():
            most = usual.get(feature, 0.0) + max(NULL_FLOOR, limits.get(feature, math.inf))
            if value > most:
                where = f"models.{name}.features.{feature}"
                expected = f"at most {most:.3g} nulls over {window}"
                yield Problem(where, expected, f"{value:.3g}", "See the runbook MLFeatureNullRatioHigh")


def _by_window(samples: Iterable[Sample], name: str) -> Mapping[str, float]:
    return {
        labels["window"]: sample.value
        for sample in samples
        if sample.name == name and "segment_by" not in (labels := labels_of(sample))
    }


def _by_feature(samples: Iterable[Sample], name: str, window: str | None = None) -> Mapping[str, float]:
    return {
        labels["feature"]: sample.value
        for sample in samples
        if sample.name == name
        and (labels := labels_of(sample)).get("window") == window
        and labels.get("baseline", REFERENCE) == REFERENCE
    }
