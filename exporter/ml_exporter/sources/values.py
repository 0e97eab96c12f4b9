"""What one JSON line means: the rules for every kind of value, one line at a time.

This is the slow parser and the definition that the fast one (`columns`) must meet. It decides every line that the fast
one declines. Whether a row is refused is decided afterwards, for each stream (`rows`); here only a line that is no JSON
object, or has a text that no encoding can hold, is `malformed`.

- A duplicate key counts with its last value.
- `NaN` means null everywhere: Python's json module writes it for a missing float.
- `number`: true and false are 1 and 0; a number in quotes is taken and is wrong; anything else in its place is infinite
  and wrong. Numbers too large for a double are infinite and not wrong.
- `text`: a number or boolean is the text that the log spells; a list or object is its JSON without blanks.
- `id`: a string, or an integer as the log spells it; anything else is wrong.
- `flag`: true or false; anything else is null and wrong.
- `time`: a string or a number (see `times`); anything else is wrong.
- A column whose key is absent is null. When the object around it is absent, null or no object, every column inside it
  is absent.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ml_exporter.records import Field, Kind

NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
"""A number as JSON spells it."""
INTEGER = r"^-?(0|[1-9][0-9]*)$"
_NUMBER = re.compile(NUMBER)
_INTEGER = re.compile(INTEGER)


class Spelled(float):
    """A JSON number that still knows how the log spells it."""

    text: str

    def __new__(cls, text: str) -> "Spelled":
        """The number that `text` spells."""
        number = super().__new__(cls, text)
        number.text = text
        return number


@dataclass(frozen=True)
class Group:
    """Fields that one object holds: its path, and their numbers and keys."""

    path: tuple[str, ...]
    members: tuple[tuple[int, str, Kind], ...]


@dataclass(frozen=True)
class Expected:
    """What a line may hold: its fields, and the same by the object that holds them."""

    fields: tuple[Field, ...]
    groups: tuple[Group, ...]

    def paths(self, keys: tuple[tuple[str, ...], ...]) -> frozenset[tuple[str, ...]]:
        """The paths of a row, from its keys by group."""
        return frozenset((*group.path, key) for group, inner in zip(self.groups, keys, strict=True) for key in inner)


@dataclass(frozen=True)
class Row:
    """One line that is a row: a value for each field (a time is still a text), numbers of fields with a wrong type.

    `keys` are those of the object of each group; none where there is no object.
    """

    values: list[Any]
    wrong: list[int]
    keys: tuple[tuple[str, ...], ...]


def expected(fields: tuple[Field, ...]) -> Expected:
    """What lines with these fields may hold.

    >>> [(group.path, group.members) for group in expected((Field("feature:a", ("f", "a"), "number"),)).groups]
    [(('f',), ((0, 'a', 'number'),))]
    """
    groups = []
    for parent in dict.fromkeys(field.path[:-1] for field in fields):
        members = ((n, field.path[-1], field.kind) for n, field in enumerate(fields) if field.path[:-1] == parent)
        groups.append(Group(parent, tuple(members)))
    return Expected(fields, tuple(groups))


def read_line(line: bytes, wanted: Expected) -> Row | None:
    """The row in a line; None when it is malformed.

    >>> fields = (Field("id", ("id",), "id", True), Field("score", ("p",), "number"))
    >>> read_line(b'{"id": 7, "p": "0.5"}', expected(fields))
    Row(values=['7', 0.5], wrong=[1], keys=(('id', 'p'),))
    """
    try:
        document = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        return _read_spelled(line, wanted) if _may_be_python(line, error) else None
    except (UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    return _read_object(document, wanted, is_spelled=False) or _read_spelled(line, wanted)


def text_at(line: bytes, path: tuple[str, ...]) -> str | None:
    """What a line says at a path, as it spells it, a text without its quotes; None where that cannot be said.

    Keys may stand for several steps of the path, with dots between them.

    >>> text_at(b'{"f": {"a": "1,5"}, "f.b": [1.0]}', ("f", "a")), text_at(b'{"f.b": [1.0]}', ("f", "b"))
    ('1,5', '[1.0]')
    """
    try:
        value = _inside(_DECODER.decode(line.decode("utf-8")), path)
        return None if value is None else _spell(value)
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _inside(value: Any, path: tuple[str, ...]) -> Any:
    whole = ".".join(path)
    return value[whole] if whole in value else _inside(value[path[0]], path[1:])


def _may_be_python(line: bytes, error: msgspec.DecodeError) -> bool:
    """Whether Python's json may take the line: msgspec refuses NaN, infinities, large numbers and lone surrogates."""
    return isinstance(error, msgspec.ValidationError) or b"NaN" in line or b"Infinity" in line or b"\\u" in line


def _read_spelled(line: bytes, wanted: Expected) -> Row | None:
    """The same by a slower decoder that keeps the spelling of numbers."""
    try:
        document = _DECODER.decode(line.decode("utf-8"))
        return _read_object(document, wanted, is_spelled=True) if isinstance(document, dict) else None
    except (ValueError, RecursionError):
        return None


def _constant(text: str) -> Spelled | None:
    return None if text == "NaN" else Spelled(text)


_DECODER = json.JSONDecoder(parse_float=Spelled, parse_int=Spelled, parse_constant=_constant)


def _read_object(document: dict[str, Any], wanted: Expected, is_spelled: bool) -> Row | None:
    """The row in a decoded line; None when a spelling is needed that was lost."""
    values: list[Any] = [None] * len(wanted.fields)
    wrong: list[int] = []
    keys = []
    for group in wanted.groups:
        inner = _inner(document, group.path)
        keys.append(tuple(inner))
        for number, key, kind in group.members:
            value = inner.get(key)
            if value is None:
                continue
            if type(value) is float and kind == "number":
                values[number] = value
                continue
            if not is_spelled and kind in _SPELLED and type(value) in (int, float, list, dict):
                return None
            values[number], is_wrong = _RULES[kind](value)
            if is_wrong:
                wrong.append(number)
    return Row(values, wrong, tuple(keys))


def _inner(document: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The object at a path; an empty one when there is none."""
    for key in path:
        value = document.get(key)
        if not isinstance(value, dict):
            return {}
        document = value
    return document


def _number(value: Any) -> tuple[float, bool]:
    if isinstance(value, str):
        return (_finite_or_infinite(value), True) if _NUMBER.fullmatch(value) else (float("inf"), True)
    if isinstance(value, (int, float)):
        return _finite_or_infinite(value), False
    return float("inf"), True


def _finite_or_infinite(value: str | float) -> float:
    """As a double; what is too large is positive infinity."""
    try:
        number = float(value)
    except OverflowError:
        return float("inf")
    return number if abs(number) < float("inf") else float("inf")


def _text(value: Any) -> tuple[str, bool]:
    return _spell(value), False


def _id(value: Any) -> tuple[str | None, bool]:
    is_id = isinstance(value, str) or (isinstance(value, Spelled) and _INTEGER.fullmatch(value.text) is not None)
    return (_spell(value), False) if is_id else (None, True)


def _flag(value: Any) -> tuple[bool | None, bool]:
    return (value, False) if isinstance(value, bool) else (None, True)


def _spell(value: Any) -> str:
    """The text of a JSON value. Raises ValueError for a lone surrogate, which no encoding can hold."""
    if isinstance(value, str):
        if not value.isascii():
            value.encode()
        return value
    if isinstance(value, Spelled):
        return value.text
    return _spell_json(value)


def _spell_json(value: Any) -> str:
    if isinstance(value, Spelled):
        return value.text
    if isinstance(value, list):
        return "[" + ",".join(map(_spell_json, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_spell_json(key)}:{_spell_json(item)}" for key, item in value.items()) + "}"
    text = json.dumps(value, ensure_ascii=False)
    text.encode()
    return text


_SPELLED = frozenset({"time", "id", "text"})
_RULES: Mapping[Kind, Callable[[Any], tuple[Any, bool]]] = {
    "time": _text,
    "id": _id,
    "text": _text,
    "number": _number,
    "flag": _flag,
}
