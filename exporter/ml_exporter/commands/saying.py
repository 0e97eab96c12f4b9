"""What several commands say, and files that were asked for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from ml_exporter.errors import Problem, ProblemsError


def say_lost(lost: Mapping[str, Mapping[str, int]]) -> None:
    """What was refused, a line each."""
    for source, reasons in lost.items():
        for reason, count in sorted(reasons.items()):
            click.echo(f"{source}: {count} rows rejected: {reason}", err=True)


@contextmanager
def writing(target: Path, option: str = "--out") -> Iterator[None]:
    """Says what hinders the writing of a file."""
    try:
        yield
    except OSError as error:
        problem = Problem(str(target), "a path that can be written", str(error.strerror), f"Give another {option}")
        raise ProblemsError([problem]) from error


def write(target: Path | None, option: str, text: str) -> None:
    """Writes a file that was asked for."""
    if target:
        with writing(target, option):
            target.write_text(text, encoding="utf-8")
