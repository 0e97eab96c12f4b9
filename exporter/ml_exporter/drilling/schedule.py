"""When what happens in a drill."""

from dataclasses import dataclass
from datetime import UTC, datetime

from ml_exporter.errors import ConfigError, Problem
from ml_exporter.faults import Fault, Injection

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US


@dataclass(frozen=True)
class Lengths:
    """How long each part of a drill takes, and how often is looked, in microseconds.

    Without `lead_us` it is as long as the rules look back, as far as the logs reach.
    """

    lead_us: int | None
    fault_us: int
    recovery_us: int
    step_us: int


@dataclass(frozen=True)
class Schedule:
    """The instants of a drill in microseconds. `begin_us` is midnight (UTC), where the clock of the rules starts at 0.

    Rules are evaluated at `times`: clean logs until `start_us`, the fault until before `stop_us`, then clean logs.
    """

    begin_us: int
    start_us: int
    stop_us: int
    end_us: int
    step_us: int

    @property
    def times(self) -> range:
        """The instants at which the exporter is scraped and the rules are evaluated."""
        return range(self.begin_us, self.end_us + 1, self.step_us)

    def injection(self, size: float, feature: str | None = None) -> Injection:
        """The fault as it is injected."""
        return Injection(size, self.start_us, self.stop_us, feature)

    def fix_us(self, fault: Fault, size: float) -> int:
        """From when on what is logged is clean again."""
        return fault.stop_us(self.injection(size))


SHORTEST_LEAD_US = DAY_US // 4


def planned(lengths: Lengths, arrived: tuple[int, int], start_us: int | None = None, back_us: int = 0) -> Schedule:
    """A drill in logs whose first and last row `arrived` then; by default at their end. Rules look back by `back_us`.

    Raises ConfigError when they are too short: a day before the fault must fill the windows of a day.
    """
    step_us, (first_us, last_us) = lengths.step_us, arrived
    if start_us is None:
        start_us = (last_us - lengths.recovery_us - lengths.fault_us) // step_us * step_us
    stop_us = start_us + lengths.fault_us
    lead_us = lengths.lead_us
    if lead_us is None:
        lead_us = max(SHORTEST_LEAD_US, min(back_us, start_us - first_us))
    found = Schedule((start_us - lead_us) // DAY_US * DAY_US, start_us, stop_us, stop_us + lengths.recovery_us, step_us)
    if first_us > start_us - DAY_US or last_us < found.end_us - DAY_US // 24:
        expected = f"rows from {iso(start_us - DAY_US)} to {iso(found.end_us)}"
        action = "Record longer logs, or give another --start, --duration or --recovery"
        raise ConfigError([Problem("recorded logs", expected, f"{iso(first_us)} to {iso(last_us)}", action)])
    return found


def iso(instant_us: int) -> str:
    """An instant as ISO 8601 in UTC, to the second.

    >>> iso(0)
    '1970-01-01T00:00:00Z'
    """
    return f"{datetime.fromtimestamp(instant_us // SECOND_US, UTC):%Y-%m-%dT%H:%M:%S}Z"
