"""The sections of the configuration as frozen values, and what follows from one of them alone.

The field docs below are the source of the generated reference `docs/config.md`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from ml_exporter.errors import ConfigError, Problem, shown
from ml_exporter.strict import Duration, Section, Size

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z_][a-zA-Z0-9_\-]{0,63}$")]
Task = Literal["binary", "multiclass", "regression"]
Corrections = Literal["first", "last"]
Comparison = Literal["previous", "last_week", "version"]
Distance = Literal["js", "ks", "wasserstein", "spread"]
DECISION_THRESHOLD = 0.5
VERSION = "version"
"""The segment that reads the column of the version."""
WINDOW_NAME = re.compile(r"^([1-9]\d*)([mhd])$", re.ASCII)
_HOURS = {"m": 1 / 60, "h": 1.0}


class Time(Section, frozen=True):
    """The units of event time. Only a compressed demo or a test has reason to change `hour` and `day`."""

    pane: Duration = Duration(60)
    """Length of a fine pane, 1s to 1h; the resolution of short windows."""
    hour: Duration = Duration(3600)
    """Length of a coarse pane. Windows longer than three of them start on one."""
    day: Duration = Duration(86400)
    """What `1d` in a window's name means."""
    stale_after: Duration = Duration(3 * 3600)
    """Gauges of a window that ended longer ago are withheld."""
    future_tolerance: Duration = Duration(300)
    """Rows with a timestamp further ahead of the clock are rejected."""


class ModelColumn(Section, frozen=True):
    """Tells apart the models whose rows one source holds."""

    column: str
    """Where the record keeps the name of the model, as configured here. A dot descends into an object."""


class Source(Section, frozen=True):
    """Log files that grow. One source may hold predictions and labels of several models."""

    files: str
    """Path of the log, or a glob. Relative to the configuration file."""
    format: Literal["jsonl", "csv", "parquet"] = "jsonl"
    """`jsonl`: a JSON object a line. `csv`: records below a header line. `parquet`: files that are complete when they
    appear. See [formats](formats.md)."""
    delimiter: Literal[",", ";", "\t", "|"] = ","
    """What stands between the cells of CSV."""
    settle: Duration = Duration(60)
    """How long after its end a pane may still get rows; a window ends at least this long ago."""
    idle_after: Duration = Duration(300)
    """A source without new rows for this long no longer holds the windows back."""
    max_line_bytes: Size = Size(1 << 20)
    """Longer lines are rejected."""
    complete: bool = False
    """Files are finished when they appear: a last line without newline counts once its file was left alone for 5s; the
    command `once` does not wait."""
    model: ModelColumn | None = None
    """Each model gets the rows that name it. Rows that name none of those that use this source are counted."""


class PredictionColumns(Section, frozen=True):
    """Where a prediction record keeps what is needed. A dot descends into an object: `meta.ts`."""

    timestamp: str = "timestamp"
    """When the prediction was made: ISO 8601 with zone, or epoch in s, ms, µs or ns."""
    id: str = "id"
    """What a label names its prediction by."""
    version: str | None = None
    """Version of the model that answered."""
    prediction: str | None = None
    """The predicted class or number.

    Without it, the score is compared with the decision threshold, or the class with the highest of `scores` counts.
    """
    score: str | None = None
    """Binary: probability of the positive class. Multiclass: probability of the predicted class."""
    scores: dict[str, str] = {}
    """Multiclass: where the record keeps the probability of each class, instead of `score`."""
    latency: str | None = None
    """Latency, in seconds if `latency.unit` says nothing else."""
    fallback: str | None = None
    """True when a default answer was served."""
    error: str | None = None
    """True when the request failed."""
    label: str | None = None
    """The actual class or number, where the record holds it. It is joined like one from a label log."""
    label_timestamp: str | None = None
    """When the truth became known. Without it, the label counts as known when the prediction was made."""


class Predictions(Section, frozen=True):
    """The prediction log of a model."""

    source: Name
    """Name of a source."""
    columns: PredictionColumns = PredictionColumns()
    """Where the record keeps what."""
    where: dict[str, str] = {}
    """Only rows in which all of these columns have these texts, for example `{event: prediction}`."""


class LabelColumns(Section, frozen=True):
    """Where a label record keeps what is needed."""

    id: str = "id"
    """Id of the prediction."""
    label: str = "label"
    """The actual class or number."""
    timestamp: str = "timestamp"
    """When the truth became known."""


class Labels(Section, frozen=True):
    """Labels of a model, from a log of their own, from the prediction records, or from both."""

    source: Name | None = None
    """Name of the source of the label log; none if the labels are in the prediction records."""
    columns: LabelColumns = LabelColumns()
    """Where the record keeps what."""
    where: dict[str, str] = {}
    """Only rows in which all of these columns have these texts, for example `{event: label}`."""
    align: Literal["prediction", "arrival"] = "prediction"
    """Whose time decides into which window quality counts fall. `prediction`: unbiased, but the windows end `maturity`
    ago. `arrival`: that of the label; windows end now, but only those have quality that are at least five times as long
    as 95 % of the labels need.
    """
    maturity: Duration | None = None
    """How long after a prediction its label is taken as overdue.

    Default: the 99th percentile of the label delay in the baseline.
    """
    grace: Duration = Duration(3600)
    """How long a label waits for a prediction that was not read yet."""
    expire_after: Duration = Duration(35 * 86400)
    """Labels that come later than this after their prediction are counted as late and not joined."""
    corrections: Corrections = "first"
    """Which label of a prediction counts: the `first`, or the `last` one read, which takes back what came before."""
    max_pending: Annotated[int, msgspec.Meta(ge=10_000)] = 20_000_000
    """Most predictions kept for the join (about 30 bytes of disk each); beyond it the oldest go. A twentieth as many
    labels may wait for their prediction.
    """


class NumericFeature(Section, frozen=True):
    """A feature that is a number."""

    range: tuple[float | None, float | None] | None = None
    """Lowest and highest plausible value; `null` leaves a side open."""


class CategoricalFeature(Section, frozen=True):
    """A feature that is one of some values."""


class Features(Section, frozen=True):
    """The features of a model. Leave calendar columns (hour, weekday, month) out: they drift by nature."""

    object: str | None = None
    """Key of the nested object that holds the features. Without it they are keys of the record."""
    prefix: str = ""
    """What the log puts before each feature's name."""
    numeric: dict[str, NumericFeature | None] = {}
    """Features that are numbers."""
    categorical: dict[str, CategoricalFeature | None] = {}
    """Features that are one of some values."""
    distances: tuple[Distance, ...] = ()
    """More measures of drift beside PSI, each with a critical value: `js` (Jensen-Shannon), `ks` (Kolmogorov-Smirnov),
    `wasserstein` and `spread` (standard deviation); all but the first for numeric features. Two series each, a feature
    and window.
    """


class Latency(Section, frozen=True):
    """The latency agreement."""

    limit: Duration = Duration(0.5)
    """A prediction slower than this counts against the agreement."""
    unit: Literal["s", "ms", "us", "ns"] = "s"
    """The unit in which the log keeps latencies. Metrics are in seconds."""


class Windows(Section, frozen=True):
    """Over which windows the gauges are computed. More windows, more series."""

    features: tuple[str, ...] = ("1h", "1d")
    """Windows of the feature gauges."""
    head: tuple[str, ...] = ("5m", "1h", "2h", "1d")
    """Windows of volume, predictions, scores, latency and quality."""
    quality: tuple[str, ...] = ("30d",)
    """Windows that quality has beside those of the head."""
    segments: tuple[str, ...] = ("1d",)
    """Windows of the gauges of segments and of the comparison of versions: some of those of the head and of quality."""


class Segment(Section, frozen=True):
    """A column whose values split the rows: each value gets rows, class shares and quality of its own."""

    column: str | None = None
    """Where the prediction record keeps it. Not for the segment `version`, which reads the column of the version."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20
    """Most values with a name: the most frequent of the baseline, then those seen first. Others are `__other__`."""


class Model(Section, frozen=True):
    """A model: its logs, features and classes."""

    task: Task
    """What it predicts: one of two classes, one of several, or a number."""
    team: Name
    """Who owns it; alerts are routed by it."""
    baseline: str
    """Path of the baseline artefact, made by `ml-exporter baseline`."""
    predictions: Predictions
    """The prediction log."""
    classes: tuple[str, ...] = ()
    """The classes as the logs spell them; binary: the negative, then the positive one; regression: none."""
    tier: Literal["1", "2", "3"] = "3"
    """How much depends on it; `1` is the highest."""
    decision_threshold: Annotated[float, msgspec.Meta(gt=0, lt=1)] = DECISION_THRESHOLD
    """Binary: scores from here on mean the positive class."""
    labels: Labels | None = None
    """Its labels, if there are any."""
    features: Features = Features()
    """The features to watch."""
    latency: Latency = Latency()
    """The latency agreement."""
    windows: Windows = Windows()
    """The windows."""
    segments: dict[Name, Segment | None] = {}
    """Parts of the rows that are watched beside the whole, by name. `version` needs no column."""
    comparisons: tuple[Comparison, ...] = ()
    """Beside the reference: the window before, the same window a week earlier, versions that serve at the same time."""
    false_alarms_per_month: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Budget that the critical values are computed from."""
    series_limit: Annotated[int, msgspec.Meta(ge=100)] = 2000
    """Most series this model may export."""


class DeadLetter(Section, frozen=True):
    """The file `dead-letter.jsonl` in the state directory, which notes lines that were refused."""

    max_size: Size = Size(16 << 20)
    """Most that it and its predecessor take together, at least 64KiB; `0B` turns it off."""
    values: bool = False
    """Note the line itself, cut to 1,000 bytes. Logs may hold personal data."""


class Web(Section, frozen=True):
    """The exporter's own pages and its JSON API."""

    samples: bool = False
    """Show what single rows hold: ids of the last outliers, unseen categories, values that are no number, and the last
    refused lines. It may be personal."""
    grafana_url: str | None = None
    """Where people open Grafana: pages link to the pack's dashboards of what they show."""
    prometheus_url: str | None = None
    """Where people open Prometheus: pages link to the series of what they show."""


class Config(Section, frozen=True):
    """The whole file."""

    sources: dict[Name, Source]
    """The logs, by name."""
    models: dict[Name, Model]
    """The models, by name."""
    state: str = "state"
    """Directory of the state. Relative to the configuration file. One exporter a directory."""
    interval: Duration = Duration(15)
    """How often windows are evaluated."""
    time: Time = Time()
    """The units of event time."""
    dead_letter: DeadLetter = DeadLetter()
    """Notes about lines that were refused."""
    web: Web = Web()
    """What the exporter's pages may show."""


def window_seconds(name: str, time: Time) -> float:
    """Length of a window in seconds, from its name and the configured hour and day.

    >>> window_seconds("1d", Time()), window_seconds("5m", Time())
    (86400.0, 300.0)
    """
    found = WINDOW_NAME.match(name)
    if not found:
        raise ConfigError(
            [Problem("windows", "a window like 5m, 1h or 1d", shown(name), "Write a whole number and m, h or d")]
        )
    count, unit = int(found[1]), found[2]
    return count * (float(time.day) if unit == "d" else float(time.hour) * _HOURS[unit])


def segment_limits(model: Model) -> Mapping[str, int]:
    """The segments of a model with their limits, in the order of the file.

    `version` is one of them where versions are compared.
    """
    limits = {name: (segment or Segment()).limit for name, segment in model.segments.items()}
    return limits | ({VERSION: Segment().limit} if VERSION in model.comparisons and VERSION not in limits else {})


def kinds(model: Model) -> Mapping[str, str]:
    """The watched features of a model in the order of the file, with `numeric` or `categorical`."""
    return dict.fromkeys(model.features.numeric, "numeric") | dict.fromkeys(model.features.categorical, "categorical")
