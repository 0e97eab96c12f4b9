"""What the page of a feature shows: its windows beside the reference, what is beyond its noise, and since when."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..facts.answers import FeatureFacts, FeatureWindow, Value
from ..facts.judging import is_beyond
from ..vitals.windows import REFERENCE
from .bins import Histogram, full_histogram, psi_histogram
from .rows import Row, rows_of, text, title
from .since import since
from .trends import feature_trends
from .words import number


@dataclass(frozen=True)
class WindowView:
    """A feature over one window."""

    facts: FeatureWindow
    psi: Histogram
    full: Histogram | None
    rows: tuple[Row, ...]
    verdict: str
    moved: bool
    """Whether anything of it is beyond its noise."""


def feature_view(facts: FeatureFacts) -> Mapping[str, object]:
    """One feature."""
    return {
        "facts": facts,
        "windows": [_window_view(facts, window) for window in facts.windows],
        "summaries": [(f"Over {window.name}", window.summary) for window in facts.windows],
        "trends": feature_trends(facts),
    }


def _window_view(facts: FeatureFacts, window: FeatureWindow) -> WindowView:
    psi = psi_histogram(facts, window)
    return WindowView(
        window,
        psi,
        full_histogram(facts, window),
        rows_of(window.values),
        _verdict(facts, window),
        any(map(is_beyond, window.values)),
    )


def _verdict(facts: FeatureFacts, window: FeatureWindow) -> str:
    """In words, whether the feature drifted, what else of it is beyond its noise, and since when."""
    found = next((value for value in window.values if _is_psi(value)), None)
    if window.psi is None:
        words = f"No PSI: {window.missing.get('psi', 'nothing to compare')}."
    elif found is None or found.critical is None or found.strength is None:
        words = f"PSI {number(window.psi)}; there is no noise floor to judge it by."
    else:
        judged = "beyond" if found.strength > 1 else "within"
        times = f" ({number(found.strength)} times)" if found.strength > 1 else ""
        words = f"PSI {number(window.psi)} is {judged} the noise floor of {number(found.critical)}{times}"
        words += f"{_began(facts, found) if found.strength > 1 else ''}."
        short = f" A floor above 1 says that {window.name} is too short to show drift of this feature."
        words += short if found.critical > 1 else ""
    others = [value for value in window.values if is_beyond(value) and value is not found]
    texts = [f"{title(value.metric)} {text(value, value.value)} is beyond its noise" for value in others]
    dated = [words + _began(facts, value) for words, value in zip(texts, others, strict=True)]
    return words + (f" {'; '.join(dated)}." if dated else "")


def _began(facts: FeatureFacts, value: Value) -> str:
    found = since(facts, value)
    return f", {found}" if found else ""


def _is_psi(value: Value) -> bool:
    return value.metric == "ml_feature_psi" and value.labels.get("baseline", REFERENCE) == REFERENCE
