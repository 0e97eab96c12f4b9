"""What a model's facts come to, in sentences: whether something moved, and whether it is pipeline, data or model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..facts.answers import FeatureSummary, ModelFacts, ModelSummary, Value
from .rows import is_beyond, text, title

BAD, LOOK, GOOD, WAIT = "bad", "look", "good", "wait"
STATES = {
    "ok": "ok",
    "no predictions": "no predictions yet",
    "stale": "stale: its last window ended too long ago",
    "trouble": "trouble with a source",
}
_ROW_OF_STATES = {"trouble": 0, "stale": 1, "no predictions": 3}


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
    return LOOK if summary.features_beyond else GOOD


def rank(summary: ModelSummary) -> tuple[int, str, str]:
    """Order of a list of models: what is wrong first, then by tier, then by name."""
    healthy = 2 if summary.features_beyond else 4
    return _ROW_OF_STATES.get(summary.state, healthy), summary.tier, summary.name


def findings(facts: ModelFacts) -> tuple[Finding, ...]:
    """What is noteworthy of a model, the worst first."""
    return (*_pipeline(facts), *_outcome(facts.values), *_features(facts.features), *_others(facts.values))


def beyond(values: Sequence[Value]) -> list[Value]:
    """The values that are beyond what they are judged by."""
    return [value for value in values if is_beyond(value)]


def _pipeline(facts: ModelFacts) -> Iterator[Finding]:
    for trouble in facts.summary.troubles:
        yield Finding(BAD, "Pipeline", trouble)
    if facts.stale:
        yield Finding(BAD, "Pipeline", facts.stale)


def _outcome(values: Sequence[Value]) -> Iterator[Finding]:
    for value in beyond([value for value in values if value.area in {"quality", "latency"}]):
        yield Finding(LOOK, "Outcome", _sentence(value))


def _features(features: Sequence[FeatureSummary]) -> Iterator[Finding]:
    for area, words in (("data", "unreadable, missing or unknown values"), ("drift", "distributed differently")):
        names = tuple(item.name for item in features if beyond([value for value in item.values if value.area == area]))
        if names:
            count = f"{len(names):,} of {len(features):,} features" if len(features) > 1 else "The feature"
            yield Finding(LOOK, "Data", f"{count} beyond the noise of the reference ({words}):", names)


def _others(values: Sequence[Value]) -> Iterator[Finding]:
    rest = [value for value in values if value.area not in {"quality", "latency"}]
    for value in beyond(rest):
        yield Finding(LOOK, "Outcome" if value.area == "labels" else "Answers", _sentence(value))


def _sentence(value: Value) -> str:
    over = f" over {value.window}" if value.window else ""
    about = ", ".join(item for key, item in value.labels.items() if key not in {"baseline", "q"})
    name = title(value.metric) + (f" of {about}" if about else "") + over
    against = "" if value.baseline is None else f", {text(value, value.baseline)} in the reference"
    return f"{name} is {text(value, value.value)}{against}"
