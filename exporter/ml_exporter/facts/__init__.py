"""The facts that the exporter's own pages and its JSON API show: what Prometheus cannot hold.

A publish leaves immutable references (`Facts`); what is asked for is derived from them when it is asked for, on the
thread that asks. Nothing here does I/O or knows the time.
"""

from typing import Protocol

from ml_exporter.facts.answers import FeatureFacts, LabelFacts, ModelFacts, Models, OutlierFacts, Rejected


class Facts(Protocol):
    """All that can be asked of one publish. Names that are not configured give None."""

    def models(self) -> Models:
        """All models."""

    def model(self, name: str) -> ModelFacts | None:
        """One model."""

    def features(self, model: str) -> tuple[str, ...] | None:
        """The names of a model's features; quick."""

    def feature(self, model: str, name: str) -> FeatureFacts | None:
        """One feature of a model."""

    def labels(self, model: str) -> LabelFacts | None:
        """The labels of a model."""

    def outliers(self, model: str) -> OutlierFacts | None:
        """The outliers of a model."""

    def rejected(self) -> Rejected:
        """The refused rows of all sources."""


__all__ = ["Facts"]
