"""Small values that the tests start from. Plain functions; the same arguments give the same value."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from ml_exporter.baseline import SCORE, Baseline, Noise
from ml_exporter.catalogue import Sample
from ml_exporter.config import Config, Model, Time, parse, window_seconds
from ml_exporter.counting import Counting, Timing
from ml_exporter.groups import group_rows
from ml_exporter.joint import Components, Joint
from ml_exporter.layout import CategoryBins, FeatureBins, Layout, NumericBins, Vector
from ml_exporter.panes import Grid
from ml_exporter.records import ARROW_TYPES, SCORE_PREFIX, Batch, Kind
from ml_exporter.segments import By
from ml_exporter.tasks import Binary, Multiclass, Regression
from ml_exporter.vectorise import make_vectoriser
from ml_exporter.vitals.drift import answers
from ml_exporter.vitals.windows import Window, Windows

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOON = 20_000 * DAY + 12 * HOUR
"""A noon in the year 2024."""

_OF_NUMBERS = ("mean_absolute_error", "root_mean_squared_error", "mean_error", "r2")
_OF_CLASSES = ("precision_macro", "recall_macro", "f1_macro", "roc_auc_macro")
_BOUNDS = [f"ml_{name}_{bound}" for name in _OF_NUMBERS for bound in ("lower", "upper")]
NOT_BINARY = frozenset(
    (
        *(f"ml_{kind}{name}" for name in (*_OF_NUMBERS, *_OF_CLASSES) for kind in ("", "baseline_")),
        *(name for name in _BOUNDS if not name.startswith("ml_r2")),
        *(f"ml_estimated_{name}{end}" for name in (*_OF_CLASSES[:3], _OF_NUMBERS[0]) for end in ("", "_error")),
        "ml_prediction_mean_shift_sigmas",
        "ml_prediction_mean_shift_critical_sigmas",
    )
)
"""Metrics that a binary model does not have."""

KINDS: Mapping[str, Kind] = {
    "timestamp": "time",
    "id": "id",
    "version": "text",
    "prediction": "text",
    "score": "number",
    "latency": "number",
    "fallback": "flag",
    "error": "flag",
    "label": "text",
    "label_timestamp": "time",
    "feature:temp": "number",
    "feature:wind": "number",
    "feature:carrier": "text",
    "segment:country": "text",
    "segment:plan": "text",
}

TEMP = NumericBins(
    "temp", (0.0, float(np.nextafter(0.0, 1.0)), 10.0, 20.0), centre=10.0, scale=5.0, low=-30.0, high=50.0
)
WIND = NumericBins("wind", (5.0,), centre=5.0, scale=0.1, low=0.0, high=np.inf)
CARRIER = CategoryBins("carrier", ("AA", "UA"))


COMPONENTS = Components(
    centres=(0.25, -0.5),
    scales=(1.0, 1.5),
    vectors=((2896, 2896), (2896, -2896)),
    weights=(10_000, 40_000),
    kept=1,
    limit=40_000 * 256**2,
)
JOINT = Joint(((-40.0, 60.0), (4.5, 5.5)), ((0.05, 0.7), (0.3, 0.95)), COMPONENTS)
"""What is known of whole rows of the binary `layout()`: two features that grow together, and scores of two classes."""


def layout(*features: FeatureBins, **changes: Any) -> Layout:
    """A binary layout of few cells, so that a failing test can be read. Without features: temp, wind and carrier.

    Changes are those of the layout or of its task.
    """
    own = {name: changes.pop(name) for name in tuple(changes) if name in Binary.__dataclass_fields__}
    task = replace(Binary(("no", "yes"), 0.5, (0.1, 0.5, 0.9)), **own)
    whole = Layout(task, (0.1, 0.5, 1.0), (60.0, 3600.0), features or (TEMP, WIND, CARRIER))
    return replace(whole, **changes)


def multiclass(*features: FeatureBins, count: int = 3, scores: bool = True, **changes: Any) -> Layout:
    """A layout of several classes named a, b, c, ... (c0, c1, ... beyond 26), of few cells."""
    names = tuple("abcdefghijklmnopqrstuvwxyz")[:count] if count <= 26 else tuple(f"c{place}" for place in range(count))
    task = Multiclass(names, (0.2, 0.5, 0.8), (0.05, 0.3, 0.5, 0.7, 0.95) if scores else ())
    return replace(layout(*features), task=task, **changes)


def regression(*features: FeatureBins, **changes: Any) -> Layout:
    """A layout of a number, of few cells."""
    task = Regression((0.0, 5.0, 10.0), 5.0, 2.0, (-1.0, 0.0, 1.0), 0.1, 4.0, 3.0)
    return replace(layout(*features), task=task, **changes)


def table(rows: Iterable[Mapping[str, Any]], *, columns: Iterable[str] | None = None) -> pa.Table:
    """Rows in the encoding of `records`. Columns that no row has are absent; a value that a row lacks is null.

    Without rows, every column is there.
    """
    rows = list(rows)
    scores = sorted({name for row in rows for name in row if name.startswith(SCORE_PREFIX)})
    found = [name for name in KINDS if not rows or any(name in row for row in rows)] + scores
    names = found if columns is None else list(columns)
    arrays = [pa.array([row.get(name) for row in rows], ARROW_TYPES[_kind(name, rows)]) for name in names]
    return pa.table(arrays, names=names)


def _kind(name: str, rows: list[Mapping[str, Any]]) -> Kind:
    """Kind of a column; predictions and labels that are floats are those of a regression."""
    values = [row[name] for row in rows if row.get(name) is not None]
    number = name in ("prediction", "label") and values and all(isinstance(value, float) for value in values)
    return "number" if number or name.startswith(SCORE_PREFIX) else KINDS[name]


def batch(rows: Iterable[Mapping[str, Any]]) -> Batch:
    """A batch in which nothing was lost."""
    found = table(rows)
    return Batch(found, found.num_rows)


def prediction(time_us: int, number: int, **changes: Any) -> dict[str, Any]:
    """One prediction; its values follow from its number."""
    score = (number * 37 % 101) / 100
    row = {
        "timestamp": time_us,
        "id": f"p{number}",
        "version": "v1",
        "prediction": "yes" if score >= 0.5 else "no",
        "score": score,
        "latency": (number * 13 % 40) / 20,
        "feature:temp": float(number * 7 % 40 - 10),
        "feature:wind": None if number % 10 == 0 else number * 3 % 11 + 0.25,
        "feature:carrier": ("AA", "UA", "DL", None)[number % 4],
    }
    return row | changes


def label(time_us: int, number: int, actual: str = "yes") -> dict[str, Any]:
    """The label of the prediction of that number."""
    return {"timestamp": time_us, "id": f"p{number}", "label": actual}


CONFIG = """
sources:
  predictions: {files: predictions.jsonl}
  labels: {files: labels.jsonl}
models:
  flights:
    task: binary
    team: ops
    baseline: flights.baseline.json
    classes: ["no", "yes"]
    latency: {limit: 500ms}
    predictions:
      source: predictions
      columns: {version: version, prediction: prediction, score: score, latency: latency}
    labels: {source: labels, maturity: 30m}
    features:
      numeric: {temp: {range: [-30, 50]}, wind: {range: [0, null]}}
      categorical: {carrier: }
"""


def config() -> Config:
    """One model, `flights`, with labels, whose layout is `layout()`."""
    return parse(CONFIG)


def model(**changes: Any) -> Model:
    """The model of `config()`, changed."""
    return replace_section(config().models["flights"], **changes)


def replace_section(section: Any, **changes: Any) -> Any:
    """A section of a configuration with other values."""
    fields = {name: getattr(section, name) for name in section.__struct_fields__}
    return type(section)(**(fields | changes))


def timing(maturity_seconds: float = 1800.0, **changes: int) -> Timing:
    """The times of `config()`: minutes, hours, one minute to settle."""
    settings = config()
    found = Timing.of(settings.models["flights"], settings.time, settings.sources["predictions"], maturity_seconds)
    return replace(found, **changes)


def counting(found: Layout | None = None, *, bys: tuple[By, ...] = (), **changes: int) -> Counting:
    """An empty count of the model of `config()`, perhaps with segments."""
    return Counting(found or layout(), timing(**changes), has_labels=True, bys=bys)


def grid(pane_us: int = MINUTE, hour_us: int = HOUR) -> Grid:
    """Minutes and hours."""
    return Grid(pane_us, hour_us)


def vector(found: Layout, rows: Iterable[Mapping[str, Any]], actual: Mapping[str, Any] | None = None) -> Vector:
    """The vector of rows, and of labels by id that came an hour later."""
    source = table(rows)
    vectoriser = make_vectoriser(found)
    _, groups = group_rows(np.zeros(source.num_rows, np.int64))
    matrix, scored, *_ = vectoriser.predictions(source, groups, joinable=True)
    total: Vector = matrix.sum(axis=0)
    if actual:
        have = np.array([name in actual for name in source.column("id").to_pylist()])
        known = [actual[name] for name in source.column("id").to_pylist() if name in actual]
        again = vectoriser.scored(scored.predicted[have], scored.scores[have])
        delays = np.full(len(known), 3600.0)
        values = vectoriser.actual(pa.chunked_array([known]))
        total = total + vectoriser.labels(again, values, delays, groups.take(have)).sum(axis=0)
    return total


def baseline(found: Layout | None = None, cells: Vector | None = None, **changes: Any) -> Baseline:
    """A baseline whose bins of PSI are the bins themselves, and nothing learned about noise."""
    found = found or layout()
    cells = (
        vector(found, (prediction(NOON + number * MINUTE, number) for number in range(400))) if cells is None else cells
    )
    groups = {
        item.name: tuple(range(len(found.cells(cells, f"feature:{item.name}")["bins"]))) for item in found.features
    }
    groups[SCORE] = tuple(range(len(answers(found, cells))))
    noise: dict[str, Noise] = {}
    reference = (NOON, NOON + 400 * MINUTE, 1800.0)
    whole = Baseline("flights", found, cells, groups, noise, *reference, 3600.0, 86400.0, {}, {"rows": 400})
    return replace(whole, **changes)


def windows(
    vector: Vector, *, matured: bool = False, name: str = "1d", alpha: float = 0.01, limit_seconds: float = 0.5
) -> Windows:
    """One window with this vector, current or matured; feature gauges are computed over `1d`."""
    window = (Window(name, window_seconds(name, Time()), NOON - DAY, NOON, vector),)
    return Windows("flights", () if matured else window, window if matured else (), ("1d",), alpha, limit_seconds)


def values(samples: Iterable[Sample]) -> dict[tuple[str, ...], float]:
    """Samples by name and labels, without the model. Refuses a series that comes twice."""
    found = list(samples)
    keyed = {(item.name, *item.labels[1:]): item.value for item in found}
    assert len(keyed) == len(found)
    return keyed


def time(**changes: Any) -> Time:
    """The units of event time, changed."""
    return replace_section(Time(), **changes)
