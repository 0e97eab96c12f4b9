"""The generated rules and routing of a drill, on disk."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from ml_exporter import drilling, generate, packed
from ml_exporter.drilling import Level, Reads

JOB = "ml-exporter"
_LEVEL = re.compile(r"\b(ml:(?!threshold\b|model\b)[a-z0-9_:]+)(?:\{([^}]*)\})?")
_ASKED = re.compile(r'(\w+)="([^"]*)"')
_SIGNAL = re.compile(r'signal="([^"]+)"')


@dataclass(frozen=True)
class Pack:
    """What promtool and amtool read, and what the rules read: their metrics, the job of the exporter.

    `reads` has what each alert reads, by name. `back_us` is how far they look back.
    """

    rules: drilling.RuleFiles
    names: frozenset[str]
    alertmanager: Path
    job: str
    reads: Mapping[str, Reads]
    back_us: int

    @property
    def levels(self) -> str:
        """A selector of the levels of all alerts."""
        names = sorted({level.name for item in self.reads.values() for level in item.levels})
        return f'{{__name__=~"{"|".join(names)}"}}'


def write(settings: generate.Settings, model: generate.ExpectedModel, folder: Path) -> Pack:
    """Generates the pack as it would watch this model alone; labels that a Prometheus would add are not there."""
    files = generate.render(packed.pack_dir(), replace(settings, expected_models=(model,), selector=None))
    generate.write(folder, files)
    names = sorted((name for name in files if name.startswith("rules/") and name.endswith(".yaml")), key=_order)
    groups = [group for name in names for group in yaml.safe_load(files[name])["groups"]]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    reads: dict[str, Reads] = {}
    for rule in alerts:
        before = reads.get(rule["alert"], Reads(frozenset(), frozenset()))
        reads[rule["alert"]] = before | _reads(rule["expr"])
    paths = tuple(str((folder / name).resolve()) for name in names)
    text = "\n".join(files[name] for name in names)
    rules = drilling.RuleFiles(paths, tuple(group["name"] for group in groups), tuple(reads))
    back = drilling.looks_back_us("\n".join(str(rule["expr"]) for group in groups for rule in group["rules"]))
    return Pack(rules, drilling.names_read(text), folder / "alertmanager.yaml", _job(settings, text), reads, back)


def _reads(expression: str) -> Reads:
    """The signals with a limit in an expression, and their levels; without any, every level that is compared.

    >>> _reads('ml:accuracy_upper{window="1d"} < x{signal="accuracy"} and ml:window_rows:enough').levels
    frozenset({Level(name='ml:accuracy_upper', asked=(('window', '1d'),))})
    """
    limits = frozenset(_SIGNAL.findall(expression))
    levels = frozenset(
        Level(name.removesuffix(":significant"), tuple(_ASKED.findall(asked)))
        for name, asked in _LEVEL.findall(expression)
        if not name.endswith(":enough")
    )
    own = frozenset(level for level in levels if any(level.name.startswith(f"ml:{signal}") for signal in limits))
    return Reads(own or levels, limits)


def _order(name: str) -> tuple[int, str]:
    """Levels, then the alerts that read them, then what reads those."""
    return (0 if name.endswith("-rules.yaml") else 1 if name.endswith("-alerts.yaml") else 2), name


def _job(settings: generate.Settings, rules: str) -> str:
    """The job of the exporter: as configured, else the pack's own."""
    found = re.search(r'\bup\{job="([^"]+)"', rules)
    return settings.job or (found[1] if found else JOB)
