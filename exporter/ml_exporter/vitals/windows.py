"""What a vital may look at: the windows of one model at one instant, and estimates with their standard errors."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from ml_exporter.baseline import Baseline, Phi
from ml_exporter.layout import Vector

REFERENCE = "reference"
"""The label `baseline` of everything compared with the reference."""


@dataclass(frozen=True)
class Window:
    """A window by name, its nominal length, its bounds in event time, and the sum of its panes."""

    name: str
    seconds: float
    start_us: int
    end_us: int
    vector: Vector


@dataclass(frozen=True)
class Windows:
    """The windows of one model.

    `current` end now, `matured` end where labels are complete, `features` are names in `current`.
    """

    model: str
    current: tuple[Window, ...]
    matured: tuple[Window, ...]
    features: tuple[str, ...]
    alpha: float
    latency_limit_seconds: float

    def for_features(self) -> tuple[Window, ...]:
        """The current windows that feature gauges are computed over."""
        return tuple(window for window in self.current if window.name in self.features)


class Estimate(NamedTuple):
    """A statistic of one window, its standard error for independent rows, and the rows that the error shrinks with."""

    value: float
    standard_error: float
    rows: float


def ratio(part: float, whole: float) -> Estimate | None:
    """A share and its binomial standard error; None of nothing.

    >>> ratio(1, 4)
    Estimate(value=0.25, standard_error=0.21650635094610965, rows=4)
    """
    if whole <= 0:
        return None
    share = part / whole
    return Estimate(share, math.sqrt(share * (1 - share) / whole), whole)


def mean(total: float, squares: float, rows: float) -> Estimate | None:
    """A mean and its standard error from a sum and a sum of squares; None below two rows.

    >>> mean(4.0, 10.0, 2)
    Estimate(value=2.0, standard_error=1.0, rows=2)
    """
    if rows < 2:
        return None
    value = total / rows
    return Estimate(value, math.sqrt(max(0.0, squares - total * value) / (rows - 1) / rows), rows)


def phi_of(baseline: Baseline, window: Window, statistic: str) -> Phi:
    """The overdispersion of a statistic over windows of this length.

    Where the reference did not show such windows, that of the longest shorter ones: days that are independent of each
    other give a sum of days the same phi as one day. Else that of the shortest longer ones, which is wider than needed.
    1 where nothing was learned.
    """
    lengths = {
        name: seconds for name, seconds in baseline.window_seconds.items() if statistic in baseline.noise_of(name).phi
    }
    if window.name in lengths:
        return baseline.noise_of(window.name).phi[statistic]
    if not lengths:
        return Phi(0, 1.0)
    shorter = [name for name, seconds in lengths.items() if seconds < window.seconds]
    nearest = max(shorter, key=lengths.__getitem__) if shorter else min(lengths, key=lengths.__getitem__)
    return baseline.noise_of(nearest).phi[statistic]
