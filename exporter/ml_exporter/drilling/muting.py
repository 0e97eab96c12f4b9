"""What Alertmanager mutes because something else fires: the inhibitions of its configuration.

The rules of Alertmanager: a missing label is an empty one, regular expressions match whole values, and an alert that
both sides of a rule match is not muted by another of that kind.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_exporter.drilling.alerts import Alert
from ml_exporter.drilling.suite import Labels

_MATCHER = re.compile(r"^\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*(?:\"((?:[^\"\\]|\\.)*)\"|(.*?))\s*$")


@dataclass(frozen=True)
class Matcher:
    """`name op value`, as Alertmanager writes it."""

    name: str
    operator: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "Matcher":
        """Reads one. Raises ValueError.

        >>> Matcher.parse('alertname=~"ML.+"')
        Matcher(name='alertname', operator='=~', value='ML.+')
        """
        found = _MATCHER.match(text)
        if not found:
            raise ValueError(f"matcher: expected name, operator and value, got {text!r}. Correct it.")
        quoted, plain = found[3], found[4]
        value = plain if quoted is None else re.sub(r"\\(.)", _unescaped, quoted)
        return cls(found[1], found[2], value)

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether labels match."""
        value = labels.get(self.name, "")
        if self.operator in ("=", "!="):
            return (value == self.value) == (self.operator == "=")
        return bool(re.fullmatch(self.value, value, re.DOTALL)) == (self.operator == "=~")


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]


@dataclass(frozen=True)
class Rule:
    """Alerts that match `sources` mute those that match `targets` if these labels are equal."""

    sources: tuple[Matcher, ...]
    targets: tuple[Matcher, ...]
    equal: tuple[str, ...]

    def mutes(self, source: Mapping[str, str], target: Mapping[str, str]) -> bool:
        """Whether a firing alert mutes another."""
        if not (_all(self.sources, source) and _all(self.targets, target)):
            return False
        if _all(self.sources, target) and _all(self.targets, source):
            return False
        return all(source.get(name, "") == target.get(name, "") for name in self.equal)


def _all(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    return all(matcher.fits(labels) for matcher in matchers)


@dataclass(frozen=True)
class Inhibitions:
    """The inhibition rules of an Alertmanager configuration."""

    rules: tuple[Rule, ...]

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> "Inhibitions":
        """Those of a parsed configuration; the deprecated forms of matchers are not read. Raises ValueError."""
        return cls(
            tuple(
                Rule(
                    tuple(map(Matcher.parse, item.get("source_matchers", ()))),
                    tuple(map(Matcher.parse, item.get("target_matchers", ()))),
                    tuple(item.get("equal", ())),
                )
                for item in config.get("inhibit_rules", ())
            )
        )

    def muted_by(self, alert: Alert, others: Iterable[Alert], at_us: int) -> Labels | None:
        """The labels of an alert that fires at an instant and mutes this one."""
        target = dict(alert.labels)
        for other in others:
            if other.labels != alert.labels and other.fires_at(at_us) and self._mutes(dict(other.labels), target):
                return other.labels
        return None

    def _mutes(self, source: Mapping[str, str], target: Mapping[str, str]) -> bool:
        return any(rule.mutes(source, target) for rule in self.rules)

    def muting(self, alert: Alert, others: Sequence[Alert], instants: Iterable[int]) -> Iterator[tuple[int, Labels]]:
        """The instants at which it is muted, and by what."""
        for at_us in instants:
            found = self.muted_by(alert, others, at_us)
            if found is not None:
                yield at_us, found
