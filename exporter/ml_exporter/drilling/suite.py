"""The samples of a replay as a suite of `promtool test rules`.

promtool runs the rule manager of Prometheus over given series, on a clock that starts at 0. A test that expects nothing
fails wherever something is there, and its failure says what (`answers`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ml_exporter.catalogue import HistogramSample, Sample, labels_of
from ml_exporter.drilling.schedule import SECOND_US, Schedule

Labels = tuple[tuple[str, str], ...]
"""Names and values of labels, sorted."""
TIMESTAMP = "_timestamp_seconds"
FILL_SECONDS = 150
"""A scraped value is repeated so often until the next scrape: rules that look back five minutes find two."""
DETAIL_US = 6 * 3600 * SECOND_US
_USED = re.compile(r"\bml_[a-z0-9_]+")


class RuleFiles(NamedTuple):
    """Paths of rule files, the names of their groups in the order of evaluation, and those of their alerts."""

    paths: tuple[str, ...]
    groups: tuple[str, ...]
    alerts: tuple[str, ...]


class Question(NamedTuple):
    """An expression, to be asked at an instant (in microseconds)."""

    expression: str
    at_us: int


@dataclass
class Suite:
    """Series by instant, of the metrics that the rules read. `names` are those metrics."""

    schedule: Schedule
    target: Mapping[str, str]
    names: frozenset[str]
    _series: dict[tuple[str, Labels], dict[int, float]] = field(default_factory=dict)

    def copy(self) -> "Suite":
        """One that can grow on its own."""
        return Suite(self.schedule, self.target, self.names, {key: dict(found) for key, found in self._series.items()})

    def add(self, place: int, samples: Iterable[Sample | HistogramSample], *, scraped: bool = True) -> None:
        """The samples of one scrape, the `place`-th. If it was not `scraped`, `up` is 0 and nothing else there."""
        self._put("up", {}, place, float(scraped))
        for sample in samples if scraped else ():
            for name, more, value in _expanded(sample):
                if name in self.names:
                    self._put(name, {**labels_of(sample), **more}, place, value)

    def _put(self, name: str, labels: Mapping[str, str], place: int, value: float) -> None:
        full = tuple(sorted({**labels, **self.target}.items()))
        shift = self.schedule.begin_us / SECOND_US if name.endswith(TIMESTAMP) else 0.0
        self._series.setdefault((name, full), {})[place] = value - shift

    def document(self, rules: RuleFiles, questions: Iterable[Question]) -> Any:
        """What promtool reads. Groups are evaluated in the order given, each at every scrape.

        Annotations of all alerts are asked for too, every `DETAIL_US` and at the last scrape before the fix.
        """
        step = self.schedule.step_us // SECOND_US
        fill = FILL_SECONDS if step % FILL_SECONDS == 0 else step
        count, times = len(self.schedule.times), step // fill
        return {
            "rule_files": list(rules.paths),
            "evaluation_interval": f"{step}s",
            "group_eval_order": list(rules.groups),
            "tests": [
                {
                    "interval": f"{fill}s",
                    "input_series": [
                        {"series": _selector(name, labels), "values": _values(found, count, times)}
                        for (name, labels), found in self._series.items()
                    ],
                    "promql_expr_test": [
                        {"expr": item.expression, "eval_time": f"{self._seconds(item.at_us)}s", "exp_samples": []}
                        for item in questions
                    ],
                    "alert_rule_test": [
                        {"alertname": name, "eval_time": f"{self._seconds(at_us)}s", "exp_alerts": []}
                        for at_us in self._details()
                        for name in rules.alerts
                    ],
                }
            ],
        }

    def _details(self) -> Iterator[int]:
        """The instants at which alerts are asked for their annotations."""
        last = self.schedule.stop_us - self.schedule.step_us
        found = {last, *range(self.schedule.start_us, self.schedule.end_us + 1, DETAIL_US)}
        yield from sorted(at_us for at_us in found if at_us in self.schedule.times)

    def _seconds(self, at_us: int) -> int:
        return (at_us - self.schedule.begin_us) // SECOND_US

    def values(self, name: str) -> Iterator[tuple[Mapping[str, str], Mapping[int, float]]]:
        """The series of a metric, as labels and as values by the place of the scrape."""
        for (known, labels), found in self._series.items():
            if known == name:
                yield dict(labels), found


def names_read(rules: str) -> frozenset[str]:
    """The metrics of the exporter that a text of rules names.

    >>> sorted(names_read("max(ml_window_rows) - ml:window_rows:enough"))
    ['ml_window_rows']
    """
    return frozenset(_USED.findall(rules))


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BACK = re.compile(r"(?:\boffset |\[)(\d+)([smhdw])\b")


def looks_back_us(rules: str) -> int:
    """How far expressions look back at most, by one offset or range.

    >>> looks_back_us("x offset 1d > rate(y[5m])") // SECOND_US
    86400
    """
    seconds = (int(number) * _SECONDS[unit] for number, unit in _BACK.findall(rules))
    return max(seconds, default=0) * SECOND_US


def _expanded(sample: Sample | HistogramSample) -> Iterator[tuple[str, dict[str, str], float]]:
    """The series of a sample: its name, labels of its own, and the value."""
    if isinstance(sample, Sample):
        yield sample.name, {}, sample.value
        return
    total = 0
    for bound, count in zip((*sample.upper_bounds, float("inf")), sample.counts, strict=True):
        total += count
        yield f"{sample.name}_bucket", {"le": "+Inf" if bound == float("inf") else repr(float(bound))}, float(total)
    yield f"{sample.name}_count", {}, float(total)
    yield f"{sample.name}_sum", {}, sample.total


def _selector(name: str, labels: Labels) -> str:
    return f"{name}{{{','.join(f'{label}={_quoted(value)}' for label, value in labels if value)}}}"


def _quoted(text: str) -> str:
    """A label value as PromQL reads it."""
    return '"' + text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") + '"'


def _values(found: Mapping[int, float], count: int, times: int) -> str:
    """A series in promtool's notation: each value `times` times, the end of a series marked as a scrape marks it.

    >>> _values({1: 0.5, 2: 0.5}, 4, 1)
    '_ 0.5x1 stale'
    """
    words: list[str] = []
    run, length, there = "", 0, False
    for place in range(count + 1):
        value = found.get(place)
        word = "" if place == count else _number(value) if value is not None else "stale" if there else "_"
        there = value is not None
        if word == run and word != "stale":
            length += times
            continue
        if length:
            words.append(run if length == 1 else f"{run}x{length - 1}")
        if word == "stale" and times > 1:
            words.append("stale")
            run, length = "_", times - 1
        else:
            run, length = word, 1 if word == "stale" else times
    return " ".join(words)


def _number(value: float) -> str:
    return repr(value).replace("inf", "Inf").replace("nan", "NaN")
