"""A vital as a row of a table: its value, what it is judged by, and the reason where something is missing, in words."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..facts.answers import Since, Value
from ..facts.judging import KNOWN_VALUES, MARGIN, cannot_be_judged, is_beyond
from ..vitals.windows import REFERENCE
from .words import duration, number, share, utc

_TITLES = {
    "ml_feature_null_ratio": "Nulls",
    "ml_feature_invalid_ratio": "Unreadable values",
    "ml_feature_out_of_range_ratio": "Out of range",
    "ml_feature_unseen_category_ratio": "Unseen categories",
    "ml_prediction_outlier_ratio": "Outliers",
    "ml_window_rows": "Predictions",
    "ml_window_latency_seconds": "Latency",
}
_PREFIXES = ("ml_", "feature_", "prediction_", "window_")
_SUFFIXES = ("_ratio", "_seconds", "_sigmas")
_SPELLED = {"psi": "PSI", "js": "JS", "ks": "KS", "f1": "F1", "roc": "ROC", "auc": "AUC", "r2": "R²"}
_REASONS = {"interval": "no interval: {}", "estimated": "no estimate: {}", "critical": "no noise floor: {}"}
_DAY, _HOUR = 86400, 3600
_KNOWN_FROM_PAGE = ("feature", "segment_by", "segment")


@dataclass(frozen=True)
class Row:
    """A vital as it is shown. `beyond` is whether it is beyond what it is judged by; None where it is not judged."""

    title: str
    about: str
    """Which one of several: a class, a quantile, a reason; a text from a log perhaps."""
    metric: str
    meaning: str
    window: str
    value: str
    interval: str
    limit: str
    """What it is judged by, in words."""
    reference: str
    notes: tuple[str, ...]
    """Why something is missing, and what else it can be compared with."""
    beyond: bool | None
    since: str
    """Since when it is beyond, in words."""
    no_control: str
    """Why it has no control limits."""


def rows_of(values: Iterable[Value]) -> tuple[Row, ...]:
    """Vitals as rows, in their order."""
    return tuple(map(_row, values))


def title(metric: str) -> str:
    """A metric's name in words.

    >>> title("ml_feature_psi"), title("ml_window_latency_over_limit_ratio"), title("ml_roc_auc")
    ('PSI', 'Latency over limit', 'ROC AUC')
    """
    if metric in _TITLES:
        return _TITLES[metric]
    short = metric
    for prefix in _PREFIXES:
        short = short.removeprefix(prefix)
    for suffix in _SUFFIXES:
        short = short.removesuffix(suffix)
    words = " ".join(_SPELLED.get(word, word) for word in short.split("_"))
    return words[:1].upper() + words[1:]


def text(value: Value, amount: float | None) -> str:
    """An amount in the unit of a vital."""
    return {"ratio": share, "seconds": duration}.get(value.unit, number)(amount)


def since(found: Since | None) -> str:
    """Since when, in words; empty where nobody knows.

    >>> since(Since(1_700_006_400.0, "day", True, None)), since(Since(1_700_010_000.0, "hour", False, 0.0))
    ('since 2023-11-15 or earlier', 'since 2023-11-15 01:00 UTC')
    """
    if found is None:
        return ""
    when = utc(found.at)
    when = when[:10] if found.at % _DAY == 0 and found.span == "day" else when
    when = f"{when[:16]} UTC" if found.at % _HOUR == 0 and found.span == "hour" else when
    return f"since {when}{' or earlier' if found.or_earlier else ''}"


def _row(value: Value) -> Row:
    about = ", ".join(filter(None, (_label(key, item) for key, item in value.labels.items())))
    with_interval = value.lower is not None and value.upper is not None
    return Row(
        title(value.metric),
        about,
        value.metric,
        value.meaning,
        value.window,
        text(value, value.value),
        f"{text(value, value.lower)} to {text(value, value.upper)}" if with_interval else "",
        _limit(value),
        "" if value.baseline is None else text(value, value.baseline),
        tuple(_notes(value)),
        is_beyond(value),
        since(value.since),
        value.missing.get("control", ""),
    )


def _label(key: str, item: str) -> str:
    """A label in words; nothing for what the page says anyway."""
    if key in _KNOWN_FROM_PAGE or (key, item) == ("baseline", REFERENCE):
        return ""
    named = {"class": item, "baseline": f"against {item.replace('_', ' ')}", "q": f"quantile {item}"}
    return named.get(key, f"{key} {item}")


def _limit(value: Value) -> str:
    """What a vital is judged by, in words: the noise floor first, then its control limits."""
    words = []
    if cannot_be_judged(value):
        words.append("varies too much to be judged")
    elif value.critical is not None:
        noise, middle = value.critical, value.baseline or 0.0
        most = text(value, noise)
        words.append(
            {
                "either side": f"±{most}",
                "excess": f"up to {text(value, middle + noise)}",
                "difference": f"{text(value, middle - noise)} to {text(value, middle + noise)}",
                "factor": f"{text(value, 1 / noise if noise else None)} to {most}",
            }.get(value.judged or "above", f"up to {most}")
        )
    if value.metric in KNOWN_VALUES and value.value is not None:
        words.append(f"up to {text(value, (value.baseline or 0.0) + MARGIN)}")
    if value.area == "quality" and None not in (value.baseline, value.lower, value.upper):
        words.append("the reference")
    if value.control is not None:
        words.append(f"control limits {text(value, value.control.lower)} to {text(value, value.control.upper)}")
    return "; ".join(words)


def _notes(value: Value) -> Iterator[str]:
    for what, reason in value.missing.items():
        if what != "control":
            yield _REASONS.get(what, "{}").format(reason)
    if value.previous_30d is not None:
        yield f"30 days before: {text(value, value.previous_30d)}"
    if value.estimated is not None:
        error = "" if value.estimated_error is None else f" ± {text(value, value.estimated_error)}"
        yield f"estimated without labels: {text(value, value.estimated)}{error}"
