"""What the exporter's own pages and its JSON API say: frozen values, made of plain ones.

Names that end in `_at` are Unix seconds, those in `_seconds` durations. No number is NaN or infinite: what is not known
is None. Texts may come from logs, and are hostile until they are escaped.
"""

from ml_exporter.facts.answers.features import (
    Bin,
    FeatureFacts,
    FeaturePoint,
    FeatureWindow,
    LastValue,
    LastValues,
    PsiBin,
    SeenValue,
    SeenValues,
    Summary,
)
from ml_exporter.facts.answers.labels import DelayBucket, DelayQuantile, LabelCount, LabelDay, LabelFacts
from ml_exporter.facts.answers.models import (
    BaselineFacts,
    DayValue,
    FeatureSummary,
    ModelDay,
    ModelFacts,
    Models,
    ModelSummary,
    SegmentFacts,
    VersionFacts,
)
from ml_exporter.facts.answers.rows import Outlier, OutlierFacts, Rejected, RejectedLine, Rejection, SourceFacts
from ml_exporter.facts.answers.values import Control, Since, Value, WindowFacts

__all__ = [
    "BaselineFacts",
    "Bin",
    "Control",
    "DayValue",
    "DelayBucket",
    "DelayQuantile",
    "FeatureFacts",
    "FeaturePoint",
    "FeatureSummary",
    "FeatureWindow",
    "LabelCount",
    "LabelDay",
    "LabelFacts",
    "LastValue",
    "LastValues",
    "ModelDay",
    "ModelFacts",
    "ModelSummary",
    "Models",
    "Outlier",
    "OutlierFacts",
    "PsiBin",
    "Rejected",
    "RejectedLine",
    "Rejection",
    "SeenValue",
    "SeenValues",
    "SegmentFacts",
    "Since",
    "SourceFacts",
    "Summary",
    "Value",
    "VersionFacts",
    "WindowFacts",
]
