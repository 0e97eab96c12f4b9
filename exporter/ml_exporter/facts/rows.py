"""Single rows: refused ones by source and reason, and the last outliers."""

from collections.abc import Iterable, Mapping

from ml_exporter.facts.answers import Outlier, OutlierFacts, Rejection, Value
from ml_exporter.facts.views import View
from ml_exporter.outlying import KEPT
from ml_exporter.records import Role

ALLOW = "Single rows may hold personal data and are not shown. `web: {samples: true}` in the configuration allows it."
REASONS: Mapping[str, tuple[str, str]] = {
    "malformed": ("it is no record of the source's format", "Look at the line where the dead-letter file says."),
    "wrong_type": ("a value that a row needs has the wrong type", "Compare the columns of the source with the log."),
    "missing_column": ("a value that a row needs is absent", "Compare the columns of the source with the log."),
    "bad_timestamp": ("its time cannot be read", "Write ISO 8601 with a zone, or seconds to nanoseconds since 1970."),
    "too_long": ("it is longer than the source allows", "Raise `max_line_bytes` of the source."),
    "no_model": ("no configured model wants it", "Compare `model` and `where` of the configuration with the log."),
    "future": ("its time is ahead of the clock", "Compare the clocks; `future_tolerance` says how far it may be."),
    "before_windows": (
        "it is older than any window, and came before the first row that counts",
        "Nothing: the log began long ago.",
    ),
    "too_late": ("its time is older than any window reaches", "Read old logs in the order of time, or not at all."),
}
"""What each reason means, and what to do about it."""
OUTLIERS: Mapping[str, str] = {
    "": "for any reason",
    "range": "a value far beyond its range in the reference, or a category that the reference does not know",
    "distance": "values that do not go together as in the reference",
    "prediction": "a number, or a score of its class, far beyond its range in the reference",
}


def rejections(counted: Mapping[str, int], by_role: Mapping[tuple[Role | None, str], int]) -> tuple[Rejection, ...]:
    """Refused rows by reason, the most frequent first."""
    found = sorted(
        ((count, reason) for reason, count in counted.items() if count), key=lambda item: (-item[0], item[1])
    )
    return tuple(Rejection(reason, count, *REASONS[reason], _roles(reason, by_role)) for count, reason in found)


def _roles(reason: str, by_role: Mapping[tuple[Role | None, str], int]) -> Mapping[str, int]:
    roles: tuple[Role | None, ...] = ("predictions", "labels", None)
    counts = {role or "unknown": by_role.get((role, reason), 0) for role in roles}
    return {role: count for role, count in counts.items() if count}


def outlier_facts(view: View, values: Iterable[Value], samples: bool) -> OutlierFacts:
    """The outliers of a model; `values` are those of the whole model."""
    kept, looked_for = view.counts.outliers, view.known.baseline.layout.joint is not None
    last = tuple(Outlier(item.id, item.time_us / 1e6, item.version, item.reasons) for item in reversed(kept))
    since = f"The last {KEPT} that were read since the exporter started or its configuration was changed."
    return OutlierFacts(
        view.at_us / 1e6,
        view.known.name,
        OUTLIERS,
        tuple(item for item in values if item.metric == "ml_prediction_outlier_ratio"),
        None if looked_for else "the baseline knows nothing of whole rows: make it again with `ml-exporter baseline`",
        samples,
        len(kept),
        last if samples else (),
        since if samples else ALLOW,
    )
