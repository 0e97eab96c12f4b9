"""A file for the textfile collector of the node exporter: read back, and replaced in one step."""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from ml_exporter.errors import Problem, ProblemsError

SUFFIX = ".prom"


def checked(path: Path) -> Path:
    """The path, if the collector would read it. Raises ProblemsError."""
    if path.suffix != SUFFIX:
        action = "The textfile collector reads no other files"
        raise ProblemsError([Problem("--textfile", f"a path that ends in {SUFFIX}", f"'{path}'", action)])
    return path


def values_by_model(path: Path, metric: str) -> Mapping[str, float]:
    """The values of a metric with the one label `model` in the file; none where there is no file, or not such a one."""
    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
    samples = [sample for family in families for sample in family.samples]
    return {sample.labels["model"]: float(sample.value) for sample in samples if sample.name == metric}


def write(path: Path, content: bytes) -> None:
    """Replaces the file, readable by all, so that a collector sees the old one or the new one. Raises ProblemsError."""
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), 0o644)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft)
            raise
    except OSError as error:
        action = "Create the folder, or give another --textfile"
        raise ProblemsError([Problem(str(path), "a path that can be written", str(error.strerror), action)]) from error
