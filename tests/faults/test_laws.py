"""What holds for every fault: where logs are cut does not matter, rows outside its time stay, nothing crashes it."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.build import HOUR
from tests.faults.logs import BEGIN, END, START, TASKS, Logs, bits, injection, recorded, same

from ml_exporter.faults import BY_NAME, FAULTS, Context, Fault, Injection, Played, arriving, as_batch, attach

KINDS = [(task, inside) for task in TASKS for inside in (False, True)]
LOGS = {kind: recorded(kind[0], inside=kind[1]) for kind in KINDS}
every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0]}{'-inside' * kind[1]}")


def cut(table: pa.Table, places: list[int]) -> Iterator[pa.Table]:
    limits = [0, *sorted(place % (table.num_rows + 1) for place in places), table.num_rows]
    return (table.slice(begin, end - begin) for begin, end in pairwise(limits))


@every_kind
@every_fault
@settings(max_examples=3, deadline=None)
@given(places=st.lists(st.integers(0, 10_000), min_size=1, max_size=4), rank=st.integers(0, 2))
def test_where_logs_are_cut_does_not_matter(fault: Fault, kind: tuple[str, bool], places: list[int], rank: int) -> None:
    logs, when = LOGS[kind], injection(fault.sizes[rank])
    whole = fault.apply(logs.played, when, logs.context)
    cuts = zip(cut(logs.played.predictions, places), cut(logs.played.labels, places), strict=True)
    parts = [fault.apply(Played(*part), when, logs.context) for part in cuts]
    predictions = pa.concat_tables(part.predictions for part in parts)
    assert same(Played(predictions, pa.concat_tables(part.labels for part in parts)), whole)


def outside(played: Played) -> Played:
    """Rows that no fault may touch: predictions made, and labels landed or of predictions made, at another time."""

    def away(table: pa.Table, *names: str) -> pa.Table:
        rows = np.ones(table.num_rows, np.bool_)
        for name in names:
            if name in table.column_names:
                times = pc.fill_null(table.column(name), 0).to_numpy()
                rows &= (times < START) | (times >= END)
        return table.filter(pa.array(rows))

    return Played(
        away(played.predictions, "timestamp", "label_timestamp"),
        away(played.labels, "timestamp", "made_us", "arrival_us"),
    )


@every_kind
@every_fault
def test_rows_outside_its_time_stay_bit_for_bit(fault: Fault, kind: tuple[str, bool]) -> None:
    logs = LOGS[kind]
    clean = outside(logs.played)
    faulty = fault.apply(clean, injection(fault.sizes[2]), logs.context)
    counts = [name for name in faulty.predictions.column_names if name.startswith("violations:")]
    assert not any(pc.sum(faulty.predictions.column(name)).as_py() for name in counts)
    assert same(Played(faulty.predictions.drop_columns(counts), faulty.labels), clean)


@every_fault
def test_with_no_time_at_all_nothing_happens(fault: Fault) -> None:
    logs = LOGS["binary", False]
    faulty = fault.apply(logs.played, Injection(fault.sizes[2], START, START), logs.context)
    assert bits(faulty.predictions.select(logs.played.predictions.column_names)) == bits(logs.played.predictions)
    assert bits(faulty.labels) == bits(logs.played.labels)


@every_kind
@every_fault
def test_the_same_logs_give_the_same_faults(fault: Fault, kind: tuple[str, bool]) -> None:
    logs, when = LOGS[kind], injection(fault.sizes[1])
    again = recorded(kind[0], inside=kind[1])
    assert same(fault.apply(again.played, when, again.context), fault.apply(logs.played, when, logs.context))


def hostile() -> Iterator[tuple[str, Played]]:
    played = LOGS["binary", False].played
    yield "no rows", Played(played.predictions.slice(0, 0), played.labels.slice(0, 0))
    yield "no chunks", Played(played.predictions.schema.empty_table(), played.labels.schema.empty_table())
    yield "only times", Played(played.predictions.select(["timestamp", "arrival_us"]))
    yield "no columns", Played(pa.table({}), pa.table({}))
    nulls = {item.name: pa.nulls(3, item.type) for item in played.predictions.schema}
    times = pa.array([START, START, START])
    yield "nulls", Played(pa.table(nulls | {"timestamp": times, "arrival_us": times}))
    huge = {name: pa.array([1e308, -1e308, np.nan]) for name in ("score", "latency", "feature:temp")}
    yield "huge", Played(pa.table(nulls | huge | {"timestamp": times, "arrival_us": times}))
    texts = {item.name: pa.array(["a", "", None]) for item in played.predictions.schema}
    yield "all texts", Played(pa.table(texts | {"timestamp": times, "arrival_us": times}))
    numbers = {item.name: pa.array([0.5, 1.0, None]) for item in played.predictions.schema}
    yield "all numbers", Played(pa.table(numbers | {"id": nulls["id"], "timestamp": times, "arrival_us": times}))


@pytest.mark.parametrize("played", [pytest.param(played, id=what) for what, played in hostile()])
@pytest.mark.parametrize("context", [LOGS["binary", False].context, LOGS["regression", False].context, Context()])
@every_fault
def test_hostile_logs_do_not_crash_it(fault: Fault, context: Context, played: Played) -> None:
    for size in (0.0, *fault.sizes):
        faulty = fault.apply(played, injection(size), context)
        names = [name for name in faulty.predictions.column_names if not name.startswith("violations:")]
        assert names == played.predictions.column_names
        assert faulty.predictions.select(names).schema == played.predictions.schema
        assert faulty.labels.schema == played.labels.schema


@every_fault
def test_an_unknown_feature_is_left_alone(fault: Fault) -> None:
    logs = LOGS["binary", False]
    of_a_feature = (
        "null",
        "invalid",
        "unit",
        "mean",
        "variance",
        "category",
        "column",
        "type",
        "seasonal",
        "covariate",
    )
    faulty = fault.apply(logs.played, injection(fault.sizes[1], "pressure"), logs.context)
    assert same(faulty, logs.played) == fault.name.startswith(of_a_feature)


def test_every_fault_is_a_row_of_the_table_with_growing_sizes() -> None:
    assert len(BY_NAME) == len(FAULTS) == 32
    assert [fault.name for fault in FAULTS if not fault.is_fault] == ["seasonal_change", "covariate_shift"]
    assert [fault.name for fault in FAULTS if fault.silent] == ["exporter_dead"]
    for fault in FAULTS:
        assert fault.sizes == tuple(sorted(set(fault.sizes))), fault.name
        assert fault.summary.endswith("."), fault.name


def test_the_fix_comes_when_the_outage_is_over_and_never_after_the_end() -> None:
    when = Injection(1.0, BEGIN, BEGIN + 4 * HOUR)
    assert BY_NAME["null_spike"].stop_us(when) == BEGIN + 4 * HOUR
    assert BY_NAME["exporter_dead"].stop_us(when) == BEGIN + HOUR
    assert BY_NAME["log_stuck"].stop_us(Injection(9.0, BEGIN, BEGIN + 4 * HOUR)) == BEGIN + 4 * HOUR


def test_labels_know_their_predictions_by_the_first_of_an_id() -> None:
    predictions = pa.table({"id": ["a", "b", "a", None], "timestamp": [1, 2, 3, 4], "feature:x": [0.1, 0.2, 0.3, 0.4]})
    labels = pa.table({"id": ["a", "c", None, "b"], "timestamp": [7, 8, 9, 10], "label": ["y", "y", "y", "n"]})
    found = attach(labels, predictions)
    assert found.column("made_us").to_pylist() == [1, None, None, 2]
    assert found.column("feature:x").to_pylist() == [0.1, None, None, 0.2]


def test_a_batch_has_what_the_parser_gives_and_no_column_more() -> None:
    logs: Logs = LOGS["binary", False]
    clean = as_batch(logs.played.predictions)
    assert clean.table.column_names == [name for name in logs.played.predictions.column_names if name != "arrival_us"]
    assert (clean.lines, clean.violations) == (logs.played.predictions.num_rows, {})
    assert as_batch(logs.played.labels).table.column_names == ["timestamp", "id", "label"]
    broken = BY_NAME["schema_break"].apply(logs.played, injection(1.0), logs.context)
    rows = pc.sum(
        pc.and_(
            *(
                op(logs.played.predictions.column("timestamp"), edge)
                for op, edge in ((pc.greater_equal, START), (pc.less, END))
            )
        )
    ).as_py()
    assert as_batch(broken.predictions).violations == {"missing_column": 3 * rows, "unknown_column": 3 * rows}
    assert as_batch(broken.predictions).table.column_names == clean.table.column_names


def test_arrival_that_is_known_is_kept() -> None:
    assert arriving(pa.table({"timestamp": [1], "arrival_us": [9]})).column("arrival_us").to_pylist() == [9]
