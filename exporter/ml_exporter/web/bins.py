"""Histograms of a feature as a chart and a table: which bins carry the drift; long lists are cut, the rest counted."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..facts.answers import Bin, FeatureFacts, FeatureWindow, PsiBin
from .charts import Bar, histogram
from .words import share

MOST_BARS, MOST_ROWS = 24, 50


@dataclass(frozen=True)
class BinRow:
    """One bin in a table. Shares are of the valid values."""

    label: str
    short: str
    """The label where there is little room."""
    reference: float | None
    current: float | None
    count: int
    contribution: float | None
    carries: bool


@dataclass(frozen=True)
class Histogram:
    """A feature over one window, beside the reference."""

    chart: Markup
    rows: tuple[BinRow, ...]
    rest: str
    """How many bins are left out and what they hold, in words; empty if none is."""
    carrying: tuple[str, ...]
    """The bins that carry the PSI, the strongest first."""


def psi_histogram(feature: FeatureFacts, window: FeatureWindow) -> Histogram:
    """The bins that the PSI stands on; without a PSI those of the histogram."""
    return _histogram(feature, window, window.psi_bins or window.histogram)


def full_histogram(feature: FeatureFacts, window: FeatureWindow) -> Histogram | None:
    """All bins of the histogram, where they are more than those of the PSI."""
    if not window.psi_bins or len(window.histogram) <= len(window.psi_bins):
        return None
    return _histogram(feature, window, window.histogram)


def carrying(bins: Sequence[Bin]) -> tuple[int, ...]:
    """Places of the bins that are more than an equal part of the PSI, the strongest first; none without a PSI.

    >>> part = lambda share: PsiBin("", None, None, 0, None, 0, None, (), share)
    >>> carrying([part(0.1), part(0.5), part(0.1), part(0.3)]), carrying([part(0.0)])
    ((1, 3), ())
    """
    parts = [(item.contribution or 0.0, place) for place, item in enumerate(bins) if isinstance(item, PsiBin)]
    equal = sum(part for part, _ in parts) / max(1, len(parts))
    return tuple(place for part, place in sorted(parts, key=lambda item: -item[0]) if part > equal)


def _histogram(feature: FeatureFacts, window: FeatureWindow, bins: Sequence[Bin]) -> Histogram:
    strong = carrying(bins)
    carriers = frozenset(strong)
    rows = _ordered(feature, [_row(item, place in carriers) for place, item in enumerate(bins)])
    most_bars = MOST_BARS if feature.kind == "categorical" else MOST_ROWS
    drawn, not_drawn = rows[:most_bars], rows[most_bars:]
    bars = [Bar(row.short, row.reference, row.current, row.carries) for row in drawn]
    if not_drawn:
        bars.append(Bar(f"{len(not_drawn):,} more", *_sums(not_drawn)[:2]))
    about = f"Shares of {feature.name[:100]} by bin, in the reference and over {window.name}."
    labels = tuple(bins[place].label for place in strong)
    about += f" Most of the PSI comes from {', '.join(label[:40] for label in labels[:5])}." if strong else ""
    return Histogram(histogram(bars, about), tuple(rows[:MOST_ROWS]), _rest(rows[MOST_ROWS:]), labels)


def _row(item: Bin, carries: bool) -> BinRow:
    contribution = item.contribution if isinstance(item, PsiBin) else None
    return BinRow(item.label, _short(item), item.baseline_share, item.share, item.count, contribution, carries)


def _short(item: Bin) -> str:
    """A range by its ends; a category as it is."""
    low, high = item.lower, item.upper
    if low is None and high is None:
        return item.label
    if low is None or high is None:
        return f"< {high:.5g}" if low is None else f"≥ {low:.5g}"
    return f"{low:.5g}–{high:.5g}"


def _ordered(feature: FeatureFacts, rows: list[BinRow]) -> list[BinRow]:
    """Categories by their part of the PSI, or else by frequency; numbers keep their order."""
    if feature.kind == "numeric":
        return rows
    return sorted(
        rows, key=lambda row: (row.contribution or 0.0, row.reference or 0.0, row.current or 0.0), reverse=True
    )


def _sums(rows: Sequence[BinRow]) -> tuple[float, float, int]:
    return (
        sum(row.reference or 0.0 for row in rows),
        sum(row.current or 0.0 for row in rows),
        sum(row.count for row in rows),
    )


def _rest(rows: Sequence[BinRow]) -> str:
    if not rows:
        return ""
    reference, current, count = _sums(rows)
    shares = f"together {share(reference)} of the reference and {share(current)} ({count:,} values) now"
    return f"{len(rows):,} more are not listed: {shares}."
