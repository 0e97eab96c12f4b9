"""What a model's facts come to, in sentences: whether something moved, and whether it is pipeline, data or model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ..facts.answers import FeatureSummary, ModelFacts, ModelSummary, Value
from ..facts.judging import is_beyond
from ..vitals.windows import REFERENCE
from .rows import text, title
from .words import counted

BAD, LOOK, GOOD, WAIT = "bad", "look", "good", "wait"
_ORDER = {BAD: 0, LOOK: 1, WAIT: 2, GOOD: 3}
_OUTCOME = frozenset({"quality", "latency"})
_TOGETHER = "Inputs moved together with the outcome: look at these features first."
_ALONE = "The outcome moved and no input did: look at labels, a new version, or a change that no feature shows."
_NEITHER = "Neither an input nor the outcome moved."
_CONCLUSIONS = {
    (True, True, True): _TOGETHER,
    (True, True, False): _TOGETHER,
    (True, False, True): "Inputs moved; the outcome did not, as far as labels are there.",
    (True, False, False): "Inputs moved. Nobody knows the outcome: there are no labels.",
    (False, True, True): _ALONE,
    (False, True, False): _ALONE,
    (False, False, True): _NEITHER,
    (False, False, False): _NEITHER,
}
"""By whether inputs moved, whether the outcome did, and whether there are labels."""


@dataclass(frozen=True)
class Finding:
    """One thing that is noteworthy. `features` are to be linked; their names come from the configuration."""

    level: str
    what: str
    """`Pipeline`, `Outcome`, `Data`, ...: where it is."""
    text: str
    features: tuple[str, ...] = ()


def level_of(summary: ModelSummary) -> str:
    """How a model is, at one glance: `bad`, `look`, `wait` or `good`."""
    if summary.state in {"trouble", "stale"}:
        return BAD
    if summary.state == "no predictions":
        return WAIT
    moved = summary.features_broken or summary.features_beyond or beyond(summary.outcome)
    return LOOK if moved else GOOD


def rank(summary: ModelSummary) -> tuple[int, str, str]:
    """Order of a list of models: what is wrong first, then by tier, then by name."""
    return _ORDER[level_of(summary)], summary.tier, summary.name


def outcome_of(summary: ModelSummary) -> tuple[str, ...]:
    """What is wrong with quality and latency of a model in a list, in sentences."""
    return tuple(_sentence(value) for value in beyond(summary.outcome))


def findings(facts: ModelFacts) -> tuple[Finding, ...]:
    """What is noteworthy of a model, the worst first."""
    outcome = [value for value in facts.values if value.area in _OUTCOME]
    others = [value for value in facts.values if value.area not in _OUTCOME]
    main = main_window(facts)
    return (
        *_pipeline(facts),
        *(Finding(LOOK, "Outcome", text) for text in _sentences(outcome, main)),
        *_features(facts.features),
        *(Finding(LOOK, "Answers and rows", text) for text in _sentences(others, main)),
    )


def conclusion(facts: ModelFacts, found: Sequence[Finding]) -> str:
    """Where to look first: at the pipeline, the data, or the model. Empty where nothing moved."""
    kinds = {item.what for item in found}
    if "Pipeline" in kinds:
        return "Look at the pipeline first: without rows nothing else can be judged."
    main = main_window(facts)
    if found and any((item.name, item.role, item.rows) == (main, "current", 0) for item in facts.windows):
        return f"No predictions over {main}: look at what writes the log first. Nothing is known of the inputs."
    if any(beyond(value for value in item.values if value.area == "data") for item in facts.features):
        return "Look at the data first: values are missing or wrong, which fakes drift and harms quality."
    drifted = any(beyond(item.values) for item in facts.features)
    return _CONCLUSIONS[drifted, "Outcome" in kinds, facts.summary.last_label_at is not None] if found else ""


def told(found: Sequence[Finding], most: int = 4) -> Iterator[Finding]:
    """Findings to be read at once: so many of each kind, and how many more there are."""
    for what, same in groupby(found, key=lambda item: item.what):
        listed = list(same)
        yield from listed[:most]
        if len(listed) > most:
            yield Finding(listed[-1].level, what, f"{len(listed) - most:,} more, marked below")


def beyond(values: Iterable[Value]) -> list[Value]:
    """The values that are beyond what they are judged by."""
    return [value for value in values if is_beyond(value)]


def main_window(facts: ModelFacts) -> str:
    """The window that is shown first: a day, or else the longest."""
    lengths = {window.name: window.length_seconds for window in facts.windows}
    return "1d" if "1d" in lengths else max(lengths, key=lambda name: lengths[name], default="")


def _pipeline(facts: ModelFacts) -> Iterator[Finding]:
    for trouble in facts.summary.troubles:
        yield Finding(BAD, "Pipeline", trouble)
    if facts.stale:
        yield Finding(BAD, "Pipeline", facts.stale)


def _sentences(values: Iterable[Value], main: str) -> Iterator[str]:
    """A sentence for each vital that is beyond something, of the main window if it is, with the other windows named."""
    found: dict[tuple[str, str], list[Value]] = {}
    for value in beyond(values):
        found.setdefault((value.metric, _about(value)), []).append(value)
    for same in found.values():
        first = next((value for value in same if value.window == main), same[-1])
        others = ", ".join(dict.fromkeys(value.window for value in same if value.window != first.window))
        yield _sentence(first) + (f"; also over {others}" if others else "")


def _features(features: Sequence[FeatureSummary]) -> Iterator[Finding]:
    for area, words in (("data", "missing, unreadable or unknown values"), ("drift", "distributed differently")):
        names = tuple(item.name for item in features if beyond(value for value in item.values if value.area == area))
        if names:
            count = f"{len(names):,} of {counted(len(features), 'feature')}"
            yield Finding(LOOK, "Data", f"{count}: {words}, beyond the noise of the reference.", names)


def _about(value: Value) -> str:
    return ", ".join(item for key, item in value.labels.items() if key != "baseline" or item != REFERENCE)


def _sentence(value: Value) -> str:
    about, over = _about(value), f" over {value.window}" if value.window else ""
    ends = () if value.lower is None or value.upper is None else (value.lower, value.upper)
    interval = f" (95 %: {' to '.join(text(value, end) for end in ends)})" if ends else ""
    against = "" if value.baseline is None else f", {text(value, value.baseline)} in the reference"
    name = title(value.metric) + (f" of {about}" if about else "")
    return f"{name} is {text(value, value.value)}{over}{interval}{against}"
