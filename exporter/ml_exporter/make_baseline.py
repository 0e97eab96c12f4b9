"""`ml-exporter baseline`: reference logs in, a reviewable artefact out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.baseline import Baseline
from ml_exporter.calibration import Reference, calibrate
from ml_exporter.config import VERSION, Config, Model, Time, label_stream, prediction_stream, segment_limits
from ml_exporter.counting import Counting, Timing, micros
from ml_exporter.crossfit import fit_joint
from ml_exporter.errors import BaselineError, Problem
from ml_exporter.fitting import fit_layout
from ml_exporter.groups import group_rows
from ml_exporter.ingest import FinishedLogs, read_all
from ml_exporter.layout import Layout, project
from ml_exporter.mapping import Read, doubts
from ml_exporter.oddness import make_joint_counter
from ml_exporter.panes import Grid, Panes
from ml_exporter.records import SEGMENT_PREFIX, Batch, schema
from ml_exporter.segments import ranked

_EVER_US = 1 << 61
"""Later than any event: reference data is neither in the future nor too late, and falls into hours only."""


@dataclass(frozen=True)
class ReferenceLogs:
    """Paths or globs of the reference's logs."""

    predictions: Sequence[str]
    labels: Sequence[str]


@dataclass(frozen=True)
class Made:
    """The baseline and what was lost on the way to it."""

    baseline: Baseline
    rejected: Counter[str]
    unread_bytes: int
    """Behind the last newline of a log."""


def make(config: Config, name: str, logs: ReferenceLogs, directory: Path) -> Made:
    """The baseline of a model. Raises BaselineError where the reference has no usable row."""
    model = config.models[name]
    source = config.sources[model.predictions.source]
    made_of = prediction_stream(name, config)
    predictions = read_all(source, logs.predictions, made_of, directory)
    table = _together(predictions.batches, schema(made_of.fields))
    if not table.num_rows:
        raise BaselineError([_nothing_usable(name, logs, predictions)])
    known, labels = FinishedLogs((), Counter(), 0), None
    if model.labels and logs.labels:
        if model.labels.source is None:
            action = "Name it, or leave the label logs out: the labels are in the prediction records"
            raise BaselineError([Problem(f"models.{name}.labels.source", "the name of a source", "none", action)])
        wanted = label_stream(name, model.labels, config)
        known = read_all(config.sources[model.labels.source], logs.labels, wanted, directory)
        labels = _together(known.batches, schema(wanted.fields))
    reference = _count(fit_layout(table, model, config.time, labels), config, model, (table, labels))
    reference = with_joint(reference, table, config.time)
    limits = {by: limit for by, limit in segment_limits(model).items() if by != VERSION}
    names = {by: ranked(table.column(SEGMENT_PREFIX + by), limit) for by, limit in limits.items()}
    made = calibrate(name, model, config.time, reference)
    doubted = tuple(str(item) for item in doubts(model, Read(table, labels, logs.labels)))
    made = replace(made, segments=names, warnings=(*doubted, *made.warnings))
    return Made(made, predictions.rejected + known.rejected, predictions.unread_bytes + known.unread_bytes)


def _nothing_usable(name: str, logs: ReferenceLogs, found: FinishedLogs) -> Problem:
    got = f"no usable row in {', '.join(logs.predictions)}"
    if found.rejected:
        got += f"; {', '.join(f'{count} refused as {reason}' for reason, count in sorted(found.rejected.items()))}"
    action = "Correct `predictions.columns` or the format of its source, or name other logs"
    return Problem(name, "reference predictions", got, action)


def _together(batches: Sequence[Batch], expected: pa.Schema) -> pa.Table:
    return pa.concat_tables([expected.empty_table(), *(batch.table.select(expected.names) for batch in batches)])


def _count(layout: Layout, config: Config, model: Model, tables: tuple[pa.Table, pa.Table | None]) -> Reference:
    """Counts the reference with the code that serves. Panes are hours, whatever the age of the rows."""
    predictions, labels = tables
    grid = Grid(micros(config.time.pane), micros(config.time.hour))
    timing = Timing.of(model, config.time, config.sources[model.predictions.source], 0.0)
    timing = replace(timing, grid=grid, retention_us=_EVER_US * 2 - 1, expire_us=_EVER_US)
    own = "label" in predictions.column_names and predictions.column("label").null_count < predictions.num_rows
    counting = Counting(layout, timing, own or labels is not None)
    counting.panes.newest_us = _EVER_US
    counting.predictions(Batch(predictions, predictions.num_rows), _EVER_US)
    if labels is not None:
        counting.labels(Batch(labels, labels.num_rows), _EVER_US)
    maturity = _delay_seconds(predictions, labels) if own or labels is not None else None
    times = predictions.column("timestamp").to_numpy()
    return Reference(counting.panes, int(times.min()), int(times.max()), maturity)


def with_joint(reference: Reference, table: pa.Table, time: Time) -> Reference:
    """The counted reference with whole rows: each judged by what the other days show (`crossfit`)."""
    old = reference.panes
    fitted = fit_joint(table, old.layout, time)
    panes = Panes(replace(old.layout, joint=fitted.joint), old.grid, old.newest_us)
    projection = project(old.layout.slices, panes.layout.slices)
    for (kind, start_us), vector in old.items():
        panes.add(kind, start_us, projection(vector))
    counter = make_joint_counter(panes.layout, fitted.joint)
    keys, groups = group_rows(panes.keys(np.asarray(table.column("timestamp").to_numpy(), np.int64)))
    matrix = np.zeros((groups.count, panes.layout.size), np.int64)
    counter.count(fitted.odd, groups, matrix)
    panes.add_groups(keys, matrix)
    return replace(reference, panes=panes, warnings=fitted.warnings)


def _delay_seconds(predictions: pa.Table, labels: pa.Table | None) -> float | None:
    """The 99th percentile of the time from prediction to label, rounded up to a second; None without a match."""
    delays = [np.zeros(0)]
    if "label" in predictions.column_names:
        stamped = predictions.filter(pc.is_valid(predictions.column("label")))
        made = stamped.column("timestamp")
        known = (
            pc.coalesce(stamped.column("label_timestamp"), made) if "label_timestamp" in stamped.column_names else made
        )
        delays.append((known.to_numpy() - made.to_numpy()) / 1e6)
    if labels is not None:
        place = pc.index_in(labels.column("id"), value_set=predictions.column("id").combine_chunks())
        matched = pc.is_valid(place)
        made = predictions.column("timestamp").take(place.filter(matched).combine_chunks()).to_numpy()
        delays.append((labels.column("timestamp").filter(matched).to_numpy() - made) / 1e6)
    found = np.concatenate(delays)
    return float(np.ceil(np.quantile(found, 0.99))) if len(found) else None
