"""The same laws for every alert, by promtool, oldest and newest supported."""

import pytest
import rule_suites
import rule_worlds
from rule_laws import GRIDS

GROUPS = rule_suites.groups_of(rule_suites.committed())
RULES = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
# A few laws at a time: the time that promtool takes grows with rules times series.
WORLDS = {
    f"{name}-{place // 4}": (laws[place : place + 4], step, warm_up)
    for name, (laws, step, warm_up) in GRIDS.items()
    for place in range(0, len(laws), 4)
}


SLOWEST = "silent"
"""A week is long: the oldest version lives through it in `make soak`."""
RUNS = [
    pytest.param(name, version, marks=[pytest.mark.soak] if name.startswith(SLOWEST) and version == "floor" else [])
    for name in WORLDS
    for version in ("floor", "latest")
]


@pytest.mark.parametrize(("name", "version"), RUNS)
def test_laws(name, version, tmp_path):
    laws, step, warm_up = WORLDS[name]
    document = rule_worlds.world(laws, RULES, step, warm_up)
    groups = rule_suites.needed(GROUPS, [law.alert for law in laws])
    passes, said = rule_suites.run(document, groups, tmp_path, version)
    assert passes, said
