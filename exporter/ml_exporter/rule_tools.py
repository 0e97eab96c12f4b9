"""promtool and amtool, which come with Prometheus and Alertmanager, as processes."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ml_exporter.errors import ConfigError, ExporterError, Problem, shown

TIMEOUT_SECONDS = 1800.0
GARBAGE = {"GOGC": "400"}
"""Little of what promtool makes lives long: an eighth less CPU, for some more memory. The environment may differ."""


def found(folder: Path | None, name: str) -> Path:
    """The path of a tool, in a folder or where the shell finds it. Raises ConfigError."""
    path = shutil.which(name, path=None if folder is None else str(folder))
    if path is None:
        where = str(folder) if folder else "PATH"
        action = "Install Prometheus and Alertmanager, or name the folder of their tools with --tools"
        raise ConfigError([Problem(where, name, "nothing", action)])
    return Path(path)


@dataclass(frozen=True)
class Promtool:
    """The rule engine of Prometheus over given series."""

    path: Path

    def test(self, document: Any, suite: Path) -> str:
        """What `promtool test rules` prints of a document, which is written to `suite`. Raises ExporterError."""
        with suite.open("w", encoding="utf-8") as file:
            yaml.dump(document, file, Dumper=_dumper(), width=1 << 30, sort_keys=False)
        done = _run([str(self.path), "test", "rules", str(suite)])
        return done.stdout + "\n" + done.stderr


def _dumper() -> Any:
    """The C dumper where PyYAML has it, as it does in its wheels."""
    return getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True)
class Amtool:
    """The routing of an Alertmanager configuration."""

    path: Path
    config: Path
    _known: dict[frozenset[tuple[str, str]], tuple[str, ...]] = field(default_factory=dict)

    def receivers(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Who is notified of an alert with these labels. Raises ExporterError."""
        key = frozenset(labels.items())
        if key not in self._known:
            pairs = [f"{name}={_quoted(value)}" for name, value in sorted(labels.items())]
            command = [str(self.path), "config", "routes", "test", f"--config.file={self.config}", *pairs]
            done = _run(command)
            if done.returncode:
                raise ExporterError(
                    f"amtool: expected receivers of {shown(dict(labels))}, got {_tail(done.stderr)}. Check the routing."
                )
            self._known[key] = tuple(done.stdout.strip().split(","))
        return self._known[key]

    @cached_property
    def parsed(self) -> Mapping[str, Any]:
        """The configuration."""
        document: Mapping[str, Any] = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        return document


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") + '"'


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - the tool that the user named, and files of our own
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False,
            env={**GARBAGE, **os.environ},
        )
    except OSError as error:
        raise ExporterError(f"{command[0]}: expected a program, got {error.strerror}. Give another --tools.") from error
    except subprocess.TimeoutExpired as error:
        action = "Drill shorter, or with a longer --step"
        raise ExporterError(f"{command[0]}: expected an end in {TIMEOUT_SECONDS:g} s, got none. {action}.") from error


def _tail(text: str) -> str:
    lines = text.strip().splitlines()
    return shown(lines[-1] if lines else "nothing", 300)
