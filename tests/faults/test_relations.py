"""What belongs together stays together: a case and its label, a prediction and its score."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests import build
from tests.build import DAY, HOUR
from tests.faults.logs import BEGIN, Logs, injection, recorded, same

from ml_exporter.faults import BY_NAME, FAULTS, Fault, Injection, Played, as_batch

LOGS = recorded("binary")
VIOLATIONS = {
    "column_missing": {"missing_column"},
    "schema_break": {"missing_column", "unknown_column"},
    "type_change": {"wrong_type"},
}


def ids(table: pa.Table) -> list[str | None]:
    return table.column("id").to_pylist()


def origins(table: pa.Table) -> list[str | None]:
    """The id of the row that each row is a copy of, or its own."""
    return [name and name.split("~")[0] for name in ids(table)]


def with_origin_in(table: pa.Table, names: Iterable[str | None]) -> set[str]:
    known = set(names) - {None}
    return {name for name, origin in zip(ids(table), origins(table), strict=True) if origin in known}


@pytest.mark.parametrize("rank", [0, 1, 2], ids=["small", "middle", "large"])
@pytest.mark.parametrize("name", ["seasonal_change", "covariate_shift", "volume_surge", "volume_drop"])
def test_cases_that_come_or_stay_away_keep_their_values_and_their_labels(name: str, rank: int) -> None:
    clean = LOGS.played
    faulty = BY_NAME[name].apply(clean, injection(BY_NAME[name].sizes[rank]), LOGS.context)
    assert not same(faulty, clean)
    for old, new in ((clean.predictions, faulty.predictions), (clean.labels, faulty.labels)):
        rows = {row["id"]: repr(row) for row in old.to_pylist() if row["id"] is not None}
        for row, origin in zip(new.to_pylist(), origins(new), strict=True):
            assert origin is None or repr(row | {"id": origin}) == rows[origin]
    labelled = with_origin_in(faulty.predictions, ids(clean.labels))
    assert with_origin_in(faulty.labels, ids(clean.predictions)) == labelled


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize(
    "name", ["class_takeover", "score_frozen", "confidence_drop", "absurd_predictions", "bad_deployment"]
)
def test_predictions_and_scores_agree(name: str, task: str) -> None:
    logs = recorded(task)
    classes = np.array(logs.context.classes, object)
    for size in BY_NAME[name].sizes:
        faulty = BY_NAME[name].apply(logs.played, injection(size), logs.context).predictions
        named = np.array(faulty.column("prediction").to_pylist(), object)
        known = np.array([value is not None for value in named])
        if task == "binary":
            by_score = (faulty.column("score").to_numpy() >= logs.context.threshold).astype(int)
        else:
            scores = np.stack([faulty.column(f"score:{name}").to_numpy() for name in classes], axis=1)
            assert scores.sum(axis=1) == pytest.approx(1.0)
            by_score = scores.argmax(axis=1)
        assert np.array_equal(classes[by_score][known], named[known])


def throughout(logs: Logs, name: str, size: float) -> Played:
    return BY_NAME[name].apply(logs.played, Injection(size, BEGIN, BEGIN + DAY), logs.context)


def test_a_regression_has_its_own_forms() -> None:
    logs = recorded("regression")

    def predicted(name: str) -> np.ndarray:
        return throughout(logs, name, 1.0).predictions.column("prediction").to_numpy()

    def labels(name: str) -> np.ndarray:
        return throughout(logs, name, 1.0).labels.column("label").to_numpy()

    assert set(predicted("score_frozen")) == {100.0}
    assert set(predicted("absurd_predictions")) == {100.0 + 1000.0 * 20.0}
    assert abs(predicted("bad_deployment").mean() - 100.0) < 2.0
    assert abs(predicted("bad_deployment").std() - 20.0) < 2.0
    actual = logs.played.labels.column("label").to_numpy()
    assert abs(np.corrcoef(actual, labels("concept_drift"))[0, 1]) < 0.1
    assert labels("label_flip") == pytest.approx(200.0 - actual)
    for name in ("class_takeover", "confidence_drop"):
        assert same(throughout(logs, name, 0.5), logs.played), "classes only"


def test_duplicates_have_the_same_id_and_copies_another() -> None:
    twice = ids(throughout(LOGS, "duplicate_traffic", 1.0).predictions)
    assert twice[::2] == twice[1::2] == ids(LOGS.played.predictions)
    known = [name for name in ids(throughout(LOGS, "volume_surge", 3.0).predictions) if name is not None]
    assert len(set(known)) == len(known) > 2 * LOGS.played.predictions.num_rows


def test_a_prediction_and_its_label_are_drawn_alike() -> None:
    half = throughout(LOGS, "volume_drop", 0.5)
    assert set(ids(half.labels)) & set(ids(LOGS.played.predictions)) <= set(ids(half.predictions))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_pipeline_takes_in_what_arrives(fault: Fault) -> None:
    """Hour by hour, in order of arrival; only a clock that is wrong makes rows that are refused."""
    faulty = fault.apply(LOGS.played, injection(fault.sizes[1]), LOGS.context)
    counting = build.counting()
    refused: Counter[str] = Counter()
    for now in range(BEGIN + HOUR, BEGIN + 2 * DAY, HOUR):
        for table, take in ((faulty.predictions, counting.predictions), (faulty.labels, counting.labels)):
            arrival = table.column("arrival_us")
            due = table.filter(pc.and_(pc.greater_equal(arrival, now - HOUR), pc.less(arrival, now)))
            refused.update({reason: len(places) for reason, places in take(as_batch(due), now).items()})
    rows = int(counting.layout.cells(counting.total, "rows")["rows"][0])
    assert rows + refused["future"] == faulty.predictions.num_rows
    assert (refused["future"] > 0) == (fault.name == "clock_skew")
    assert set(+counting.violations) == VIOLATIONS.get(fault.name, set())


@pytest.mark.parametrize("scores", [(), tuple(np.linspace(0.0, 0.8, 9))], ids=["unknown", "known"])
def test_answers_of_a_bad_version_tell_nothing_of_the_input(scores: tuple[float, ...]) -> None:
    context = replace(LOGS.context, scores=scores)
    when = Injection(1.0, BEGIN, BEGIN + DAY)
    worse = BY_NAME["bad_deployment"].apply(LOGS.played, when, context).predictions.column("score").to_numpy()
    assert abs(np.corrcoef(LOGS.played.predictions.column("score").to_numpy(), worse)[0, 1]) < 0.1
    assert worse.max() <= (scores[-1] if scores else 1.0)
