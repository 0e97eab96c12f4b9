r"""The skeleton of a JSON line: its keys in order, everything between its values, and where each value starts.

Nearly all lines of a log have the same skeleton, because one program writes them:

    {"id": "a1", "p": 0.25, "features": {"x": 1.5, "y": null}}
    {"id": .     "p": .     "features": {"x": .    "y": .   }}

`learn` reads the skeleton of one line; `match` finds the lines that share it, by comparing bytes at computed places:
the text that must stand before each value, and the end of the line. This proves, without parsing, which keys a line
has, that none is missing, unknown or double, and of which type each value is (from its first byte).

Why it is a proof. It holds for lines that are valid JSON, which DuckDB checks, and have no `\"`, so that every quote is
a real one. There, `":` ends a key, or begins a string `":..."`. The text that the skeleton expects before a value has
the key with both its quotes, and a comma or brace before them, so its colon is no such string. A line has as many
colons as the skeleton has keys: it has these keys and no other. Objects: a value starts with `{` exactly where the
skeleton has one, and a list holds none, which `columns` checks, so a line opens as many objects as the skeleton and
closes as many; the closing braces of the skeleton all stand in their places, so there is no other. Hence every key is
in the object where the skeleton has it. The comma that DuckDB allows before `}` is refused.
"""

from dataclasses import dataclass

import numpy as np

from ml_exporter.sources.lines import Bytes, Flags, Ints, Lines

_BLANK = b" \t"
_BETWEEN = _BLANK + b",{}"
_DEEPEST = 32
"""Objects nested deeper than this are left to the slow parser, which has a limit of its own."""
_TILE = 512
"""Lines compared in one go, so that they stay in the processor's cache."""


@dataclass(frozen=True)
class Key:
    """One key: its path, the text from the value before to its own value, and whether that is an object.

    `text` has `before` bytes up to the colon. `closes` tells that an object ends in it.
    """

    path: tuple[str, ...]
    text: bytes
    before: int
    closes: bool
    is_object: bool = False


@dataclass(frozen=True)
class Skeleton:
    """The keys of a line in order, and the text behind its last value."""

    keys: tuple[Key, ...]
    tail: bytes


@dataclass(frozen=True)
class Match:
    """Lines that have a skeleton.

    The colons behind their keys (an array of lines × keys), and the first byte of each value (keys × lines).
    """

    skeleton: Skeleton
    rows: Ints
    colons: Ints
    initials: Bytes

    def starts(self, place: int, chosen: Flags | slice = slice(None)) -> Ints:
        """Where the values of one key start, in all or in chosen lines."""
        key = self.skeleton.keys[place]
        starts: Ints = self.colons[chosen, place] + (len(key.text) - key.before)
        return starts

    def ends(self, lines: Lines, place: int, chosen: Flags | slice = slice(None)) -> Ints:
        """Where these values end: where the text before the next one begins. Blanks may stand at their end."""
        ends: Ints
        if place + 1 < len(self.skeleton.keys):
            ends = self.colons[chosen, place + 1] - self.skeleton.keys[place + 1].before
        else:
            ends = lines.ends[self.rows[chosen]] - len(self.skeleton.tail)
        return ends


def learn(line: bytes) -> Skeleton | None:
    r"""The skeleton of a line, or None for a line that has none: with `\"`, no object, or objects in lists.

    >>> skeleton = learn(b'{"id": 7, "f": {"x": null}}')
    >>> [key.path for key in skeleton.keys], skeleton.tail
    ([('id',), ('f',), ('f', 'x')], b'}}')
    """
    content = line.removesuffix(b"\r")
    if b'\\"' in line or b"\r" in content or b'":' not in line:
        return None
    keys: list[Key] = []
    open_objects: list[tuple[str, ...]] = []
    value_start = 0
    for colon in _colons(line):
        quote = line.rfind(b'"', value_start, colon - 1)
        begin = _run_start(line, quote, value_start)
        run = line[begin:quote]
        if quote < 0 or not run.strip(_BLANK) or not _walk(run, begin == value_start, keys, open_objects):
            return None
        name = _decoded(line[quote + 1 : colon - 1])
        if name is None or not 0 < len(open_objects) <= _DEEPEST:
            return None
        space = line[colon + 1 : colon + 2] == b" "
        keys.append(Key((*open_objects[-1], name), line[begin : colon + 1 + space], colon - begin, b"}" in run))
        value_start = colon + 1
    begin = _run_start(content, len(content), value_start)
    if not _walk(content[begin:], begin == value_start, keys, open_objects) or open_objects:
        return None
    return Skeleton(tuple(keys), line[begin:])


def _colons(line: bytes) -> list[int]:
    found, position = [], line.find(b'":')
    while position >= 0:
        found.append(position + 1)
        position = line.find(b'":', position + 1)
    return found


def _run_start(line: bytes, end: int, floor: int) -> int:
    """Where the run of blanks, commas and braces that ends at `end` begins."""
    while end > floor and line[end - 1] in _BETWEEN:
        end -= 1
    return end


def _walk(run: bytes, touches_key: bool, keys: list[Key], open_objects: list[tuple[str, ...]]) -> bool:
    """Open and close objects as the run says. False when that makes no sense, as for an object in a list."""
    may_open = touches_key
    before = 0
    for character in run:
        if character == ord("{"):
            if not may_open or (keys and not open_objects):
                return False
            open_objects.append(keys[-1].path if keys else ())
            if keys:
                last = keys[-1]
                keys[-1] = Key(last.path, last.text, last.before, last.closes, is_object=True)
        elif character == ord("}"):
            if not open_objects or before == ord(","):
                return False
            open_objects.pop()
        may_open = may_open and character in _BLANK
        before = before if character in _BLANK else character
    return True


def _decoded(name: bytes) -> str | None:
    """A key as text; None for one with escapes or invalid UTF-8."""
    try:
        return None if b"\\" in name else name.decode()
    except UnicodeDecodeError:
        return None


def match(lines: Lines, rows: Ints, skeleton: Skeleton) -> Match:
    """Those of the lines `rows` that have the skeleton. Of their values only the first byte is looked at.

    The skeleton was learned from the first of them.
    """
    rows, colons = lines.with_count(rows, len(skeleton.keys))
    found = Match(skeleton, rows, colons, np.empty(colons.shape[::-1], np.uint8))
    octets = lines.octets
    good = _look(lines, found)
    good &= colons[:, 0] - skeleton.keys[0].before == lines.starts[rows]
    ends = lines.ends[rows] - len(skeleton.tail)
    good &= (found.starts(len(skeleton.keys) - 1) < lines.ends[rows]) & ~_is_open_end(octets[ends - 1])
    for place, octet in enumerate(skeleton.tail):
        good &= octets[ends + place] == octet
    for place, key in enumerate(skeleton.keys):
        opens = found.initials[place] == ord("{")
        good &= opens if key.is_object else ~opens
        if key.closes:
            good &= ~_is_open_end(octets[colons[:, place] - key.before - 1])
    if good.all():
        return found
    return Match(skeleton, rows[good], colons[good], found.initials[:, good])


def _look(lines: Lines, found: Match) -> Flags:
    """Where the text of each key stands before its value; fills in the first byte of each value.

    Windows that end at the value are compared in words of eight bytes.
    """
    texts = [key.text for key in found.skeleton.keys]
    shifts = np.array([len(key.text) - key.before for key in found.skeleton.keys])
    width = 8 * -(-max(map(len, texts)) // 8)
    good = np.zeros(len(found.rows), bool)
    if width > len(lines.chunk):
        return good
    windows = np.ndarray((len(lines.chunk) - width + 1,), f"V{width}", lines.chunk, strides=(1,))
    words = np.frombuffer(b"".join(text.rjust(width, b"\0") for text in texts), "<u8")
    masks = np.frombuffer(b"".join((b"\xff" * len(text)).rjust(width, b"\0") for text in texts), "<u8")
    for begin in range(0, len(good), _TILE):
        tile = slice(begin, begin + _TILE)
        starts = found.colons[tile] + shifts
        found.initials[:, tile] = lines.octets.take(starts, mode="clip").T
        starts -= width
        if begin == 0:
            early = starts[:, 0] < 0  # here a window would begin before the chunk
            np.maximum(starts, 0, out=starts)
        seen = windows[starts].view("<u8").reshape(len(starts), -1)
        seen &= masks
        good[tile] = (seen == words).all(axis=1)
    for index in np.flatnonzero(early):
        good[index] = index == 0 or learn(lines.line(int(found.rows[index]))) == found.skeleton
    return good


def _is_open_end(octets: Bytes) -> Flags:
    """A byte that may not stand before a closing brace: a comma, or a blank, which might hide one."""
    is_open: Flags = (octets == ord(",")) | (octets == ord(" ")) | (octets == ord("\t")) | (octets == ord("\r"))
    return is_open
