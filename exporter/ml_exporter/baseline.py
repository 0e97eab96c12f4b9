"""The baseline: what a model looked like on reference data, as a reviewable JSON text.

A baseline is a vector like any other, with the layout it was counted in, and the noise of every statistic over the
reference's own windows. It is a value: text in, value out, and the same value gives the same text, byte for byte.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ml_exporter.config import Model, Time, kinds
from ml_exporter.errors import BaselineError, Problem, shown
from ml_exporter.joint import Joint, joint_from_json, joint_to_json
from ml_exporter.layout import REPEATS, Align, CategoryBins, FeatureBins, Layout, NumericBins, Vector
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.tasks import Binary, Multiclass, Task, bins_of, names_of, read_task
from ml_exporter.units import LABEL_STATES

FORMAT = 1
SCORE = "__score__"
SELECTION = "__selection__"
"""Name under which the bins and the noise of the score's PSI are kept, beside features that may be called `score`."""
LATER_SLICES = ("residuals", REPEATS)
"""Slices that artefacts of earlier releases lack. Without any count in them they are left out."""
_OF_ROWS = ("outliers", "reconstruction")
"""Slices of whole rows: they stand with what was learned of those."""
_AGAIN = "Make the baseline again with `ml-exporter baseline`"


@dataclass(frozen=True)
class PsiNoise:
    """T = PSI(window, rest) / (1/n + 1/(M - n)) over the reference's own windows.

    How many windows, mean and variance of T, and the mean of T / (B - 1).
    """

    windows: int
    mean: float
    variance: float
    overdispersion: float


@dataclass(frozen=True)
class JsNoise:
    """T = 8 ln 2 · js(window, rest)² / (1/n + 1/(M - n)) over the reference's own windows.

    How many windows, mean, variance and least of T.
    """

    windows: int
    mean: float
    variance: float
    least: float


@dataclass(frozen=True)
class SpreadNoise:
    """Logarithms of the standard deviation of z within the reference's own windows.

    How many windows, mean and variance of the logarithm, and mean number of values.
    """

    windows: int
    mean: float
    variance: float
    rows: float


@dataclass(frozen=True)
class Independent:
    """What KS or Wasserstein of a feature would show over independent rows (`statistics.chains.Chain`)."""

    sigma: float
    skewness: float
    comparisons: float


@dataclass(frozen=True)
class Phi:
    """Mean of (value - mean)^2 / SE^2 over the reference's windows, at least 1.

    `windows` is how many independent ones they are worth.
    """

    windows: int
    phi: float


@dataclass(frozen=True)
class Noise:
    """What the reference's own windows of one length show.

    PSI by feature (and `SCORE`, and of labelled against unlabelled rows as `SELECTION`), phi by statistic, the
    Jensen-Shannon distance and the spread by feature. Skewness is at least 0, and there only for statistics whose
    critical values need it.
    """

    psi: Mapping[str, PsiNoise]
    phi: Mapping[str, Phi]
    js: Mapping[str, JsNoise] = field(default_factory=dict)
    spread: Mapping[str, SpreadNoise] = field(default_factory=dict)
    skew: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Baseline:
    """The reference of a model.

    `groups` maps fine bins to the bins of PSI, by feature and `SCORE`; times are microseconds.
    """

    model: str
    layout: Layout
    vector: Vector
    groups: Mapping[str, tuple[int, ...]]
    noise: Mapping[str, Noise]
    start_us: int
    end_us: int
    maturity_seconds: float | None
    hour_seconds: float
    day_seconds: float
    window_seconds: Mapping[str, float]
    summary: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    segments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The most frequent values of each segment, which always have a name."""
    independent: Mapping[str, Mapping[str, Independent]] = field(default_factory=dict)
    """Of each numeric feature that varies, `ks` and `wasserstein`."""

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits over everything that the exporter computes with."""
        return hashlib.sha256(json.dumps(_document(self), sort_keys=True).encode()).hexdigest()[:12]

    def noise_of(self, window: str) -> Noise:
        """The noise of a window length; empty where the reference was too short for it."""
        return self.noise.get(window, Noise({}, {}))


def dump(baseline: Baseline) -> str:
    """The artefact's text: one line a value, so that a reviewer's diff shows what changed."""
    document = {"format": FORMAT, "fingerprint": baseline.fingerprint, "summary": dict(baseline.summary)}
    document["warnings"] = list(baseline.warnings)
    return _pretty(document | _document(baseline)) + "\n"


def load(text: str, where: str) -> Baseline:
    """The baseline in a text that `dump` wrote.

    Raises BaselineError when it is damaged, edited, or of another format.
    """
    try:
        document = json.loads(text)
        found = document["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise BaselineError([Problem(where, "a baseline made by ml-exporter", shown(str(error)), _AGAIN)]) from error
    if found != FORMAT:
        raise BaselineError([Problem(where, f"baseline format {FORMAT}", shown(found), _AGAIN)])
    try:
        baseline = _read(document)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise BaselineError(
            [Problem(where, "a complete baseline", f"{type(error).__name__}: {error}", _AGAIN)]
        ) from error
    if baseline.fingerprint != document.get("fingerprint"):
        got = f"{shown(document.get('fingerprint'))}, but its content has {baseline.fingerprint}"
        raise BaselineError([Problem(f"{where}.fingerprint", "the fingerprint of the content", got, _AGAIN)])
    return baseline


def aligned(baseline: Baseline, align: Align) -> Baseline:
    """The baseline in the layout that counts quality by the prediction's or the label's time.

    An artefact knows no alignment: over the whole reference both are the same.
    """
    old = baseline.layout
    if old.align == align:
        return baseline
    new = replace(old, align=align)
    vector = new.zeros()
    for item in new.slices:
        if item.name != "arrived":
            part = old.by_name[item.name]
            vector[item.start : item.start + item.size] = baseline.vector[part.start : part.start + part.size]
    if "arrived" in new.by_name:
        histogram = old.cells(baseline.vector, "scores")["histogram"]
        by_label = histogram.reshape(len(old.classes), len(LABEL_STATES), -1).sum(axis=0)
        new.cells(vector, "arrived")["histogram"][:] = by_label[1:].ravel()
    return replace(baseline, layout=new, vector=vector)


def misfits(baseline: Baseline, name: str, model: Model, time: Time) -> Iterator[Problem]:
    """Everything in which the baseline and the configuration of a model contradict each other."""
    layout = baseline.layout
    pairs: list[tuple[str, object, object]] = [
        ("time.hour", float(time.hour), baseline.hour_seconds),
        ("time.day", float(time.day), baseline.day_seconds),
        (f"models.{name}", name, baseline.model),
        (f"models.{name}.task", model.task, layout.task.name),
        (f"models.{name}.classes", list(model.classes), list(layout.classes)),
        *_task_pairs(name, model, layout.task),
    ]
    have = {item.name: item for item in layout.features}
    wanted = kinds(model)
    pairs.append((f"models.{name}.features", sorted(wanted), sorted(have)))
    for feature in (item for item in wanted if item in have):
        item = have[feature]
        where = f"models.{name}.features.{wanted[feature]}.{feature}"
        kind = "numeric" if isinstance(item, NumericBins) else "categorical"
        pairs.append((where, wanted[feature], kind))
        if isinstance(item, NumericBins) and wanted[feature] == "numeric":
            pairs.append((f"{where}.range", feature_range(model, feature), (item.low, item.high)))
    for where, configured, kept in pairs:
        if configured != kept:
            yield Problem(where, f"{shown(kept)} as in the baseline", shown(configured), _AGAIN)
    if float(model.latency.limit) not in layout.latency_bounds:
        got = f"{float(model.latency.limit):g}s"
        yield Problem(f"models.{name}.latency.limit", "the limit that the baseline was made with", got, _AGAIN)


def _task_pairs(name: str, model: Model, task: Task) -> Iterator[tuple[str, object, object]]:
    if isinstance(task, Binary):
        yield f"models.{name}.decision_threshold", model.decision_threshold, task.decision_threshold
    if isinstance(task, Multiclass):
        kept = list(task.classes) if task.class_score_edges else []
        scores = model.predictions.columns.scores
        yield f"models.{name}.predictions.columns.scores", [item for item in model.classes if item in scores], kept


def feature_range(model: Model, feature: str) -> tuple[float, float]:
    """The configured range of a numeric feature, infinite where it is open."""
    settings = model.features.numeric[feature]
    low, high = settings.range if settings and settings.range else (None, None)
    return (-np.inf if low is None else float(low), np.inf if high is None else float(high))


def _document(baseline: Baseline) -> dict[str, Any]:
    layout = baseline.layout
    head = {
        item.name: _counts(layout, baseline.vector, item.name)
        for item in layout.slices
        if not item.name.startswith(FEATURE_PREFIX) and item.name not in ("arrived", *_OF_ROWS)
    }
    head = {name: counts for name, counts in head.items() if name not in LATER_SLICES or np.any(counts["rows"])}
    segments = {name: list(values) for name, values in baseline.segments.items()}
    independent = {
        name: {kind: vars(item) for kind, item in known.items()} for name, known in baseline.independent.items()
    }
    return {
        "model": baseline.model,
        **names_of(layout.task),
        "reference": {
            "start_us": baseline.start_us,
            "end_us": baseline.end_us,
            "maturity_seconds": baseline.maturity_seconds,
        },
        "time": {"hour": baseline.hour_seconds, "day": baseline.day_seconds, "windows": dict(baseline.window_seconds)},
        "features": {item.name: _feature(baseline, item) for item in layout.features},
        **bins_of(layout.task),
        "score_psi_groups": list(baseline.groups[SCORE]),
        "latency_bounds": list(layout.latency_bounds),
        "delay_bounds": list(layout.delay_bounds),
        "head": head,
        "noise": {window: _noise(item) for window, item in baseline.noise.items()},
        **({"segments": segments} if segments else {}),
        **({"independent": independent} if independent else {}),
        **({"joint": _joint(baseline, layout.joint)} if layout.joint else {}),
    }


def _joint(baseline: Baseline, joint: Joint) -> dict[str, Any]:
    layout = baseline.layout
    numeric = tuple(item.name for item in layout.features if isinstance(item, NumericBins))
    counts = {name: _counts(layout, baseline.vector, name) for name in _OF_ROWS if name in layout.by_name}
    return joint_to_json(joint, numeric) | {"counts": counts}


def _feature(baseline: Baseline, item: FeatureBins) -> dict[str, Any]:
    counts = _counts(baseline.layout, baseline.vector, FEATURE_PREFIX + item.name)
    groups = list(baseline.groups[item.name])
    if isinstance(item, CategoryBins):
        return {"kind": "categorical", "categories": list(item.categories), "psi_groups": groups, "counts": counts}
    low, high = (None if np.isinf(bound) else bound for bound in (item.low, item.high))
    units = {"centre": item.centre, "scale": item.scale, "range": [low, high]}
    return {"kind": "numeric", **units, "edges": list(item.edges), "psi_groups": groups, "counts": counts}


def _counts(layout: Layout, vector: Vector, name: str) -> dict[str, Any]:
    cells = layout.cells(vector, name)
    return {key: int(value[0]) if len(value) == 1 else value.tolist() for key, value in cells.items()}


def _noise(noise: Noise) -> dict[str, Any]:
    psi = {key: vars(item) for key, item in noise.psi.items()}
    asked = {"js": noise.js, "spread": noise.spread}
    return {
        "psi": psi,
        "phi": {key: vars(item) for key, item in noise.phi.items()},
        **{name: {key: vars(item) for key, item in found.items()} for name, found in asked.items() if found},
        **({"skew": dict(noise.skew)} if noise.skew else {}),
    }


def _read(document: dict[str, Any]) -> Baseline:
    features = tuple(_read_feature(name, item) for name, item in document["features"].items())
    layout = Layout(
        read_task(document),
        tuple(document["latency_bounds"]),
        tuple(document["delay_bounds"]),
        features,
        joint=joint_from_json(document["joint"]) if "joint" in document else None,
    )
    vector = layout.zeros()
    counts = document["head"] | {FEATURE_PREFIX + name: item["counts"] for name, item in document["features"].items()}
    counts |= document["joint"]["counts"] if layout.joint else {}
    for item in layout.slices:
        if item.name in LATER_SLICES and item.name not in counts:
            continue
        for key, cells in layout.cells(vector, item.name).items():
            cells[:] = counts[item.name][key]
    groups = {name: tuple(item["psi_groups"]) for name, item in document["features"].items()}
    groups[SCORE] = tuple(document["score_psi_groups"])
    noise = {}
    for window, item in document["noise"].items():
        psi = {key: PsiNoise(**value) for key, value in item["psi"].items()}
        phi = {key: Phi(**value) for key, value in item["phi"].items()}
        js = {key: JsNoise(**value) for key, value in item.get("js", {}).items()}
        spread = {key: SpreadNoise(**value) for key, value in item.get("spread", {}).items()}
        skew = {key: float(value) for key, value in item.get("skew", {}).items()}
        noise[window] = Noise(psi, phi, js, spread, skew)
    reference, time = document["reference"], document["time"]
    span = (reference["start_us"], reference["end_us"], reference["maturity_seconds"])
    times = (time["hour"], time["day"], time["windows"])
    return Baseline(
        document["model"],
        layout,
        vector,
        groups,
        noise,
        *span,
        *times,
        document["summary"],
        tuple(document["warnings"]),
        {name: tuple(values) for name, values in document.get("segments", {}).items()},
        {
            name: {kind: Independent(**item) for kind, item in known.items()}
            for name, known in document.get("independent", {}).items()
        },
    )


def _read_feature(name: str, item: dict[str, Any]) -> FeatureBins:
    if item["kind"] == "categorical":
        return CategoryBins(name, tuple(item["categories"]))
    low, high = item["range"]
    bounds = (-np.inf if low is None else float(low), np.inf if high is None else float(high))
    return NumericBins(name, tuple(item["edges"]), item["centre"], item["scale"], *bounds)


def _pretty(value: Any, indent: str = "") -> str:
    """JSON with a line for each key; a list without mappings stays on one line."""
    if isinstance(value, dict) and value:
        deeper = indent + "  "
        rows = [f"{deeper}{json.dumps(key)}: {_pretty(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + "\n" + indent + "}"
    return json.dumps(value)
