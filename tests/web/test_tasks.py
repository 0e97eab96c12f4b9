"""Pages of models of every task, with many rows, few and none."""

import re

import pytest
from tests import build
from tests.build import HOUR, MINUTE, NOON
from tests.facts.looked import facts
from tests.web.asking import Tags, ask

from ml_exporter.config import parse
from ml_exporter.web import Snapshot, create_app

NOW = NOON + 3 * HOUR
CONFIGS = {
    "binary": build.CONFIG,
    "regression": build.CONFIG.replace("task: binary", "task: regression")
    .replace('classes: ["no", "yes"]\n', "\n")
    .replace("score: score, ", ""),
}


def answered(task, count):
    """The facts of a model that has answered so often, half of it labelled."""
    layout = build.regression() if task == "regression" else None
    number = task == "regression"
    made = [build.prediction(NOON + place % 60 * MINUTE, place) for place in range(max(count, 1))]
    made = [row | {"prediction": float(place % 9)} if number else row for place, row in enumerate(made)]
    truths = [float(place % 7) if number else ("no", "yes")[place % 3 > 0] for place in range(0, count, 2)]
    labels = [build.label(NOON + HOUR, 2 * place, truth) for place, truth in enumerate(truths)]
    counting = build.counting(layout)
    if count:
        counting.predictions(build.batch(made), NOW)
    if labels:
        counting.labels(build.batch(labels), NOW)
    counting.last_arrival_us = 0
    baseline = build.baseline(counting.layout, build.vector(counting.layout, made)) if number else None
    return facts(counting, NOW, baseline=baseline, config=parse(CONFIGS[task]))


@pytest.mark.parametrize("task", CONFIGS)
@pytest.mark.parametrize("count", [0, 1, 7, 400])
def test_every_page_is_made_of_few_rows_and_many(task, count):
    snapshot = Snapshot(b"", b"", NOW / 1e6, True, 15.0, (), answered(task, count))
    app = create_app(lambda: snapshot, lambda: NOW / 1e6, "1.2.3")
    model = "/models/flights"
    features = [f"{model}/features/{name}" for name in snapshot.facts.features("flights")]
    assert features
    for path in ["/", model, f"{model}/labels", f"{model}/outliers", "/rejected", *features]:
        answer = ask(app, "GET", path, {})
        assert answer.status_code == 200
        assert not Tags(answer.text).open
        assert not re.search(r"\b(None|nan|inf)\b", re.sub(r"<style>.*?</style>", "", answer.text, flags=re.DOTALL)), (
            path
        )
    empty = ask(app, "GET", model, {}).text
    assert ("No predictions yet" in empty) == (count == 0)
