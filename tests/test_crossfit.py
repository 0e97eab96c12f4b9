"""What is learned of whole rows: folds, limits, categories and quantiles, each from the other days only."""

import math
from typing import Any

import numpy as np
import pytest
from tests import build
from tests.build import DAY, HOUR, MINUTE, NOON

from ml_exporter.config import Model, Time
from ml_exporter.crossfit import MAX_FOLDS, Fitted, fit_joint, make_folds
from ml_exporter.fitting import fit_layout

BEGIN = NOON - NOON % DAY
Row = dict[str, Any]


def fitted(rows: list[Row], model: Model | None = None) -> Fitted:
    table = build.table(rows)
    return fit_joint(table, fit_layout(table, model or build.model(), Time()), Time())


def days(count: int = 10, rows: int = 60) -> list[Row]:
    """Days with temperatures from 0 to 40, winds that follow them, and two carriers."""
    rng = np.random.default_rng(3)
    found = []
    for number in range(count * rows):
        temp = float(rng.integers(0, 41))
        changes = {"feature:temp": temp, "feature:wind": temp / 10 + rng.normal(), "feature:carrier": "AAUA"[:2]}
        found.append(build.prediction(BEGIN + number * DAY // rows, number, **changes))
    return found


def odd_days(marks: np.ndarray, rows: int = 60) -> list[int]:
    return np.unique(np.flatnonzero(marks) // rows).tolist()


@pytest.mark.parametrize(
    ("step", "count", "folds"),
    [(DAY, 5, 5), (DAY, 31, 31), (DAY, 200, MAX_FOLDS), (HOUR, 48, 48), (HOUR, 90, MAX_FOLDS), (MINUTE, 50, 1)],
)
def test_folds_are_runs_of_whole_days_or_of_hours(step: int, count: int, folds: int) -> None:
    found = make_folds(BEGIN + np.arange(count) * step, Time())
    assert found.count == folds
    assert (np.diff(found.index) >= 0).all()
    assert np.unique(found.index).tolist() == list(range(folds))


def test_a_range_has_a_margin_of_half_its_width_and_the_day_that_stretches_it_is_odd() -> None:
    rows = days()
    plain = fitted(rows)
    assert plain.joint.ranges[0] == (-20.0, 60.0)
    assert odd_days(plain.odd.range) == []
    rows[130]["feature:temp"], rows[250]["feature:temp"] = 60.5, None
    stretched = fitted(rows)
    assert odd_days(stretched.odd.range) == [2]
    assert stretched.odd.range.sum() == 1
    assert stretched.joint.ranges[0] == (-30.25, 90.75)


def test_a_category_of_one_day_is_odd_there_and_known_in_service() -> None:
    rows = days()
    for number in (70, 71, 80):
        rows[number]["feature:carrier"] = "ZZ"
    rows[90]["feature:carrier"] = None
    assert fitted(rows).odd.range.sum() == 3
    rows[400]["feature:carrier"] = "ZZ"
    assert fitted(rows).odd.range.sum() == 0


def test_scores_are_judged_by_class_in_logits() -> None:
    rows = days()
    for number, row in enumerate(rows):
        row["score"] = (0.2, 0.4, 0.6, 0.9)[number % 4]
        row["prediction"] = "yes" if row["score"] > 0.5 else "no"
    (no_low, no_high), (yes_low, yes_high) = fitted(rows).joint.answers
    ends = [math.log(p / (1 - p)) for p in (no_low, no_high, yes_low, yes_high)]
    low, high, up, top = (math.log(p / (1 - p)) for p in (0.2, 0.4, 0.6, 0.9))
    half, other = (high - low) / 2, (top - up) / 2
    assert ends == pytest.approx([low - half, high + half, up - other, top + other])
    rows[61]["score"] = 1.0
    found = fitted(rows)
    assert odd_days(found.odd.prediction) == [1]
    assert found.joint.answers[0][1] == 1.0, "beyond certainty nothing lies"


def test_a_class_that_was_never_predicted_has_no_usual_score() -> None:
    rows = [row | {"prediction": "no", "score": 0.1} for row in days()]
    assert fitted(rows).joint.answers[1] == (1.0, 0.0)


def test_one_in_a_thousand_rows_but_at_least_ten_lie_beyond_the_distance() -> None:
    for count, rows in ((10, 60), (20, 1000)):
        found = fitted(days(count, rows))
        expected = max(10, count * rows // 1000)
        assert 0.5 * expected <= found.odd.distance.sum() <= 2 * expected
        assert found.odd.errors is not None
        assert found.joint.components is not None
        assert (found.joint.components.limit > 0, len(found.joint.components.vectors)) == (True, 2)


def test_a_strange_day_is_judged_by_the_others() -> None:
    rows = days()
    for row in rows[120:180]:
        row["feature:wind"] = 4.0 - row["feature:temp"] / 10
    marks = fitted(rows).odd.distance
    assert marks[120:180].mean() > 0.3
    assert marks[:120].mean() < 0.05


def test_short_references_say_what_they_lack() -> None:
    few = fitted(days(1, 60))
    assert few.joint.components is None
    assert few.warnings == ("60 rows are too few for outlying distances and multivariate drift of 2 numeric features.",)
    brief = fitted([row | {"timestamp": BEGIN + number} for number, row in enumerate(days(2, 100))])
    assert brief.warnings == ("the reference lies within one hour: its own outliers are judged by itself.",)
    assert brief.odd.range.sum() == 0


@pytest.mark.parametrize("value", [None, 7.0])
def test_constant_and_empty_features_are_named(value: float | None) -> None:
    rows = [row | {"feature:wind": value} for row in days()]
    found = fitted(rows)
    (warning,) = found.warnings
    assert "1 of 2 components of the numeric features hardly vary; constant or collinear: wind." in warning
    assert found.joint.ranges[1] == ((-math.inf, math.inf) if value is None else (7.0, 7.0))
    assert found.odd.range.sum() == 0


def test_sentinels_have_open_ranges_and_finite_components() -> None:
    rows = days()
    for number, row in enumerate(rows):
        row["feature:wind"] = (1.0, -1.7976931348623157e308, 1.7976931348623157e308)[number % 3]
    found = fitted(rows)
    assert found.joint.ranges[1] == (-math.inf, math.inf)
    assert found.joint.components is not None
    assert np.isfinite([*found.joint.components.centres, *found.joint.components.scales]).all()


def test_categories_alone_have_outliers_too() -> None:
    features = build.replace_section(build.model().features, numeric={})
    found = fitted(days(), build.model(features=features))
    assert (found.joint.ranges, found.joint.components, found.odd.errors, found.warnings) == ((), None, None, ())


def test_one_number_has_a_distance_and_no_error() -> None:
    features = build.replace_section(build.model().features, numeric={"temp": None})
    found = fitted(days(), build.model(features=features))
    assert found.joint.components is not None
    assert (len(found.joint.components.vectors), found.odd.errors) == (1, None)
