"""The join, one row at a time, with dictionaries: what `ml_exporter.join` must equal."""

from collections import Counter
from dataclasses import dataclass, field

from ml_exporter.join import Rules

Contribution = tuple[int, int, int, float, int, int]
"""Id, time, predicted class, score, actual class and time of the label."""


@dataclass
class Prediction:
    """A prediction and its label."""

    time: int
    score: float
    predicted: int
    label: tuple[int, int] | None = None
    """Time and value."""


@dataclass
class Model:
    """Everything that was taken in and still matters, and what became of the labels."""

    rules: Rules
    known: dict[int, Prediction] = field(default_factory=dict)
    early: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Id, time, value and when it was read."""
    horizon: int = -(10**9)
    oldest: int = -(10**9)
    statuses: Counter[str] = field(default_factory=Counter)
    counted: Counter[Contribution] = field(default_factory=Counter)
    """The labels that count now, also of predictions that have expired."""
    first: Counter[Contribution] = field(default_factory=Counter)
    repeated: int = 0

    def predictions(self, rows: list[tuple[int, int, float, int]]) -> None:
        fresh = []
        for name, time, score, predicted in rows:
            if time < self.horizon:
                continue
            if self._find(name):
                self.repeated += 1
            else:
                self.known[name] = Prediction(time, score, predicted)
                fresh.append(name)
        waiting, self.early = self.early, []
        for label in waiting:
            if label[0] in fresh:
                self._match(*label[:3])
            else:
                self.early.append(label)

    def labels(self, rows: list[tuple[int, int, int]], now: int) -> None:
        for name, time, actual in rows:
            if self._find(name):
                self._match(name, time, actual)
            else:
                self.statuses["early"] += 1
                self.early.append((name, time, actual, now))

    def expire(self, event: int, now: int, limit: int) -> None:
        self.horizon = max(self.horizon, event - self.rules.expire_us)
        kept = [label for label in self.early if label[3] >= now - self.rules.grace_us]
        self.statuses["orphan"] += len(self.early) - len(kept)
        excess = max(0, len(kept) - limit)
        self.statuses["dropped"] += excess
        self.early = kept[excess:]

    @property
    def waiting(self) -> int:
        return sum(1 for row in self.known.values() if row.time >= self.horizon and row.label is None)

    def _find(self, name: int) -> Prediction | None:
        found = self.known.get(name)
        return found if found and found.time >= self.horizon else None

    def _match(self, name: int, time: int, actual: int) -> None:
        row = self.known[name]
        if time - row.time > self.rules.expire_us or (self.rules.by_arrival and time < self.oldest):
            self.statuses["late"] += 1
        elif row.label is None:
            self.statuses["matched"] += 1
            row.label = (time, actual)
            self.counted[self._contribution(name)] += 1
            self.first[self._contribution(name)] += 1
        elif not self.rules.takes_last or row.label[1] == actual:
            self.statuses["duplicate"] += 1
        elif self.rules.by_arrival and row.label[0] < self.oldest:
            self.statuses["correction_late"] += 1
        else:
            self.statuses["correction"] += 1
            self.counted[self._contribution(name)] -= 1
            row.label = (time, actual)
            self.counted[self._contribution(name)] += 1

    def _contribution(self, name: int) -> Contribution:
        row = self.known[name]
        assert row.label
        return (name, row.time, row.predicted, row.score, row.label[1], row.label[0])
