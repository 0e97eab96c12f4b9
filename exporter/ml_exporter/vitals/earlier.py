"""Windows against earlier ones of the same model: the window before, and the same window a week earlier.

For panels: what changed since yesterday, or since this time last week. There are no critical values, because nothing
was learned of how such pairs vary, and so there are no alerts.
"""

import math
from collections.abc import Iterator

from ml_exporter.baseline import Baseline
from ml_exporter.catalogue import Sample
from ml_exporter.layout import NumericBins
from ml_exporter.vitals.drift import compare, grouped, grouped_scores, standardised
from ml_exporter.vitals.windows import Earlier, Windows, phi_of


def earlier(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """PSI and mean shift of every feature, PSI of the scores, and shift of the class shares."""
    for item in windows.earlier:
        yield from _features(windows.model, item, baseline)
        key = (windows.model, item.window.name, item.baseline)
        found = compare(grouped_scores(baseline, item.window.vector), grouped_scores(baseline, item.vector), None)
        if found is not None:
            yield Sample("ml_prediction_psi", key, found.value)
        if baseline.layout.is_class:
            yield from _class_shift(windows.model, item, baseline)


def _features(model: str, item: Earlier, baseline: Baseline) -> Iterator[Sample]:
    """Means are compared in robust standard deviations of the reference."""
    for feature in baseline.layout.features:
        labels = (model, item.window.name, item.baseline, feature.name)
        here, there = (grouped(baseline, vector, feature) for vector in (item.window.vector, item.vector))
        found = compare(here, there, feature)
        if found is not None:
            yield Sample("ml_feature_psi", labels, found.value)
        if isinstance(feature, NumericBins):
            now, then = (standardised(baseline.layout, part, feature) for part in (item.window.vector, item.vector))
            if now is not None and then is not None:
                yield Sample("ml_feature_mean_shift_sigmas", labels, now.value - then.value)


def _class_shift(model: str, item: Earlier, baseline: Baseline) -> Iterator[Sample]:
    """In pooled standard errors, widened by the phi of the reference's windows, as against the reference."""
    layout = baseline.layout
    now, then = (layout.cells(part, "predictions")["classes"] for part in (item.window.vector, item.vector))
    rows, before = int(now.sum()), int(then.sum())
    if not rows or not before:
        return
    for name, here, there in zip(layout.classes, now.tolist(), then.tolist(), strict=True):
        pooled = (here + there) / (rows + before)
        noise = phi_of(baseline, item.window, f"class:{name}").phi
        error = math.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / before) * noise)
        if error > 0:
            labels = (model, item.window.name, item.baseline, name)
            yield Sample("ml_prediction_class_shift_sigmas", labels, (here / rows - there / before) / error)
