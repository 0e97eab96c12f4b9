"""What the models want from their logs: the columns, and the streams that they make of a source."""

from ml_exporter.config.sections import Config, Labels, Model, Predictions, kinds
from ml_exporter.records import FEATURE_PREFIX, SCORE_PREFIX, SEGMENT_PREFIX, Field, Kind, Stream

PER_SECOND = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}


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
    per = {"latency": PER_SECOND[model.latency.unit]}
    found += [Field(name, _path(path), kind, per=per.get(name, 1)) for name, path, kind in optional if path is not None]
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
