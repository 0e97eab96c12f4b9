"""Every level that is one of the values of several replicas is the worse of them."""

from collections import Counter

import pytest
import rule_replicas
import rule_suites

RULES = [rule for group in rule_suites.groups_of(rule_suites.committed()) for rule in group["rules"]]
TAKEN = rule_replicas.taken(RULES)


def test_no_level_is_forgotten():
    levels = [rule["record"] for rule in RULES if "record" in rule and " without (" in rule["expr"]]
    assert Counter(rule["record"] for rule in TAKEN) == Counter(levels)


def test_every_name_of_the_table_is_a_level():
    assert {rule["record"] for rule in TAKEN} >= rule_replicas.LESS_IS_WORSE


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_the_worse_replica_counts(tmp_path, version):
    groups = [{"name": "levels", "rules": TAKEN}]
    passes, said = rule_suites.run(rule_replicas.suite(TAKEN), groups, tmp_path, version)
    assert passes, said
