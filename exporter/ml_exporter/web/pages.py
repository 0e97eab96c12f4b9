"""The pages for people. Names and versions come from logs and are hostile: all is escaped, nothing runs."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..facts import Facts
from ..facts.answers import FeatureFacts, LabelFacts, ModelFacts, Models, OutlierFacts, Rejected
from . import views, words
from .charts import meter
from .feature_view import feature_view
from .links import Link, feature_path, model_path, runbook_path
from .now import About, now
from .outside import NOWHERE, Outside
from .rows import rows_of
from .runbooks import PLACEHOLDER, as_html, read_runbooks
from .samples import samples
from .shelf import shelves


@dataclass(frozen=True)
class At:
    """Where and when a page is made: what every page needs beside its own content. Times in Unix seconds."""

    page: str
    """Its address below the route prefix, percent-encoded."""
    link: Link
    """How it links to others."""
    now: float
    rendered_at: float | None
    """When the facts were evaluated; None before the first time."""
    state: str
    """How the exporter is, in a sentence."""
    outside: Outside = NOWHERE
    """Where Grafana and Prometheus are."""


@dataclass(frozen=True)
class Asked:
    """What a link from an alert asks for; any text, empty where it asks for nothing."""

    model: str = ""
    feature: str = ""
    window: str = ""


@dataclass(frozen=True)
class Reported:
    """What the exporter reports: its models by name, their facts, and the text of `/metrics`; all of one evaluation."""

    models: Sequence[str] = ()
    facts: Facts | None = None
    exposition: bytes = b""


class Pages:
    """Renders the pages. The folder of runbooks is read once, so no request can reach another file."""

    def __init__(self, version: str, runbooks: Path | None) -> None:
        loader = PackageLoader("ml_exporter.web")
        self._environment = Environment(
            loader=loader,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters |= {
            "utc": words.utc,
            "number": words.number,
            "share": words.share,
            "duration": words.duration,
            "counted": words.counted,
            "name": words.name,
            "plain": words.plain,
            "model_path": model_path,
            "runbook_path": runbook_path,
            "feature_path": feature_path,
            "meter": meter,
        }
        style = loader.get_source(self._environment, "style.css")[0]
        self._environment.globals.update(zip=zip, version=version, style=Markup(style))  # noqa: S704  # our own file
        self.style_digest = f"sha256-{b64encode(sha256(style.encode()).digest()).decode()}"
        """What the Content-Security-Policy allows as style."""
        self._runbooks = read_runbooks(runbooks)

    def landing(self, at: At, models: Models | None) -> str:
        """The models and how they are; without any before the first evaluation."""
        outside = at.outside.links("ml-overview", "ml_model_info")
        return self._render("landing.html", at, outside=outside, **views.models_view(models))

    def model(self, at: At, facts: ModelFacts) -> str:
        """One model: outcome first, then what may explain it."""
        outside = at.outside.links("ml-model", "ml_accuracy", model=facts.summary.name)
        return self._render("model.html", at, outside=outside, **views.model_view(facts))

    def feature(self, at: At, facts: FeatureFacts) -> str:
        """One feature beside the reference, and over time."""
        outside = at.outside.links("ml-features", "ml_feature_psi", model=facts.model, feature=facts.name)
        return self._render("feature.html", at, outside=outside, **feature_view(facts))

    def labels(self, at: At, facts: LabelFacts) -> str:
        """The labels of a model: how many, how late."""
        outside = at.outside.links("ml-labels", "ml_label_coverage_ratio", model=facts.model)
        return self._render("labels.html", at, outside=outside, **views.labels_view(facts))

    def outliers(self, at: At, facts: OutlierFacts) -> str:
        """The outliers of a model."""
        outside = at.outside.links("ml-model", "ml_prediction_outlier_ratio", model=facts.model)
        return self._render("outliers.html", at, outside=outside, facts=facts, rows=rows_of(facts.values))

    def rejected(self, at: At, facts: Rejected) -> str:
        """Refused rows of all sources."""
        outside = at.outside.links("ml-exporter", "ml_exporter_rows_rejected_total")
        return self._render("rejected.html", at, outside=outside, facts=facts)

    def starting(self, at: At) -> str:
        """The page for everything that waits for the first evaluation."""
        return self._render("starting.html", at)

    def runbook_index(self, at: At, asked: Asked, models: Sequence[str]) -> str:
        """Links to every runbook, by layer; those about models keep the model that was asked for, if there is one."""
        model = asked.model if asked.model in models else ""
        filled = {"model": model} if model else {}
        paths = {
            book.name: runbook_path(book.name, filled if PLACEHOLDER in book.text else {})
            for book in self._runbooks.values()
        }
        outside = at.outside.links("ml-alerts", "ALERTS", **filled)
        return self._render(
            "runbooks.html", at, outside=outside, shelves=shelves(self._runbooks.values()), model=model, paths=paths
        )

    def runbook(self, at: At, name: str, asked: Asked, reported: Reported) -> str | None:
        """One runbook, or None if there is none of this name.

        Of what is `asked` only names count that are `reported`: the model's numbers are shown, and the names are put
        into the queries.
        """
        book = self._runbooks.get(name)
        if book is None:
            return None
        about_models = PLACEHOLDER in book.text
        model = asked.model if asked.model in reported.models and about_models else ""
        found = reported.facts.model(model) if reported.facts and model else None
        features = {item.name for item in found.features} if found else set[str]()
        feature = asked.feature if asked.feature in features else ""
        names = {key: text for key, text in (("model", model), ("feature", feature)) if text}
        windows = {item.name for item in found.windows} if found else set[str]()
        keeping = names | ({"window": asked.window} if asked.window in windows else {})
        about = About(found, feature, keeping.get("window", ""))
        values: dict[str, object] = {
            "name": name,
            "html": as_html(book, names, self._runbooks, lambda other: at.link(runbook_path(other, keeping))),
            "model": model,
            "feature": feature,
            "unknown": "" if model else asked.model,
            "models": [(each, runbook_path(name, {"model": each})) for each in reported.models],
            "about_models": about_models,
            "now": now(book.reads, about, lambda metric: samples(reported.exposition, metric, model))
            if found or not about_models
            else None,
            "model_path": model_path(model),
            "feature_path": feature_path(model, feature),
            "paths": {each: feature_path(model, each) for each in features},
        }
        series = next(iter(book.reads.metrics), "ml_model_info")
        outside = at.outside.links(book.dashboard or "ml-alerts", series, **names)
        return self._render("runbook.html", at, outside=outside, **values)

    def not_found(self, at: At) -> str:
        """The page for every other path."""
        return self._render("not_found.html", at)

    def _render(self, template: str, at: At, **values: object) -> str:
        return self._environment.get_template(template).render(at=at, **values)
