r"""What one CSV cell means: the rules for every kind of value, one record at a time.

This is the slow parser's and the definition that the fast one (`csv_rows`) must meet. CSV has no types, so quotes mean
nothing but that a delimiter, a quote or a line end may follow.

- An empty cell is null, quoted or not. In columns of numbers and flags so are `NaN` (in any case, with any sign), `NA`,
  `<NA>`, `None`, `null`, `NULL` and `\N`. Texts and ids know only the empty cell: `NA` is also Namibia.
- `number`: as JSON, Python, C and SQL write it: `1`, `-0.5`, `1e-3`, `+1`, `.5`, `1.`, `007`; blanks around it are
  ignored. `true` and `false` are 1 and 0. Numbers too large for a double, `inf` and `Infinity` are infinite and not
  counted; anything else is infinite and counted as `wrong_type`: `1,5`, `1_000`, `0x10`, `12 %`.
- `flag`: `true`, `t`, `1`, `1.0` and `false`, `f`, `0`, `0.0`, also as `True` and `TRUE`; anything else is null and
  counted as `wrong_type`.
- `text`, `id` and `time`: the cell as it stands (for times see `times`), so `007` keeps its zeros.
"""

import re

NULLS = ("", "NaN", "nan", "NA", "<NA>", "None", "null", "NULL", r"\N")
"""Null in a column of numbers or flags."""
_TRUTHS = ("true", "True", "TRUE")
_FALSEHOODS = ("false", "False", "FALSE")
_FLAGS = dict.fromkeys((*_TRUTHS, "t", "1", "1.0"), True) | dict.fromkeys((*_FALSEHOODS, "f", "0", "0.0"), False)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_NOT_A_NUMBER = re.compile(r"[+-]?nan", re.ASCII | re.IGNORECASE)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
_BYTE_ORDER_MARK = "\ufeff"

Value = float | bool | str | None


def split_cells(record: str, delimiter: str) -> list[str] | None:
    """The cells of one record without its line end; None where a quote or a carriage return makes no sense.

    >>> split_cells('7,"a ""b"", c",', ",")
    ['7', 'a "b", c', '']
    >>> split_cells('7,"a"b', ",") is None
    True
    """
    if '"' not in record:
        return None if "\r" in record else record.split(delimiter)
    cells, at = [], 0
    while True:
        if record.startswith('"', at):
            cell, at = _quoted(record, at + 1)
        else:
            end = record.find(delimiter, at)
            end = len(record) if end < 0 else end
            cell, at = record[at:end], end
            if "\r" in cell or "\n" in cell:
                return None
        cells.append(cell)
        if at == len(record):
            return cells
        if at < 0 or record[at] != delimiter:
            return None
        at += 1


def _quoted(record: str, begin: int) -> tuple[str, int]:
    """A cell in quotes that starts at `begin`, and the place behind its closing quote; -1 without one."""
    end = record.find('"', begin)
    while end >= 0 and record.startswith('"', end + 1):
        end = record.find('"', end + 2)
    return (record[begin:end].replace('""', '"'), end + 1) if end >= 0 else ("", -1)


def read_number(text: str) -> tuple[float | None, bool]:
    """The number in a cell, infinite where there is none; and whether its type is wrong.

    >>> read_number("0.5"), read_number("1e400"), read_number("high"), read_number("NA")
    ((0.5, False), (inf, False), (inf, True), (None, False))
    """
    text = text.strip(" \t")
    if _NUMBER.fullmatch(text):
        number = float(text)
        return (number if abs(number) < float("inf") else float("inf")), False
    if text in NULLS or _NOT_A_NUMBER.fullmatch(text):
        return None, False
    if text in _TRUTHS or text in _FALSEHOODS:
        return float(text in _TRUTHS), False
    return float("inf"), not _INFINITE.fullmatch(text)


def read_flag(text: str) -> tuple[bool | None, bool]:
    """The flag in a cell; and whether its type is wrong."""
    if text in _FLAGS:
        return _FLAGS[text], False
    return None, text not in NULLS and not _NOT_A_NUMBER.fullmatch(text)


def without_mark(text: str) -> str:
    """A text without the byte order mark at its start."""
    return text.removeprefix(_BYTE_ORDER_MARK)
