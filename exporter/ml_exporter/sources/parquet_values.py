"""What a value of a typed column means: whole Arrow arrays to the canonical encoding, whatever their type.

A dictionary, an extension and a view stand for their values; binary is text where it is UTF-8. Null is null.

- `number`: any integer, float, decimal or boolean, as a double. A number spelled in a text is taken and counted as
  `wrong_type`; anything else (a date, a list) is infinite and counted.
- `text`: text as it is, a boolean as `true` or `false`, a date or time in ISO form. Numbers are spelled alike whatever
  their type, so that a column may change from integers to doubles: `7`, also where a double or decimal holds 7.0. A
  list, map or struct is null and counted as `wrong_type`.
- `id`: text, an integer, a UUID; also a double or decimal that is a whole number (below 2⁵³ for a double, which holds
  no longer ones). Anything else is `wrong_type`.
- `flag`: a boolean; anything else is null and counted as `wrong_type`.
- `time`: a timestamp with zone in any unit, or what `times` reads: ISO 8601 text and epoch numbers. Digits finer than a
  microsecond are cut off. A timestamp without zone (`isAdjustedToUTC=false`), a date and all else is unreadable.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.records import ARROW_TYPES, Kind
from ml_exporter.sources.lines import Flags
from ml_exporter.sources.times import LAST_MICROSECOND, microseconds
from ml_exporter.sources.values import NUMBER

_EXACT = float(1 << 53)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_WRONG: Mapping[Kind, float] = {"number": float("inf")}
"""What stands for a value of a wrong type; null elsewhere."""
is_type = pa.types


@dataclass(frozen=True)
class Column:
    """A field of some rows. `wrong`: its type is wrong there. `no_text`: bytes that are no UTF-8."""

    array: pa.Array
    wrong: Flags | None = None
    no_text: Flags | None = None


def read_column(array: pa.Array, kind: Kind) -> Column:
    """The values of a column as this kind.

    >>> read_column(pa.array([1.5, None, 7.0]), "text").array.to_pylist()
    ['1.5', None, '7']
    >>> read_column(pa.array([[1], None]), "number")
    Column(array=<pyarrow.lib.DoubleArray object at ...>
    [
      inf,
      null
    ], wrong=array([ True, False]), no_text=None)
    """
    if is_type.is_null(array.type):
        return Column(pa.nulls(len(array), ARROW_TYPES[kind]))
    plain = _plain(array)
    broken = None
    if is_type.is_binary(plain.type) or is_type.is_fixed_size_binary(plain.type):
        plain, broken = _decoded(plain)
    elif is_type.is_string(plain.type) and kind in ("text", "id", "time"):
        plain, broken = _checked(plain)
    try:
        column = _READERS[kind](plain)
    except pa.ArrowException:  # a type or zone that Arrow itself cannot turn into anything
        column = _all_wrong(plain, kind)
    return column if broken is None else Column(column.array, column.wrong, broken)


def _plain(array: pa.Array) -> pa.Array:
    """The values of dictionaries, extensions, views and large types in their plain types."""
    if isinstance(array, pa.ExtensionArray):
        if array.type.extension_name == "arrow.uuid":
            return _uuids(array.storage)
        array = array.storage
    if is_type.is_dictionary(array.type):
        array = array.dictionary_decode()
    if is_type.is_large_string(array.type) or is_type.is_string_view(array.type):
        return _cast_text(array)
    if is_type.is_large_binary(array.type) or is_type.is_binary_view(array.type):
        return array.cast(pa.binary())
    return array


def _uuids(octets: pa.FixedSizeBinaryArray) -> pa.StringArray:
    """UUIDs in their usual spelling, 36 characters."""
    found = np.frombuffer(octets.buffers()[1], np.uint8)[octets.offset * 16 :][: len(octets) * 16].reshape(-1, 16)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    texts = np.full((len(octets), 36), ord("-"), np.uint8)
    places = [place for place in range(36) if place not in (8, 13, 18, 23)]
    texts[:, places[0::2]] = digits[found >> 4]
    texts[:, places[1::2]] = digits[found & 15]
    ends = pa.py_buffer(np.arange(0, 36 * len(octets) + 1, 36, dtype=np.int32))
    spelled = pa.StringArray.from_buffers(len(octets), ends, pa.py_buffer(texts))
    return pc.if_else(octets.is_valid(), spelled, None) if octets.null_count else spelled


def _cast_text(array: pa.Array) -> pa.Array:
    """As string where it is valid UTF-8, else as binary."""
    try:
        return array.cast(pa.string())
    except pa.ArrowInvalid:
        return array.cast(pa.binary())


def _checked(texts: pa.StringArray) -> tuple[pa.StringArray, Flags | None]:
    """The same texts, and which of them are no UTF-8: files may hold anything."""
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return _decoded(texts.view(pa.binary()))
    return texts, None


def _decoded(octets: pa.BinaryArray) -> tuple[pa.StringArray, Flags | None]:
    """Binary values as text; null where they are no UTF-8, and which these are."""
    try:
        return octets.cast(pa.binary()).cast(pa.string()), None
    except pa.ArrowInvalid:
        pass
    texts: list[str | None] = []
    broken = np.zeros(len(octets), bool)
    for row, value in enumerate(octets.to_pylist()):
        try:
            texts.append(None if value is None else value.decode())
        except UnicodeDecodeError:
            texts.append(None)
            broken[row] = True
    return pa.array(texts, pa.string()), broken


def _valid(array: pa.Array) -> Flags:
    valid: Flags = array.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _all_wrong(array: pa.Array, kind: Kind) -> Column:
    """Every value that is not null has a wrong type."""
    valid = _valid(array)
    filled = pa.scalar(_WRONG.get(kind), ARROW_TYPES[kind])
    values = pc.if_else(pa.array(valid), filled, pa.scalar(None, ARROW_TYPES[kind]))
    return Column(values, valid if valid.any() else None)


def _number(array: pa.Array) -> Column:
    kind = array.type
    if is_type.is_string(kind):
        column = _all_wrong(array, "number")
        spelled = pc.match_substring_regex(array, NUMBER)
        if not pc.any(spelled).as_py():
            return column
        spelled = spelled.fill_null(False)
        numbers = array.filter(spelled)
        try:
            numbers = numbers.cast(pa.float64())
        except pa.ArrowInvalid:
            numbers = pa.array([float(text) for text in numbers.to_pylist()], pa.float64())
        return Column(_without_minus(pc.replace_with_mask(column.array, spelled, numbers)), column.wrong)
    if is_type.is_decimal(kind):
        return Column(_without_minus(array.cast(pa.string()).cast(pa.float64())))
    if is_type.is_floating(kind):
        return Column(_without_minus(array.cast(pa.float64())))
    if is_type.is_integer(kind) or is_type.is_boolean(kind):
        return Column(array.cast(pa.float64(), safe=False))
    return _all_wrong(array, "number")


def _without_minus(numbers: pa.DoubleArray) -> pa.DoubleArray:
    """Minus infinity is infinite like any other."""
    least = pc.equal(numbers, -float("inf"))
    return pc.if_else(least, float("inf"), numbers) if pc.any(least).as_py() else numbers


def _text(array: pa.Array) -> Column:
    kind = array.type
    if is_type.is_string(kind):
        return Column(array)
    if is_type.is_floating(kind):
        return Column(_spelled(array))
    if is_type.is_decimal(kind):
        return Column(_whole(array.cast(pa.string())))
    if is_type.is_integer(kind) or is_type.is_boolean(kind) or is_type.is_date(kind):
        return Column(array.cast(pa.string()))
    if is_type.is_time(kind) or is_type.is_timestamp(kind):
        return Column(pc.replace_substring(array.cast(pa.string()), " ", "T"))
    return _all_wrong(array, "text")


def _spelled(numbers: pa.Array) -> pa.StringArray:
    """Floats as text: whole ones below 2⁵³ as integers, others as short as they are exact. NaN is null."""
    values = numbers.cast(pa.float64())
    values = pc.if_else(pc.is_nan(values), None, values)
    whole = pc.and_(pc.less(pc.abs(values), _EXACT), pc.equal(pc.floor(values), values))
    if pc.all(whole).as_py() in (True, None):
        return values.cast(pa.int64()).cast(pa.string())
    integers = pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.string())
    texts = pc.if_else(pc.is_valid(values), numbers, None).cast(pa.string())
    return pc.if_else(whole, integers, texts)


def _whole(texts: pa.StringArray) -> pa.StringArray:
    """Decimals as text, without a fraction of zeros."""
    return pc.replace_substring_regex(texts, r"\.0+$", "")


def _id(array: pa.Array) -> Column:
    kind = array.type
    if is_type.is_string(kind):
        return Column(array)
    if is_type.is_integer(kind):
        return Column(array.cast(pa.string()))
    if is_type.is_floating(kind):
        texts = _spelled(array)
        has_value = pc.and_(array.is_valid(), pc.invert(pc.is_nan(array.cast(pa.float64())).fill_null(True)))
    elif is_type.is_decimal(kind):
        texts, has_value = _whole(array.cast(pa.string())), array.is_valid()
    else:
        return _all_wrong(array, "id")
    whole = pc.match_substring_regex(texts, r"^-?[0-9]+$").fill_null(False)
    wrong = pc.and_(has_value, pc.invert(whole)).to_numpy(zero_copy_only=False)
    return Column(pc.if_else(whole, texts, None), wrong if wrong.any() else None)


def _flag(array: pa.Array) -> Column:
    return Column(array) if is_type.is_boolean(array.type) else _all_wrong(array, "flag")


def _time(array: pa.Array) -> Column:
    kind = array.type
    if is_type.is_timestamp(kind) and kind.tz is not None:
        times = _instants(array)
    elif is_type.is_string(kind):
        times = microseconds(array)
    elif is_type.is_integer(kind) or is_type.is_floating(kind) or is_type.is_decimal(kind):
        if is_type.is_floating(kind):
            array = pc.if_else(pc.is_nan(array.cast(pa.float64())), None, array)
        times = microseconds(array.cast(pa.string()))
    else:
        return _all_wrong(array, "time")
    wrong = pc.and_(times.is_null(), array.is_valid()).to_numpy(zero_copy_only=False)
    return Column(times, wrong if wrong.any() else None)


def _instants(array: pa.Array) -> pa.Int64Array:
    """Timestamps as microseconds since 1970; null beyond the year 9999."""
    per_second = _PER_SECOND[array.type.unit]
    numbers = array.cast(pa.int64()).fill_null(0).to_numpy()
    if per_second > 10**6:
        numbers, known = numbers // (per_second // 10**6), np.ones(len(numbers), bool)
    else:
        known = np.abs(numbers.astype(float)) <= LAST_MICROSECOND * per_second / 10**6
        numbers = np.where(known, numbers, 0) * (10**6 // per_second)
    known &= (np.abs(numbers) <= LAST_MICROSECOND) & _valid(array)
    return pa.array(numbers, pa.int64(), mask=~known)


_READERS: Mapping[Kind, Callable[[pa.Array], Column]] = {
    "time": _time,
    "id": _id,
    "text": _text,
    "number": _number,
    "flag": _flag,
}
