"""Estimated quality: what to expect of predictions whose labels have not come, with its error, and how it did lately.

It follows other inputs. It cannot see that the same inputs mean something else (concept drift), so nothing that pages
reads it, and its alert must be silent where `ml_estimated_bias` is large.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ml_exporter.baseline import Baseline, Phi
from ml_exporter.catalogue import Sample
from ml_exporter.layout import Layout, Vector
from ml_exporter.statistics.dispersion import PROVISIONAL_WINDOWS, interval_sigmas, phi
from ml_exporter.statistics.expected import excess_error
from ml_exporter.vitals.truth import Truth, answers, labelled_answers, learn, realised
from ml_exporter.vitals.windows import Window, Windows, phi_of

NOISE = "estimate:"
"""Prefix of the phi of realised minus estimated measures."""
FEWEST_ROWS = 20
"""Of fewer labelled rows a difference says nothing."""


def estimates(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Every measure that is to be expected of all rows of a current window, with a 95 % half width.

    Only where the reference's own windows, at least five, showed how far the realised measure may be from it.
    """
    truth = learn(baseline.layout, baseline.vector)
    if truth is None:
        return
    for window in windows.current:
        counts = answers(baseline.layout, window.vector)
        usual = _usual_rows(window, baseline, truth)
        for name, item in truth.expected(counts).items():
            noise = phi_of(baseline, window, NOISE + name)
            if noise.windows < PROVISIONAL_WINDOWS:
                continue
            error = excess_error(item.variance, noise.phi, float(counts.sum()), (truth.rows, usual))
            labels = (windows.model, window.name)
            yield Sample(f"ml_estimated_{name}", labels, item.value)
            yield Sample(f"ml_estimated_{name}_error", labels, interval_sigmas(noise.windows, noise.phi) * error)


def bias(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Realised minus estimated measures of the labelled rows of a matured window: how far to trust the estimate now.

    Over windows that have an estimate too, also where quality is counted by the time of the label.
    """
    truth, names = learn(baseline.layout, baseline.vector), {window.name for window in windows.current}
    if truth is None:
        return
    for window in windows.matured:
        if window.name not in names or labelled_answers(baseline.layout, window.vector).sum() < FEWEST_ROWS:
            continue
        for name, difference in differences(baseline.layout, truth, window.vector).items():
            if phi_of(baseline, window, NOISE + name).windows >= PROVISIONAL_WINDOWS:
                yield Sample("ml_estimated_bias", (windows.model, window.name, name), difference)


def differences(layout: Layout, truth: Truth, vector: Vector) -> Mapping[str, float]:
    """Realised minus expected measures of the labelled rows of a vector, those that are defined for both."""
    known = realised(layout, vector)
    expected = truth.expected(labelled_answers(layout, vector))
    return {name: known[name] - item.value for name, item in expected.items() if name in known}


def noise(layout: Layout, vectors: Sequence[Vector], total: Vector) -> Mapping[str, Phi]:
    """Phi of realised minus estimated measures over the reference's own windows, by `NOISE` and measure.

    Each window is estimated by what the rest of the reference teaches, so that none teaches about itself. A window of
    n labelled rows against a rest of m has the variance `V (1 + n/m)` if rows are independent.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for vector in vectors:
        counts = labelled_answers(layout, vector)
        truth = learn(layout, total - vector) if counts.sum() >= FEWEST_ROWS else None
        if truth is None:
            continue
        expected = truth.expected(counts)
        for name, difference in differences(layout, truth, vector).items():
            variance = expected[name].variance * (1.0 + counts.sum() / truth.rows)
            found.setdefault(name, []).append((difference, variance**0.5))
    return {NOISE + name: _phi(items) for name, items in found.items() if len(items) > 1}


def _phi(items: list[tuple[float, float]]) -> Phi:
    differences, errors = np.array(items).T
    return Phi(len(items), phi(differences, errors, 0.0))


def _usual_rows(window: Window, baseline: Baseline, truth: Truth) -> float:
    """Labelled rows that a window of this length had on average in the reference."""
    return truth.rows * min(1.0, window.seconds * 1e6 / max(1, baseline.end_us - baseline.start_us))
