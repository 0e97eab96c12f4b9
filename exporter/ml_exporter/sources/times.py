"""Event times as the log spells them, to microseconds since 1970.

Accepted are ISO 8601 with date, time to the second, an optional fraction and a zone (`2013-04-01T05:15:00.25+02:00`,
`Z`), and epoch numbers, in quotes or not. The unit of an epoch number follows from its size: below 1e11 seconds, below
1e14 milliseconds, below 1e17 microseconds, else nanoseconds. Digits finer than a microsecond are cut off. A time
without zone is unreadable: to assume one would move rows by hours.

Whole columns are converted at once, on the digits themselves. Both parsers of JSON lines use this one function, so they
agree.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
ShortInts = npt.NDArray[np.int32]

LAST_MICROSECOND = 253_402_300_799_999_999
"""End of the year 9999."""
_EPOCH = r"^-?[0-9]{1,30}(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?$"
_SHORT_INTEGER = r"^-?[0-8]?[0-9]{1,18}$"
_PLACES = {1: (), 6: (1, 2, 4, 5), 5: (1, 2, 3, 4), 3: (1, 2)}
"""Width of a zone in characters and where its digits are: `Z`, `+02:00`, `+0200`, `+02`."""


def microseconds(texts: pa.StringArray) -> pa.Int64Array:
    """Times as int64 microseconds since 1970; null where `texts` is null or unreadable.

    >>> microseconds(pa.array(["1970-01-01T01:00:00.5+01:00", "2", "1970-01-01T00:00:00"])).to_pylist()
    [500000, 2000000, None]
    """
    result = np.zeros(len(texts), np.int64)
    known = np.zeros(len(texts), bool)
    if len(texts) == 0:
        return pa.array(result, pa.int64())
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    content = texts.buffers()[2]
    data = np.frombuffer(content, np.uint8) if content is not None else np.zeros(0, np.uint8)
    lengths = np.diff(offsets)
    if texts.null_count:
        lengths[texts.is_null().to_numpy(zero_copy_only=False)] = 0
    for length in np.unique(lengths):
        if 20 <= length <= 35:
            rows = np.flatnonzero(lengths == length)
            characters = _matrix(data, offsets, rows, int(length))
            result[rows], known[rows] = _iso_times(characters)
    rest = np.flatnonzero(~known & (lengths > 0))
    if len(rest):
        result[rest], known[rest] = _epoch_times(texts.take(pa.array(rest)))
    known &= np.abs(result) <= LAST_MICROSECOND
    return pa.array(result, pa.int64(), mask=~known)


def read_times(texts: pa.StringArray) -> tuple[pa.Int64Array, Flags | None]:
    """The same, and the texts that are unreadable; None where there is none."""
    times = microseconds(texts)
    if times.null_count == texts.null_count:
        return times, None
    return times, pc.and_not(texts.is_valid(), times.is_valid()).to_numpy(zero_copy_only=False)


def _matrix(data: Bytes, offsets: Ints, rows: Ints, length: int) -> Bytes:
    """Characters of texts of one length: a row a text, stored column by column."""
    whole = len(rows) == len(offsets) - 1
    matrix: Bytes
    if whole:
        matrix = data[offsets[0] : offsets[-1]].reshape(-1, length)
    else:
        matrix = data[offsets[rows][:, None] + np.arange(length)]
    return matrix


def _iso_times(characters: Bytes) -> tuple[Ints, Flags]:
    """Microseconds and readability of texts of equal length; texts are grouped by the shape of fraction and zone."""
    length = characters.shape[1]
    fraction = (characters[:, 19] == ord(".")) | (characters[:, 19] == ord(","))
    zone = np.zeros(len(characters), np.uint8)
    zone[_is_sign(characters[:, -3])] = 3
    zone[_is_sign(characters[:, -5])] = 5
    zone[_is_sign(characters[:, -6]) & (characters[:, -3] == ord(":"))] = 6
    zone[(characters[:, -1] | 32) == ord("z")] = 1
    result = np.zeros(len(characters), np.int64)
    known = np.zeros(len(characters), bool)
    shapes = zone * 2 + fraction
    for shape in np.flatnonzero(np.bincount(shapes)):
        width, has_fraction = divmod(int(shape), 2)
        digits = length - 19 - width - has_fraction
        if width and (1 <= digits <= 9 if has_fraction else digits == 0):
            rows = np.flatnonzero(shapes == shape)
            whole = len(rows) == len(characters)
            result[rows], known[rows] = _iso_group(characters if whole else characters[rows], width, digits)
    return result, known


def _is_sign(characters: Bytes) -> Flags:
    is_sign: Flags = (characters == ord("+")) | (characters == ord("-"))
    return is_sign


def _iso_group(characters: Bytes, width: int, digits: int) -> tuple[Ints, Flags]:
    """Microseconds and readability of texts with a zone of `width` characters and `digits` digits of fraction."""
    columns = np.ascontiguousarray(characters.T)
    known = (columns[4] == ord("-")) & (columns[7] == ord("-")) & (columns[13] == ord(":")) & (columns[16] == ord(":"))
    known &= ((columns[10] | 32) == ord("t")) | (columns[10] == ord(" "))
    columns -= np.uint8(48)
    zone = [len(columns) - width + place for place in _PLACES[width]]
    for place in (0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, *range(20, 20 + digits), *zone):
        known &= columns[place] < 10
    year = _number(columns, [0, 1, 2, 3])
    month, day, hour, minute, second = (_number(columns, [place, place + 1]) for place in (5, 8, 11, 14, 17))
    known &= (year >= 1) & (hour < 24) & (minute < 60) & (second < 60) & (day >= 1) & (day <= _month_days(year, month))
    seconds = hour * 3600 + minute * 60 + second
    if width > 1:
        zone_hour, zone_minute = _number(columns, zone[:2]), _number(columns, zone[2:])
        known &= (zone_hour < 24) & (zone_minute < 60)
        ahead = np.where(columns[-width] == (ord("-") - 48) % 256, -1, 1)
        seconds -= (zone_hour * 3600 + zone_minute * 60) * ahead.astype(np.int32)
    fraction = _number(columns, list(range(20, 20 + min(digits, 6)))) * np.int32(10 ** max(0, 6 - digits))
    return (_days(year, month, day).astype(np.int64) * 86400 + seconds) * 1_000_000 + fraction, known


def _number(digits: Bytes, places: list[int]) -> ShortInts:
    """The number that the digits at these places spell; 0 without places."""
    number = np.zeros(digits.shape[1], np.int32)
    for place in places:
        number *= 10
        number += digits[place]
    return number


def _month_days(year: ShortInts, month: ShortInts) -> ShortInts:
    """Days in a month; 0 in one that does not exist."""
    days = np.zeros(256, np.int32)
    days[1:13] = 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    leap = (month == 2) & (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days_of: ShortInts = days[np.clip(month, 0, 255)] + leap
    return days_of


def _days(year: ShortInts, month: ShortInts, day: ShortInts) -> ShortInts:
    """Days since 1970 in the Gregorian calendar, by way of years that begin in March: a leap day is their last."""
    early = (month <= 2).astype(np.int32)
    years, months = year - early, month - 3 + 12 * early
    days: ShortInts = 365 * years + years // 4 - years // 100 + years // 400 + (153 * months + 2) // 5 + day - 719_469
    return days


def _epoch_times(texts: pa.StringArray) -> tuple[Ints, Flags]:
    """Microseconds and readability of epoch numbers."""
    result = np.zeros(len(texts), np.int64)
    is_number = pc.match_substring_regex(texts, _EPOCH).to_numpy(zero_copy_only=False)
    is_integer = pc.match_substring_regex(texts, _SHORT_INTEGER).to_numpy(zero_copy_only=False)
    known = is_number.copy()
    if is_integer.any():
        number = texts.filter(pa.array(is_integer)).cast(pa.int64()).to_numpy()
        size = np.abs(number)
        units = [size < 10**11, size < 10**14, size < 10**17]
        safe = [np.where(units[0], number, 0) * 10**6, np.where(units[1], number, 0) * 10**3, number]
        result[is_integer] = np.select(units, safe, number // 1000)
    other = np.flatnonzero(is_number & ~is_integer)
    if len(other):
        real = np.array([float(text) for text in texts.take(pa.array(other)).to_pylist()])
        size = np.abs(real)
        with np.errstate(over="ignore"):  # in the products that are not selected
            scaled = np.select([size < 1e11, size < 1e14, size < 1e17], [real * 1e6, real * 1e3, real], real / 1e3)
        fits = np.abs(scaled) <= LAST_MICROSECOND
        result[other] = np.rint(np.where(fits, scaled, 0)).astype(np.int64)
        known[other] = fits
    return result, known
