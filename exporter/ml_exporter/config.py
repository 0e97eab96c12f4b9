"""The configuration: YAML text in, frozen values out, every problem at once.

The field docs below are the source of the generated reference `docs/config.md`.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

import msgspec

from ml_exporter.errors import ConfigError, Problem, shown
from ml_exporter.records import FEATURE_PREFIX, SCORE_PREFIX, SEGMENT_PREFIX, Field, Kind, Stream
from ml_exporter.streams import misread, overlaps
from ml_exporter.strict import Duration, Section, Size, read

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z_][a-zA-Z0-9_\-]{0,63}$")]
Task = Literal["binary", "multiclass", "regression"]
DECISION_THRESHOLD = 0.5
LEAST_DEAD_LETTER_BYTES = 64 << 10
Corrections = Literal["first", "last"]
Comparison = Literal["previous", "last_week", "version"]
WINDOW_UNITS = {"m": 1 / 60, "h": 1.0, "d": 24.0}
VERSION = "version"
"""The segment that reads the column of the version."""
MAX_COMBINATIONS = 1_000_000
"""Most combinations of the values of all segments: what a prediction that waits for its label remembers."""
_WINDOW = re.compile(r"^([1-9]\d*)([mhd])$", re.ASCII)


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
    """Files are finished when they appear: a last line without newline counts once its file was left alone for 5s."""
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
    """Latency in seconds."""
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


class Latency(Section, frozen=True):
    """The latency agreement."""

    limit: Duration = Duration(0.5)
    """A prediction slower than this counts against the agreement."""


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


def window_seconds(name: str, time: Time) -> float:
    """Length of a window in seconds, from its name and the configured hour and day.

    >>> window_seconds("1d", Time()), window_seconds("5m", Time())
    (86400.0, 300.0)
    """
    found = _WINDOW.match(name)
    if not found:
        raise ConfigError(
            [Problem("windows", "a window like 5m, 1h or 1d", shown(name), "Write a whole number and m, h or d")]
        )
    count, unit = int(found[1]), found[2]
    return count * (float(time.day) if unit == "d" else float(time.hour) * WINDOW_UNITS[unit])


def parse(text: str, where: str = "config") -> Config:
    """The configuration in a YAML text. Raises ConfigError with every problem found."""
    config = read(Config, text, where)
    problems = tuple(_contradictions(config, where))
    if problems:
        raise ConfigError(problems)
    return config


def _contradictions(config: Config, where: str) -> Iterator[Problem]:
    """What single values cannot show: references, order of durations, columns that are needed."""
    time = config.time
    if time.pane < 1:
        yield Problem(f"{where}.time.pane", "at least 1s", f"{time.pane:g}s", "Choose a longer pane")
    for unit, smaller in (("hour", "pane"), ("day", "hour")):
        whole, part = getattr(time, unit), getattr(time, smaller)
        if part > 0 and (whole < part or round(whole * 1e6) % round(part * 1e6)):
            got = f"{whole:g}s against {part:g}s"
            yield Problem(f"{where}.time.{unit}", f"a multiple of {smaller}", got, "Choose a multiple")
    if config.interval <= 0:
        yield Problem(f"{where}.interval", "more than 0s", "0s", "Choose a longer interval")
    if not config.models:
        yield Problem(f"{where}.models", "at least one model", "none", "Add a model")
    if 0 < config.dead_letter.max_size < LEAST_DEAD_LETTER_BYTES:
        got = f"{config.dead_letter.max_size} bytes"
        yield Problem(f"{where}.dead_letter.max_size", "at least 64KiB, or 0B", got, "Choose a larger size")
    for name, model in config.models.items():
        yield from _log_contradictions(model, f"{where}.models.{name}", config)
        yield from _model_contradictions(model, f"{where}.models.{name}")
    for name in config.sources:
        yield from _stream_contradictions(config, name, where)


def _log_contradictions(model: Model, path: str, config: Config) -> Iterator[Problem]:
    logs: dict[str, Predictions | Labels] = {"predictions": model.predictions}
    if model.labels and model.labels.source is not None:
        logs["labels"] = model.labels
    yield from _own_label_contradictions(model, path)
    for key, wanted in logs.items():
        found = config.sources.get(wanted.source or "")
        if found is None:
            known = ", ".join(config.sources) or "none"
            got = shown(wanted.source)
            yield Problem(f"{path}.{key}.source", f"the name of a source ({known})", got, "Name one of them or add it")
        elif found.model and found.model.column in wanted.where:
            expected, action = "columns other than that of the source's `model`", "Remove it: the model is asked for"
            yield Problem(f"{path}.{key}.where", expected, shown(found.model.column), action)


def _own_label_contradictions(model: Model, path: str) -> Iterator[Problem]:
    """Labels in the prediction records, and labels that are nowhere."""
    columns = model.predictions.columns
    if model.labels and model.labels.source is None and columns.label is None:
        action = "Name the source of the labels, or their column in the prediction records"
        yield Problem(f"{path}.labels", "`source`, or `predictions.columns.label`", "neither", action)
    if columns.label is not None and model.labels is None:
        action = "Add `labels: {}`, and `maturity` if the baseline has no labels"
        yield Problem(f"{path}.labels", "a section that says how `predictions.columns.label` counts", "none", action)
    if columns.label is None and columns.label_timestamp is not None:
        where = f"{path}.predictions.columns.label_timestamp"
        yield Problem(where, "`label` beside it", "none", "Say where the record keeps the label, or remove it")


def _stream_contradictions(config: Config, source: str, where: str) -> Iterator[Problem]:
    """Streams of one source that would count a row twice, or read one column as two things."""
    streams = streams_of(config, source)
    for first, second in overlaps(streams):
        path = f"{where}.models.{second.model}.{second.role}"
        other = f"{where}.models.{first.model}.{first.role}"
        action = "Tell them apart with `where`, or with `model` of the source, or read another source"
        yield Problem(path, f"other rows than {other}", f"the same rows of {shown(source)}", action)
    for column, first_kind, second_kind in misread(streams):
        got = f"{shown('.'.join(column))} as {first_kind} and as {second_kind}"
        yield Problem(f"{where}.sources.{source}", "columns of one type each", got, "Read it as one of them")


def _model_contradictions(model: Model, path: str) -> Iterator[Problem]:
    yield from _TASK_CONTRADICTIONS[model.task](model, path)
    if model.task != "binary" and model.decision_threshold != DECISION_THRESHOLD:
        where, got = f"{path}.decision_threshold", f"{model.decision_threshold:g}"
        yield Problem(where, f"none for a {model.task} model", got, "Remove it")
    if model.latency.limit <= 0:
        yield Problem(f"{path}.latency.limit", "more than 0s", "0s", "Choose a longer limit")
    for feature in sorted(set(model.features.numeric) & set(model.features.categorical)):
        yield Problem(f"{path}.features", f"{feature} once", "it under numeric and categorical", "Remove one of them")
    for feature, settings in model.features.numeric.items():
        low, high = settings.range if settings and settings.range else (None, None)
        if low is not None and high is not None and low >= high:
            where, got = f"{path}.features.numeric.{feature}.range", f"[{low:g}, {high:g}]"
            yield Problem(where, "lowest before highest", got, "Put the lower one first")
    yield from _window_contradictions(model.windows, f"{path}.windows")
    yield from _segment_contradictions(model, path)


def _binary_contradictions(model: Model, path: str) -> Iterator[Problem]:
    columns, where = model.predictions.columns, f"{path}.predictions.columns"
    if columns.prediction is None and columns.score is None:
        yield Problem(where, "`prediction` or `score`", "neither", "Say where the log keeps one of them")
    if columns.scores:
        action = "Write `score: <column>` for the probability of the positive class"
        yield Problem(f"{where}.scores", "none for a binary model", shown(dict(columns.scores)), action)
    if len(model.classes) != 2 or model.classes[0] == model.classes[1]:
        action = "Name the negative, then the positive one"
        yield Problem(f"{path}.classes", "two different classes", shown(model.classes), action)


def _multiclass_contradictions(model: Model, path: str) -> Iterator[Problem]:
    columns, where = model.predictions.columns, f"{path}.predictions.columns"
    if columns.prediction is None and not columns.scores:
        action = "Say where the log keeps the predicted class, or one score per class"
        yield Problem(where, "`prediction` or `scores`", "neither", action)
    if columns.score is not None and columns.scores:
        action = "Remove `score`; the confidence follows from `scores`"
        yield Problem(where, "`score` or `scores`", "both", action)
    if columns.scores and sorted(columns.scores) != sorted(set(model.classes)):
        known = ", ".join(model.classes) or "none"
        got = shown(list(columns.scores))
        yield Problem(f"{where}.scores", f"one column for each of the classes ({known})", got, "Name every class once")
    if len(model.classes) < 2 or len(set(model.classes)) < len(model.classes):
        yield Problem(f"{path}.classes", "two or more different classes", shown(model.classes), "Name each class once")


def _regression_contradictions(model: Model, path: str) -> Iterator[Problem]:
    columns, where = model.predictions.columns, f"{path}.predictions.columns"
    if columns.prediction is None:
        yield Problem(where, "`prediction`", "none", "Say where the log keeps the predicted number")
    for key, value in (("score", columns.score), ("scores", columns.scores)):
        if value:
            got = shown(value if isinstance(value, str) else dict(value))
            yield Problem(f"{where}.{key}", "none for a regression model", got, "Remove it; a number has no score")
    if model.classes:
        yield Problem(f"{path}.classes", "none for a regression model", shown(model.classes), "Remove them")


_TASK_CONTRADICTIONS: Mapping[Task, Callable[[Model, str], Iterator[Problem]]] = {
    "binary": _binary_contradictions,
    "multiclass": _multiclass_contradictions,
    "regression": _regression_contradictions,
}


def _window_contradictions(windows: Windows, path: str) -> Iterator[Problem]:
    if not windows.head:
        yield Problem(f"{path}.head", "at least one window", "none", "Add one, for example 1d")
    known_to_segments = tuple(dict.fromkeys((*windows.head, *windows.quality)))
    for key in ("features", "head", "quality", "segments"):
        names = getattr(windows, key)
        for name in dict.fromkeys(names):
            where = f"{path}.{key}"
            if not _WINDOW.match(name):
                yield Problem(where, "a window like 5m, 1h or 1d", shown(name), "Write a whole number and m, h or d")
            elif key == "features" and name not in windows.head:
                known = ", ".join(windows.head) or "none"
                yield Problem(where, f"windows of the head ({known})", shown(name), "Add it there")
            elif key == "segments" and name not in known_to_segments and names != Windows().segments:
                known = ", ".join(known_to_segments) or "none"
                yield Problem(where, f"windows of the head or of quality ({known})", shown(name), "Add it there")
            if names.count(name) > 1:
                yield Problem(where, "every window once", f"{shown(name)} twice", "Remove one of them")


def _segment_contradictions(model: Model, path: str) -> Iterator[Problem]:
    where = f"{path}.segments"
    for name, segment in model.segments.items():
        column = segment.column if segment else None
        if name == VERSION and column is not None:
            action = "Remove `column`, or name the segment otherwise"
            yield Problem(f"{where}.version.column", "none: it is predictions.columns.version", shown(column), action)
        elif name != VERSION and column is None:
            yield Problem(f"{where}.{name}", "`column`", "none", "Say where the log keeps it")
    by_version = {f"{where}.version": VERSION in model.segments, f"{path}.comparisons": VERSION in model.comparisons}
    for key, wanted in by_version.items():
        if wanted and model.predictions.columns.version is None:
            yield Problem(key, "predictions.columns.version", "none", "Say where the log keeps the version")
    for name in dict.fromkeys(model.comparisons):
        if model.comparisons.count(name) > 1:
            yield Problem(f"{path}.comparisons", "each once", f"{shown(name)} twice", "Remove one of them")
    count = math.prod(limit + 2 for limit in segment_limits(model).values())
    if count > MAX_COMBINATIONS:
        got = f"{count:,} (limits + 2, multiplied)"
        yield Problem(where, f"at most {MAX_COMBINATIONS:,} combinations of values", got, "Lower limits")


def segment_limits(model: Model) -> Mapping[str, int]:
    """The segments of a model with their limits, in the order of the file.

    `version` is one of them where versions are compared.
    """
    limits = {name: (segment or Segment()).limit for name, segment in model.segments.items()}
    return limits | ({VERSION: Segment().limit} if VERSION in model.comparisons and VERSION not in limits else {})


def kinds(model: Model) -> Mapping[str, str]:
    """The watched features of a model in the order of the file, with `numeric` or `categorical`."""
    return dict.fromkeys(model.features.numeric, "numeric") | dict.fromkeys(model.features.categorical, "categorical")


def prediction_fields(model: Model) -> tuple[Field, ...]:
    """The canonical columns of a model's predictions and where its log keeps them."""
    columns = model.predictions.columns
    found = [
        Field("timestamp", _path(columns.timestamp), "time", required=True),
        Field("id", _path(columns.id), "id", required=model.labels is not None),
    ]
    optional: tuple[tuple[str, str | None, Kind], ...] = (
        ("version", columns.version, "text"),
        ("prediction", columns.prediction, answer_kind(model)),
        ("score", columns.score, "number"),
        ("latency", columns.latency, "number"),
        ("fallback", columns.fallback, "flag"),
        ("error", columns.error, "flag"),
    )
    found += [Field(name, _path(path), kind) for name, path, kind in optional if path is not None]
    if columns.label is not None:
        found.append(Field("label", _path(columns.label), answer_kind(model), may_lack=True))
    if columns.label_timestamp is not None:
        found.append(Field("label_timestamp", _path(columns.label_timestamp), "time", may_lack=True))
    scores = columns.scores
    found += [Field(SCORE_PREFIX + name, _path(scores[name]), "number") for name in model.classes if name in scores]
    for name, segment in model.segments.items():
        if segment and segment.column is not None:
            found.append(Field(SEGMENT_PREFIX + name, _path(segment.column), "text"))
    outer = _path(model.features.object) if model.features.object else ()
    for name, kind in kinds(model).items():
        key = model.features.prefix + name
        found.append(Field(FEATURE_PREFIX + name, (*outer, key), "number" if kind == "numeric" else "text"))
    return tuple(found)


def answer_kind(model: Model) -> Kind:
    """What a prediction or label of a model is: the text of a class, or a number."""
    return "number" if model.task == "regression" else "text"


def label_fields(labels: Labels, kind: Kind = "text") -> tuple[Field, ...]:
    """The canonical columns of a label log; `kind` is that of a label (`answer_kind`).

    What is no number is no reason to refuse a row: it is an `invalid` label, as an unknown class is.
    """
    columns = labels.columns
    return (
        Field("timestamp", _path(columns.timestamp), "time", required=True),
        Field("id", _path(columns.id), "id", required=True),
        Field("label", _path(columns.label), kind, required=kind == "text"),
    )


def prediction_stream(name: str, config: Config) -> Stream:
    """What a model reads as its predictions."""
    model = config.models[name]
    where = _where(name, model.predictions, config)
    return Stream(name, "predictions", prediction_fields(model), where)


def label_stream(name: str, labels: Labels, config: Config) -> Stream:
    """What a model reads as its labels."""
    fields = label_fields(labels, answer_kind(config.models[name]))
    return Stream(name, "labels", fields, _where(name, labels, config))


def streams_of(config: Config, source: str) -> tuple[Stream, ...]:
    """What the models want from a source: predictions first, so that a label finds those of the same chunk."""
    made = [
        prediction_stream(name, config) for name, item in config.models.items() if item.predictions.source == source
    ]
    known = [
        label_stream(name, item.labels, config)
        for name, item in config.models.items()
        if item.labels and item.labels.source == source
    ]
    return (*made, *known)


def _where(name: str, wanted: Predictions | Labels, config: Config) -> tuple[tuple[tuple[str, ...], str], ...]:
    source = config.sources[wanted.source or ""]
    named = {source.model.column: name} if source.model else {}
    return tuple((_path(column), value) for column, value in (named | wanted.where).items())


def _path(dotted: str) -> tuple[str, ...]:
    return tuple(dotted.split("."))
