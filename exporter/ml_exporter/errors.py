"""The errors a user may see.

Every text has the form `<where>: expected <what>, got <value>. <What to do>.`
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and how to mend it.

    >>> str(Problem("models.a.tier", "one of '1', '2', '3'", "'gold'", "Write '1' for the models that page first"))
    "models.a.tier: expected one of '1', '2', '3', got 'gold'. Write '1' for the models that page first."
    """

    where: str
    expected: str
    got: str
    action: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.got}. {self.action}."


class ExporterError(Exception):
    """Every error that ml-exporter raises on purpose. Its text is meant for the user."""


class ProblemsError(ExporterError):
    """Several problems at once, one a line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigError(ProblemsError):
    """The configuration cannot be used. Holds every problem found, not only the first."""


class BaselineError(ProblemsError):
    """The baseline artefact cannot be read or does not fit the configuration."""


class StateError(ProblemsError):
    """The state directory cannot be used."""


def shown(value: object, limit: int = 60) -> str:
    """A value as an error text shows it: its repr, cut to `limit` characters.

    >>> shown("x" * 100, limit=10)
    "'xxxxx ..."
    """
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 4] + " ..."
