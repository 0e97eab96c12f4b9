"""Variables: which values they have, what is chosen, and how a value gets into a query, a link and a title."""

import json
import re

import pytest
from tests.previewing.made import dashboard, variable

from ml_exporter.previewing.variables import (
    LabelValues,
    QueryResult,
    chosen,
    in_query,
    literal,
    options,
    question,
    replaced,
)

HOSTILE = 'a"b\\c{.*}|(d)$e\n'


def read(**changes):
    (found,) = dashboard(templating={"list": [variable(**changes)]}).variables
    return found


def test_what_a_query_asks():
    assert question("label_values(model)") == LabelValues("", "model")
    assert question(' label_values( up{job=~"a,b"} , job ) ') == LabelValues('up{job=~"a,b"}', "job")
    assert question("query_result(sum(up))") == QueryResult("sum(up)")
    assert question("metrics(ml_.*)") is None


def test_the_first_where_nothing_is_said():
    found = chosen(read(), ["a", "b"], None)
    assert (found.values, found.is_all) == (("a",), False)


def test_what_the_dashboard_says_if_it_is_still_there():
    variable = read(current={"value": "b"})
    assert chosen(variable, ["a", "b"], None).values == ("b",)
    assert chosen(variable, ["a", "c"], None).values == ("a",)


@pytest.mark.parametrize("current", [{}, {"value": ["$__all"]}, {"value": "gone"}])
def test_all(current):
    found = chosen(read(multi=True, includeAll=True, allValue=".+", current=current), ["a", "b"], None)
    assert found.is_all
    assert in_query(found) == ".+"
    assert found.text() == "All"
    without = chosen(read(multi=True, includeAll=True, current=current), ["a", "b"], None)
    assert in_query(without) == "(a|b)"


def test_what_was_asked_for_is_chosen_though_nobody_knows_it():
    assert chosen(read(), ["a"], "c,d").values == ("c,d",)
    assert chosen(read(multi=True), ["a"], "c,d").values == ("c", "d")


def test_a_value_ends_no_string():
    """The text between the quotes of a query, read by the rules of PromQL, is the value itself."""
    text = in_query(chosen(read(), [HOSTILE], None))
    assert json.loads(f'"{text}"') == HOSTILE


def test_a_value_of_several_is_a_regular_expression_for_itself():
    text = in_query(chosen(read(multi=True), [HOSTILE], None))
    expression = json.loads(f'"{text}"')
    assert re.fullmatch(expression, HOSTILE)
    assert not re.fullmatch(expression, 'a"b\\c{xx}|(d)$e\n')


def test_forms():
    choices = {"model": chosen(read(multi=True), ["x y", "z"], "x y,z")}
    builtins = {"__rate_interval": "4m", "__from": "5"}
    assert replaced('up{m=~"$model"}[$__rate_interval]', choices, builtins, "query") == 'up{m=~"(x y|z)"}[4m]'
    assert replaced("${model} [[model]] $other ${__from}", choices, builtins) == "x y + z x y + z $other 5"
    assert replaced("${model:csv} ${model:pipe} ${model:json}", choices, builtins) == 'x y,z x y|z ["x y", "z"]'
    assert replaced("/d/x?${model:queryparam}", choices, builtins) == "/d/x?var-model=x%20y&var-model=z"
    assert replaced("?$__all_variables", choices, builtins) == "?var-model=x%20y&var-model=z"


def test_only_the_values_that_its_expression_finds_and_in_its_order():
    assert options(read(regex="/^v(\\d+)$/"), ["v10", "w", "v9"]) == ["10", "9"]
    assert options(read(sort=3), ["v10", "v9"]) == ["v9", "v10"]
    assert options(read(sort=2), ["a", "b"]) == ["b", "a"]
    assert options(read(sort=5), ["B", "a", "B"]) == ["a", "B"]
    assert literal(read(type="custom", query="a, Text : b,c\\,d")) == ["a", "b", "c,d"]
    assert literal(read(type="constant", query="5, m")) == ["5, m"]
