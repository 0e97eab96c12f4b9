"""The size of a fault is what it says: a literal table of what each does, on small logs and on real flights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests import flight_logs
from tests.build import HOUR
from tests.faults.logs import Logs, bits, recorded, same

from ml_exporter.faults import BY_NAME, Context, Injection, Played, arriving, as_batch, attach
from ml_exporter.layout import CategoryBins, NumericBins

Floats = np.ndarray


class Case(NamedTuple):
    """Rows in the time of the fault: before, after; what is known of the model; the injection."""

    clean: Played
    faulty: Played
    context: Context
    when: Injection

    @property
    def size(self) -> float:
        return self.when.size


def rows_in(table: pa.Table, when: Injection, column: str) -> pa.Table:
    name = column if column in table.column_names else "timestamp"
    times = pc.fill_null(pc.coalesce(table.column(name), table.column("timestamp")), 0).to_numpy()
    return table.filter(pa.array((times >= when.start_us) & (times < when.end_us)))


def numbers(played: Played, name: str) -> Floats:
    return played.predictions.column(name).to_numpy().astype(float)


def texts(played: Played, name: str) -> Floats:
    return np.array(played.predictions.column(name).to_pylist(), object)


def first(context: Context, kind: type) -> str:
    return "feature:" + next(item.name for item in context.features if isinstance(item, kind))


# Measures: a number of some rows. `expected` says what it becomes, from what it was and the size.


def nulls(played: Played, context: Context) -> float:
    return float(np.mean([value is None for value in texts(played, first(context, NumericBins))]))


def infinite(played: Played, context: Context) -> float:
    return float(np.isinf(numbers(played, first(context, NumericBins))).mean())


def finite(played: Played, context: Context) -> Floats:
    values = numbers(played, first(context, NumericBins))
    return values[np.isfinite(values)]


def median(played: Played, context: Context) -> float:
    return float(np.median(finite(played, context)))


def deviation(played: Played, context: Context) -> float:
    return float(finite(played, context).std())


def unseen(played: Played, context: Context) -> float:
    item = next(item for item in context.features if isinstance(item, CategoryBins))
    values = texts(played, "feature:" + item.name)
    return float(np.mean([value is not None and value not in item.categories for value in values]))


def empty_features(played: Played, context: Context) -> float:
    return float(
        sum(
            played.predictions.column("feature:" + item.name).null_count == played.predictions.num_rows
            for item in context.features
        )
    )


def winner(played: Played, context: Context) -> float:
    known = [value for value in texts(played, "prediction") if value is not None]
    return float(np.mean([value == context.classes[-1] for value in known]))


def commonest_score(played: Played, context: Context) -> float:
    scores = numbers(played, "score")
    return float(np.unique(scores[~np.isnan(scores)], return_counts=True)[1].max() / len(scores))


def decidedness(played: Played, context: Context) -> float:
    return float(np.nanmean(np.abs(numbers(played, "score") - context.threshold)))


def true(name: str) -> Callable[[Played, Context], float]:
    return lambda played, context: float(np.mean([value is True for value in texts(played, name)]))


def certain(played: Played, context: Context) -> float:
    return float(np.isin(numbers(played, "score"), (0.0, 1.0)).mean())


def latency(played: Played, context: Context) -> float:
    return float(np.nanmedian(numbers(played, "latency")))


def predictions(played: Played, context: Context) -> float:
    return float(played.predictions.num_rows)


def risen(was: float, size: float) -> float:
    return was + (1.0 - was) * size


MEASURES: dict[str, tuple[Callable[[Played, Context], float], Callable[[float, float], float]]] = {
    "null_spike": (nulls, risen),
    "invalid_values": (infinite, risen),
    "unit_change": (median, lambda was, size: was * size),
    "column_missing": (nulls, risen),
    "variance_change": (deviation, lambda was, size: was * size),
    "category_new": (unseen, risen),
    "class_takeover": (winner, risen),
    "confidence_drop": (decidedness, lambda was, size: was * (1.0 - size)),
    "fallback_flood": (true("fallback"), risen),
    "absurd_predictions": (certain, risen),
    "errors": (true("error"), risen),
    "latency_surge": (latency, lambda was, size: was * size),
    "volume_drop": (predictions, lambda was, size: was * (1.0 - size)),
    "volume_surge": (predictions, lambda was, size: was * size),
    "duplicate_traffic": (predictions, lambda was, size: was * (1.0 + size)),
}


# Checks: what a number of the rows before and after cannot show.


def close(found: float, expected: float, rows: int) -> bool:
    """Within five standard errors of a share of so many rows, or a millionth."""
    return abs(found - expected) <= 5.0 * np.sqrt(max(expected * (1.0 - expected), 1e-9) / max(rows, 1)) + 1e-6


def changed(case: Case, column: str = "label") -> Floats:
    """Which labels differ from what they were, of those that still come. Rows keep their order."""
    table = "labels" if case.clean.labels.num_rows else "predictions"
    old, new = (getattr(played, table).column(column).to_pylist() for played in (case.clean, case.faulty))
    assert len(old) == len(new)
    return np.array([one != other for one, other in zip(old, new, strict=True) if one is not None])


def mean_shift(case: Case) -> None:
    bins = next(item for item in case.context.features if isinstance(item, NumericBins))
    moved = median(case.faulty, case.context) - median(case.clean, case.context)
    assert moved == pytest.approx(case.size * bins.scale)


def category_renamed(case: Case) -> None:
    item = next(item for item in case.context.features if isinstance(item, CategoryBins))
    before, after = (texts(played, "feature:" + item.name) for played in (case.clean, case.faulty))
    pairs = {(old, new) for old, new in zip(before, after, strict=True) if old != new}
    names = {old for old in before if old in item.categories}
    assert all(new == f"{old}_v2" for old, new in pairs)
    most = int(np.ceil(case.size * len(item.categories)))
    assert most - (len(item.categories) - len(names)) <= len(pairs) <= most
    assert not names & {new for old, new in pairs}


def type_change(case: Case) -> None:
    name = first(case.context, NumericBins)
    was, now = numbers(case.clean, name), numbers(case.faulty, name)
    valid = ~np.isnan(was)
    rows = int(valid.sum())
    assert close(as_batch(case.faulty.predictions).violations["wrong_type"] / rows, case.size, rows)
    assert np.array_equal(np.isnan(now), ~valid)
    assert np.isinf(now[was != now][~np.isnan(now[was != now])]).all()


def schema_break(case: Case) -> None:
    features, rows = len(case.context.features), case.clean.predictions.num_rows
    lost = int(np.ceil(case.size * features))
    assert empty_features(case.faulty, case.context) == max(lost, empty_features(case.clean, case.context))
    assert as_batch(case.faulty.predictions).violations == {
        "missing_column": lost * rows,
        "unknown_column": lost * rows,
    }


def score_frozen(case: Case) -> None:
    frozen = numbers(case.faulty, "score") == case.context.threshold / 2.0
    assert close(float(frozen.mean()), case.size, len(frozen))
    assert set(texts(case.faulty, "prediction")[frozen]) == {case.context.classes[0]}


def concept_drift(case: Case) -> None:
    found = changed(case)
    assert close(float(found.mean()), case.size * 0.5, len(found)), "a new label is the old one half of the time"
    names = [name for name in case.clean.predictions.column_names if name != "label"]
    assert bits(case.faulty.predictions.select(names)) == bits(case.clean.predictions.select(names))


def slow_decay(case: Case) -> None:
    found = changed(case)
    assert abs(found.mean() - case.size * 0.25) <= 5.0 * np.sqrt(0.25 * case.size / len(found)) + 0.1 * case.size
    halves = np.array_split(found, 2)
    assert halves[0].mean() < halves[1].mean()


def label_flip(case: Case) -> None:
    found = changed(case)
    assert close(float(found.mean()), case.size, len(found))


def labels(played: Played) -> int:
    """How many labels come."""
    if played.labels.num_rows or "label" not in played.predictions.column_names:
        return played.labels.num_rows
    return played.predictions.num_rows - played.predictions.column("label").null_count


def label_outage(case: Case) -> None:
    assert close(1.0 - labels(case.faulty) / labels(case.clean), case.size, labels(case.clean))


def label_delay(case: Case) -> None:
    table, name = ("labels", "timestamp") if case.clean.labels.num_rows else ("predictions", "label_timestamp")
    old, new = (getattr(played, table) for played in (case.clean, case.faulty))
    for column in (name, "arrival_us"):
        moved = pc.subtract(new.column(column), old.column(column)).filter(pc.is_valid(old.column("label")))
        assert set(moved.to_pylist()) == {round(case.size * HOUR)}


def latency_tail(case: Case) -> None:
    was, now = (numbers(played, "latency") for played in (case.clean, case.faulty))
    slow = now > 20.0 * was
    assert close(float(slow[~np.isnan(was)].mean()), case.size, len(was))
    assert np.array_equal(now[~slow], was[~slow], equal_nan=True)


def clock_skew(case: Case) -> None:
    old, new = case.clean.predictions, case.faulty.predictions
    assert set(pc.subtract(new.column("timestamp"), old.column("timestamp")).to_pylist()) == {case.size * 1_000_000}
    assert new.column("arrival_us").equals(old.column("arrival_us"))


def held(case: Case, table: str, stop_us: int) -> None:
    old, new = (getattr(played, table) for played in (case.clean, case.faulty))
    before, after = (item.column("arrival_us").to_numpy() for item in (old, new))
    stopped = (before >= case.when.start_us) & (before < stop_us)
    assert stopped.any()
    assert np.array_equal(after, np.where(stopped, stop_us, before))
    assert bits(new.drop_columns("arrival_us")) == bits(old.drop_columns("arrival_us"))


def log_stuck(case: Case) -> None:
    held(case, "predictions", BY_NAME["log_stuck"].stop_us(case.when))
    assert bits(case.faulty.labels) == bits(case.clean.labels)


def exporter_dead(case: Case) -> None:
    stop_us = BY_NAME["exporter_dead"].stop_us(case.when)
    held(case, "predictions", stop_us)
    if case.when.size >= 1.0 and case.clean.labels.num_rows:
        held(case, "labels", stop_us)


def bad_deployment(case: Case) -> None:
    versions = set(texts(case.faulty, "version"))
    assert all(version.endswith("-bad") for version in versions), "null too"
    old, new = (texts(played, "prediction") for played in (case.clean, case.faulty))
    known = np.array([value is not None for value in old])
    assert close(float((old != new)[known].mean()), case.size * 0.5, int(known.sum()))


def seasonal_change(case: Case) -> None:
    copies = case.faulty.predictions.num_rows - case.clean.predictions.num_rows
    high = float((finite(case.clean, case.context) > centre(case)).sum())
    assert abs(copies - high * case.size * 2.0 / np.pi) <= 5.0 * np.sqrt(high) * 0.5 + 0.1 * high * case.size


def covariate_shift(case: Case) -> None:
    before, after = (finite(played, case.context) > centre(case) for played in (case.clean, case.faulty))
    was, now = float(before.sum()), float(after.sum())
    assert abs(now - was * (1.0 + case.size)) <= 2.5 * np.sqrt(was)
    low = float((~before).sum())
    assert abs(float((~after).sum()) - low * (1.0 - case.size)) <= 2.5 * np.sqrt(low)


def centre(case: Case) -> float:
    return next(item for item in case.context.features if isinstance(item, NumericBins)).centre


CHECKS: dict[str, Callable[[Case], None]] = {
    check.__name__: check
    for check in (
        mean_shift,
        category_renamed,
        type_change,
        schema_break,
        score_frozen,
        concept_drift,
        slow_decay,
        label_flip,
        label_outage,
        label_delay,
        latency_tail,
        clock_skew,
        log_stuck,
        exporter_dead,
        bad_deployment,
        seasonal_change,
        covariate_shift,
    )
}

LABEL_ROWS = {
    "concept_drift": "made_us",
    "slow_decay": "made_us",
}
"""Labels go by the time of their prediction here, elsewhere by their own."""


def case_of(name: str, logs: Logs, when: Injection) -> Case:
    """A fault on those rows alone which it can hit."""
    inside = "label_timestamp" if name.startswith("label") else "timestamp"
    clean = Played(
        rows_in(logs.played.predictions, when, inside),
        rows_in(logs.played.labels, when, LABEL_ROWS.get(name, "timestamp")),
    )
    return Case(clean, BY_NAME[name].apply(clean, when, logs.context), logs.context, when)


def holds(case: Case, name: str) -> None:
    if name in CHECKS:
        CHECKS[name](case)
        return
    measure, expected = MEASURES[name]
    was, rows = measure(case.clean, case.context), case.clean.predictions.num_rows
    goal = expected(was, case.size)
    found = measure(case.faulty, case.context)
    if measure is predictions:
        found, goal = found / rows, goal / rows
        assert abs(found - goal) <= 2.5 / np.sqrt(rows)
    elif expected is risen:
        assert close(found, goal, rows), (found, goal)
    else:
        assert found == pytest.approx(goal)


def test_every_fault_has_a_measure() -> None:
    assert sorted([*MEASURES, *CHECKS]) == sorted(BY_NAME)


every_size = pytest.mark.parametrize("rank", [0, 1, 2], ids=["small", "middle", "large"])
every_fault = pytest.mark.parametrize("name", BY_NAME)
SMALL = {inside: recorded("binary", inside=inside) for inside in (False, True)}


@every_size
@pytest.mark.parametrize("inside", [False, True], ids=["", "inside"])
@every_fault
def test_the_size_is_what_it_says(name: str, inside: bool, rank: int) -> None:
    logs = SMALL[inside]
    begin = int(logs.played.predictions.column("timestamp")[0].as_py())
    holds(case_of(name, logs, Injection(BY_NAME[name].sizes[rank], begin + 2 * HOUR, begin + 8 * HOUR)), name)


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    """Two days of flights; the column of errors, which they lack, says that there were none."""
    folder: Path = tmp_path_factory.mktemp("flights")
    flight_logs.write(folder, "2013-04-10", "2013-04-12")
    lines = (folder / "logs" / "predictions.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    features = rows[0]["features"]
    text = pa.string()
    columns = {
        "timestamp": instants(row["timestamp"] for row in rows),
        "id": pa.array([row["id"] for row in rows], text),
        "version": pa.array([row["model_version"] for row in rows], text),
        "prediction": pa.array([row["prediction"] for row in rows], text),
        "score": pa.array([row["score"] for row in rows], pa.float64()),
        "latency": pa.array([row["latency_seconds"] for row in rows], pa.float64()),
        "fallback": pa.array([row["fallback"] for row in rows], pa.bool_()),
        "error": pa.array([False] * len(rows)),
    }
    bins: list[NumericBins | CategoryBins] = []
    for name in ("temp", "pressure", "carrier", "origin"):
        values = [row["features"][name] for row in rows]
        kind = text if isinstance(features[name], str) else pa.float64()
        columns["feature:" + name] = pa.array(values, kind)
        known = [value for value in values if value is not None]
        if kind is text:
            bins.append(CategoryBins(name, tuple(sorted(set(known)))))
        else:
            low, middle, high = np.quantile(known, (0.16, 0.5, 0.84)).tolist()
            bins.append(NumericBins(name, (middle,), middle, (high - low) / 2.0, -np.inf, np.inf))
    predictions = arriving(pa.table(columns))
    found = [json.loads(line) for line in (folder / "logs" / "labels.jsonl").read_text().splitlines()]
    ids, actual = (pa.array([row[name] for row in found], text) for name in ("id", "label"))
    labels = pa.table({"timestamp": instants(row["timestamp"] for row in found), "id": ids, "label": actual})
    context = Context(tuple(bins), ("on_time", "late"), 0.4, (0.7, 0.3))
    return Logs(Played(predictions, arriving(attach(labels, predictions))), context)


def instants(found: object) -> pa.Array:
    times = np.array([str(value).rstrip("Z") for value in found], "datetime64[us]")  # type: ignore[attr-defined]
    return pa.array(times.astype(np.int64))


FLIGHT_DAY = int(np.datetime64("2013-04-11T00:00", "us").astype(np.int64))


@every_fault
def test_a_day_of_flights_shows_every_fault(name: str, flights: Logs) -> None:
    fault = BY_NAME[name]
    when = Injection(fault.sizes[1], FLIGHT_DAY, FLIGHT_DAY + 24 * HOUR)
    if name not in ("bad_deployment", "exporter_dead", "log_stuck"):  # shares of 0.7 and 0.3; nobody flies at night
        holds(case_of(name, flights, when), name)
    whole = fault.apply(flights.played, Injection(fault.sizes[1], FLIGHT_DAY + 12 * HOUR, when.end_us), flights.context)
    assert not same(whole, flights.played), "nothing happened"
    day_before = pc.less(flights.played.predictions.column("timestamp"), when.start_us)
    kept = flights.played.predictions.filter(day_before)
    assert bits(whole.predictions.select(kept.column_names).slice(0, kept.num_rows)) == bits(kept)
