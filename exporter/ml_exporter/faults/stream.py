"""Faults of the stream: rows that are lost, multiplied, held up, or dated wrongly, with values as they were."""

import numpy as np
import pyarrow as pa

from ml_exporter.faults.played import Context, Injection, Played, to_both, to_predictions
from ml_exporter.faults.rows import (
    HOUR_US,
    SECOND_US,
    chosen,
    draws,
    hold,
    keep,
    made,
    repeat,
    shift,
    within,
)


def outage_stop_us(injection: Injection) -> int:
    """When an outage of `size` hours is over: at the end of the injection at the latest."""
    return min(injection.end_us, injection.start_us + round(injection.size * HOUR_US))


@to_both
def volume_drop(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A share `size` of the predictions are never made; their labels do not come either."""
    return keep(table, ~chosen(table, injection, "volume_drop"))


@to_both
def volume_surge(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """`size` times as many predictions, alike but with ids of their own, and as many labels."""
    more = np.floor(np.maximum(injection.size - 1.0, 0.0) + draws(table, "volume_surge")).astype(np.int64)
    return repeat(table, 1 + np.where(within(made(table), injection), more, 0), new_ids=True)


@to_predictions
def duplicate_traffic(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A share `size` of the predictions are logged twice, with the same id and time."""
    return repeat(table, 1 + chosen(table, injection, "duplicate_traffic").astype(np.int64), new_ids=False)


@to_predictions
def clock_skew(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """The clock of the service is ahead by `size` seconds (behind, if negative); rows arrive when they did."""
    return shift(table, "timestamp", within(made(table), injection), round(injection.size * SECOND_US))


@to_predictions
def log_stuck(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """For `size` hours nothing comes out of the prediction log, then everything at once."""
    return hold(table, injection.start_us, outage_stop_us(injection))


def exporter_dead(played: Played, injection: Injection, context: Context) -> Played:
    """For `size` hours the exporter is down: no samples, and what is logged meanwhile is read when it is back."""
    stop_us = outage_stop_us(injection)
    return Played(*(hold(table, injection.start_us, stop_us) for table in (played.predictions, played.labels)))
