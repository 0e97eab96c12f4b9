"""How alike answers are, row by row; nothing of the package is imported."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special
from tests.second.calibration import Estimate, Measure
from tests.second.estimates import middles
from tests.second.statistics import UNIT, Z2_UNIT, Json, rounded, sigmas
from tests.second.vitals import Artefact, Found, Settings, alpha_of, close, standardised, usable_scores


class Answers(NamedTuple):
    """The kind of each row's answer, and the sums that its spread is made of: of values and of their squares."""

    kinds: np.ndarray
    values: np.ndarray
    squares: np.ndarray


Read = Callable[[Json, pd.DataFrame], Answers]


def _of_places(kinds: np.ndarray, places: np.ndarray) -> Answers:
    return Answers(kinds, places, places**2)


def binary(document: Json, rows: pd.DataFrame) -> Answers:
    scored, edges = usable_scores(rows), document["score_edges"]
    bins = np.digitize(scored["score"], edges)
    kinds = (scored["prediction"] == document["classes"][1]).to_numpy() * 1000 + bins
    return _of_places(kinds, special.logit(middles(edges))[bins])


def classes(document: Json, rows: pd.DataFrame) -> Answers:
    scored, edges = rows[rows["confidence"].notna()], document["confidence_edges"]
    bins = np.digitize(scored["confidence"], edges)
    kinds = scored["prediction"].map({name: place for place, name in enumerate(document["classes"])}).to_numpy(int)
    return _of_places(kinds * 1000 + bins, special.logit(middles(edges))[bins])


def numbers(document: Json, rows: pd.DataFrame) -> Answers:
    own, z = document["prediction"], standardised(document["prediction"], rows["prediction"])
    kinds = np.digitize(rows.loc[rows["known"], "prediction"].astype(float), own["edges"])
    return Answers(kinds, rounded(z, UNIT), rounded(z**2, Z2_UNIT))


def reference(document: Json) -> Answers:
    """As the artefact counts them. Numbers are spread evenly so that their sums are those of the artefact."""
    if "prediction" in document:
        own = document["head"]["predictions"]
        n = own["predicted"]
        sums = (np.full(n, own["z"] / UNIT / n), np.full(n, own["z2"] / Z2_UNIT / n))
        return Answers(np.repeat(np.arange(len(own["bins"])), own["bins"]), *sums)
    edges = document.get("score_edges") or document["confidence_edges"]
    counts = np.reshape(document["head"]["scores"]["histogram"], (len(document["classes"]), 3, -1)).sum(axis=1)
    kinds, bins = np.indices(counts.shape).reshape(2, -1)
    places = np.repeat(special.logit(middles(edges))[bins], counts.ravel())
    return _of_places(np.repeat(kinds * 1000 + bins, counts.ravel()), places)


def concentration(answers: Answers) -> Estimate | None:
    n = len(answers.kinds)
    if n < 2:
        return None
    alike = pd.Series(answers.kinds).map(pd.Series(answers.kinds).value_counts()).to_numpy()
    return Estimate((alike - 1).mean() / (n - 1), 2 * (alike / n).std() / np.sqrt(n), n)


def spread(answers: Answers) -> Estimate | None:
    n = len(answers.values)
    if n < 2:
        return None
    deviation = np.sqrt((answers.squares.sum() - answers.values.sum() ** 2 / n) / (n - 1))
    return Estimate(deviation, deviation / np.sqrt(2 * (n - 1)), n)


STATISTICS = {"concentration": concentration, "spread": spread}
NAMES = {"concentration": "concentration{}_ratio", "spread": "spread{}"}


def part(read: Read) -> Callable[[Artefact, Settings, str, pd.DataFrame], Iterator[Found]]:
    def found(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
        document, here = artefact.document, read(artefact.document, rows)
        for name, statistic in STATISTICS.items():
            own, there, at = statistic(here), statistic(reference(document)), {"window": window}
            if own is None or there is None:
                continue
            yield close("ml_prediction_" + NAMES[name].format(""), own.value, **at)
            noise = artefact.phi(window, settings.seconds(window), name)
            z = sigmas(alpha_of(document, settings, window), 1, noise)
            z += artefact.skew(window, settings.seconds(window), name) / 6 * (z * z - 1)
            length = (document["reference"]["end_us"] - document["reference"]["start_us"]) / 1e6
            average = there.rows / length * settings.seconds(window)
            variance = noise["phi"] * there.error**2 * (max(there.rows / own.rows, there.rows / average) + 1)
            limit = z * np.sqrt(variance)
            if name == "concentration":
                variance += 2 * there.value * (1 - there.value) / (own.rows * (own.rows - 1))
                limit = there.value * np.expm1(min(z * np.sqrt(variance) / there.value, 30.0))
            yield close("ml_prediction_" + NAMES[name].format("_critical"), limit, **at, baseline="reference")

    return found


def of_reference(document: Json) -> Iterator[Found]:
    for name, statistic in STATISTICS.items():
        there = statistic(reference(document))
        assert there
        yield close(f"ml_prediction_baseline_{NAMES[name].format('')}", there.value, baseline="reference")


def _logarithm(found: Estimate | None) -> Estimate | None:
    return Estimate(np.log(found.value), found.error / found.value, found.rows) if found and found.value else None


def measures(document: Json, read: Read) -> Mapping[str, Measure]:
    """The statistics whose noise an artefact holds; that of the concentration is the noise of its logarithm."""
    return {
        "concentration": lambda rows: _logarithm(concentration(read(document, rows))),
        "spread": lambda rows: spread(read(document, rows)),
    }
