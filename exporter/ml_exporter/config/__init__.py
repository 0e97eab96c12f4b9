"""The configuration: YAML text in, frozen values out, every problem at once."""

from ml_exporter.config.checks import contradictions
from ml_exporter.config.sections import (
    VERSION,
    CategoricalFeature,
    Comparison,
    Config,
    Corrections,
    DeadLetter,
    Distance,
    Features,
    LabelColumns,
    Labels,
    Latency,
    Model,
    ModelColumn,
    NumericFeature,
    PredictionColumns,
    Predictions,
    Segment,
    Source,
    Task,
    Time,
    Windows,
    kinds,
    segment_limits,
    window_seconds,
)
from ml_exporter.config.wanted import (
    answer_kind,
    label_fields,
    label_stream,
    prediction_fields,
    prediction_stream,
    streams_of,
)
from ml_exporter.errors import ConfigError
from ml_exporter.strict import read

__all__ = [
    "VERSION",
    "CategoricalFeature",
    "Comparison",
    "Config",
    "Corrections",
    "DeadLetter",
    "Distance",
    "Features",
    "LabelColumns",
    "Labels",
    "Latency",
    "Model",
    "ModelColumn",
    "NumericFeature",
    "PredictionColumns",
    "Predictions",
    "Segment",
    "Source",
    "Task",
    "Time",
    "Windows",
    "answer_kind",
    "kinds",
    "label_fields",
    "label_stream",
    "parse",
    "prediction_fields",
    "prediction_stream",
    "segment_limits",
    "streams_of",
    "window_seconds",
]


def parse(text: str, where: str = "config") -> Config:
    """The configuration in a YAML text. Raises ConfigError with every problem found."""
    config = read(Config, text, where)
    problems = tuple(contradictions(config, where))
    if problems:
        raise ConfigError(problems)
    return config
