"""Single rows: those that were refused, and outliers. Their content is shown only if `web.samples` allows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ml_exporter.facts.answers.values import Value


@dataclass(frozen=True)
class Rejection:
    """Rows of one source that were refused for one reason."""

    reason: str
    """The reason, as in `ml_exporter_rows_rejected_total`."""
    count: int
    """How many, since the exporter started."""
    meaning: str
    """What the reason says."""
    next_step: str
    """What to do about it."""
    roles: Mapping[str, int] = field(default_factory=dict)
    """How many were read as `predictions` and as `labels`; `unknown` are lines of which nobody knows whose they are."""


@dataclass(frozen=True)
class SourceFacts:
    """What was read of one source since the exporter started."""

    name: str
    """As configured."""
    files: str
    """The configured path or pattern."""
    predictions_of: tuple[str, ...]
    """Models that read their predictions from it."""
    labels_of: tuple[str, ...]
    """Models that read their labels from it."""
    up: bool
    """Whether the last attempt to read it worked."""
    error: str
    """Why not; empty while it works."""
    rows_read: int
    """Lines read, also the refused ones."""
    rows_rejected: int
    """Rows refused, for whatever reason; a row that two models refuse for different reasons counts for both."""
    files_lost: int
    """Files of which perhaps not all was read."""
    rejections: tuple[Rejection, ...]
    """By reason, the most frequent first; only reasons that occurred."""


@dataclass(frozen=True)
class RejectedLine:
    """One refused line, as the dead-letter file notes it."""

    at: float | None
    """When it was refused, Unix seconds."""
    source: str
    """The source."""
    reason: str
    """The reason."""
    file: str
    """The file that it stands in."""
    offset: int | None
    """Its place in it: bytes, in a Parquet file rows."""
    digest: str
    """A hash of its bytes."""
    line: str | None
    """The line itself, cut; none unless `dead_letter.values` is on."""


@dataclass(frozen=True)
class Rejected:
    """Refused rows of all sources."""

    at: float
    """When this was evaluated, Unix seconds."""
    sources: tuple[SourceFacts, ...]
    """The sources, in the order of reading."""
    samples: bool
    """Whether the configuration allows single rows to be shown (`web.samples`)."""
    lines: tuple[RejectedLine, ...]
    """The last refused lines, newest first; none unless allowed."""
    note: str
    """Where all refused lines are noted, or how to see them here, in words."""


@dataclass(frozen=True)
class Outlier:
    """One prediction that the reference does not know."""

    id: str
    """Its id, cut; empty where the log has none."""
    at: float
    """Its event time, Unix seconds."""
    version: str
    """The version that answered; empty where the log names none."""
    reasons: tuple[str, ...]
    """Why: `range`, `distance`, `prediction`."""


@dataclass(frozen=True)
class OutlierFacts:
    """The outliers of one model."""

    at: float
    """When this was evaluated, Unix seconds."""
    model: str
    """Its model."""
    reasons: Mapping[str, str]
    """What each reason means."""
    values: tuple[Value, ...]
    """Outlier ratios by window and reason, beside the reference's own."""
    missing: str | None
    """Why there are none, in words; none if outliers are looked for."""
    samples: bool
    """Whether the configuration allows single rows to be shown (`web.samples`)."""
    kept: int
    """How many of the last outliers are kept in mind since the exporter started; at most 20."""
    last: tuple[Outlier, ...]
    """The last outliers, newest first; none unless allowed."""
    note: str
    """How to see them here, or since when they are kept, in words."""
