"""The facts of one publish: what is asked for is derived from immutable references, when it is asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ml_exporter.facts.answers import (
    FeatureFacts,
    LabelFacts,
    ModelFacts,
    Models,
    OutlierFacts,
    Rejected,
    RejectedLine,
    SourceFacts,
    Value,
)
from ml_exporter.facts.features import feature_facts
from ml_exporter.facts.labels import label_facts
from ml_exporter.facts.models import full_places, model_facts, values_of
from ml_exporter.facts.rows import ALLOW, outlier_facts
from ml_exporter.facts.summaries import summary
from ml_exporter.facts.valued import Place
from ml_exporter.facts.views import Known, View


@dataclass
class Memory:
    """What is worked out once for a configuration: the places at which a full model has values.

    Two threads that ask at once work it out twice, and get the same.
    """

    full: dict[str, tuple[Place, ...]] = field(default_factory=dict)

    def places(self, known: Known) -> tuple[Place, ...]:
        """The places of one model."""
        if known.name not in self.full:
            self.full[known.name] = full_places(known)
        return self.full[known.name]


@dataclass(frozen=True)
class Lines:
    """Whether what single rows hold may be shown, how to get the last refused lines, and what to say about them."""

    samples: bool
    last: Callable[[], tuple[RejectedLine, ...]]
    note: str


@dataclass(frozen=True)
class PublishedFacts:
    """The facts of one publish (`Facts`). `at` is when, in Unix seconds."""

    at: float
    ready: bool
    views: Mapping[str, View]
    sources: tuple[SourceFacts, ...]
    lines: Lines
    memory: Memory

    def models(self) -> Models:
        """All models."""
        return Models(self.at, self.ready, tuple(summary(view) for view in self.views.values()))

    def model(self, name: str) -> ModelFacts | None:
        """One model."""
        view = self.views.get(name)
        return None if view is None else model_facts(view, self.memory.places(view.known))

    def features(self, model: str) -> tuple[str, ...] | None:
        """The names of a model's features; quick."""
        view = self.views.get(model)
        return None if view is None else tuple(item.name for item in view.known.baseline.layout.features)

    def feature(self, model: str, name: str) -> FeatureFacts | None:
        """One feature of a model."""
        view = self.views.get(model)
        features = view.known.baseline.layout.features if view else ()
        item = next((item for item in features if item.name == name), None)
        if view is None or item is None:
            return None
        values = self._values(view, lambda place: place.labels.get("feature") == name)
        return feature_facts(view, item, values, self.lines.samples)

    def labels(self, model: str) -> LabelFacts | None:
        """The labels of a model."""
        view = self.views.get(model)
        if view is None:
            return None
        return label_facts(view, self._values(view, lambda place: place.metric.startswith("ml_label_")))

    def outliers(self, model: str) -> OutlierFacts | None:
        """The outliers of a model."""
        view = self.views.get(model)
        if view is None:
            return None
        found = self._values(view, lambda place: place.metric == "ml_prediction_outlier_ratio")
        return outlier_facts(view, found, self.lines.samples)

    def rejected(self) -> Rejected:
        """The refused rows of all sources."""
        lines = self.lines.last() if self.lines.samples else ()
        note = self.lines.note if self.lines.samples else f"{self.lines.note} {ALLOW}"
        return Rejected(self.at, self.sources, self.lines.samples, lines, note)

    def _values(self, view: View, wanted: Callable[[Place], bool]) -> tuple[Value, ...]:
        return values_of(view, self.memory.places(view.known), wanted)
