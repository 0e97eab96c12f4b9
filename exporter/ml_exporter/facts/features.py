"""Everything of one feature: histograms beside those of the reference, what carries the PSI, and how it went."""

import math
from collections.abc import Iterator

import numpy as np

from ml_exporter.facts.answers import Bin, FeatureFacts, FeaturePoint, FeatureWindow, PsiBin, Summary, Value
from ml_exporter.facts.models import kind_of
from ml_exporter.facts.past import Past, Span
from ml_exporter.facts.seen import last_values, seen_values
from ml_exporter.facts.views import View
from ml_exporter.facts.windows import absent
from ml_exporter.facts.words import waiting
from ml_exporter.layout import CategoryBins, FeatureBins, Layout, NumericBins, Vector
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.units import Z_UNIT
from ml_exporter.vitals import data, drift
from ml_exporter.vitals.windows import Window

OTHER = "other"


def feature_facts(view: View, item: FeatureBins, values: tuple[Value, ...], samples: bool) -> FeatureFacts:
    """One feature; `values` are all those of it. With `samples`, names from the log are shown."""
    baseline, past = view.known.baseline, Past(view)
    values = tuple(past.dated(values))
    there = {window.name for window in view.of_features}
    names = (name for name in view.known.model.windows.features if name not in there)
    return FeatureFacts(
        view.at_us / 1e6,
        view.known.name,
        item.name,
        kind_of(item),
        (_finite(item.low), _finite(item.high)) if isinstance(item, NumericBins) else None,
        summarised(baseline.layout, baseline.vector, item),
        tuple(_window(view, window, item, values) for window in view.of_features),
        {name: absent(view, "current", name) for name in names},
        tuple(_point(view, item, span) for span in past.hours),
        tuple(_point(view, item, span) for span in past.days),
        seen_values(view.counts.unseen.get(item.name), samples) if isinstance(item, CategoryBins) else None,
        last_values(view.counts.invalid.get(item.name, {}), samples) if isinstance(item, NumericBins) else None,
    )


def summarised(layout: Layout, vector: Vector, item: FeatureBins) -> Summary:
    """What a vector holds of a feature."""
    cells = layout.cells(vector, FEATURE_PREFIX + item.name)
    ratios, (_, rows), valid = (
        data.ratios(layout, vector, item),
        data.nulls(layout, vector, item),
        int(cells["valid"][0]),
    )
    mean = deviation = None
    if isinstance(item, NumericBins) and valid:
        mean = item.centre + item.scale * int(cells["z"][0]) / Z_UNIT / valid
        found = drift.standardised(layout, vector, item)
        deviation = item.scale * found.standard_error * math.sqrt(found.rows) if found else None
    return Summary(
        rows,
        valid,
        ratios.get("null"),
        ratios.get("invalid"),
        ratios.get("out_of_range"),
        ratios.get("unseen_category"),
        mean,
        deviation,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _window(view: View, window: Window, item: FeatureBins, values: tuple[Value, ...]) -> FeatureWindow:
    baseline = view.known.baseline
    pair = (drift.grouped(baseline, window.vector, item), drift.grouped(baseline, baseline.vector, item))
    found, lacking = drift.compare(*pair, item), drift.shortage(*pair, item)
    return FeatureWindow(
        window.name,
        window.start_us / 1e6,
        window.end_us / 1e6,
        summarised(baseline.layout, window.vector, item),
        tuple(_histogram(view, window.vector, item)),
        found.value if found else None,
        tuple(_psi_bins(view, window.vector, item)),
        tuple(value for value in values if value.window == window.name),
        {"psi": waiting(lacking)} if lacking else {},
    )


def _counts(view: View, vector: Vector, item: FeatureBins) -> list[int]:
    counts: list[int] = view.known.baseline.layout.cells(vector, FEATURE_PREFIX + item.name)["bins"].tolist()
    return counts


def _share(count: int, whole: int) -> float | None:
    return count / whole if whole else None


def _histogram(view: View, vector: Vector, item: FeatureBins) -> Iterator[Bin]:
    here, there = _counts(view, vector, item), _counts(view, view.known.baseline.vector, item)
    for place, (count, known) in enumerate(zip(here, there, strict=True)):
        yield Bin(*_bounds(item, (place,)), known, _share(known, sum(there)), count, _share(count, sum(here)))


def _psi_bins(view: View, vector: Vector, item: FeatureBins) -> Iterator[PsiBin]:
    baseline = view.known.baseline
    groups = np.asarray(baseline.groups[item.name])
    pair = (drift.grouped(baseline, vector, item), drift.grouped(baseline, baseline.vector, item))
    here, there = (int(counts.sum()) for counts in pair)
    for part in drift.parts(*pair, item):
        count, known = (int(counts[list(part.groups)].sum()) for counts in pair)
        bins = tuple(np.flatnonzero(np.isin(groups, part.groups)).tolist())
        bounds, shares = _bounds(item, bins), (_share(known, there), _share(count, here))
        yield PsiBin(*bounds, known, shares[0], count, shares[1], bins, part.contribution)


def _bounds(item: FeatureBins, bins: tuple[int, ...]) -> tuple[str, float | None, float | None]:
    """What to call some bins that lie side by side, and where their range begins and ends."""
    if isinstance(item, CategoryBins):
        names = [*item.categories, OTHER]
        return ", ".join(names[place] for place in bins), None, None
    edges = (None, *item.edges, None)
    lower, upper = edges[bins[0]], edges[bins[-1] + 1]
    return _range(lower, upper), lower, upper


def _range(lower: float | None, upper: float | None) -> str:
    """A range in words.

    >>> _range(None, 2.0), _range(2.0, 3.5), _range(3.5, None), _range(0.0, math.nextafter(0.0, 1.0))
    ('below 2', '2 to 3.5', '3.5 and more', '0')
    """
    if lower is None or upper is None:
        return "all" if lower is upper else f"below {upper:g}" if lower is None else f"{lower:g} and more"
    return f"{lower:g}" if upper <= math.nextafter(lower, math.inf) else f"{lower:g} to {upper:g}"


def _point(view: View, item: FeatureBins, span: Span) -> FeaturePoint:
    baseline, vector = view.known.baseline, span.vector
    layout = baseline.layout
    here, there = drift.grouped(baseline, vector, item), drift.grouped(baseline, baseline.vector, item)
    found = drift.compare(here, there, item)
    shift = drift.shift(baseline, vector, item) if isinstance(item, NumericBins) else None
    bounds = (span.start_us / 1e6, span.end_us / 1e6)
    return FeaturePoint(*bounds, found.value if found else None, shift, summarised(layout, vector, item))
