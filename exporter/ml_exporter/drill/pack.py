"""The generated rules and routing of a drill, on disk."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from ml_exporter import drilling, generate

JOB = "ml-exporter"
_LEVEL = re.compile(r"\bml:(?!threshold\b|model\b)[a-z0-9_]+")


@dataclass(frozen=True)
class Pack:
    """What promtool and amtool read, and what the rules read: their metrics, the job of the exporter.

    `levels` asks for the recorded levels that alerts compare with limits, `signals` has those of each alert by name.
    """

    rules: drilling.RuleFiles
    names: frozenset[str]
    alertmanager: Path
    job: str
    signals: Mapping[str, frozenset[str]]

    @property
    def levels(self) -> str:
        """A selector of the levels of all alerts."""
        names = sorted(frozenset[str]().union(*self.signals.values()))
        return f'{{__name__=~"{"|".join(names)}"}}'


def write(settings: generate.Settings, model: generate.ExpectedModel, folder: Path) -> Pack:
    """Generates the pack as it would watch this model alone."""
    files = generate.render(generate.pack_dir(), replace(settings, expected_models=(model,)))
    generate.write(folder, files)
    names = sorted((name for name in files if name.startswith("rules/")), key=_order)
    groups = [group for name in names for group in yaml.safe_load(files[name])["groups"]]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    signals: dict[str, frozenset[str]] = {}
    for rule in alerts:
        signals[rule["alert"]] = signals.get(rule["alert"], frozenset()) | frozenset(_LEVEL.findall(rule["expr"]))
    paths = tuple(str((folder / name).resolve()) for name in names)
    text = "\n".join(files[name] for name in names)
    rules = drilling.RuleFiles(paths, tuple(group["name"] for group in groups), tuple(signals))
    return Pack(rules, drilling.names_read(text), folder / "alertmanager.yaml", _job(settings, text), signals)


def _order(name: str) -> tuple[int, str]:
    """Levels, then the alerts that read them, then what reads those."""
    return (0 if name.endswith("-rules.yaml") else 1 if name.endswith("-alerts.yaml") else 2), name


def _job(settings: generate.Settings, rules: str) -> str:
    """The job of the exporter: as configured, else the pack's own."""
    found = re.search(r'\bup\{job="([^"]+)"', rules)
    return settings.job or (found[1] if found else JOB)
