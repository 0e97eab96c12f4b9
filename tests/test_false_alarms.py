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
    assert found.tested == 31 * 23 - 2  # no gust was measured on one day: it has neither PSI nor mean
    assert found.expected == pytest.approx(31 / 30, rel=0.01)
    assert found.bound == 3
    assert len(found.alarms) <= found.bound, found.alarms


def renamed_carriers(rows):
    return changed(rows, "carrier", pc.binary_join_element_wise("X", rows.column("feature:carrier"), ""))


def kilometres(rows):
    return changed(rows, "distance", pc.multiply(rows.column("feature:distance"), 1.609))


def changed(rows: pa.Table, feature, column):
    name = f"feature:{feature}"
    return rows.set_column(rows.column_names.index(name), name, column)


@pytest.mark.parametrize(("fault", "feature"), [(renamed_carriers, "carrier"), (kilometres, "distance")])
def test_the_same_limits_notice_a_fault_on_every_day(bench, fault, feature):
    module, flights = bench
    found = module.march_rotations(flights, module.in_blocks, fault)
    days = {date for date, alarm in found.alarms if (alarm.signal, alarm.what) == ("feature_psi", feature)}
    assert len(days) == 31
