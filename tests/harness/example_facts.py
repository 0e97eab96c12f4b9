"""An example of the facts of one publish, with every field filled somewhere, and with names that want to be HTML."""

from dataclasses import dataclass, replace

from ml_exporter.facts.answers import (
    BaselineFacts,
    Bin,
    Control,
    DayValue,
    DelayBucket,
    DelayQuantile,
    FeatureFacts,
    FeaturePoint,
    FeatureSummary,
    FeatureWindow,
    LabelCount,
    LabelDay,
    LabelFacts,
    LastValue,
    LastValues,
    ModelDay,
    ModelFacts,
    Models,
    ModelSummary,
    Outlier,
    OutlierFacts,
    PsiBin,
    Rejected,
    RejectedLine,
    Rejection,
    SeenValue,
    SeenValues,
    SegmentFacts,
    Since,
    SourceFacts,
    Summary,
    Value,
    VersionFacts,
    WindowFacts,
)

AT = 1_700_000_000.0
HOUR, DAY = 3600.0, 86400.0
SINCE = AT // DAY * DAY
HOSTILE = "<script>alert('x')</script>\u202eLTR \"quoted\" & 🜏"
MODEL, FEATURE, CATEGORY = "fraud", "amount", "carrier"


def _value(metric, value, window="1d", area="drift", **more):
    labels = more.pop("labels", {})
    return Value(metric, area, f"What {metric} means.", more.pop("unit", ""), window, labels, value, **more)


PSI = _value(
    "ml_feature_psi",
    0.31,
    labels={"baseline": "reference", "feature": FEATURE},
    critical=0.12,
    judged="above",
    strength=0.31 / 0.12,
    since=Since(SINCE - 17 * DAY, "day", True, None),
)
CATEGORY_PSI = replace(
    PSI, since=None, labels={"baseline": "reference", "feature": HOSTILE}, value=0.02, strength=0.02 / 0.12
)
NULLS = _value(
    "ml_feature_null_ratio",
    0.02,
    area="data",
    unit="ratio",
    labels={"feature": FEATURE},
    baseline=0.01,
    critical=0.005,
    judged="excess",
    strength=2.0,
    since=Since(SINCE + 4 * HOUR, "hour", False, 0.009),
)
ACCURACY = _value(
    "ml_accuracy",
    0.91,
    area="quality",
    lower=0.9,
    upper=0.92,
    baseline=0.93,
    previous_30d=0.92,
    estimated=0.9,
    estimated_error=0.01,
    estimated_bias=-0.003,
    control=Control(0.92, 0.9, 0.94, 0.02),
    since=Since(SINCE - DAY, "day", False, 0.94),
)
AUC = _value(
    "ml_roc_auc",
    None,
    area="quality",
    baseline=0.81,
    missing={"value": "waiting for 120 of 200 rows", "control": "control limits need 14 of 30 days"},
)
ROWS = _value("ml_window_rows", 12_345.0, area="volume", control=Control(12_000.0, 10_000.0, 14_000.0, 3_000.0))
LATENCY = _value("ml_window_latency_seconds", 0.04, area="latency", unit="seconds", labels={"q": "0.99"})
COVERAGE = _value("ml_label_coverage_ratio", 0.8, area="labels", unit="ratio")
OUTLIERS = _value("ml_prediction_outlier_ratio", 0.03, area="predictions", unit="ratio", baseline=0.01, critical=0.01)
WINDOWS = (
    WindowFacts("1h", "current", HOUR, AT - HOUR, AT, 500, 500, 0, AT + DAY),
    WindowFacts("1d", "current", DAY, AT - DAY, AT, 12_345, 12_300, 20, AT + DAY),
    WindowFacts("1d", "matured", DAY, AT - 2 * DAY, AT - DAY, 12_000, 12_000, 9_600, AT),
)
SUMMARY = ModelSummary(
    MODEL,
    "binary",
    "payments",
    "1",
    "ok",
    (),
    ("Labels of the current 1d mature in 24h.",),
    ("v1", HOSTILE),
    AT - 60,
    AT - HOUR,
    {"1h": 500, "1d": 12_345},
    2,
    (FEATURE,),
)
SICK = replace(
    SUMMARY,
    name="quiet",
    state="trouble",
    troubles=(f"log: expected a file, got {HOSTILE}",),
    next_steps=("Look at the source `log`.",),
    versions=(),
    last_prediction_at=None,
    last_label_at=None,
    rows={},
    features_beyond=(),
)
BASELINE = BaselineFacts(
    "0123456789ab", AT - 60 * DAY, AT - 30 * DAY, 300_000, 290_000, "learned", {"1d": 30, "1h": 700}, ("warned",)
)
FACTS = ModelFacts(
    AT,
    SUMMARY,
    None,
    WINDOWS,
    {"matured 30d": "waiting for 12 of 30 days"},
    BASELINE,
    (VersionFacts("v1", 10_000, AT - DAY, {"1d": 12_000}), VersionFacts(HOSTILE, 3, AT - 60, {"1d": 345})),
    (
        SegmentFacts(
            "country",
            HOSTILE,
            {"1d": 99},
            (replace(ACCURACY, labels={"segment_by": "country", "segment": HOSTILE}),),
        ),
    ),
    (ROWS, LATENCY, ACCURACY, AUC, COVERAGE, OUTLIERS),
    (
        FeatureSummary(FEATURE, "numeric", PSI.strength, (PSI, NULLS)),
        FeatureSummary(HOSTILE, "categorical", CATEGORY_PSI.strength, (CATEGORY_PSI,)),
    ),
    321,
    0,
    tuple(
        ModelDay(
            SINCE - place * DAY,
            SINCE - (place - 1) * DAY,
            12_000 if place else 4_000,
            place > 0,
            place > 0,
            (DayValue("ml_accuracy", {}, 0.91, 0.9, 0.92),) if place else (),
        )
        for place in (2, 1, 0)
    ),
)
SICK_FACTS = replace(
    FACTS,
    summary=SICK,
    stale="no window: no predictions yet",
    windows=(),
    missing_windows={"current 1d": "no predictions yet"},
    versions=(),
    segments=(),
    values=(),
    features=(),
    days=(),
)
REFERENCE = Summary(300_000, 297_000, 0.01, 0.0, 0.0, None, 49.5, 20.1)
NUMBERS = (
    Bin("below 10", None, 10.0, 100_000, 1 / 3, 2_000, 0.2),
    Bin("10 to 50", 10.0, 50.0, 100_000, 1 / 3, 3_000, 0.3),
    Bin("50 and more", 50.0, None, 100_000, 1 / 3, 5_000, 0.5),
)
PSI_BINS = (
    PsiBin("below 50", None, 50.0, 200_000, 2 / 3, 5_000, 0.5, (0, 1), 0.1),
    PsiBin("50 and more", 50.0, None, 100_000, 1 / 3, 5_000, 0.5, (2,), 0.21),
)
NUMERIC_WINDOW = FeatureWindow(
    "1d",
    AT - DAY,
    AT,
    Summary(10_200, 10_000, 0.02, 0.001, 0.003, None, 55.5, 22.2),
    NUMBERS,
    0.31,
    PSI_BINS,
    (PSI, NULLS),
    {},
)
HOURS = tuple(
    FeaturePoint(
        AT - (48 - place) * HOUR,
        AT - (47 - place) * HOUR,
        0.01 * place,
        0.02 * place,
        Summary(200 + place, 198, 0.01 + place / 1000, 0.0, 0.0, None, 49.0 + place / 10, 20.0),
    )
    for place in range(48)
)
NUMERIC = FeatureFacts(
    AT,
    MODEL,
    FEATURE,
    "numeric",
    (0.0, None),
    REFERENCE,
    (NUMERIC_WINDOW,),
    {"1h": "no rows"},
    HOURS,
    tuple(replace(point, start_at=AT - (30 - place) * DAY) for place, point in enumerate(HOURS[:30])),
    None,
    LastValues(True, 2, (LastValue(HOSTILE, AT - 60), LastValue("1,5", AT - 90)), "Kept since the exporter started."),
)
NAMES = (
    Bin("AA", None, None, 200_000, 2 / 3, 4_000, 0.4),
    Bin(HOSTILE, None, None, 100_000, 1 / 3, 3_000, 0.3),
    Bin("other", None, None, 0, 0.0, 3_000, 0.3),
)
CATEGORIES = Summary(10_000, 10_000, 0.0, 0.0, None, 0.3, None, None)
CATEGORICAL = replace(
    NUMERIC,
    name=HOSTILE,
    kind="categorical",
    range=None,
    invalid=None,
    baseline=replace(CATEGORIES, rows=300_000, valid=300_000, unseen_ratio=0.0),
    unseen=SeenValues(
        True,
        2,
        (SeenValue(HOSTILE, 2_912, 0, AT - HOUR, AT - 60), SeenValue("XX", 71, 17, AT - 90, AT - 90)),
        "Counted since the exporter started.",
    ),
    windows=(
        replace(
            NUMERIC_WINDOW,
            summary=CATEGORIES,
            histogram=NAMES,
            psi=None,
            psi_bins=(),
            values=(CATEGORY_PSI,),
            missing={"psi": "fewer than two bins have 5 expected rows"},
        ),
    ),
    hours=tuple(replace(point, summary=replace(CATEGORIES, unseen_ratio=0.001)) for point in HOURS),
    days=(),
)
LABELS = LabelFacts(
    AT,
    MODEL,
    True,
    "prediction",
    DAY,
    WINDOWS[2:],
    {"matured 30d": "waiting for 12 of 30 days"},
    "labels mature in 24h",
    (COVERAGE,),
    "1d",
    (DelayBucket(3600.0, 900, 0.9, 0.8), DelayBucket(None, 100, 0.1, 0.2)),
    (DelayQuantile(0.5, 3600.0, 3600.0), DelayQuantile(0.99, None, None)),
    (
        LabelCount("matched", 9_600, "the first of its prediction"),
        LabelCount("late", 3, "came after it had expired"),
    ),
    2_400,
    7,
    0,
    1,
    tuple(
        LabelDay(AT - (10 - place) * DAY, AT - (9 - place) * DAY, 1000, 800 - 10 * place, place < 9)
        for place in range(10)
    ),
)
NO_LABELS = replace(
    LABELS,
    model="quiet",
    has_labels=False,
    windows=(),
    missing_windows={},
    matures="the configuration names no labels",
    values=(),
    delay_window="",
    delays=(),
    quantiles=(),
    counts=(),
    pending_predictions=0,
    pending_labels=0,
    days=(),
)
OUTLIER_FACTS = OutlierFacts(
    AT,
    MODEL,
    {"range": "a value far beyond its range, or an unseen category", "distance": "values that do not go together"},
    (OUTLIERS, replace(OUTLIERS, labels={"reason": "range"})),
    None,
    True,
    2,
    (Outlier(HOSTILE, AT - 60, "v1", ("range", "distance")), Outlier("id-1", AT - 90, "", ("prediction",))),
    "Kept since the exporter started.",
)
REJECTED = Rejected(
    AT,
    (
        SourceFacts(
            "log",
            "logs/*.jsonl",
            (MODEL,),
            (),
            True,
            "",
            1_000,
            15,
            0,
            (
                Rejection("malformed", 10, "not JSON", "Look at the lines."),
                Rejection("future", 5, "ahead of the clock", "Compare the clocks."),
            ),
        ),
        SourceFacts("truth", "labels/*.jsonl", (), (MODEL,), False, f"expected {HOSTILE}", 0, 0, 1, ()),
    ),
    True,
    (RejectedLine(AT - 5, "log", "malformed", f"/logs/{HOSTILE}", 17, "ab12", HOSTILE),),
    "All refused lines are noted in dead-letter.jsonl in the state directory.",
)


@dataclass(frozen=True)
class ExampleFacts:
    """The facts of two models: one that has drifted, one without rows. Implements `ml_exporter.facts.Facts`."""

    samples: bool = True

    def models(self):
        return Models(AT, True, (SUMMARY, SICK))

    def model(self, name):
        return {MODEL: FACTS, "quiet": SICK_FACTS}.get(name)

    def features(self, model):
        return {MODEL: (FEATURE, HOSTILE), "quiet": ()}.get(model)

    def feature(self, model, name):
        found = {(MODEL, FEATURE): NUMERIC, (MODEL, HOSTILE): CATEGORICAL}.get((model, name))
        if self.samples or found is None:
            return found
        hidden = {"samples": False, "values": (), "note": "Set `web: {samples: true}` to see them here."}
        unseen, invalid = (item and replace(item, **hidden) for item in (found.unseen, found.invalid))
        return replace(found, unseen=unseen, invalid=invalid)

    def labels(self, model):
        return {MODEL: LABELS, "quiet": NO_LABELS}.get(model)

    def outliers(self, model):
        if model != MODEL:
            return None
        if self.samples:
            return OUTLIER_FACTS
        return replace(OUTLIER_FACTS, samples=False, last=(), note="Set `web: {samples: true}` to see them here.")

    def rejected(self):
        if self.samples:
            return REJECTED
        return replace(REJECTED, samples=False, lines=(), note="Set `web: {samples: true}` to see them here.")
