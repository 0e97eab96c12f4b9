"""Reads the configuration file and the baselines it names, and refuses them with every problem at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ml_exporter import baseline as artefact
from ml_exporter.baseline import Baseline
from ml_exporter.config import Config, parse
from ml_exporter.errors import BaselineError, ConfigError, Problem, ProblemsError


@dataclass(frozen=True)
class Loaded:
    """A configuration, where it lies (its paths are relative to that), and the baseline of every model."""

    config: Config
    directory: Path
    baselines: Mapping[str, Baseline]


def read_config(path: Path) -> Config:
    """The configuration in a file. Raises ConfigError."""
    return parse(_read(path, ConfigError, "Give the path of the configuration with --config"), path.name)


def load(path: Path) -> Loaded:
    """The configuration in a file, with its baselines. Raises ConfigError with the problems of all of them."""
    config = read_config(path)
    problems: list[Problem] = []
    baselines: dict[str, Baseline] = {}
    for name, model in config.models.items():
        where = path.parent / model.baseline
        try:
            found = artefact.load(_read(where, BaselineError, "Make it with `ml-exporter baseline`"), model.baseline)
        except ProblemsError as error:
            problems.extend(error.problems)
            continue
        problems.extend(artefact.misfits(found, name, model, config.time))
        baselines[name] = artefact.aligned(found, model.labels.align if model.labels else "prediction")
        if model.labels and model.labels.maturity is None and found.maturity_seconds is None:
            action = "Set it, or make the baseline with labels that carry a time"
            problems.append(
                Problem(f"models.{name}.labels.maturity", "a duration", "nothing, and none in the baseline", action)
            )
    if problems:
        raise ConfigError(problems)
    return Loaded(config, path.parent, baselines)


def maturity_seconds(loaded: Loaded, name: str) -> float:
    """How long ago matured windows end: as configured, else the 99th percentile of the baseline's label delay."""
    labels = loaded.config.models[name].labels
    if labels is None:
        return 0.0
    return float(labels.maturity) if labels.maturity is not None else (loaded.baselines[name].maturity_seconds or 0.0)


def _read(path: Path, kind: type[ProblemsError], action: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "text that is not UTF-8"
        raise kind([Problem(str(path), "a readable file", str(reason), action)]) from error
