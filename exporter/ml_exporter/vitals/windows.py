"""What a vital may look at: the windows of one model at one instant, and estimates with their standard errors."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ml_exporter.baseline import Baseline, JsNoise, Phi, PsiNoise, SpreadNoise
from ml_exporter.layout import Vector
from ml_exporter.statistics.charts import Lack

REFERENCE = "reference"
"""The label `baseline` of everything compared with the reference."""
PREVIOUS_30D = "previous_30d"
"""The label `baseline` of quality over the 30 days before the window of a day."""
PREVIOUS, LAST_WEEK = "previous", "last_week"
"""The label `baseline` of what is compared with the window before, or with the same one a week earlier."""


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
    arrived: tuple[Window, ...] | None = None
    """Where quality counts fall into the time of the label: the current windows that are long enough for it."""
    segments: "tuple[Segment, ...]" = ()
    earlier: "tuple[Earlier, ...]" = ()
    versions: "tuple[Pair, ...]" = ()
    version_quality: "tuple[Pair, ...]" = ()
    before: Window | None = None
    """The 30 days before the day that quality is computed over."""
    distances: tuple[str, ...] = ()
    """The distances of features that are wanted beside PSI."""
    charts: "tuple[Chart, ...]" = ()

    @property
    def quality(self) -> tuple[Window, ...]:
        """The windows that quality is computed over."""
        return self.matured if self.arrived is None else self.arrived

    def for_features(self) -> tuple[Window, ...]:
        """The current windows that feature gauges are computed over."""
        return tuple(window for window in self.current if window.name in self.features)


@dataclass(frozen=True)
class Segment:
    """The rows of a model that have a value: windows as of the whole, with vectors of the head."""

    by: str
    value: str
    current: tuple[Window, ...]
    matured: tuple[Window, ...]


@dataclass(frozen=True)
class Earlier:
    """A window, and the vector of an earlier one that it is compared with: `previous` or `last_week`."""

    baseline: str
    window: Window
    vector: Vector


@dataclass(frozen=True)
class Chart:
    """What is expected of a signal over a window, in its unit; or why the history does not say (`lack`)."""

    window: str
    signal: str
    centre: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    span: float | None = None
    """The largest step from one day to the next; None where steps are not judged."""
    lack: Lack | None = None
    shortage: "Shortage | None" = None
    """Where points are lacking, how many there are and how many it takes."""

    def bounds(self) -> Iterator[tuple[str, float]]:
        """The limits by the value of the label `bound`."""
        if self.lack is None:
            yield from (("centre", self.centre), ("lower", self.lower), ("upper", self.upper))
            if self.span is not None:
                yield "range", self.span


@dataclass(frozen=True)
class Pair:
    """Two versions over the panes of a window in which both served.

    `here` and `there`, shape (blocks, cells of the head), are the rows of the version and of its peer in the same runs
    of panes, in order.
    """

    window: Window
    version: str
    peer: str
    here: Vector
    there: Vector


class Shortage(NamedTuple):
    """What a value that is absent waits for: how much there is, how much it takes, and of what."""

    have: float
    need: float
    what: str


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


def alpha_of(alpha: float, seconds: float, day_seconds: float) -> float:
    """The probability of a false alarm that one test over a window of this length may have.

    `alpha` is that of a window of a day or more. Of shorter windows there are several a day, and all tests of a day
    together may have what one daily test has.

    >>> alpha_of(0.024, seconds=3600.0, day_seconds=86400.0)
    0.001
    >>> alpha_of(0.024, seconds=604800.0, day_seconds=86400.0)
    0.024
    """
    return alpha * min(1.0, seconds / day_seconds)


def phi_of(baseline: Baseline, window: Window, statistic: str) -> Phi:
    """The overdispersion of a statistic over windows of this length.

    Where the reference did not show such windows, that of the longest shorter ones: days that are independent of each
    other give a sum of days the same phi as one day. Else that of the shortest longer ones, which is wider than needed.
    1 where nothing was learned.
    """
    known = {name: noise.phi[statistic] for name, noise in baseline.noise.items() if statistic in noise.phi}
    nearest = _nearest(baseline, window, known)
    return Phi(0, 1.0) if nearest is None else known[nearest]


def skew_of(baseline: Baseline, window: Window, statistic: str) -> float:
    """The skewness of a statistic over windows of this length, borrowed as phi is; 0 where nothing was learned."""
    return known_skew_of(baseline, window, statistic) or 0.0


def known_skew_of(baseline: Baseline, window: Window, statistic: str) -> float | None:
    """The same; None where nothing was learned."""
    known = {name: noise.skew[statistic] for name, noise in baseline.noise.items() if statistic in noise.skew}
    nearest = _nearest(baseline, window, known)
    return None if nearest is None else known[nearest]


def psi_noise_of(baseline: Baseline, window: Window, name: str) -> PsiNoise | None:
    """How the PSI of a feature (or `SCORE`) varies over windows of this length.

    Borrowed as phi is, for the same reason: T is a distance in units of the window's own error, so independent days
    give a sum of days the distribution that one day has. None where nothing was learned.
    """
    known = {length: noise.psi[name] for length, noise in baseline.noise.items() if name in noise.psi}
    nearest = _nearest(baseline, window, known)
    return None if nearest is None else known[nearest]


def js_noise_of(baseline: Baseline, window: Window, name: str) -> JsNoise | None:
    """How the Jensen-Shannon distance of a feature varies over windows of this length, borrowed as that of PSI is."""
    known = {length: noise.js[name] for length, noise in baseline.noise.items() if name in noise.js}
    nearest = _nearest(baseline, window, known)
    return None if nearest is None else known[nearest]


def spread_noise_of(baseline: Baseline, window: Window, name: str) -> SpreadNoise | None:
    """How a feature's spread varies over windows of this length, borrowed as that of PSI is."""
    known = {length: noise.spread[name] for length, noise in baseline.noise.items() if name in noise.spread}
    nearest = _nearest(baseline, window, known)
    return None if nearest is None else known[nearest]


def _nearest(baseline: Baseline, window: Window, known: Mapping[str, object]) -> str | None:
    """Of the windows in `known`: this one, else the longest shorter one, else the shortest longer one."""
    if window.name in known:
        return window.name
    lengths = {name: baseline.window_seconds[name] for name in known}
    shorter = [name for name, seconds in lengths.items() if seconds < window.seconds]
    if shorter:
        return max(shorter, key=lengths.__getitem__)
    return min(lengths, key=lengths.__getitem__, default=None)
