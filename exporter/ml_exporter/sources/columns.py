"""The fast parser: whole columns of the lines that share a skeleton.

DuckDB parses the lines; the skeleton knows which keys they have and with which byte each value starts. Together they
decide, for every line, whether the columns are what `values.read_line` would give. A line about which there is doubt is
declined, never guessed:

- What starts with `n` must be null to DuckDB, and nothing else may. So a value that DuckDB could not convert is seen,
  and so is a line that is no valid JSON: all of it is null to DuckDB, and a line must have one value that is not.
- A value in quotes in a number column is read from its text, and wrong. A number in a text column is taken as spelled.
- A number that is not finite is spelled `NaN`, or declined.
- A list is looked at in full: one that holds more than scalars is declined.

Lines of several models are lines of several skeletons: each is taken by itself, with the fields that it has.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.records import Field, Kind
from ml_exporter.sources.alike import by_key, by_number_of_keys
from ml_exporter.sources.lines import Bytes, Flags, Ints, Lines
from ml_exporter.sources.scanner import Scanner
from ml_exporter.sources.skeleton import Match, Skeleton, learn, match
from ml_exporter.sources.times import read_times
from ml_exporter.sources.values import INTEGER, NUMBER, Expected

FEWEST_LINES = 64
"""Fewer lines than this are faster parsed one by one."""
_MOST_SKELETONS = 64
_MOST_FAILURES = 8
_STRING, _NULL, _MINUS, _NAN, _TRUE, _FALSE, _ZERO, _LIST = b'"n-Ntf0['
_SCALAR = rf"{NUMBER[1:-1]}|true|false|null"
_LIST_OF_SCALARS = rf"\[[ \t]*(({_SCALAR})[ \t]*(,[ \t]*({_SCALAR})[ \t]*)*)?\]"
_BARE = rf"^({NUMBER[1:-1]}|true|false|{_LIST_OF_SCALARS})$"
_PLAIN = rf'({_SCALAR}|"[^"\\\x00-\x1f]*")'
_PLAIN_LIST = rf"^\[[ \t]*({_PLAIN}[ \t]*(,[ \t]*{_PLAIN}[ \t]*)*)?\]$"


@dataclass(frozen=True)
class Part:
    """Lines of a chunk that share a skeleton: their numbers and columns, the fields that they have, a column each.

    `good` are those that were taken, `paths` all keys that they have.
    """

    rows: Ints
    good: Flags
    fields: tuple[Field, ...]
    columns: tuple["Column", ...]
    paths: frozenset[tuple[str, ...]]


@dataclass(frozen=True)
class Cells:
    """The values of one key in the lines that share a skeleton."""

    lines: Lines
    found: Match
    place: int

    @property
    def initials(self) -> Bytes:
        """The first byte of each value."""
        initials: Bytes = self.found.initials[self.place]
        return initials

    def spelled(self, chosen: Flags) -> pa.StringArray:
        """The chosen values as the log spells them."""
        ends = self.found.ends(self.lines, self.place, chosen)
        return pc.ascii_trim_whitespace(_texts(self.lines, self.found.starts(self.place, chosen), ends))

    def plain_lists(self, chosen: Flags) -> Flags:
        """Which of the chosen values are lists of scalars and no more, so that the skeleton is right about the rest."""
        plain: Flags = pc.match_substring_regex(self.spelled(chosen), _PLAIN_LIST).to_numpy(zero_copy_only=False)
        return plain

    def quoted(self, chosen: Flags) -> tuple[pa.StringArray, Flags]:
        """The chosen values, which are strings, without their quotes, and which of them are plain: without escapes."""
        ends = self.found.ends(self.lines, self.place, chosen) - 1
        texts = _texts(self.lines, self.found.starts(self.place, chosen) + 1, ends)
        plain = ~pc.match_substring(texts, "\\").to_numpy(zero_copy_only=False)
        return texts, plain & (self.lines.octets[ends] == _STRING)


def _texts(lines: Lines, starts: Ints, ends: Ints) -> pa.StringArray:
    """The bytes between these positions."""
    sizes = ends - starts
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    places = np.repeat(starts - offsets[:-1], sizes) + np.arange(offsets[-1])
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(lines.octets[places])]
    return pa.StringArray.from_buffers(len(starts), buffers[1], buffers[2])


@dataclass(frozen=True)
class Column:
    """One field of the lines that share a skeleton.

    `good` are the lines that it does not decline, `wrong` those where its value has a wrong type.
    """

    array: pa.Array
    good: Flags
    wrong: Flags | None = None


def take_columns(lines: Lines, rows: Ints, wanted: Expected, scanner: Scanner) -> list[Part]:
    """Whatever of the lines `rows` can be parsed by column, in parts of one skeleton each. All else is left out."""
    parts: list[Part] = []
    failures = 0
    groups = by_number_of_keys(lines, rows, FEWEST_LINES)
    waiting = [part for group in groups for part in by_key(lines, group, FEWEST_LINES)]
    while waiting and len(parts) < _MOST_SKELETONS and failures < _MOST_FAILURES:
        group = waiting.pop(0)
        skeleton = learn(lines.line(int(group[0])))
        found = match(lines, group, skeleton) if skeleton and _fits(skeleton, wanted) else None
        part = None
        if skeleton and found and len(found.rows) >= FEWEST_LINES:
            part = _take_part(lines, found, skeleton, wanted, scanner)
        matched = group[:1] if found is None or not len(found.rows) else found.rows
        rest = np.setdiff1d(group, matched, assume_unique=True) if len(matched) < len(group) else group[:0]
        if len(rest) >= FEWEST_LINES:
            waiting += by_key(lines, rest, FEWEST_LINES) if part else [rest]
        if part is None:
            failures += 1
        else:
            parts.append(part)
    return parts


def _fits(skeleton: Skeleton, wanted: Expected) -> bool:
    """Whether lines with this skeleton can be taken: no key is double, and no object is where a value is wanted."""
    paths = {key.path: key for key in skeleton.keys}
    if len(paths) < len(skeleton.keys):
        return False
    return not any(field.path in paths and paths[field.path].is_object for field in wanted.fields)


def _take_part(lines: Lines, found: Match, skeleton: Skeleton, wanted: Expected, scanner: Scanner) -> Part | None:
    places = {key.path: index for index, key in enumerate(skeleton.keys)}
    present = tuple(field for field in wanted.fields if field.path in places)
    types = {field.path: _SQL_TYPES[field.kind] for field in present} or _any_value(skeleton)
    longest = int((lines.ends - lines.starts)[found.rows].max())
    arrays = scanner.scan(lines.take(found.rows), types, longest) if types else None
    if arrays is None or len(arrays[0]) != len(found.rows):
        return None
    parsed = dict(zip(types, arrays, strict=True))
    columns = tuple(
        _READERS[field.kind](Cells(lines, found, places[field.path]), parsed[field.path]) for field in present
    )
    good = _is_object(arrays) & _others(lines, found, skeleton, {field.path for field in present})
    for column in columns:
        good &= column.good
    return Part(found.rows, good, present, columns, frozenset(places))


def _any_value(skeleton: Skeleton) -> Mapping[tuple[str, ...], str]:
    """One value that is no object: DuckDB needs something to read, to tell whether a line is valid."""
    return next(({key.path: "VARCHAR"} for key in skeleton.keys if not key.is_object), {})


def _is_object(arrays: list[pa.Array]) -> Flags:
    """The lines with a value that is not null to DuckDB: in a line that is no valid JSON, all are."""
    some = np.zeros(len(arrays[0]), bool)
    for array in arrays:
        some |= True if array.null_count == 0 else array.is_valid().to_numpy(zero_copy_only=False)
        if some.all():
            break
    return some


def _others(lines: Lines, found: Match, skeleton: Skeleton, read: set[tuple[str, ...]]) -> Flags:
    """The lines where the values of keys that are no fields start as JSON does: DuckDB also knows `nan` and `-inf`."""
    good = np.ones(len(found.rows), bool)
    for place, key in enumerate(skeleton.keys):
        if key.path not in read and not key.is_object:
            initials = found.initials[place]
            second = lines.octets[found.starts(place) + 1]
            fine = (initials == _STRING) | _is_digit(initials) | (initials == _TRUE) | (initials == _FALSE)
            fine |= (initials == _MINUS) & _is_digit(second)
            lists = initials == _LIST
            if lists.any():
                fine[lists] = Cells(lines, found, place).plain_lists(lists)
            good &= fine | ((initials == _NULL) & (second == ord("u")))
    return good


def _is_digit(octets: Bytes) -> Flags:
    digits: Flags = (octets - np.uint8(_ZERO)) < 10
    return digits


def _same_nulls(cells: Cells, parsed: pa.Array) -> Flags:
    """The lines where DuckDB gives null exactly for what starts as null does."""
    nulls = cells.initials == _NULL
    same: Flags = ~nulls
    if parsed.null_count:
        same = nulls == parsed.is_null().to_numpy(zero_copy_only=False)
    return same


def _number(cells: Cells, parsed: pa.DoubleArray) -> Column:
    good = _same_nulls(cells, parsed)
    strings, lists = cells.initials == _STRING, cells.initials == _LIST
    wrong = strings | lists
    has_wrong = bool(wrong.any())
    values = (parsed.fill_null(0.0) if parsed.null_count else parsed).to_numpy()
    finite = np.isfinite(values)
    if finite.all() and not has_wrong:
        return Column(parsed, good)
    nan = cells.initials == _NAN
    nan[nan] = cells.spelled(nan).to_numpy(zero_copy_only=False) == "NaN"
    good &= finite | nan
    if not has_wrong:
        return Column(pc.if_else(pa.array(finite), parsed, None), good)
    values = values.copy()
    texts, good[strings] = cells.quoted(strings)
    values[strings] = _numbers(texts)
    good[lists], values[lists] = cells.plain_lists(lists), np.inf
    return Column(pa.array(values, mask=nan | (cells.initials == _NULL)), good, wrong)


def _numbers(texts: pa.StringArray) -> npt.NDArray[np.float64]:
    """The numbers that these texts spell; infinity where there is none, or one too large for a double."""
    readable = pc.match_substring_regex(texts, NUMBER)
    spelled = pc.if_else(readable, texts, "inf")
    try:
        numbers = spelled.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        numbers = np.array([float(text) for text in spelled.to_pylist()])
    return np.where(np.isfinite(numbers), numbers, np.inf)


def _text(cells: Cells, parsed: pa.StringArray) -> Column:
    good = _same_nulls(cells, parsed)
    bare = (cells.initials != _STRING) & (cells.initials != _NULL)
    if not bare.any():
        return Column(parsed, good)
    spelled = cells.spelled(bare)
    good[bare] &= pc.match_substring_regex(spelled, _BARE).to_numpy(zero_copy_only=False)
    if (cells.initials == _LIST).any():
        spelled = pc.replace_substring_regex(spelled, r"[ \t]", "")
    return Column(pc.replace_with_mask(parsed, pa.array(bare), spelled), good)


def _id(cells: Cells, parsed: pa.StringArray) -> Column:
    text = _text(cells, parsed)
    bare = (cells.initials != _STRING) & (cells.initials != _NULL)
    if not bare.any():
        return text
    other = ~pc.match_substring_regex(cells.spelled(bare), INTEGER).to_numpy(zero_copy_only=False)
    if not other.any():
        return text
    bare[bare] = other
    return Column(pc.if_else(pa.array(bare), None, text.array), text.good, bare)


def _time(cells: Cells, parsed: pa.StringArray) -> Column:
    text = _text(cells, parsed)
    times, unreadable = read_times(text.array)
    return Column(times, text.good, unreadable)


def _flag(cells: Cells, parsed: pa.BooleanArray) -> Column:
    truth = (cells.initials == _TRUE) | (cells.initials == _FALSE)
    nulls = cells.initials == _NULL
    lists = cells.initials == _LIST
    wrong = (cells.initials == _STRING) | _is_digit(cells.initials) | lists
    good = wrong | (_same_nulls(cells, parsed) & (truth | nulls))
    good[lists] = cells.plain_lists(lists)
    return Column(pc.if_else(pa.array(truth), parsed, None), good, wrong)


_SQL_TYPES: Mapping[Kind, str] = {
    "time": "VARCHAR",
    "id": "VARCHAR",
    "text": "VARCHAR",
    "number": "DOUBLE",
    "flag": "BOOLEAN",
}
_READERS: Mapping[Kind, Callable[[Cells, pa.Array], Column]] = {
    "time": _time,
    "id": _id,
    "text": _text,
    "number": _number,
    "flag": _flag,
}
