"""The labels of a model: how many came, how late, and what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ml_exporter.facts.answers.values import Value, WindowFacts


@dataclass(frozen=True)
class DelayBucket:
    """Labels that came within a time after their prediction."""

    upper_seconds: float | None
    """The longest delay in it; none for all that took longer."""
    count: int
    """Labels of the window in it."""
    share: float | None
    """Share of the window's labels."""
    baseline_share: float | None
    """Share of the reference's labels; none where it has none."""


@dataclass(frozen=True)
class DelayQuantile:
    """Within which time a share of the labels came."""

    q: float
    """The share."""
    seconds: float | None
    """The upper end of the bucket that holds it; none beyond the last bucket, or without labels."""
    baseline_seconds: float | None
    """The same of the reference."""


@dataclass(frozen=True)
class LabelCount:
    """What became of labels, since the exporter started."""

    status: str
    """The status, as in `ml_labels_total`."""
    count: int
    """How many."""
    meaning: str
    """What the status says."""


@dataclass(frozen=True)
class LabelDay:
    """The predictions of one day, and how many of them have a label by now."""

    start_at: float
    """Where it starts, Unix seconds."""
    end_at: float
    """Where it ends, Unix seconds; the last one may not be complete."""
    joinable: int
    """Predictions that a label can find."""
    labelled: int
    """Those that have a label."""
    matured: bool
    """Whether all its labels should be there."""


@dataclass(frozen=True)
class LabelFacts:
    """Everything about the labels of one model."""

    at: float
    """When this was evaluated, Unix seconds."""
    model: str
    """Its model."""
    has_labels: bool
    """Whether the configuration names any."""
    align: Literal["prediction", "arrival"]
    """By whose time quality is counted."""
    maturity_seconds: float
    """How long after a prediction its label is taken as overdue."""
    windows: tuple[WindowFacts, ...]
    """The windows whose labels have matured (or arrived)."""
    missing_windows: Mapping[str, str]
    """Why configured windows are absent, in words, by `<role> <name>`."""
    matures: str
    """In words, when the labels of the current window mature."""
    values: tuple[Value, ...]
    """Coverage, selection and their like."""
    delay_window: str
    """The window that the delays are of: the longest matured one; empty without any."""
    delays: tuple[DelayBucket, ...]
    """The delays, bucket by bucket."""
    quantiles: tuple[DelayQuantile, ...]
    """Of the delays: half, 90 %, 95 % and 99 %."""
    counts: tuple[LabelCount, ...]
    """What became of labels since the exporter started."""
    pending_predictions: int
    """Predictions that wait for a label."""
    pending_labels: int
    """Labels that wait for their prediction."""
    dropped_predictions: int
    """Predictions given up while they waited, since the exporter started."""
    repeated_ids: int
    """Predictions with the id of an earlier one, since the exporter started."""
    days: tuple[LabelDay, ...]
    """Coverage by the day of the prediction, as far as panes are kept, oldest first."""
