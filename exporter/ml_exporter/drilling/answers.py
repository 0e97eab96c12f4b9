"""What promtool says to a suite whose tests expect nothing: everything that is there."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ml_exporter.drilling.schedule import Schedule
from ml_exporter.drilling.suite import Labels

_TEST = re.compile(r"^    expr: (?P<expr>\".*\"), time: (?P<time>\S+), *(?P<error>err: .*)?$")
_SAMPLE = re.compile(r"\{((?:[a-zA-Z_]\w*=\"(?:[^\"\\]|\\.)*\"(?:, )?)*)\} (\S+?)(?:,|$)")
_LABEL = re.compile(r"([a-zA-Z_]\w*)=(\"(?:[^\"\\]|\\.)*\")")
_UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_NOISE = re.compile(
    r"^(  FAILED:|  SUCCESS|Unit Testing: .*|    alertname: \S+, time: \S+ *|"
    r" {8}exp: ?(nil|\[\]),? *|        got: ?\[| {12}\d+:| {12}\] *)$"
)
_GOT, _TOLD_LABELS, _TOLD = "        got: ", "              Labels:", "              Annotations:"


@dataclass(frozen=True)
class Answer:
    """What was there at an instant: labels and value of each series."""

    expression: str
    at_us: int
    series: tuple[tuple[Labels, float], ...]


@dataclass
class Answers:
    """The answers to the questions, and the annotations of the alerts that fired, by their labels; the first ones."""

    series: list[Answer] = field(default_factory=list)
    annotations: dict[Labels, Mapping[str, str]] = field(default_factory=dict)


def read(output: str, schedule: Schedule) -> Answers:
    """Reads what promtool printed. Raises ValueError with its words when it complains about anything else."""
    found = Answers()
    asked: re.Match[str] | None = None
    alert: Labels = ()
    for line in output.splitlines():
        if (test := _TEST.match(line)) and test["error"] is None:
            asked = test
        elif asked and line.startswith(_GOT):
            at_us = schedule.begin_us + _milliseconds(asked["time"]) * 1000
            found.series.append(Answer(ast.literal_eval(asked["expr"]), at_us, tuple(_samples(line))))
        elif line.startswith(_TOLD_LABELS):
            alert = _labels(line)
        elif line.startswith(_TOLD):
            found.annotations.setdefault(alert, dict(_labels(line)))
        elif line.strip() and not _NOISE.match(line):
            raise ValueError(line.strip())
    return found


def _samples(text: str) -> Iterator[tuple[Labels, float]]:
    for found in _SAMPLE.finditer(text):
        yield _labels(found[1]), float(found[2])


def _labels(text: str) -> Labels:
    return tuple(sorted((name, ast.literal_eval(value)) for name, value in _LABEL.findall(text)))


def _milliseconds(text: str) -> int:
    """A duration as Prometheus writes it.

    >>> _milliseconds("1d2h5m")
    93900000
    """
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[wdhms])", text))
