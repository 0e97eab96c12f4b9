"""Values as a page says them: numbers, shares, times, durations, and names that come from logs.

What is not there, and what is no number, is a dash. Names are hostile: they are cut, isolated from the direction of the
text around them, and what a reader could not see in them is made visible.
"""

import math
import unicodedata
from datetime import UTC, datetime

from markupsafe import Markup

NONE = "–"
MOST_CHARACTERS = 120
"""How much of a name is shown."""
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def utc(seconds: float | None) -> str:
    """A time as text; a dash where there is none or no calendar reaches.

    >>> utc(1_700_000_000.9), utc(None), utc(1e30)
    ('2023-11-14 22:13:20 UTC', '–', '–')
    """
    try:
        return NONE if seconds is None else f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return NONE


def number(value: float | None) -> str:
    """A number with three digits that count, a count with all of them; what only rounding left is nothing.

    >>> number(1234567), number(0.123456), number(-2.0), number(1e300), number(2e-17), number(None)
    ('1,234,567', '0.123', '-2', '1e+300', '0', '–')
    """
    if value is None or not math.isfinite(value):
        return NONE
    if abs(value) < 1e-12:
        return "0"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.3g}"


def share(value: float | None) -> str:
    """A ratio as percent. A small one is never shown as nothing, nor one short of the whole as the whole.

    >>> share(0.1234), share(0.0), share(0.00001), share(0.99999), share(1.0), share(None)
    ('12.3 %', '0 %', '< 0.1 %', '> 99.9 %', '100 %', '–')
    """
    if value is None or not math.isfinite(value):
        return NONE
    if 0 < value < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= value < 1:
        return "> 99.9 %"
    return f"{number(round(100 * value, 1))} %" if abs(value) < 10 else f"{number(100 * value)} %"


def duration(seconds: float | None) -> str:
    """A duration in its two largest units.

    >>> duration(93_784.0), duration(60.0), duration(0.0251), duration(-5.0), duration(0.0), duration(None)
    ('1 d 2 h', '1 min', '25.1 ms', '-5 s', '0 s', '–')
    """
    if seconds is None or not math.isfinite(seconds):
        return NONE
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 10:
        return f"{number(1000 * seconds)} ms" if 0 < seconds < 1 else f"{seconds:.3g} s"
    left, words = round(seconds), list[str]()
    for size, unit in _UNITS:
        count, left = divmod(left, int(size))
        if count or words:
            words.append(f"{count:,} {unit}" if count else "")
    return " ".join(word for word in words[:2] if word)


def counted(count: int, thing: str) -> str:
    """A count of things.

    >>> counted(1, "value"), counted(1200, "more feature")
    ('1 value', '1,200 more features')
    """
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def visible(text: str) -> str:
    r"""The text with its control characters, bidirectional controls and half surrogates spelled out.

    >>> visible("a\x00b\u202ec\ndé")
    'a⟨U+0000⟩b⟨U+202E⟩c⟨U+000A⟩dé'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"⟨U+{ord(c):04X}⟩" if unicodedata.category(c) in _INVISIBLE else c for c in text)


def name(text: str, most: int = MOST_CHARACTERS) -> Markup:
    """A name from a log or a configuration as markup: escaped, isolated, cut with a word about its length.

    >>> name("<b>"), name("x" * 2000, 3)
    (Markup('<bdi>&lt;b&gt;</bdi>'), Markup('<bdi>xxx…</bdi> (2,000 characters)'))
    >>> name("")
    Markup('<i>(empty)</i>')
    """
    if not text:
        return Markup("<i>(empty)</i>")
    if len(text) <= most:
        return Markup("<bdi>{}</bdi>").format(visible(text))
    return Markup("<bdi>{}…</bdi> ({:,} characters)").format(visible(text[:most]), len(text))


def plain(text: str, most: int = MOST_CHARACTERS) -> str:
    """A name where no markup can be, such as a title: as `name` without its marks, isolated by characters.

    >>> plain("temp"), plain("x" * 9, 3)
    ('temp', 'xxx…')
    """
    shown = visible(text if len(text) <= most else text[:most]) or "(empty)"
    isolated = shown if shown.isascii() else f"\u2068{shown}\u2069"
    return isolated if len(text) <= most else f"{isolated}…"
