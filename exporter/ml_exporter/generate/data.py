"""The data of the pack, read strictly: thresholds, routing and settings. An unknown key is an error."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import yaml

from ml_exporter.errors import ConfigError, Problem, shown

T = TypeVar("T")
DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_SECRET = re.compile(r".*unknown field `(routing_key|api_key|api_url|auth_password|credentials)`.*")
_UNKNOWN = re.compile(r"Object contains unknown field `(.+)`")
ToldT = TypeVar("ToldT", bound="Targets")


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A mapping of a file."""


class Override(Section, frozen=True):
    """A limit for one model, or for one feature or segment of it."""

    model: str
    value: float | str
    reason: str
    feature: str | msgspec.UnsetType = msgspec.UNSET
    segment_by: str | msgspec.UnsetType = msgspec.UNSET
    segment: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def target(self) -> tuple[str | msgspec.UnsetType, ...]:
        """What makes two overrides of a row the same."""
        return (self.model, self.feature, self.segment_by, self.segment)


class Threshold(Section, frozen=True):
    """A row of thresholds.yaml. In a file of changes, the value and its reason may be left out."""

    signal: str
    severity: str
    window: str = ""
    value: float | str | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET
    overrides: tuple[Override, ...] = ()

    def __post_init__(self) -> None:
        if (self.value is msgspec.UNSET) != (self.reason is msgspec.UNSET):
            raise ValueError("Expected `value` and `reason` together, got one of them")

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two rows the same."""
        return (self.signal, self.window, self.severity)


class Rung(Section, frozen=True):
    """Who is called when a page is still open after a while."""

    after: str
    role: str
    receivers: str | tuple[str, ...]


class Targets(Section, frozen=True):
    """Who hears of a team's alerts. What a team leaves out, it inherits from the default."""

    pages: str | tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    warnings: str | tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    office_hours: str | msgspec.UnsetType = msgspec.UNSET
    escalation: Literal["ladder", "receiver"] | msgspec.UnsetType = msgspec.UNSET
    ladder: tuple[Rung, ...] | msgspec.UnsetType = msgspec.UNSET


class Everybody(Targets, frozen=True):
    """The receivers of whoever is no team of its own."""

    pages: str | tuple[str, ...]
    warnings: str | tuple[str, ...]


class Tier(Section, frozen=True):
    """What a tier of models means: whether its pages wake people."""

    wakes: bool


class Hours(Section, frozen=True):
    """Days of the week (`monday:friday`) and times (`08:00`) in a time zone."""

    weekdays: tuple[str, ...]
    start: str
    end: str
    location: str = "UTC"

    def __post_init__(self) -> None:
        if not self.start < self.end:
            raise ValueError("Expected `start` before `end`")
        for text in self.weekdays:
            days = [DAYS.index(day) for day in text.split(":") if day in DAYS]
            if len(days) != text.count(":") + 1 or len(days) > 2 or days != sorted(days):
                raise ValueError(f"Expected days like `monday:friday` of a week that begins on sunday, got {text!r}")


class Webhook(Section, frozen=True):
    """An address that gets Alertmanager's JSON."""

    url: str | msgspec.UnsetType = msgspec.UNSET
    url_file: str | msgspec.UnsetType = msgspec.UNSET
    credentials_file: str | msgspec.UnsetType = msgspec.UNSET


class Slack(Section, frozen=True):
    """A channel of Slack."""

    channel: str
    api_url_file: str


class Email(Section, frozen=True, rename={"sender": "from"}):
    """An address for e-mail."""

    to: str
    sender: str
    smarthost: str
    auth_username: str | msgspec.UnsetType = msgspec.UNSET
    auth_password_file: str | msgspec.UnsetType = msgspec.UNSET
    require_tls: bool | msgspec.UnsetType = msgspec.UNSET


class PagerDuty(Section, frozen=True):
    """A service of PagerDuty, by its integration key (Events API v2)."""

    routing_key_file: str


class Opsgenie(Section, frozen=True):
    """An account of Opsgenie, and the team that responds."""

    api_key_file: str
    team: str | msgspec.UnsetType = msgspec.UNSET
    api_url: str | msgspec.UnsetType = msgspec.UNSET


class Receiver(Section, frozen=True):
    """One or more ways to reach somebody."""

    webhook: Webhook | msgspec.UnsetType = msgspec.UNSET
    slack: Slack | msgspec.UnsetType = msgspec.UNSET
    email: Email | msgspec.UnsetType = msgspec.UNSET
    pagerduty: PagerDuty | msgspec.UnsetType = msgspec.UNSET
    opsgenie: Opsgenie | msgspec.UnsetType = msgspec.UNSET


class Routing(Section, frozen=True):
    """The whole of routing.yaml."""

    default: Everybody
    receivers: dict[str, Receiver]
    teams: dict[str, Targets] = {}
    tiers: dict[str, Tier] = {}
    office_hours: dict[str, Hours] = {}
    heartbeat: str | None = None
    alertmanager: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+\.[0-9]+$")] = "0.25"


def read(path: Path, kind: type[T]) -> T:
    """A YAML file as a `kind`. Raises ConfigError when it cannot be read or has another form."""
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), kind)
    except OSError as error:
        problem = Problem(str(path), "a file that can be read", str(error.strerror), "Check the path")
        raise ConfigError([problem]) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        got = shown(" ".join(str(error).split()), 200)
        raise ConfigError([Problem(str(path), "a YAML document", got, "Mend the syntax")]) from error
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        place = f"{path} {where.strip('`')}".strip()
        unknown = _UNKNOWN.fullmatch(what)
        names = getattr(kind, "__struct_encode_fields__", None)
        if unknown and names and not where:
            problem = Problem(
                f"{path}.{unknown[1]}", "a known key", "an unknown one", f"Remove it, or use one of: {', '.join(names)}"
            )
            raise ConfigError([problem]) from error
        action = (
            _SECRET.sub(r"Secrets are read from files: name one as `\1_file`", what) if _SECRET.search(what) else ""
        )
        problem = Problem(place, "the form of the pack's own file", what, action or "Correct the entry")
        raise ConfigError([problem]) from error


def thresholds(own: Path, changes: Path | None) -> list[Any]:
    """The rows of the pack's own file as plain values, with those of a second file in place."""
    rows = read(own, tuple[Threshold, ...])
    if changes is not None:
        rows = merged(rows, read(changes, tuple[Threshold, ...]))
    plain: list[Any] = msgspec.to_builtins(rows)
    return plain


def merged(rows: Iterable[Threshold], changes: Iterable[Threshold]) -> tuple[Threshold, ...]:
    """The rows with the changes in place: a value replaces the row's own, overrides are added or replaced."""
    result = {row.key: row for row in rows}
    for change in changes:
        old = result.get(change.key, change)
        replaced = {item.target for item in change.overrides}
        kept = tuple(item for item in old.overrides if item.target not in replaced)
        new = change if change.value is not msgspec.UNSET else old
        result[change.key] = msgspec.structs.replace(new, overrides=kept + change.overrides)
    return tuple(result.values())


def routing(path: Path, webhook_url: str | None) -> Any:
    """The routing as plain values. With a `webhook_url`, every receiver is that address alone."""
    found = read(path, Routing)
    if webhook_url is not None:
        receivers = {name: Receiver(webhook=Webhook(webhook_url)) for name in found.receivers}
        teams = {name: _with_own_ladder(team) for name, team in found.teams.items()}
        default = _with_own_ladder(found.default)
        found = msgspec.structs.replace(found, receivers=receivers, teams=teams, default=default)
    return msgspec.to_builtins(found)


def _with_own_ladder(targets: ToldT) -> ToldT:
    """The targets without a paging service, which would have a ladder of its own."""
    return msgspec.structs.replace(targets, escalation="ladder") if targets.escalation == "receiver" else targets
