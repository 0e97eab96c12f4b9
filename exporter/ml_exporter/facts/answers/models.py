"""Models: what the list says of each, and everything of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ml_exporter.facts.answers.values import Value, WindowFacts

State = Literal["ok", "no predictions", "stale", "trouble"]
FeatureKind = Literal["numeric", "categorical"]


@dataclass(frozen=True)
class ModelSummary:
    """One model in a list."""

    name: str
    """As configured."""
    task: str
    """`binary`, `multiclass` or `regression`."""
    team: str
    """Who owns it."""
    tier: str
    """How much depends on it; `1` is the highest."""
    state: State
    """`ok`, `no predictions` yet, `stale` (its last window ended too long ago, gauges are withheld), or `trouble` with
    a source."""
    troubles: tuple[str, ...]
    """What is wrong, in words."""
    next_steps: tuple[str, ...]
    """What to do about each of it, or what the model waits for."""
    versions: tuple[str, ...]
    """The versions that served lately."""
    last_prediction_at: float | None
    """Event time of the newest prediction, Unix seconds."""
    last_label_at: float | None
    """Event time of the newest label, Unix seconds."""
    rows: Mapping[str, int]
    """Predictions by current window."""
    features: int
    """Watched features."""
    features_beyond: tuple[str, ...]
    """Features with a PSI beyond its critical value over the longest window of features, the strongest first."""
    features_broken: tuple[str, ...] = ()
    """Features with more nulls, or values that cannot be read or should not be there, than the reference explains, over
    the longest window of features."""
    outcome: tuple[Value, ...] = ()
    """Quality and latency of the whole model over `1d`, or else over its longest window."""


@dataclass(frozen=True)
class Models:
    """All models, in the order of the configuration."""

    at: float
    """When this was evaluated, Unix seconds."""
    ready: bool
    """Whether the sources were caught up with once."""
    models: tuple[ModelSummary, ...]
    """The models."""


@dataclass(frozen=True)
class VersionFacts:
    """One version of a model."""

    name: str
    """As the log spells it; empty where the log names none."""
    predictions: int
    """Predictions read since the exporter started."""
    last_prediction_at: float | None
    """Event time of its newest prediction, Unix seconds; none where the log names no version."""
    rows: Mapping[str, int]
    """Predictions by current window; empty unless versions are compared or a segment."""


@dataclass(frozen=True)
class SegmentFacts:
    """The rows of a model that have a value."""

    by: str
    """The name of the segment."""
    value: str
    """The value that its rows have."""
    rows: Mapping[str, int]
    """Predictions by window."""
    values: tuple[Value, ...]
    """Class shares and quality."""


@dataclass(frozen=True)
class BaselineFacts:
    """The reference that a model is compared with."""

    fingerprint: str
    """Twelve hex digits of all that is computed with."""
    start_at: float
    """Where the reference data starts, Unix seconds."""
    end_at: float
    """Where the reference data ends, Unix seconds."""
    rows: int
    """Predictions in it."""
    labelled: int
    """Those that have a label."""
    dispersion: Literal["learned", "provisional", "assumed"]
    """How far the noise floor can be trusted."""
    windows: Mapping[str, int]
    """By window length, how many windows of the reference the noise was learned from."""
    warnings: tuple[str, ...]
    """What was doubtful when it was made."""


@dataclass(frozen=True)
class FeatureSummary:
    """One feature in the list of a model's features."""

    name: str
    """As configured."""
    kind: FeatureKind
    """`numeric` or `categorical`."""
    strength: float | None
    """PSI over its critical value, over the longest window of features; beyond 1 it is significant."""
    values: tuple[Value, ...]
    """Every value of it, by window."""


@dataclass(frozen=True)
class DayValue:
    """One vital over one day."""

    metric: str
    """The metric."""
    labels: Mapping[str, str]
    """The other labels of the series: `class`, `q`."""
    value: float
    """The value over this day."""
    lower: float | None
    """Lower end of the 95 % interval."""
    upper: float | None
    """Upper end of the 95 % interval."""


@dataclass(frozen=True)
class ModelDay:
    """One day of a model."""

    start_at: float
    """Where it starts, Unix seconds."""
    end_at: float
    """Where it ends, Unix seconds."""
    rows: int
    """Predictions in it."""
    complete: bool
    """Whether it is over."""
    labels_complete: bool
    """Whether all its labels should be there. Before, there is no quality."""
    values: tuple[DayValue, ...]
    """Quality and latency of the whole model, class shares, default answers, errors, and the PSI of its answers."""


@dataclass(frozen=True)
class ModelFacts:
    """Everything of one model."""

    at: float
    """When this was evaluated, Unix seconds."""
    summary: ModelSummary
    """What the list of models says of it."""
    stale: str | None
    """Why gauges are withheld, in words; none while they are exported."""
    windows: tuple[WindowFacts, ...]
    """Its windows: current ones, then those whose labels have matured or arrived."""
    missing_windows: Mapping[str, str]
    """Why configured windows are absent, in words, by `<role> <name>`."""
    baseline: BaselineFacts
    """What it is compared with."""
    versions: tuple[VersionFacts, ...]
    """Its versions, the newest first."""
    segments: tuple[SegmentFacts, ...]
    """Its segments, the most frequent value of each first."""
    values: tuple[Value, ...]
    """Every value of the whole model, feature values apart."""
    features: tuple[FeatureSummary, ...]
    """Its features, the strongest drift first."""
    series: int
    """Series that it exports."""
    series_dropped: int
    """Values that are shown here, but not exported: beyond the limit of series."""
    days: tuple[ModelDay, ...] = ()
    """Its days as far as panes are kept, oldest first."""
