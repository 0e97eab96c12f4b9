"""How facts are put into words: durations, amounts, and what something waits for."""

from ml_exporter.vitals.windows import Shortage

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def duration(seconds: float) -> str:
    """A duration in its two largest units, rounded to the second.

    >>> duration(22_320), duration(172_800), duration(0.2), duration(-60)
    ('6h 12m', '2d', '0s', '0s')
    """
    left, parts = max(0, round(seconds)), []
    for size, unit in _UNITS:
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts[:2]) or "0s"


def amount(value: float) -> str:
    """A number without needless digits.

    >>> amount(1234.0), amount(0.5), amount(12.3456)
    ('1,234', '0.5', '12.35')
    """
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"


def waiting(found: Shortage) -> str:
    """What something waits for; what it has is rounded down, so that it never reads as enough.

    >>> waiting(Shortage(119.99, 200, "rows"))
    'waiting for 119 of 200 rows'
    """
    return f"waiting for {int(found.have):,} of {amount(found.need)} {found.what}"
