"""What a model's facts come to, in sentences: whether something moved, and whether it is pipeline, data or model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ..facts.answers import FeatureSummary, ModelFacts, ModelSummary
from .sentences import beyond, feature_sentences, sentence, sentences
from .words import counted

BAD, LOOK, GOOD, WAIT = "bad", "look", "good", "wait"
MOST_TOLD = 4
"""How much of a kind is told at the head of a page."""
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
    is_about: bool = False
    """Whether the text is about its only feature, which is named before it."""


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
    return tuple(sentence(value) for value in beyond(summary.outcome))


def findings(facts: ModelFacts) -> tuple[Finding, ...]:
    """What is noteworthy of a model, the worst first."""
    outcome = [value for value in facts.values if value.area in _OUTCOME]
    others = [value for value in facts.values if value.area not in _OUTCOME]
    main = main_window(facts)
    return (
        *_pipeline(facts),
        *(Finding(LOOK, "Outcome", text) for text in sentences(outcome, main)),
        *_features(facts.features, main),
        *(Finding(LOOK, "Answers and rows", text) for text in sentences(others, main)),
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


def told(found: Sequence[Finding]) -> Iterator[Finding]:
    """Findings to be read at once: a few of each kind, and how many more there are."""
    for what, same in groupby(found, key=lambda item: item.what):
        listed = list(same)
        yield from listed[:MOST_TOLD]
        rest = listed[MOST_TOLD:]
        if any(item.features for item in rest):
            yield from rest
        elif rest:
            yield Finding(rest[-1].level, what, f"{len(rest):,} more, marked below")


def main_window(facts: ModelFacts) -> str:
    """The window that is shown first: a day, or else the longest."""
    lengths = {window.name: window.length_seconds for window in facts.windows}
    return "1d" if "1d" in lengths else max(lengths, key=lambda name: lengths[name], default="")


def _pipeline(facts: ModelFacts) -> Iterator[Finding]:
    for trouble in facts.summary.troubles:
        yield Finding(BAD, "Pipeline", trouble)
    if facts.stale:
        yield Finding(BAD, "Pipeline", facts.stale)


def _features(features: Sequence[FeatureSummary], main: str) -> Iterator[Finding]:
    """A finding for each feature that moved, those with missing or wrong values first; beyond the first few, names."""
    moved = [(item, beyond(item.values)) for item in features]
    moved = sorted(
        ((item, found) for item, found in moved if found),
        key=lambda pair: all(value.area != "data" for value in pair[1]),
    )
    for item, found in moved[:MOST_TOLD]:
        yield Finding(LOOK, "Data", "; ".join(feature_sentences(found, main)), (item.name,), True)
    if len(moved) > MOST_TOLD:
        names = tuple(item.name for item, _ in moved[MOST_TOLD:])
        yield Finding(LOOK, "Data", f"{counted(len(names), 'more feature')} of {len(features):,} moved:", names)
