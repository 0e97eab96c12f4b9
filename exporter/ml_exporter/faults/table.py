"""The table of everything that goes wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ml_exporter.faults import answers, harmless, inputs, stream, truth
from ml_exporter.faults.played import Apply, Injection

Layer = Literal["outcome", "data", "diagnostic", "freshness", "meta"]
HOURS_LONG = "hours of outage"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, or that looks like it.

    `layer` is the layer of the alerts that should notice it at its middle size (see the rules); of what is no fault,
    the only layer that may. `sizes` are small, middle and large, in `unit`. `silent`: meanwhile there are no samples.
    """

    name: str
    layer: Layer
    is_fault: bool
    sizes: tuple[float, float, float]
    unit: str
    apply: Apply
    summary: str
    silent: bool = False

    def stop_us(self, injection: Injection) -> int:
        """The instant of the fix: from here on, what is logged is clean."""
        return stream.outage_stop_us(injection) if self.unit == HOURS_LONG else injection.end_us


_ROWS = "share of the rows"

FAULTS: tuple[Fault, ...] = (
    Fault("null_spike", "data", True, (0.1, 0.4, 0.9), _ROWS, inputs.null_spike, "A feature loses its values."),
    Fault(
        "invalid_values",
        "data",
        True,
        (0.05, 0.3, 0.9),
        _ROWS,
        inputs.invalid_values,
        "A feature is infinite, or a text that says so.",
    ),
    Fault(
        "unit_change",
        "diagnostic",
        True,
        (2.0, 100.0, 1000.0),
        "factor",
        inputs.unit_change,
        "A numeric feature comes in another unit.",
    ),
    Fault(
        "mean_shift",
        "diagnostic",
        True,
        (1.0, 4.0, 10.0),
        "robust standard deviations",
        inputs.mean_shift,
        "A numeric feature moves up.",
    ),
    Fault(
        "variance_change",
        "diagnostic",
        True,
        (1.5, 3.0, 10.0),
        "factor",
        inputs.variance_change,
        "A numeric feature spreads further.",
    ),
    Fault(
        "category_renamed",
        "data",
        True,
        (0.1, 0.5, 1.0),
        "share of the categories",
        inputs.category_renamed,
        "Known categories come under new names.",
    ),
    Fault(
        "category_new",
        "data",
        True,
        (0.05, 0.2, 0.6),
        _ROWS,
        inputs.category_new,
        "A category comes that nobody knows.",
    ),
    Fault(
        "column_missing",
        "data",
        True,
        (0.1, 0.5, 1.0),
        _ROWS,
        inputs.column_missing,
        "The column of a feature is missing.",
    ),
    Fault("type_change", "data", True, (0.05, 0.5, 1.0), _ROWS, inputs.type_change, "A feature comes as another type."),
    Fault(
        "schema_break",
        "data",
        True,
        (0.1, 0.5, 1.0),
        "share of the features",
        inputs.schema_break,
        "Features come under new names.",
    ),
    Fault(
        "class_takeover",
        "diagnostic",
        True,
        (0.2, 0.8, 1.0),
        "share of the other predictions",
        answers.class_takeover,
        "One class takes over the predictions.",
    ),
    Fault(
        "score_frozen",
        "diagnostic",
        True,
        (0.2, 0.6, 1.0),
        _ROWS,
        answers.score_frozen,
        "The model always gives the same answer.",
    ),
    Fault(
        "confidence_drop",
        "diagnostic",
        True,
        (0.3, 0.6, 0.9),
        "share of the way to indecision",
        answers.confidence_drop,
        "The model is less sure; predictions stay.",
    ),
    Fault(
        "fallback_flood", "outcome", True, (0.08, 0.4, 1.0), _ROWS, answers.fallback_flood, "Users get default answers."
    ),
    Fault(
        "absurd_predictions",
        "diagnostic",
        True,
        (0.001, 0.01, 0.05),
        _ROWS,
        answers.absurd_predictions,
        "Single answers are absurd.",
    ),
    Fault(
        "concept_drift",
        "outcome",
        True,
        (0.3, 0.9, 1.0),
        "share of the labels",
        truth.concept_drift,
        "The same inputs mean something else; nothing else changes.",
    ),
    Fault(
        "slow_decay",
        "outcome",
        True,
        (0.3, 0.9, 1.0),
        "share of the labels at the end",
        truth.slow_decay,
        "The model grows old slowly.",
    ),
    Fault("label_flip", "outcome", True, (0.1, 0.4, 1.0), "share of the labels", truth.label_flip, "Labels are wrong."),
    Fault(
        "label_outage",
        "freshness",
        True,
        (0.3, 0.8, 1.0),
        "share of the labels",
        truth.label_outage,
        "Labels do not come.",
    ),
    Fault(
        "label_delay", "freshness", True, (2.0, 12.0, 48.0), "hours", truth.label_delay, "Labels come later than usual."
    ),
    Fault(
        "latency_surge",
        "outcome",
        True,
        (1.5, 5.0, 20.0),
        "factor",
        answers.latency_surge,
        "Every answer takes longer.",
    ),
    Fault(
        "latency_tail", "outcome", True, (0.01, 0.1, 0.3), _ROWS, answers.latency_tail, "Some answers take very long."
    ),
    Fault("errors", "outcome", True, (0.01, 0.1, 0.5), _ROWS, answers.errors, "Requests fail."),
    Fault("volume_drop", "data", True, (0.3, 0.8, 1.0), _ROWS, stream.volume_drop, "Requests stay away."),
    Fault("volume_surge", "data", True, (1.5, 5.0, 20.0), "factor", stream.volume_surge, "Many more requests come."),
    Fault(
        "duplicate_traffic",
        "data",
        True,
        (0.1, 0.5, 1.0),
        _ROWS,
        stream.duplicate_traffic,
        "Predictions are logged twice.",
    ),
    Fault(
        "clock_skew",
        "data",
        True,
        (30.0, 900.0, 7200.0),
        "seconds ahead",
        stream.clock_skew,
        "The clock of the service is wrong.",
    ),
    Fault(
        "log_stuck",
        "freshness",
        True,
        (0.5, 4.0, 12.0),
        HOURS_LONG,
        stream.log_stuck,
        "The prediction log stands still, then all comes at once.",
    ),
    Fault(
        "exporter_dead",
        "meta",
        True,
        (0.1, 1.0, 12.0),
        HOURS_LONG,
        stream.exporter_dead,
        "The exporter is down; it catches up afterwards.",
        silent=True,
    ),
    Fault(
        "bad_deployment",
        "outcome",
        True,
        (0.3, 0.9, 1.0),
        "share of answers that ignore the input",
        answers.bad_deployment,
        "A new version that is worse.",
    ),
    Fault(
        "seasonal_change",
        "diagnostic",
        False,
        (0.2, 0.5, 1.0),
        "share of such cases twice",
        harmless.seasonal_change,
        "A season brings more cases of one kind, and takes them away again.",
    ),
    Fault(
        "covariate_shift",
        "diagnostic",
        False,
        (0.2, 0.5, 0.8),
        "share of such cases",
        harmless.covariate_shift,
        "Other cases come than before, and the model is as good at each.",
    ),
)

BY_NAME: Mapping[str, Fault] = {fault.name: fault for fault in FAULTS}
