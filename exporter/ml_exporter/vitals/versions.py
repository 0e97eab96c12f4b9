"""Versions of a model that serve at the same time: each against the one that has most rows in the same panes.

Both get the traffic of the same minutes or hours, so what moves all rows (a season, a campaign, an upstream) moves both
and cancels. What the reference's own windows show is mostly that, so its phi is not used here; instead each difference
is widened by what it varies between the panes themselves (`cluster_phi`): by nothing where each row is routed by
chance, by the clusters where whole users or sessions are.
"""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ml_exporter.baseline import Baseline, Phi
from ml_exporter.catalogue import Sample
from ml_exporter.layout import Layout, Vector
from ml_exporter.statistics.differences import Blocks, cluster_phi, difference_interval
from ml_exporter.statistics.dispersion import critical_psi
from ml_exporter.vitals import prediction, quality
from ml_exporter.vitals.drift import compare, grouped_scores
from ml_exporter.vitals.windows import Estimate, Pair, Windows, alpha_of

Estimates = Callable[[Layout, Vector], Iterator[tuple[str, Estimate | None]]]

ERRORS_OF_ITS_OWN = ("roc_auc",)
"""Measures whose error in a single pane is too rough to see whether they vary between panes: their phi is 1."""


def versions(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """PSI of the scores, shift of the class shares, and the difference of every measure of quality."""
    for pair in windows.versions:
        phis = _phis(prediction.estimates, baseline.layout, pair)
        yield from _score_psi(windows, pair, baseline, max(phis.values(), default=1.0))
        if baseline.layout.is_class:
            yield from _class_shift(windows.model, pair, baseline, phis)
    for pair in windows.version_quality:
        yield from _quality(windows.model, pair, baseline)


def _key(model: str, pair: Pair) -> tuple[str, str, str, str]:
    return (model, pair.window.name, pair.version, pair.peer)


def _score_psi(windows: Windows, pair: Pair, baseline: Baseline, phi: float) -> Iterator[Sample]:
    """The critical value is that of independent rows, times phi: the first-order correction of Rao and Scott (1981)."""
    here, there = (grouped_scores(baseline, part.sum(axis=0)) for part in (pair.here, pair.there))
    found = compare(here, there, None)
    if found is None:
        return
    alpha = alpha_of(windows.alpha, pair.window.seconds, baseline.day_seconds)
    limit = critical_psi(alpha, found.bins, int(here.sum()), int(there.sum()), None) * phi
    yield Sample("ml_version_prediction_psi", _key(windows.model, pair), found.value)
    yield Sample("ml_version_prediction_psi_critical", _key(windows.model, pair), limit)


def _class_shift(model: str, pair: Pair, baseline: Baseline, phis: Mapping[str, float]) -> Iterator[Sample]:
    """Difference of each class share, in pooled standard errors."""
    layout = baseline.layout
    ours, others = (layout.cells(part.sum(axis=0), "predictions")["classes"] for part in (pair.here, pair.there))
    n, m = int(ours.sum()), int(others.sum())
    if not n or not m:
        return
    for name, here, there in zip(layout.classes, ours.tolist(), others.tolist(), strict=True):
        pooled = (here + there) / (n + m)
        error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m) * phis.get(f"class:{name}", 1.0))
        if error > 0:
            labels = (*_key(model, pair), name)
            yield Sample("ml_version_class_shift_sigmas", labels, (here / n - there / m) / error)


def _quality(model: str, pair: Pair, baseline: Baseline) -> Iterator[Sample]:
    """Difference of each measure, with a 95 % interval made of those of both versions."""
    ours, others = (quality.labelled(baseline.layout, part.sum(axis=0)) for part in (pair.here, pair.there))
    phis = _phis(quality.estimates, baseline.layout, pair)
    known = quality.values(others)
    for name, value in quality.values(ours).items():
        if ":" in name or name not in known:  # of a single class, or not of both
            continue
        phi = 1.0 if name in ERRORS_OF_ITS_OWN else phis.get(name, 1.0)
        ends = [quality.interval(found, name, Phi(0, phi)) for found in (ours, others)]
        if ends[0] is None or ends[1] is None:
            continue
        lower, upper = difference_interval((value, ends[0]), (known[name], ends[1]))
        labels = (*_key(model, pair), name)
        yield Sample("ml_version_quality_difference", labels, value - known[name])
        yield Sample("ml_version_quality_difference_lower", labels, lower)
        yield Sample("ml_version_quality_difference_upper", labels, upper)


def _phis(estimates: Estimates, layout: Layout, pair: Pair) -> Mapping[str, float]:
    """How much more the difference of each statistic varies between the panes than with independent rows."""
    ours, others = ([dict(estimates(layout, row)) for row in part] for part in (pair.here, pair.there))
    return {
        name: cluster_phi(_blocks([row.get(name) for row in ours]), _blocks([row.get(name) for row in others]))
        for name in dict.fromkeys(name for row in (*ours, *others) for name in row)
    }


def _blocks(found: list[Estimate | None]) -> Blocks:
    known = [item or Estimate(math.nan, math.nan, 0.0) for item in found]
    value, error, rows = (np.array(column, np.float64) for column in zip(*known, strict=True))
    return Blocks(value, error * error * rows, rows)
