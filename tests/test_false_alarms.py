"""Critical values learned on two thirds of March's days keep the budget of false alarms on the rest."""

import importlib
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests import flight_logs

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture(scope="module")
def bench():
    """bench/false_alarms.py as a module, and its flights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        patch.syspath_prepend(flight_logs.EXAMPLE)
        module = importlib.import_module("false_alarms")
        with flight_logs.cache_lock():
            flights = module.flights()
        yield module, flights


@pytest.mark.parametrize("thirds", ["in_blocks", "interleaved"])
def test_days_left_out_of_march_keep_the_budget(bench, thirds):
    module, flights = bench
    found = module.march_rotations(flights, getattr(module, thirds))
    assert found.days == 31
    assert found.daily_tests == 31 * 29 - 2  # no gust was measured on one day: it has neither PSI nor mean
    assert found.hourly_tests == 448 * 12  # hours with enough flights; nulls of every feature
    assert 0.85 < found.expected < 31 / 30  # the budget, without the hours of the night
    assert found.bound == 3
    assert len(found.alarms) <= found.bound, found.alarms


def renamed_carriers(rows):
    return changed(rows, "carrier", pc.binary_join_element_wise("X", rows.column("feature:carrier"), ""))


def kilometres(rows):
    return changed(rows, "distance", pc.multiply(rows.column("feature:distance"), 1.609))


def changed(rows: pa.Table, feature, column):
    name = f"feature:{feature}"
    return rows.set_column(rows.column_names.index(name), name, column)


def test_nulls_that_come_by_whole_hours_do_not_alarm_but_lost_values_do(bench):
    """Gusts and air pressure are missing in whole hours of March, wind speed in a quarter of one hour, others never."""
    module, flights = bench

    def features(found):
        return {alarm.what for _, alarm in found.alarms if alarm.signal == "feature_null_excess"}

    assert features(module.march_rotations(flights, module.in_blocks)) == {"wind_speed"}
    lost = module.march_rotations(flights, module.in_blocks, lambda rows: without_values(rows, "temp", "pressure"))
    assert features(lost) == {"wind_speed", "temp"}, (
        "an hour is too short to tell pressure that is lost from a usual gap"
    )


def without_values(rows: pa.Table, *features):
    for feature in features:
        rows = changed(rows, feature, pa.nulls(rows.num_rows, pa.float64()))
    return rows


@pytest.mark.parametrize(("fault", "feature"), [(renamed_carriers, "carrier"), (kilometres, "distance")])
def test_the_same_limits_notice_a_fault_on_every_day(bench, fault, feature):
    module, flights = bench
    found = module.march_rotations(flights, module.in_blocks, fault)
    days = {date for date, alarm in found.alarms if (alarm.signal, alarm.what) == ("feature_psi", feature)}
    assert len(days) == 31
