"""What the list of models says of each."""

from collections.abc import Iterator, Mapping

from ml_exporter.catalogue import Sample
from ml_exporter.facts.answers import ModelSummary, Value
from ml_exporter.facts.answers.models import State
from ml_exporter.facts.companions import CRITICAL, area
from ml_exporter.facts.judging import is_beyond
from ml_exporter.facts.past import Past
from ml_exporter.facts.valued import Valuer, in_order, places
from ml_exporter.facts.views import View
from ml_exporter.facts.windows import matures
from ml_exporter.facts.words import duration
from ml_exporter.pipeline import learned_windows
from ml_exporter.statistics.dispersion import LEARNED_WINDOWS, state
from ml_exporter.vitals.windows import REFERENCE

PSI = "ml_feature_psi"


def summary(view: View) -> ModelSummary:
    """One model in a list."""
    known, counts = view.known, view.counts
    layout = known.baseline.layout
    strengths = drifted(view)
    return ModelSummary(
        known.name,
        known.model.task,
        known.model.team,
        known.model.tier,
        _state(view),
        view.troubles,
        tuple(_next_steps(view)),
        tuple(sorted(counts.versions_us)),
        counts.newest_us / 1e6 if counts.newest_us else None,
        counts.last_label_us / 1e6 if counts.last_label_us else None,
        {window.name: int(layout.cells(window.vector, "rows")["rows"][0]) for window in view.windows.current},
        len(layout.features),
        tuple(name for name, reached in strengths.items() if reached > 1.0),
        tuple(dict.fromkeys(value.labels["feature"] for value in _data(view) if is_beyond(value))),
        tuple(Past(view).dated(_outcome(view))),
    )


def _data(view: View) -> Iterator[Value]:
    """What says of each feature whether its values are there and can be read."""
    main = view.of_features[0].name if view.of_features else ""
    valuer = Valuer(view.known.name, view.by_series)
    for place in places(key for key in view.by_series if area(key[0]) == "data"):
        if place.window == main:
            yield valuer.value(place)


def _outcome(view: View) -> Iterator[Value]:
    """Quality and latency over one window; nothing while gauges are withheld."""
    windows = {window.name: window.seconds for window in view.windows.current}
    main = "1d" if "1d" in windows else max(windows, key=lambda name: windows[name], default="")
    keys = (key for key in view.by_series if area(key[0]) in ("quality", "latency"))
    valuer = Valuer(view.known.name, view.by_series)
    for place in in_order(places(keys)):
        if place.window == main and place.is_whole and "class" not in place.labels:
            yield valuer.value(place)


def drifted(view: View) -> Mapping[str, float]:
    """PSI over its critical value, over the longest window of features, the strongest first."""
    if not view.of_features:
        return {}
    wanted = (view.of_features[0].name, REFERENCE)
    found: dict[str, dict[str, float]] = {PSI: {}, CRITICAL[PSI].metric: {}}
    for item in view.exported.samples:
        if isinstance(item, Sample) and item.name in found and item.labels[1:3] == wanted:
            found[item.name][item.labels[3]] = item.value
    limits = found[CRITICAL[PSI].metric]
    reached = {name: value / limits[name] for name, value in found[PSI].items() if limits.get(name, 0.0) > 0}
    return dict(sorted(reached.items(), key=lambda pair: -pair[1]))


def _state(view: View) -> State:
    if view.troubles:
        return "trouble"
    if not view.counts.newest_us:
        return "no predictions"
    return "stale" if view.stale else "ok"


def _next_steps(view: View) -> Iterator[str]:
    known, source = view.known, view.known.model.predictions.source
    if view.troubles:
        yield f"Look at the source `{source}` and at the refused rows."
    elif not view.counts.newest_us:
        yield f"Wait for the first prediction, or look whether the source `{source}` names the right files."
    elif view.stale:
        since = duration((view.at_us - view.counts.newest_us) / 1e6)
        yield f"The newest prediction is {since} old: look whether the service still writes to the source `{source}`."
    elif known.has_labels:
        yield matures(view).capitalize() + "."
    trusted = state(learned_windows(known.baseline, known.model, known.time))
    if trusted != "learned":
        yield f"The noise floor is {trusted}: make the baseline of at least {LEARNED_WINDOWS} days."
    if view.exported.dropped:
        yield f"Raise `series_limit`, or watch less: {view.exported.dropped:,} series are not exported."
