"""Streams of one source against each other: which rows two of them would share, and which paths they cannot both read.

No configuration in it: streams in, pairs out.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from ml_exporter.records import Kind, Stream, union

Path = tuple[str, ...]

_ENCODINGS: Mapping[Kind, str] = {"time": "text", "id": "text", "text": "text", "number": "a number", "flag": "a flag"}
"""What a parser must read a path as, for each kind: a log's text can be a time or an id too."""


def apart(first: Stream, second: Stream) -> bool:
    """Whether no row can be wanted by both: one path must have two different texts.

    >>> made = Stream("a", "predictions", (), ((("event",), "made"),))
    >>> known = Stream("a", "labels", (), ((("event",), "known"),))
    >>> apart(made, known), apart(made, Stream("a", "labels", ()))
    (True, False)
    """
    asked = dict(first.where)
    return any(asked.get(path, value) != value for path, value in second.where)


def overlaps(streams: Sequence[Stream]) -> Iterator[tuple[Stream, Stream]]:
    """Pairs that would count one row twice: as prediction and label of one model, or as one answer of two models.

    Two models may share a row when they read different answers from it, as where one record is scored by both. They may
    share labels: an id names the prediction.
    """
    for first, second in combinations(streams, 2):
        if not apart(first, second):
            same_answer = first.role == second.role == "predictions" and _answers(first) == _answers(second)
            if first.model == second.model or same_answer:
                yield first, second


def _answers(stream: Stream) -> frozenset[Path]:
    """Where a stream reads the model's answer: what is neither a time, an id, a version nor a feature."""
    return frozenset(item.path for item in stream.fields if item.name.split(":")[0] in ("prediction", "score"))


def misread(streams: Sequence[Stream]) -> Iterator[tuple[Path, str, str]]:
    """Paths that would be read as two things that exclude each other, with both."""
    seen: dict[Path, str] = {}
    for item in union(streams):
        encoding = _ENCODINGS[item.kind]
        if seen.setdefault(item.path, encoding) != encoding:
            yield item.path, seen[item.path], encoding
