"""What single values of a configuration cannot show: references, orders, and what contradicts each other."""

import math
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from ml_exporter.config.sections import (
    DECISION_THRESHOLD,
    VERSION,
    WINDOW_NAME,
    Config,
    Labels,
    Model,
    Predictions,
    Task,
    Windows,
    segment_limits,
)
from ml_exporter.config.wanted import streams_of
from ml_exporter.errors import Problem, shown
from ml_exporter.streams import misread, overlaps

LEAST_DEAD_LETTER_BYTES = 64 << 10
MAX_COMBINATIONS = 1_000_000
"""Most combinations of the values of all segments: what a prediction that waits for its label remembers."""


def contradictions(config: Config, where: str) -> Iterator[Problem]:
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
    yield from _web_contradictions(config, f"{where}.web")
    for name, model in config.models.items():
        yield from _log_contradictions(model, f"{where}.models.{name}", config)
        yield from _model_contradictions(model, f"{where}.models.{name}")
    for name in config.sources:
        yield from _stream_contradictions(config, name, where)


def _web_contradictions(config: Config, path: str) -> Iterator[Problem]:
    for key, url in (("grafana_url", config.web.grafana_url), ("prometheus_url", config.web.prometheus_url)):
        if url is not None and not _is_web_address(url):
            action = "Write what people open, for example https://grafana.example.org"
            yield Problem(f"{path}.{key}", "an http or https URL with a host, and no more", shown(url), action)


def _is_web_address(url: str) -> bool:
    """Whether it is http or https, has a host and perhaps a path, and nothing that is secret or comes behind a path.

    >>> [_is_web_address(url) for url in ("https://g.example/x", "javascript:alert(1)", "http://u:p@h", "http://h/?a")]
    [True, False, False, False]
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and not set(url) & set(" \"'<>\\^`{}|?#@")
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname)


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
    if "" in model.classes:
        action = "Let the log spell every class out: a label of Prometheus that is empty is none"
        yield Problem(f"{path}.classes", "names that are not empty", shown(model.classes), action)
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
    for name in dict.fromkeys(model.features.distances):
        if model.features.distances.count(name) > 1:
            yield Problem(f"{path}.features.distances", "each once", f"{shown(name)} twice", "Remove one of them")
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
            if not WINDOW_NAME.match(name):
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
