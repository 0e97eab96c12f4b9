"""Strict YAML: a text into frozen sections, with every problem at once.

Durations are written `90s`, `15m`, `12h`, `1d`; sizes `64KiB`, `1MiB`. An unknown key is an error, and so is one
that is written twice.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
import yaml

from ml_exporter.errors import ConfigError, Problem, shown

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)$", re.ASCII)
_SECONDS = {"ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600), "d": Fraction(86400)}
_SIZE = re.compile(r"^(\d+)(B|KiB|MiB|GiB)$", re.ASCII)
_BYTES = {"B": Fraction(1), "KiB": Fraction(1 << 10), "MiB": Fraction(1 << 20), "GiB": Fraction(1 << 30)}


_WORDS = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list"}
_PLAIN = re.compile(rf"\b({'|'.join(_WORDS)})\b")


class Duration(float):
    """Seconds."""


class Size(int):
    """Bytes."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping of the configuration file."""


Kind = TypeVar("Kind", bound=Section)


def read(kind: type[Kind], text: str, where: str) -> Kind:
    """The section in a YAML text. Raises ConfigError with everything that does not fit."""
    try:
        document = _document(text)
    except yaml.YAMLError as error:
        raise ConfigError([_syntax_problem(error, where)]) from error
    problems: list[Problem] = []
    found = _convert(kind, document, where, problems)
    if problems:
        raise ConfigError(problems)
    return found  # type: ignore[no-any-return]


def read_parts(kinds: Mapping[str, Any], text: str, where: str) -> tuple[dict[str, Any], list[Problem]]:
    """The top keys of a YAML text that are what `kinds` says, and all that is wrong with it.

    A part that does not fit is left out, so that what is wrong with the meaning of the others can be said as well.
    """
    try:
        document = _document(text)
    except yaml.YAMLError as error:
        return {}, [_syntax_problem(error, where)]
    if not isinstance(document, dict):
        got = "nothing" if document is None else "something else"
        return {}, [Problem(where, "a mapping", got, f"Write some of: {', '.join(kinds)}")]
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, item in document.items():
        before = len(problems)
        if key in kinds:
            converted = _convert(kinds[key], item, f"{where}.{key}", problems)
        else:
            action = f"Remove it, or use one of: {', '.join(kinds)}"
            problems.append(Problem(f"{where}.{key}", "a known key", "an unknown one", action))
        if len(problems) == before:
            found[key] = converted
    return found, problems


def _document(text: str) -> Any:
    """What a YAML text says, by libyaml where there is one. What that refuses is read again, for PyYAML's message."""
    if yaml.__with_libyaml__:
        with suppress(yaml.YAMLError):
            return yaml.load(text, _FastLoader)  # noqa: S506 - a safe loader
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader


class _EveryKeyOnce(yaml.constructor.SafeConstructor):
    """Refuses a key that is written twice, where YAML would keep the last one and say nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


class _Loader(_EveryKeyOnce, yaml.SafeLoader):
    """In Python."""


class _FastLoader(_EveryKeyOnce, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """In C."""


def _syntax_problem(error: yaml.YAMLError, where: str) -> Problem:
    got = " ".join(str(error).split())
    if isinstance(error, yaml.reader.ReaderError):
        got = f"the character U+{error.character:04X}"
    elif isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        where, got = f"{where} line {error.problem_mark.line + 1}", str(error.problem)
    return Problem(where, "a YAML document", got, "Mend the syntax")


def _convert(kind: Any, value: Any, path: str, problems: list[Problem]) -> Any:
    """`value` as a `kind`; what does not fit is appended to `problems` and gives None."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated and arguments[0] in (Duration, Size):
        kind = arguments[0]
    if type(None) in arguments and origin is not dict:
        if value is None:
            return None
        kind = next(item for item in arguments if item is not type(None))
        origin, arguments = get_origin(kind), get_args(kind)
    if kind in (Duration, Size):
        return _quantity(kind, value, path, problems)
    if origin is dict:
        return _mapping(arguments, value, path, problems)
    if isinstance(kind, type) and issubclass(kind, Section):
        return _section(kind, value, path, problems)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problems.append(_leaf_problem(kind, value, path, error))
        return None


def _section(kind: type[Section], value: Any, path: str, problems: list[Problem]) -> Any:
    if not isinstance(value, dict):
        problems.append(Problem(path, "a mapping", shown(value), f"Write the keys of {kind.__name__.lower()}"))
        return None
    fields = {item.name: item for item in msgspec.structs.fields(kind)}
    before = len(problems)
    for key in value:
        if key not in fields:
            known = ", ".join(fields)
            problems.append(
                Problem(f"{path}.{key}", "a known key", "an unknown one", f"Remove it, or use one of: {known}")
            )
    given = {
        key: _convert(fields[key].type, item, f"{path}.{key}", problems) for key, item in value.items() if key in fields
    }
    for name, item in fields.items():
        if item.required and name not in value:
            problems.append(Problem(f"{path}.{name}", "a value", "nothing", "Add the key"))
    return kind(**given) if len(problems) == before else None


def _mapping(arguments: tuple[Any, ...], value: Any, path: str, problems: list[Problem]) -> Any:
    if not isinstance(value, dict):
        problems.append(Problem(path, "a mapping of names", shown(value), "Write `name: ...` below it"))
        return None
    result = {}
    for key, item in value.items():
        spelled = _convert(arguments[0], key, f"{path}.{key}", problems)
        result[spelled] = _convert(arguments[1], item, f"{path}.{key}", problems)
    return result


def seconds(text: str, where: str) -> float:
    """The seconds of a duration as a configuration writes it. Raises ConfigError.

    >>> seconds("90m", "--duration")
    5400.0
    """
    problems: list[Problem] = []
    found = _quantity(Duration, text, where, problems)
    if problems:
        raise ConfigError(problems)
    return float(found)


def _quantity(kind: type, value: Any, path: str, problems: list[Problem]) -> Any:
    pattern, units = (_DURATION, _SECONDS) if kind is Duration else (_SIZE, _BYTES)
    found = pattern.match(value) if isinstance(value, str) else None
    if found:
        return kind(Fraction(found[1]) * units[found[2]])
    what, example = (
        ("a duration like 90s, 15m or 12h", "15m") if kind is Duration else ("a size like 64KiB or 1MiB", "1MiB")
    )
    problems.append(Problem(path, what, shown(value), f"Write a number and a unit, for example {example}"))
    return None


def _leaf_problem(kind: Any, value: Any, path: str, error: msgspec.ValidationError) -> Problem:
    base = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(base) is tuple and get_origin(get_args(base)[0]) is Literal and isinstance(value, list):
        base = get_args(base)[0]
    if get_origin(base) is Literal:
        allowed = ", ".join(str(item) if str(item)[:1].isalnum() else repr(item) for item in get_args(base))
        return Problem(
            path, f"one of {allowed}", shown(value), "Write one of these, in quotes if it looks like a number"
        )
    expected = str(error).split(" - at ")[0].removeprefix("Expected ").split(", got ")[0].replace("`", "")
    if expected.startswith("str matching"):
        return Problem(
            path,
            "a name of letters, digits, _ and -, no more than 64",
            shown(value),
            "Rename it, and begin with a letter",
        )
    actions = {"str": "Put it in quotes", "array": "Put it in brackets"}
    plain = _PLAIN.sub(lambda found: _WORDS[found[0]], expected)
    return Problem(path, plain, shown(value), actions.get(expected, "Change the value"))
