"""One feature: the histograms of the reference and of now, which bins carry the PSI, and how it went over time."""

from collections.abc import Mapping
from dataclasses import dataclass

from ml_exporter.facts.answers.models import FeatureKind
from ml_exporter.facts.answers.values import Value


@dataclass(frozen=True)
class Bin:
    """One bin of both histograms: a range of numbers, or a category. A share is one of the valid values."""

    label: str
    """The category, `other` for all that the reference does not know, or the range in words."""
    lower: float | None
    """Where a range begins (it belongs to it); none where it is open, and for categories."""
    upper: float | None
    """Where a range ends (it does not belong to it); none where it is open, and for categories."""
    baseline_count: int
    """Values of the reference in it."""
    baseline_share: float | None
    """Share of the reference's values; none where it has none."""
    count: int
    """Values of the window in it."""
    share: float | None
    """Share of the window's values; none where it has none."""


@dataclass(frozen=True)
class PsiBin(Bin):
    """A bin of the PSI: one or several bins of the histogram together."""

    bins: tuple[int, ...]
    """The places of its bins in the histogram."""
    contribution: float | None
    """Its part of the PSI: all of them add up to it. None where there is no PSI."""


@dataclass(frozen=True)
class Summary:
    """A feature over some rows."""

    rows: int
    """Rows: valid, null and invalid."""
    valid: int
    """Those with a value that counts."""
    null_ratio: float | None
    """Share of rows without a value."""
    invalid_ratio: float | None
    """Share of rows whose value cannot be read."""
    out_of_range_ratio: float | None
    """Share of valid values outside the configured range; numbers only."""
    unseen_ratio: float | None
    """Share of valid values that the reference does not know; categories only."""
    mean: float | None
    """Mean in the unit of the feature, from sums that clip at 64 robust standard deviations; numbers only."""
    deviation: float | None
    """Standard deviation in the unit of the feature; numbers only."""


@dataclass(frozen=True)
class FeatureWindow:
    """A feature over one current window, beside the reference."""

    name: str
    """The name of the window."""
    start_at: float
    """Where it starts, Unix seconds."""
    end_at: float
    """Where it ends, Unix seconds."""
    summary: Summary
    """What it holds."""
    histogram: tuple[Bin, ...]
    """All bins, in order."""
    psi: float | None
    """The PSI, as exported."""
    psi_bins: tuple[PsiBin, ...]
    """The bins that the PSI stands on, in order: rare categories are merged, bins empty on both sides are dropped."""
    values: tuple[Value, ...]
    """Every exported value of the feature over this window."""
    missing: Mapping[str, str]
    """Why there is no `psi`, in words."""


@dataclass(frozen=True)
class FeaturePoint:
    """A feature over one hour or day."""

    start_at: float
    """Where it starts, Unix seconds."""
    end_at: float
    """Where it ends, Unix seconds; the last one may not be complete."""
    psi: float | None
    """PSI against the reference, of this hour or day alone."""
    mean_shift_sigmas: float | None
    """Mean minus baseline mean, in robust standard deviations of the baseline; numbers only."""
    summary: Summary
    """What it holds."""


@dataclass(frozen=True)
class SeenValue:
    """One value of a feature, as the log has it."""

    value: str
    """The value, cut to 100 characters."""
    rows: int
    """Rows with it, from the first to the last."""
    missed: int
    """At most so many rows more had it before, in the last day, while more values came than are counted."""
    first_at: float
    """The time of the first row since it is counted, Unix seconds."""
    last_at: float
    """The time of the last one, Unix seconds."""


@dataclass(frozen=True)
class SeenValues:
    """Values of a feature that are out of the ordinary."""

    samples: bool
    """Whether the configuration allows them to be shown (`web.samples`)."""
    kept: int
    """How many different ones are counted now; at most 40."""
    values: tuple[SeenValue, ...]
    """Those with the most rows, at most 20; none unless allowed."""
    note: str
    """How to see them here, or since when they are counted, in words."""


@dataclass(frozen=True)
class LastValue:
    """What the log says in place of a number."""

    value: str
    """The text, cut to 200 characters."""
    at: float
    """The time of its row, Unix seconds."""


@dataclass(frozen=True)
class LastValues:
    """Examples of values of a feature that are no number."""

    samples: bool
    """Whether the configuration allows them to be shown (`web.samples`)."""
    kept: int
    """How many different ones are kept in mind; at most 20."""
    values: tuple[LastValue, ...]
    """The last ones, newest first; none unless allowed."""
    note: str
    """How to see them here, or since when they are kept, in words."""


@dataclass(frozen=True)
class FeatureFacts:
    """Everything of one feature."""

    at: float
    """When this was evaluated, Unix seconds."""
    model: str
    """Its model."""
    name: str
    """As configured."""
    kind: FeatureKind
    """`numeric` or `categorical`."""
    range: tuple[float | None, float | None] | None
    """The configured range of a number; a side may be open. None for categories."""
    baseline: Summary
    """What the reference holds."""
    windows: tuple[FeatureWindow, ...]
    """Over each window of features, the longest first."""
    missing_windows: Mapping[str, str]
    """Why configured windows are absent, in words, by name."""
    hours: tuple[FeaturePoint, ...]
    """The last 48 hours with rows, oldest first."""
    days: tuple[FeaturePoint, ...]
    """The days as far as panes are kept, oldest first."""
    unseen: SeenValues | None
    """Categories that the reference does not know; none for numbers."""
    invalid: LastValues | None
    """What the log says in place of numbers; none for categories."""
