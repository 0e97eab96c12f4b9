"""A baseline is a text that comes back byte for byte, notices an edit, and fits its configuration or says where not."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests import build

from ml_exporter.baseline import (
    SCORE,
    Baseline,
    Independent,
    JsNoise,
    Noise,
    Phi,
    PsiNoise,
    SpreadNoise,
    aligned,
    dump,
    load,
    misfits,
)
from ml_exporter.config import Latency, Model, PredictionColumns, Predictions, Time
from ml_exporter.errors import BaselineError
from ml_exporter.layout import CategoryBins, Layout, NumericBins

NOISE = Noise(
    {"temp": PsiNoise(30, 12.5, 0.1 + 0.2, 1.25), SCORE: PsiNoise(3, 1e-9, 0.0, 1.0)}, {"accuracy": Phi(30, 1.5)}
)
HOSTILE = 'say "hi"\n\\<b>é\u2028'


def learned() -> Baseline:
    return build.baseline(noise={"1d": NOISE}, window_seconds={"1d": 86400.0}, warnings=("few rows",))


def test_it_comes_back_byte_for_byte() -> None:
    text = dump(learned())
    again = load(text, "flights.json")
    assert dump(again) == text
    assert again.fingerprint == learned().fingerprint
    assert again.layout == learned().layout
    assert (again.vector == learned().vector).all()
    assert again.noise == {"1d": NOISE}
    assert again.groups == learned().groups
    assert again.summary == learned().summary
    assert again.warnings == ("few rows",)


def test_what_distances_need_comes_back_and_an_artefact_without_it_has_no_key_for_it() -> None:
    noise = replace(
        NOISE, js={"temp": JsNoise(30, 60.5, 99.0, 41.25)}, spread={"temp": SpreadNoise(30, -0.5, 0.25, 990.5)}
    )
    independent = {"temp": {"ks": Independent(0.5, 0.0, 6.75), "wasserstein": Independent(1.1, 0.1, 1.2)}}
    found = replace(learned(), noise={"1d": noise}, independent=independent)
    again = load(dump(found), "flights.json")
    assert (again.noise, again.independent) == ({"1d": noise}, independent)
    assert again.fingerprint != learned().fingerprint
    document = json.loads(dump(learned()))
    assert "independent" not in document
    assert document["noise"]["1d"].keys() == {"psi", "phi"}
    assert load(dump(learned()), "flights.json").independent == {}


def test_an_artefact_knows_no_alignment() -> None:
    rows = [build.prediction(0, number) for number in range(50)]
    cells = build.vector(build.layout(), rows, {f"p{number}": "yes" for number in range(0, 50, 2)})
    found = build.baseline(cells=cells)
    arriving = aligned(found, "arrival")
    assert arriving.layout == build.layout(align="arrival")
    assert dump(arriving) == dump(found)
    quality = build.layout().cells(cells, "quality")
    arrived = arriving.layout.cells(arriving.vector, "arrived")["histogram"].reshape(2, -1)
    assert arrived.sum(axis=1).tolist() == [quality["scored"][0] - quality["positive"][0], quality["positive"][0]]
    again = aligned(arriving, "prediction")
    assert (again.layout, again.vector.tolist()) == (found.layout, cells.tolist())


@pytest.mark.parametrize(
    "layout",
    [build.multiclass(), build.multiclass(count=25, scores=False), build.regression()],
    ids=lambda it: it.task.name,
)
def test_every_task_comes_back(layout: Layout) -> None:
    baseline = build.baseline(layout, np.arange(layout.size, dtype=np.int64) * 2**30, noise={"1d": NOISE})
    text = dump(baseline)
    again = load(text, "flights.json")
    assert dump(again) == text
    assert (again.layout, again.vector.tolist()) == (layout, baseline.vector.tolist())
    document = json.loads(text)
    assert document["task"] == layout.task.name
    with pytest.raises(BaselineError, match="expected a complete baseline, got ValueError: unknown task 'ranking'"):
        load(json.dumps(document | {"task": "ranking"}), "flights.json")
    with pytest.raises(BaselineError, match="expected the fingerprint of the content"):
        load(json.dumps(document | {"latency_bounds": [0.1, 0.5, 2.0]}), "flights.json")


def test_a_binary_artefact_is_as_the_first_release_wrote_it() -> None:
    """Its keys, their order and its fingerprint."""
    document = json.loads(dump(learned()))
    assert list(document) == [
        "format", "fingerprint", "summary", "warnings", "model", "classes", "decision_threshold", "reference", "time",
        "features", "score_edges", "score_psi_groups", "latency_bounds", "delay_bounds", "head", "noise",
    ]  # fmt: skip
    assert document["fingerprint"] == "8000edf76f02"


def test_hostile_names_and_extreme_numbers_come_back() -> None:
    features = (
        NumericBins(
            HOSTILE, (-1.7e308, -0.0, 5e-324, 0.1 + 0.2), centre=1e-300, scale=3e200, low=-np.inf, high=1.7e308
        ),
        CategoryBins(SCORE[2:7], (HOSTILE, "", "null", "__other__")),
        CategoryBins("nothing", ()),
    )
    layout = build.layout(*features, classes=("", HOSTILE))
    baseline = build.baseline(layout, np.arange(layout.size, dtype=np.int64) * 2**40)
    again = load(dump(baseline), "flights.json")
    assert again.layout == layout
    assert (again.vector == baseline.vector).all()
    assert dump(again) == dump(baseline)


def test_a_feature_may_be_called_score() -> None:
    layout = build.layout(replace(build.TEMP, name="score"))
    again = load(dump(build.baseline(layout)), "flights.json")
    assert (len(again.groups["score"]), len(again.groups[SCORE])) == (5, 4)


def test_the_text_has_a_line_for_each_value() -> None:
    lines = dump(learned()).splitlines()
    assert lines[:2] == ["{", '  "format": 1,']
    assert '      "edges": [0.0, 5e-324, 10.0, 20.0],' in lines
    assert max(map(len, lines)) < 200


def edited(path: list[str], value: object) -> str:
    """The artefact with one value changed by hand."""
    document = json.loads(dump(learned()))
    place = document
    for key in path[:-1]:
        place = place[key]
    assert place[path[-1]] != value
    place[path[-1]] = value
    return json.dumps(document)


EDITS: dict[str, tuple[list[str], object]] = {
    "a count": (["features", "temp", "counts", "valid"], 7),
    "an edge": (["features", "temp", "edges"], [0.0, 5e-324, 10.0, 21.0]),
    "the range": (["features", "temp", "range"], [None, 50.0]),
    "categories": (["features", "carrier", "categories"], ["AA", "DL"]),
    "bins of PSI": (["features", "temp", "psi_groups"], [0, 0, 0, 0, 0]),
    "a class": (["classes"], ["no", "maybe"]),
    "the threshold": (["decision_threshold"], 0.4),
    "a head count": (["head", "rows", "rows"], 1),
    "noise": (["noise", "1d", "psi", "temp", "variance"], 99.0),
    "phi": (["noise", "1d", "phi", "accuracy", "phi"], 1.0),
    "maturity": (["reference", "maturity_seconds"], 60.0),
    "the model": (["model"], "trains"),
    "the fingerprint": (["fingerprint"], "0" * 12),
}


@pytest.mark.parametrize(("path", "value"), EDITS.values(), ids=EDITS)
def test_an_edit_is_refused(path: list[str], value: object) -> None:
    with pytest.raises(
        BaselineError, match=r"^flights\.json\.fingerprint: expected the fingerprint of the content, got '"
    ):
        load(edited(path, value), "flights.json")


DAMAGES: dict[str, tuple[str, str]] = {
    "empty": ("", r"flights\.json: expected a baseline made by ml-exporter, got 'Expecting value"),
    "cut": (dump(build.baseline())[:-100], r"flights\.json: expected a baseline made by ml-exporter, got"),
    "a list": ("[]", r"flights\.json: expected a baseline made by ml-exporter, got"),
    "a number": ("3", r"flights\.json: expected a baseline made by ml-exporter, got"),
    "no format": ("{}", r"flights\.json: expected a baseline made by ml-exporter, got \"'format'\""),
    "a newer format": (
        edited(["format"], 2),
        r"flights\.json: expected baseline format 1, got 2\. Make the baseline again",
    ),
    "a format of text": (edited(["format"], "1"), r"flights\.json: expected baseline format 1, got '1'\."),
    "only the format": ('{"format": 1}', r"flights\.json: expected a complete baseline, got KeyError: 'features'"),
    "features as a list": (
        edited(["features"], []),
        r"flights\.json: expected a complete baseline, got AttributeError",
    ),
    "too few counts": (
        edited(["features", "temp", "counts", "bins"], [1, 2]),
        r"expected a complete baseline, got ValueError",
    ),
    "a count of text": (edited(["head", "rows", "rows"], "many"), r"expected a complete baseline, got ValueError"),
    "a count beyond int64": (
        edited(["head", "rows", "rows"], 10**30),
        r"expected a complete baseline, got OverflowError",
    ),
    "a lost feature count": (
        edited(["features", "temp", "counts"], {}),
        r"expected a complete baseline, got KeyError: 'valid'",
    ),
    "one class": (edited(["classes"], ["no"]), r"expected a complete baseline, got IndexError"),
    "an unknown noise": (
        edited(["noise", "1d", "psi", "temp"], {"k": 1}),
        r"expected a complete baseline, got TypeError",
    ),
}


@pytest.mark.parametrize(("text", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_refused(text: str, message: str) -> None:
    with pytest.raises(BaselineError, match=message):
        load(text, "flights.json")


def test_what_fits_has_no_misfits() -> None:
    assert found() == []


def found(
    name: str = "flights", time: Time | None = None, baseline: Baseline | None = None, **changes: Any
) -> list[str]:
    """The misfits of a changed model."""
    model: Model = build.model(**changes)
    fitted = baseline or build.baseline()
    return [str(problem) for problem in misfits(fitted, name, model, time or Time())]


AGAIN = "Make the baseline again with `ml-exporter baseline`."


def features(
    numeric: str = "temp: {range: [-30, 50]}, wind: {range: [0, null]}", categorical: str = "carrier: "
) -> Any:
    """The features of a model whose configuration spells them so."""
    text = build.CONFIG.replace("{temp: {range: [-30, 50]}, wind: {range: [0, null]}}", f"{{{numeric}}}")
    return build.parse(text.replace("{carrier: }", f"{{{categorical}}}")).models["flights"].features


def test_another_task_is_a_misfit() -> None:
    model = {"task": "multiclass", "classes": ("no", "yes"), "predictions": Predictions("x", PredictionColumns())}
    assert found(**model) == [
        f"models.flights.task: expected 'binary' as in the baseline, got 'multiclass'. {AGAIN}",
    ]
    columns = PredictionColumns(scores={"a": "pa", "b": "pb", "c": "pc"})
    several = {"task": "multiclass", "classes": ("a", "b", "c"), "predictions": Predictions("x", columns)}
    assert found(baseline=build.baseline(build.multiclass(), build.multiclass().zeros()), **several) == []
    without = build.multiclass(scores=False)
    assert found(baseline=build.baseline(without, without.zeros()), **several) == [
        f"models.flights.predictions.columns.scores: expected [] as in the baseline, got ['a', 'b', 'c']. {AGAIN}",
    ]


MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"name": "trains"}, f"models.trains: expected 'flights' as in the baseline, got 'trains'. {AGAIN}"),
    "classes": (
        {"classes": ("yes", "no")},
        f"models.flights.classes: expected ['no', 'yes'] as in the baseline, got ['yes', 'no']. {AGAIN}",
    ),
    "threshold": (
        {"decision_threshold": 0.4},
        f"models.flights.decision_threshold: expected 0.5 as in the baseline, got 0.4. {AGAIN}",
    ),
    "hour": ({"time": build.time(hour=1800.0)}, f"time.hour: expected 3600.0 as in the baseline, got 1800.0. {AGAIN}"),
    "day": ({"time": build.time(day=43200.0)}, f"time.day: expected 86400.0 as in the baseline, got 43200.0. {AGAIN}"),
    "a new feature": (
        {"features": features(categorical="carrier: , origin: ")},
        "models.flights.features: expected ['carrier', 'temp', 'wind'] as in the baseline, "
        f"got ['carrier', 'origin', 'temp', 'wind']. {AGAIN}",
    ),
    "a missing feature": (
        {"features": features(categorical="")},
        "models.flights.features: expected ['carrier', 'temp', 'wind'] as in the baseline, "
        f"got ['temp', 'wind']. {AGAIN}",
    ),
    "kind": (
        {"features": features(numeric="temp: {range: [-30, 50]}", categorical="wind: , carrier: ")},
        f"models.flights.features.categorical.wind: expected 'numeric' as in the baseline, got 'categorical'. {AGAIN}",
    ),
    "range": (
        {"features": features(numeric="temp: {range: [-40, 50]}, wind: {range: [0, null]}")},
        "models.flights.features.numeric.temp.range: expected (-30.0, 50.0) as in the baseline, "
        f"got (-40.0, 50.0). {AGAIN}",
    ),
    "no range": (
        {"features": features(numeric="temp: {range: [-30, 50]}, wind: ")},
        "models.flights.features.numeric.wind.range: expected (0.0, inf) as in the baseline, got (-inf, inf). " + AGAIN,
    ),
    "latency limit": (
        {"latency": Latency(limit=0.3)},  # type: ignore[arg-type]
        f"models.flights.latency.limit: expected the limit that the baseline was made with, got 0.3s. {AGAIN}",
    ),
}


@pytest.mark.parametrize(("changes", "message"), MISFITS.values(), ids=MISFITS)
def test_each_misfit_is_told_exactly(changes: Mapping[str, Any], message: str) -> None:
    assert found(**changes) == [message]


def test_all_misfits_are_told_at_once() -> None:
    several = features(numeric="wind: , temp: ")
    assert [text.split(":")[0] for text in found(classes=("a", "b"), features=several, time=build.time(hour=60.0))] == [
        "time.hour",
        "models.flights.classes",
        "models.flights.features.numeric.wind.range",
        "models.flights.features.numeric.temp.range",
    ]
