"""Values beside what they are judged by, and the windows that they are of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Area = Literal["volume", "data", "drift", "predictions", "latency", "quality", "labels", "versions"]
Role = Literal["current", "matured", "arrived"]
Judged = Literal["above", "either side", "excess", "difference", "factor"]
Span = Literal["hour", "day"]


@dataclass(frozen=True)
class Control:
    """Where a value is expected if all goes on as in the days before."""

    centre: float
    """The expected value."""
    lower: float
    """The lower limit."""
    upper: float
    """The upper limit."""
    range: float | None
    """The largest step from one day to the next; none where steps are not judged."""


@dataclass(frozen=True)
class Since:
    """Since when a value is beyond what it is judged by."""

    at: float
    """Where the first hour or day that was beyond begins, Unix seconds."""
    span: Span
    """Whether hours or days were judged."""
    or_earlier: bool
    """Whether none before it can be judged, so that it may have begun earlier."""
    before: float | None
    """The value over the day before; none where there is none."""


@dataclass(frozen=True)
class Value:
    """One vital over one window, beside everything that it is judged by. Every number equals the sample of `/metrics`.

    Whatever is absent though the model could have it is explained in `missing`.
    """

    metric: str
    """The metric that `/metrics` exports it as."""
    area: Area
    """What it is about."""
    meaning: str
    """The metric's help text."""
    unit: str
    """`ratio`, `seconds`, or nothing."""
    window: str
    """The name of the window; empty for values of no window."""
    labels: Mapping[str, str]
    """The other labels of the series, without `model` and `window`: `feature`, `class`, `baseline`, `q`, ..."""
    value: float | None
    """The value itself."""
    critical: float | None = None
    """What no change exceeds but with the probability of a false alarm. `judged` says what is compared with it."""
    judged: Judged | None = None
    """Beyond `critical` must be: the value (`above`), its amount (`either side`), what it exceeds the baseline by
    (`excess`), its distance from the baseline (`difference`), or how many times it is more or less than 1 (`factor`).
    """
    strength: float | None = None
    """How many times the critical value was reached by what is compared with it; beyond 1 it is significant."""
    lower: float | None = None
    """Lower end of the 95 % interval."""
    upper: float | None = None
    """Upper end of the 95 % interval."""
    baseline: float | None = None
    """The same of the reference."""
    previous_30d: float | None = None
    """The same over the 30 days before the window of a day."""
    estimated: float | None = None
    """What is to be expected without labels, of the current window of the same name."""
    estimated_error: float | None = None
    """95 % half width of `estimated`."""
    estimated_bias: float | None = None
    """Realised minus estimated over the last matured window."""
    control: Control | None = None
    """The control limits."""
    since: Since | None = None
    """Since when it is beyond its critical value or control limits, or worse than the reference; none where it is not,
    or where nobody knows. Known of the whole model and its features over `1d`, and of nulls and their like over `1h`.
    """
    missing: Mapping[str, str] = field(default_factory=dict)
    """Why something is absent, in words with numbers, by what: `value`, `critical`, `interval`, `baseline`,
    `estimated`, `control`; `noise`: what a critical value takes for granted; `alert`: why no alert reads the value.
    """

    @property
    def beyond(self) -> bool | None:
        """Whether it is beyond its critical value; None where there is none."""
        return None if self.strength is None else self.strength > 1.0


@dataclass(frozen=True)
class WindowFacts:
    """One window of a model."""

    name: str
    """Its name, such as `1d`."""
    role: Role
    """`current` ends now, `matured` where labels are complete, `arrived` now, with quality by the label's time."""
    length_seconds: float
    """Its nominal length."""
    start_at: float
    """Where it starts, in event time, Unix seconds."""
    end_at: float
    """Where it ends, in event time, Unix seconds."""
    rows: int
    """Predictions in it."""
    joinable: int
    """Those that a label can find."""
    labelled: int
    """Those that have a label."""
    matures_at: float | None
    """When all its labels should be there, Unix seconds; none without labels."""
    first_pane_at: float | None = None
    """Where the first pane in it that there is begins, Unix seconds. Later than `start_at` while the model has been
    read for a shorter time than the window is long; none while there is nothing in it."""
