"""What moved, in sentences: of the whole model and of a feature, with what it is judged by and since when."""

from collections.abc import Iterable, Iterator

from ..facts.answers import Value
from ..facts.judging import is_beyond
from ..vitals.windows import REFERENCE
from .rows import since, text, title
from .words import number

_PSI = "ml_feature_psi"


def beyond(values: Iterable[Value]) -> list[Value]:
    """The values that are beyond what they are judged by."""
    return [value for value in values if is_beyond(value)]


def sentences(values: Iterable[Value], main: str) -> Iterator[str]:
    """A sentence for each vital that is beyond something, those over the main window first; other windows are named."""
    found: dict[tuple[str, str], list[Value]] = {}
    for value in beyond(values):
        found.setdefault((value.metric, _about(value)), []).append(value)
    for same in sorted(found.values(), key=lambda same: all(value.window != main for value in same)):
        first = next((value for value in same if value.window == main), same[-1])
        others = ", ".join(dict.fromkeys(value.window for value in same if value.window != first.window))
        yield sentence(first) + (f"; also over {others}" if others else "")


def sentence(value: Value) -> str:
    """One value of a model."""
    about, over = _about(value), f" over {value.window}" if value.window else ""
    ends = () if value.lower is None or value.upper is None else (value.lower, value.upper)
    interval = f" (95 %: {' to '.join(text(value, end) for end in ends)})" if ends else ""
    name = title(value.metric) + (f" of {about}" if about else "")
    return f"{name} {text(value, value.value)}{over}{interval}{_reference(value)}{_began(value)}"


def feature_sentences(values: Iterable[Value], main: str) -> Iterator[str]:
    """What of a feature is beyond its noise: what is missing or wrong first, then how its values moved."""
    found: dict[str, list[Value]] = {}
    for value in sorted(beyond(values), key=lambda value: (value.area != "data", value.metric != _PSI)):
        if value.labels.get("baseline", REFERENCE) == REFERENCE:
            found.setdefault(value.metric, []).append(value)
    for same in found.values():
        first = next((value for value in same if value.window == main), same[0])
        others = [f"{text(value, value.value)} over {value.window}" for value in same if value is not first]
        beside = f" ({', '.join(others)})" if others else ""
        yield f"{_moved(first)}{beside}{_reference(first)}{_began(first)}"


def _moved(value: Value) -> str:
    over = f"over {value.window}"
    if value.metric != _PSI or value.critical is None:
        return f"{title(value.metric)} {text(value, value.value)} {over}"
    times = f" ({number(value.strength)} times)"
    return f"PSI {number(value.value)} {over} is beyond the noise floor of {number(value.critical)}{times}"


def _reference(value: Value) -> str:
    return "" if value.baseline is None else f", {text(value, value.baseline)} in the reference"


def _began(value: Value) -> str:
    found = value.since
    if found is None:
        return ""
    before = "" if found.before is None else f" ({text(value, found.before)} the day before)"
    return f", {since(found)}{before}"


def _about(value: Value) -> str:
    return ", ".join(item for key, item in value.labels.items() if key != "baseline" or item != REFERENCE)
