"""What the vitals of answers and of estimated quality say of faults on the flights of April, day by day."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests import flight_logs

from ml_exporter.baseline import Baseline
from ml_exporter.faults import BY_NAME, Context, Injection, Played, arriving, attach
from ml_exporter.vitals import estimate, shape
from ml_exporter.vitals.windows import Windows

Values = dict[tuple[str, ...], float]
MARGIN = 0.05
ALPHA = 0.001
EVER_US = 1 << 60
FEWEST_ROWS = 100


class April:
    """A baseline of March and the logs of April."""

    def __init__(self, bench: Any) -> None:
        self.bench, self.flights = bench, bench.flights()
        times = pd.to_datetime(self.flights.predictions.column("timestamp").to_numpy(), unit="us", utc=True)
        self.baseline: Baseline = bench.baseline_of(
            self.flights, self.flights.predictions.filter(pa.array(times.month == 3))
        )
        served = self.flights.predictions.filter(pa.array(times.month == 4))
        ids = pa.compute.is_in(self.flights.labels.column("id"), value_set=served.column("id").combine_chunks())
        labels = attach(self.flights.labels.filter(ids), served)
        self.played = Played(arriving(served), arriving(labels))
        layout = self.baseline.layout
        task: Any = layout.task
        self.context = Context(layout.features, layout.classes, task.decision_threshold, (0.7, 0.3))

    def days(self, name: str | None = None, size: int = 1, feature: str | None = None) -> list[Values]:
        """The samples of every day with a hundred flights, as they were flown or with a fault of that size."""
        played = self.played
        if name is not None:
            when = Injection(BY_NAME[name].sizes[size], 0, EVER_US, feature)
            played = BY_NAME[name].apply(played, when, self.context)
        return list(self._days(played))

    def _days(self, played: Played) -> Iterator[Values]:
        found, layout = self.flights, self.baseline.layout
        logs = type(found)(
            found.model,
            found.source,
            played.predictions.select(found.predictions.column_names),
            played.labels.select(found.labels.column_names),
        )
        counts = self.bench.counted(layout, logs, logs.predictions)
        for start_us, vector in self.bench.windows(counts, "1d"):
            if layout.cells(vector, "rows")["rows"][0] < FEWEST_ROWS:
                continue
            window = (self.bench._window("1d", start_us, vector),)
            windows = Windows("flights", window, window, ("1d",), ALPHA, 0.05)
            vitals = (shape.answer_concentration, shape.answer_spread, estimate.estimates, estimate.bias)
            yield {
                (item.name, *item.labels[1:]): item.value for vital in vitals for item in vital(windows, self.baseline)
            }


@pytest.fixture(scope="module")
def april() -> April:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(flight_logs.ROOT) / "bench")
        patch.syspath_prepend(flight_logs.EXAMPLE)
        with flight_logs.cache_lock():
            return April(importlib.import_module("false_alarms"))


def beyond(day: Values) -> dict[str, bool]:
    """Which limits a day is beyond."""
    excess = (
        day["ml_prediction_concentration_ratio", "1d"] - day["ml_prediction_baseline_concentration_ratio", "reference"]
    )
    change = abs(day["ml_prediction_spread", "1d"] - day["ml_prediction_baseline_spread", "reference"])
    return {
        "concentration": excess > day["ml_prediction_concentration_critical_ratio", "1d", "reference"],
        "spread": change > day["ml_prediction_spread_critical", "1d", "reference"],
    }


def share(days: list[Values], name: str) -> float:
    return float(np.mean([beyond(day)[name] for day in days]))


def test_days_without_a_fault_are_within_the_limits(april: April) -> None:
    days = april.days()
    assert len(days) == 30
    assert (share(days, "concentration"), share(days, "spread")) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("fault", "size", "vital", "at_least"),
    [
        ("score_frozen", 0, "concentration", 29),
        ("score_frozen", 1, "concentration", 29),
        ("confidence_drop", 1, "concentration", 29),
        ("confidence_drop", 1, "spread", 26),
        ("absurd_predictions", 1, "spread", 29),
        ("bad_deployment", 1, "spread", 29),
    ],
)
def test_the_shape_of_the_answers_shows_a_fault_on_most_days(
    april: April, fault: str, size: int, vital: str, at_least: int
) -> None:
    days = april.days(fault, size)
    assert len(days) == 30
    assert sum(beyond(day)[vital] for day in days) >= at_least


def warns(day: Values, reference: float) -> bool:
    """What an alert on estimated accuracy reads: worse than the reference by the margin, and a bias within it."""
    estimated = day["ml_estimated_accuracy", "1d"] + day["ml_estimated_accuracy_error", "1d"]
    return estimated < reference - MARGIN and abs(day["ml_estimated_bias", "1d", "accuracy"]) < MARGIN


def realised(day: Values, measure: str) -> float:
    return day[f"ml_estimated_{measure}", "1d"] + day["ml_estimated_bias", "1d", measure]


def estimated(day: Values, measure: str) -> float:
    return day[f"ml_estimated_{measure}", "1d"]


def test_concept_drift_moves_no_estimate_and_its_alert_stays_silent(april: April) -> None:
    clean, drifted = april.days(), april.days("concept_drift")
    for before, after in zip(clean, drifted, strict=True):
        own = {key for key in before if key[0] != "ml_estimated_bias"}
        assert {key: after[key] for key in own} == {key: before[key] for key in own}
    came = np.mean([realised(day, "accuracy") for day in drifted]) - np.mean(
        [realised(day, "accuracy") for day in clean]
    )
    assert came < -0.1
    assert np.median([day["ml_estimated_bias", "1d", "accuracy"] for day in drifted]) < -2 * MARGIN
    assert not any(warns(day, april.baseline.summary["quality"]["accuracy"]) for day in drifted)


@pytest.mark.parametrize("feature", ["humid", "wind_speed", "precip", "pressure", "distance"])
def test_estimated_recall_follows_other_cases(april: April, feature: str) -> None:
    """Over April more flights with a high value of one feature, and fewer with a low one: recall moves, both ways."""
    clean, shifted = april.days(), april.days("covariate_shift", 2, feature)
    expected, came = (
        np.mean([value(day, "recall") for day in shifted]) - np.mean([value(day, "recall") for day in clean])
        for value in (estimated, realised)
    )
    assert abs(came) > 0.012
    assert expected == pytest.approx(came, abs=0.006)
