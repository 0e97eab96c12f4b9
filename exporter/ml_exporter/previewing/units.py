"""Numbers as Grafana writes them, in the units known here. Any other unit is written behind the number."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

_SHORT = ((1.0, ""), (1e3, " K"), (1e6, " Mil"), (1e9, " Bil"), (1e12, " Tri"))
_SECONDS = ((1e-9, " ns"), (1e-6, " µs"), (1e-3, " ms"), (1.0, " s"), (60.0, " min"), (3600.0, " h"), (86400.0, " d"))
_BYTES = ((1.0, " B"), (1024.0, " KiB"), (1024.0**2, " MiB"), (1024.0**3, " GiB"), (1024.0**4, " TiB"))
_DECIMAL = ((1.0, " B"), (1e3, " kB"), (1e6, " MB"), (1e9, " GB"), (1e12, " TB"))
_PER_SECOND = {
    "reqps": " req/s", "ops": " ops/s", "rps": " rd/s", "wps": " wr/s", "cps": " c/s", "eps": " evt/s", "mps": " msg/s",
    "recps": " rec/s",
}  # fmt: skip
_SPECIAL = {"none": "", "": "", "percent": "%", "string": "", "locale": "", "bool": "", "sishort": ""}


@dataclass(frozen=True)
class Scale:
    """A number is divided by the factor; the suffix says what remains."""

    factor: float
    suffix: str


def scale(unit: str, magnitude: float) -> Scale:
    """How numbers up to a magnitude are written.

    >>> scale("s", 7200.0), scale("percentunit", 0.3).suffix
    (Scale(factor=3600.0, suffix=' h'), '%')
    """
    if unit == "percentunit":
        return Scale(0.01, "%")
    steps = _steps(unit)
    if steps:
        plain = next(step for step in steps if step[0] == (1000.0 if unit.endswith("ms") else 1.0))
        fitting = [step for step in steps if magnitude >= step[0] * 0.9995] or [steps[0]]
        factor, suffix = fitting[-1] if magnitude and math.isfinite(magnitude) else plain
        return Scale(factor, suffix)
    if unit.startswith("suffix:"):
        return Scale(1.0, unit[7:])
    return Scale(1.0, _SPECIAL.get(unit, f" {unit}"))


def _steps(unit: str) -> tuple[tuple[float, str], ...]:
    if unit in _PER_SECOND:
        return tuple((factor, suffix + _PER_SECOND[unit]) for factor, suffix in ((1.0, ""), (1e3, "K"), (1e6, "M")))
    if unit in ("s", "dtdurations", "clocks"):
        return _SECONDS
    if unit in ("ms", "dtdurationms"):
        return tuple((factor * 1000, suffix) for factor, suffix in _SECONDS)
    return {"short": _SHORT, "bytes": _BYTES, "decbytes": _DECIMAL}.get(unit, ())


def written(value: float, unit: str = "none", decimals: int | None = None) -> str:
    """A number with its unit.

    >>> written(0.7341, "percentunit"), written(5400, "s"), written(12345, "short"), written(3, "none")
    ('73.4%', '1.5 h', '12.3 K', '3')
    """
    if math.isnan(value):
        return "no value"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit.startswith("dateTime"):
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    if unit in ("bool", "bool_yes_no", "bool_on_off"):
        return {"bool": ("false", "true"), "bool_yes_no": ("no", "yes")}.get(unit, ("off", "on"))[bool(value)]
    found = scale(unit, abs(value))
    return _digits(value / found.factor, decimals) + found.suffix


def _digits(value: float, decimals: int | None) -> str:
    """Three significant digits, and all before the point."""
    if decimals is None:
        size = math.floor(math.log10(abs(value))) if value else 0
        decimals = min(max(2 - size, 0), 6)
        text = f"{value:.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.{decimals}f}"
