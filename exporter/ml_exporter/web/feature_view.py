"""What the page of a feature shows: its windows beside the reference, what is beyond its noise, and since when."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..facts.answers import FeatureFacts, FeatureWindow, Value
from ..facts.judging import is_beyond
from ..vitals.windows import REFERENCE
from .bins import Histogram, full_histogram, psi_histogram
from .rows import Row, rows_of
from .sentences import feature_sentences
from .trends import feature_trends
from .words import number


@dataclass(frozen=True)
class WindowView:
    """A feature over one window."""

    facts: FeatureWindow
    psi: Histogram
    full: Histogram | None
    rows: tuple[Row, ...]
    moved: tuple[str, ...]
    """In sentences, what of it is beyond its noise, and since when."""
    drift: str
    """In words, whether it drifted; empty where that was said."""


def feature_view(facts: FeatureFacts) -> Mapping[str, object]:
    """One feature."""
    return {
        "facts": facts,
        "windows": [_window_view(facts, window) for window in facts.windows],
        "summaries": [(f"Over {window.name}", window.summary) for window in facts.windows],
        "trends": feature_trends(facts),
    }


def _window_view(facts: FeatureFacts, window: FeatureWindow) -> WindowView:
    return WindowView(
        window,
        psi_histogram(facts, window),
        full_histogram(facts, window),
        rows_of(window.values),
        tuple(feature_sentences(window.values, window.name)),
        _drift(window),
    )


def _drift(window: FeatureWindow) -> str:
    """Why there is no PSI, that it is within its noise floor, or what is odd about the floor."""
    found = next((value for value in window.values if _is_psi(value)), None)
    if window.psi is None:
        return f"No PSI: {window.missing.get('psi', 'nothing to compare')}."
    if found is None or found.critical is None or found.strength is None:
        return f"PSI {number(window.psi)}; there is no noise floor to judge it by."
    floor = f"the noise floor of {number(found.critical)}"
    within = "" if is_beyond(found) else f"PSI {number(window.psi)} is within {floor}."
    short = f"A floor above 1 says that {window.name} is too short to show drift of this feature."
    return f"{within} {short}".strip() if found.critical > 1 else within


def _is_psi(value: Value) -> bool:
    return value.metric == "ml_feature_psi" and value.labels.get("baseline", REFERENCE) == REFERENCE
