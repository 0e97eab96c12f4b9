"""Whole rows without drift, through the whole chain: a baseline of thirty days, then days like them.

How often does a day exceed the critical values of outliers and of multivariate drift? At alpha 0.01, for rows that are
independent, and for rows whose days share a weather. `make soak` looks at 12,000 days a case.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit
from tests import build
from tests.build import DAY, NOON

from ml_exporter.baseline import Baseline
from ml_exporter.calibration import Reference, calibrate
from ml_exporter.config import CategoricalFeature, Features, Model, Time
from ml_exporter.counting import Counting
from ml_exporter.fitting import fit_layout
from ml_exporter.groups import group_rows
from ml_exporter.make_baseline import with_joint
from ml_exporter.records import Batch
from ml_exporter.vectorise import make_vectoriser
from ml_exporter.vitals import multivariate, outliers

ALPHA = 0.01
BEGIN = NOON - NOON % DAY
EVER = 1 << 60
REFERENCE_DAYS, LATER = 30, 100
NUMBERS = ("a", "b", "c", "ties", "zeros")
MIX = np.array([[1.0, 0.6, 0.3], [0.0, 0.8, 0.5], [0.0, 0.0, 0.6]])


def model() -> Model:
    """Five numbers and a category over days."""
    plain = build.model(labels=None)
    windows = build.replace_section(plain.windows, head=("1d",), features=("1d",), quality=())
    features = Features(numeric=dict.fromkeys(NUMBERS), categorical={"kind": CategoricalFeature()})
    return build.replace_section(plain, features=features, windows=windows)


MODEL = model()


def drawn(rng: np.random.Generator, days: int, rows: int, weather: float) -> pa.Table:
    """Three features that depend on each other, ties, 93 % zeros, rare categories; each day shares a weather."""
    count, day = days * rows, np.repeat(np.arange(days), rows)
    x = (rng.normal(size=(count, 3)) + weather * rng.normal(size=(days, 3))[day]) @ MIX
    share = 0.93 + 0.03 * np.clip(weather * rng.normal(size=days), -1.0, 1.0)
    zeros = np.where(rng.random(count) < share[day], 0.0, np.round(rng.gamma(2.0, 3.0, count), 1))
    kinds = np.array([f"k{number}" for number in range(40)], object)
    score = expit(x[:, 0] + rng.normal(size=count))
    columns = {
        "timestamp": BEGIN + day * DAY + np.tile(np.arange(rows), days) * (DAY // rows),
        "prediction": np.where(score >= 0.5, "yes", "no"),
        "score": score,
        "feature:ties": np.round(2.0 * x[:, 1] + rng.normal(size=count)),
        "feature:zeros": zeros,
        "feature:kind": pa.array(kinds[np.minimum(rng.zipf(1.7, count) - 1, 39)], pa.string()),
    }
    return pa.table(columns | {f"feature:{name}": x[:, place] for place, name in enumerate("abc")})


def learned(table: pa.Table) -> Baseline:
    """The baseline of rows, as the command makes it."""
    counting = Counting(fit_layout(table, MODEL, Time()), build.timing(retention_us=EVER), has_labels=False)
    counting.panes.newest_us = EVER
    counting.predictions(Batch(table, table.num_rows), EVER)
    times = table.column("timestamp").to_numpy()
    reference = Reference(counting.panes, int(times.min()), int(times.max()), None)
    return calibrate("flights", MODEL, Time(), with_joint(reference, table, Time()))


def exceeded(baseline: Baseline, table: pa.Table) -> Counter[str]:
    """On how many days each critical value is exceeded."""
    hits: Counter[str] = Counter()
    _, groups = group_rows(table.column("timestamp").to_numpy() // DAY)
    for vector in make_vectoriser(baseline.layout).predictions(table, groups, joinable=False)[0]:
        windows = build.windows(vector, alpha=ALPHA)
        found = build.values(outliers.outlier_ratio(windows, baseline))
        found |= build.values(multivariate.drift(windows, baseline))
        for reason in ("", "range", "distance", "prediction"):
            excess = found["ml_prediction_outlier_ratio", "1d", reason]
            excess -= found["ml_prediction_baseline_outlier_ratio", "reference", reason]
            limit = found["ml_prediction_outlier_critical_ratio", "1d", "reference", reason]
            hits[reason or "any"] += excess > limit
        drift = abs(found["ml_multivariate_drift", "1d", "reference"])
        hits["multivariate"] += drift > found["ml_multivariate_drift_critical", "1d", "reference"]
    return hits


def rates(references: int, rows: int, weather: float) -> dict[str, float]:
    rng, hits = np.random.default_rng(11), Counter[str]()
    for _ in range(references):
        baseline = learned(drawn(rng, REFERENCE_DAYS, rows, weather))
        hits += exceeded(baseline, drawn(rng, LATER, rows, weather))
    return {name: hits[name] / (references * LATER) for name in ("any", *outliers.REASONS, "multivariate")}


@pytest.mark.parametrize("weather", [0.0, 0.3])
def test_days_without_drift_seldom_exceed_a_critical_value(weather: float) -> None:
    """All days of one reference share its limits, so twenty references say little about a rate."""
    found = rates(20, 200, weather)
    assert max(found.values()) <= 3 * ALPHA, found
    assert max(found["any"], found["distance"]) <= ALPHA, "fewer than five are expected"


@pytest.mark.soak
@pytest.mark.parametrize("weather", [0.0, 0.1, 0.3, 1.0])
def test_many_days_without_drift_keep_alpha(weather: float) -> None:
    found = rates(120, 200, weather)
    assert max(found.values()) <= 1.5 * ALPHA, found
    assert max(found["any"], found["distance"]) <= ALPHA, "fewer than five are expected"
    assert weather or found["multivariate"] >= 0.5 * ALPHA


def test_what_no_single_feature_shows_is_noticed() -> None:
    """`b` is mirrored at its centre: the same distribution, another relation to `a` and `c`."""
    rng = np.random.default_rng(12)
    baseline = learned(drawn(rng, REFERENCE_DAYS, 400, 0.1))
    table = drawn(rng, 20, 400, 0.1)
    place = table.column_names.index("feature:b")
    mirrored = table.set_column(place, "feature:b", pa.array(-table.column("feature:b").to_numpy()))
    assert exceeded(baseline, mirrored)["multivariate"] == 20
    assert exceeded(baseline, table)["multivariate"] <= 1


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_single_absurd_predictions_are_noticed(share: float) -> None:
    """One in a hundred answers says the other class for certain."""
    rng = np.random.default_rng(13)
    baseline = learned(drawn(rng, REFERENCE_DAYS, 1000, 0.1))
    table = drawn(rng, 20, 1000, 0.1)
    absurd = rng.random(table.num_rows) < share
    other = table.column("score").to_numpy() < 0.5
    score = np.where(absurd, other.astype(float), table.column("score").to_numpy())
    for name, values in (("score", score), ("prediction", np.where(score >= 0.5, "yes", "no"))):
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    hits = exceeded(baseline, table)
    assert hits["prediction"] == 20
    assert hits["range"] <= 1


def test_a_reference_of_any_order_gives_the_same_baseline() -> None:
    rng = np.random.default_rng(14)
    table = drawn(rng, 6, 300, 0.3)
    shuffled = table.take(pa.array(rng.permutation(table.num_rows)))
    one, other = learned(table), learned(shuffled)
    assert one.layout == other.layout
    assert (one.vector == other.vector).all()
    assert one.fingerprint == other.fingerprint
    assert replace(one, vector=other.vector).fingerprint == other.fingerprint
