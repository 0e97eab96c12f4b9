"""What one JSON line means: the rules for every kind of value, one line at a time.

This is the slow parser and the definition that the fast one (`columns`) must meet. It decides every line that the fast
one declines, and it alone rejects lines.

- A duplicate key counts with its last value.
- `NaN` means null everywhere: Python's json module writes it for a missing float.
- `number`: true and false are 1 and 0; a number in quotes is taken and counted as `wrong_type`; anything else in its
  place is infinite and counted as `wrong_type`. Numbers too large for a double are infinite and not counted.
- `text`: a number or boolean is the text that the log spells; a list or object is its JSON without blanks.
- `id`: a string, or an integer as the log spells it; anything else is `wrong_type` and rejects the line.
- `flag`: true or false; anything else is null and counted as `wrong_type`.
- `time`: a string or a number (see `times`); anything else is `bad_timestamp`.
- A column whose key is absent is null and counted as `missing_column`. When the object around it is absent, null or no
  object, every column inside it is absent.
- A key that is no configured feature, in the object that holds the features, is counted as `unknown_column`. Other
  unknown keys are normal.
- A required column (a time always is) that is absent or null rejects the line with `missing_column`; one of another
  type with `wrong_type`. Violations of rejected lines are not counted.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ml_exporter.records import FEATURE_PREFIX, Field, Kind

NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
"""A number as JSON spells it."""
INTEGER = r"^-?(0|[1-9][0-9]*)$"
_NUMBER = re.compile(NUMBER)
_INTEGER = re.compile(INTEGER)
_ABSENT = object()


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
    """Fields that one object holds: its path, and their numbers and keys.

    `known` are all keys that are expected in it; it is set where the object holds features.
    """

    path: tuple[str, ...]
    members: tuple[tuple[int, str, Field], ...]
    known: frozenset[str] | None = None


@dataclass(frozen=True)
class Expected:
    """What a line should hold: its fields, and the same by the object that holds them."""

    fields: tuple[Field, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Row:
    """One accepted line: a value for each field (a time is still a text) and its violations."""

    values: list[Any]
    violations: list[str]


def expected(fields: tuple[Field, ...]) -> Expected:
    """What lines with these fields should hold.

    >>> [(group.path, group.known) for group in expected((Field("feature:a", ("f", "a"), "number"),)).groups]
    [(('f',), frozenset({'a'}))]
    """
    groups = []
    for parent in dict.fromkeys(field.path[:-1] for field in fields):
        members = tuple((n, field.path[-1], field) for n, field in enumerate(fields) if field.path[:-1] == parent)
        holds_features = parent and any(field.name.startswith(FEATURE_PREFIX) for _, _, field in members)
        inside = (field.path for field in fields if field.path[: len(parent)] == parent)
        known = frozenset(path[len(parent)] for path in inside)
        groups.append(Group(parent, members, known if holds_features else None))
    return Expected(fields, tuple(groups))


def read_line(line: bytes, wanted: Expected) -> Row | str:
    """The row in a line, or the reason why it is rejected.

    >>> fields = (Field("id", ("id",), "id", True), Field("score", ("p",), "number"))
    >>> read_line(b'{"id": 7, "p": "0.5"}', expected(fields))
    Row(values=['7', 0.5], violations=['wrong_type'])
    >>> read_line(b'{"p": 0.5}', expected(fields))
    'missing_column'
    """
    try:
        document, is_spelled = msgspec.json.decode(line), False
    except msgspec.DecodeError as error:
        if not _may_be_python(line, error):
            return "malformed"
        document, is_spelled = None, True
    except (UnicodeDecodeError, RecursionError):
        return "malformed"
    row = None if is_spelled else _read_document(document, wanted, is_spelled)
    return _read_spelled(line, wanted) if row is None else row


def _may_be_python(line: bytes, error: msgspec.DecodeError) -> bool:
    """Whether Python's json may take the line: msgspec refuses NaN, infinities, large numbers and lone surrogates."""
    return isinstance(error, msgspec.ValidationError) or b"NaN" in line or b"Infinity" in line or b"\\u" in line


def _read_spelled(line: bytes, wanted: Expected) -> Row | str:
    """The same by a slower decoder that keeps the spelling of numbers."""
    try:
        return _read_document(_DECODER.decode(line.decode("utf-8")), wanted, True) or "malformed"
    except (ValueError, RecursionError):
        return "malformed"


def _constant(text: str) -> Spelled | None:
    return None if text == "NaN" else Spelled(text)


_DECODER = json.JSONDecoder(parse_float=Spelled, parse_int=Spelled, parse_constant=_constant)


def _read_document(document: Any, wanted: Expected, is_spelled: bool) -> Row | str | None:
    """The row in a decoded line or the reason why it is rejected; None when a spelling is needed that was lost."""
    if not isinstance(document, dict):
        return "malformed"
    values: list[Any] = [None] * len(wanted.fields)
    violations: list[str] = []
    for group in wanted.groups:
        inner = _inner(document, group.path)
        for number, key, field in group.members:
            value = inner.get(key, _ABSENT)
            if type(value) is float and field.kind == "number":
                values[number] = value
                continue
            if not is_spelled and field.kind in _SPELLED and type(value) in (int, float, list, dict):
                return None
            values[number], fault = _read_value(field, value)
            if fault:
                if field.required or field.kind == "time" or (field.kind == "id" and fault == "wrong_type"):
                    return fault
                violations.append(fault)
        if group.known is not None and not inner.keys() <= group.known:
            violations.extend("unknown_column" for key in inner if key not in group.known)
    return Row(values, violations)


def _read_value(field: Field, value: Any) -> tuple[Any, str]:
    """The value of a field, and what is wrong with it, if anything is."""
    if value is None or value is _ABSENT:
        is_missing = value is _ABSENT or field.required or field.kind == "time"
        return None, "missing_column" if is_missing else ""
    read, is_wrong = _RULES[field.kind](value)
    return read, "wrong_type" if is_wrong else ""


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
