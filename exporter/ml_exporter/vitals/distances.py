"""Further distances of features from the reference, for those who ask: Jensen-Shannon, Kolmogorov-Smirnov, Wasserstein.

And how far the values spread. The distances are computed from the fine bins of a feature. Each comes with what it
exceeds with probability alpha without any drift, as PSI does. The artefact always holds what that needs, so they can be
switched on later.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from ml_exporter.baseline import Baseline, Independent, JsNoise, Phi, SpreadNoise
from ml_exporter.catalogue import Sample
from ml_exporter.layout import CategoryBins, FeatureBins, Floats, Layout, NumericBins, Vector
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.statistics.chains import (
    Chain,
    Varying,
    bin_values,
    chain_of,
    critical_chain,
    ks_functions,
    ks_statistic,
    varying,
    wasserstein,
    wasserstein_functions,
)
from ml_exporter.statistics.dispersion import (
    JS_UNIT,
    PROVISIONAL_WINDOWS,
    JsDispersion,
    critical_factor,
    critical_js,
    fit_js_dispersion,
)
from ml_exporter.statistics.distances import Js, floor_other, jensen_shannon, merge_sparse
from ml_exporter.units import Z2_UNIT, Z_LIMIT
from ml_exporter.vitals.drift import standardised
from ml_exporter.vitals.windows import (
    REFERENCE,
    Window,
    Windows,
    alpha_of,
    js_noise_of,
    known_skew_of,
    phi_of,
    spread_noise_of,
)

METRICS: Mapping[str, str] = {
    "js": "js_distance",
    "ks": "ks_statistic",
    "wasserstein": "wasserstein",
    "spread": "spread_factor",
}
"""The metric of each distance, without prefix."""
CHAINS: Mapping[str, Callable[[Floats], Floats]] = {
    "ks": lambda values: ks_functions(values.size),
    "wasserstein": wasserstein_functions,
}
"""The chain of functions of each distance of numbers, from the values of the bins."""


def feature_distances(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """The configured distances of every feature against the reference, with what no drift would give."""
    for window in windows.for_features() if windows.distances else ():
        alpha = alpha_of(windows.alpha, window.seconds, baseline.day_seconds)
        for item in baseline.layout.features:
            current, reference = (_bins(baseline.layout, vector, item) for vector in (window.vector, baseline.vector))
            if not current.sum() or not reference.sum():
                continue
            labels = (windows.model, window.name, REFERENCE, item.name)
            for name in windows.distances:
                pair = (current, reference)
                found = _OTHERS.get(name) or _of_chain(name)
                for value, limit in found(baseline, window, item, pair, alpha):
                    yield Sample(f"ml_feature_{METRICS[name]}", labels, value)
                    yield Sample(f"ml_feature_{METRICS[name]}_critical", labels, limit)


_Pair = tuple[Vector, Vector]
_Found = Iterator[tuple[float, float]]


def _js(baseline: Baseline, window: Window, item: FeatureBins, pair: _Pair, alpha: float) -> _Found:
    found = js(*pair, item)
    if found is not None:
        noise = js_noise_of(baseline, window, item.name)
        known = JsDispersion(**vars(noise)) if noise else None
        yield found.value, critical_js(alpha, found.bins, int(pair[0].sum()), int(pair[1].sum()), known)


def _spread(baseline: Baseline, window: Window, item: FeatureBins, pair: _Pair, alpha: float) -> _Found:
    """Nothing where all values are equal, or where the reference's own windows say nothing of their spread."""
    noise = spread_noise_of(baseline, window, item.name)
    known = log_deviation(baseline.layout, window.vector, item)
    if noise is not None and known is not None and noise.windows >= PROVISIONAL_WINDOWS:
        limit = critical_factor(alpha, noise.windows, noise.variance, noise.rows / int(pair[0].sum()))
        yield math.exp(known - noise.mean), limit


_OTHERS: Mapping[str, Callable[[Baseline, Window, FeatureBins, _Pair, float], _Found]] = {"js": _js, "spread": _spread}


def log_deviation(layout: Layout, vector: Vector, item: FeatureBins) -> float | None:
    """Logarithm of the standard deviation of z; None below two values, or where rounded squares cannot show it."""
    found = standardised(layout, vector, item) if isinstance(item, NumericBins) else None
    variance = found.standard_error**2 * found.rows if found else 0.0
    return math.log(variance) / 2.0 if variance * Z2_UNIT > 1.0 else None


def _of_chain(name: str) -> Callable[[Baseline, Window, FeatureBins, _Pair, float], _Found]:
    def found(baseline: Baseline, window: Window, item: FeatureBins, pair: _Pair, alpha: float) -> _Found:
        alone = baseline.independent.get(item.name, {}).get(name)
        if alone is None or not isinstance(item, NumericBins):
            return
        value = ks_statistic(*pair) if name == "ks" else wasserstein(*pair, _values(item))
        noise, rows = phi_of(baseline, window, f"{name}:{item.name}"), (int(pair[0].sum()), int(pair[1].sum()))
        shown = Varying(noise.windows, noise.phi, known_skew_of(baseline, window, f"{name}:{item.name}"))
        yield value, critical_chain(alpha, Chain(**vars(alone)), rows, shown, bounded=name == "wasserstein")

    return found


def js(current: Vector, reference: Vector, item: FeatureBins) -> Js | None:
    """Jensen-Shannon distance of the fine bins of a feature. Categories too rare for the window are merged first."""
    if not isinstance(item, CategoryBins):
        return jensen_shannon(current, reference)
    merged, known = merge_sparse(current, reference)
    return jensen_shannon(merged, floor_other(merged, known))


def independent_of(layout: Layout, total: Vector) -> Mapping[str, Mapping[str, Independent]]:
    """What the distances of each numeric feature show over independent rows; nothing of one that does not vary."""
    found = {}
    for item in layout.features:
        chains = _chains(item, _bins(layout, total, item)) if isinstance(item, NumericBins) else {}
        if chains:
            found[item.name] = {name: Independent(*chain) for name, chain in chains.items()}
    return found


def _chains(item: NumericBins, bins: Vector) -> Mapping[str, Chain]:
    values = _values(item)
    chains = {name: chain_of(functions(values), bins) for name, functions in CHAINS.items()}
    return {name: chain for name, chain in chains.items() if chain is not None}


def chain_noise(
    layout: Layout, windows: Sequence[Vector], total: Vector, fewest: int
) -> Iterator[tuple[str, tuple[Phi, float]]]:
    """Phi of KS and Wasserstein over the reference's own windows, that of the mean that varies most, and its skewness.

    Windows with fewer than `fewest` values, or that leave fewer to the rest, say nothing.
    """
    for item in layout.features:
        if not isinstance(item, NumericBins):
            continue
        every = _bins(layout, total, item)
        own, rest = _enough(layout, windows, item, every, fewest)
        for name, chain in _chains(item, every).items() if len(own) > 1 else ():
            found = varying(chain, CHAINS[name](_values(item)), own, rest)
            yield f"{name}:{item.name}", (Phi(found.windows, found.phi), found.skewness or 0.0)


def js_noise(layout: Layout, windows: Sequence[Vector], total: Vector, fewest: int) -> Iterator[tuple[str, JsNoise]]:
    """How the Jensen-Shannon distance varies over the reference's own windows, as `chain_noise`."""
    for item in layout.features:
        own, rest = _enough(layout, windows, item, _bins(layout, total, item), fewest)
        scales = 1.0 / own.sum(axis=1) + 1.0 / rest.sum(axis=1)
        found = [js(here, there, item) for here, there in zip(own, rest, strict=True)]
        ts = [JS_UNIT * pair.value**2 / scale for pair, scale in zip(found, scales, strict=True) if pair]
        if ts:
            yield item.name, JsNoise(**vars(fit_js_dispersion(np.array(ts))))


def spread_noise(layout: Layout, windows: Sequence[Vector], fewest: int) -> Iterator[tuple[str, SpreadNoise]]:
    """How the standard deviation within a window varies over the reference's own windows, in logarithms."""
    for item in layout.features:
        rows = [int(_bins(layout, vector, item).sum()) for vector in windows]
        logs = [log_deviation(layout, vector, item) for vector in windows]
        known = [(log, n) for log, n in zip(logs, rows, strict=True) if log is not None and n >= fewest]
        if len(known) > 1:
            values, counts = np.array(known).T
            yield (
                item.name,
                SpreadNoise(len(known), float(values.mean()), float(values.var(ddof=1)), counts.mean().item()),
            )


def _enough(
    layout: Layout, windows: Sequence[Vector], item: FeatureBins, every: Vector, fewest: int
) -> tuple[Vector, Vector]:
    """The bins of the windows with enough rows, and those of the reference without each, shape (windows, bins)."""
    own = np.stack([_bins(layout, vector, item) for vector in windows])
    rest = every - own
    kept = (own.sum(axis=1) >= fewest) & (rest.sum(axis=1) >= fewest)
    return own[kept], rest[kept]


def _bins(layout: Layout, vector: Vector, item: FeatureBins) -> Vector:
    return layout.cells(vector, FEATURE_PREFIX + item.name)["bins"]


def _values(item: NumericBins) -> Floats:
    """The value that stands for each bin, in robust standard deviations, within what z is clipped to."""
    with np.errstate(over="ignore"):
        edges = (np.asarray(item.edges, np.float64) - item.centre) / item.scale
    return bin_values(np.clip(edges, -Z_LIMIT, Z_LIMIT))
