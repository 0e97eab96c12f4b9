"""`ml-exporter baseline`."""

from collections.abc import Iterator
from pathlib import Path

import click

from ml_exporter import baseline as artefact
from ml_exporter import make_baseline as making
from ml_exporter import options
from ml_exporter.commands import saying
from ml_exporter.loading import read_config

SHOWN_CLASSES = 10


@click.command("baseline", short_help="Make the baseline of a model from reference logs.")
@options.CONFIG
@click.option("--model", "name", help="Name of the model; may be left out where there is one.")
@click.option(
    "--predictions",
    multiple=True,
    required=True,
    help="Reference prediction log: path or glob, from here. May be repeated.",
)
@click.option("--labels", multiple=True, help="Reference label log: path or glob, from here. May be repeated.")
@click.option("--out", type=options.PATH, help="Where to write. Default: the path in the configuration.")
def command(
    path: Path, name: str | None, predictions: tuple[str, ...], labels: tuple[str, ...], out: Path | None
) -> None:
    """Make the baseline of a model from reference data that was held out from training."""
    config = read_config(path)
    if name is None and len(config.models) == 1:
        name = next(iter(config.models))
    if name not in config.models:
        raise click.UsageError(
            f"--model: expected one of {', '.join(config.models)}, got {name!r}. Name a model of the configuration."
        )
    made = making.make(config, name, making.ReferenceLogs(predictions, labels), Path.cwd())
    target = out or path.parent / config.models[name].baseline
    with saying.writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(artefact.dump(made.baseline), encoding="utf-8")
    click.echo(f"{target}: baseline {made.baseline.fingerprint} from {made.baseline.summary['rows']} rows")
    for line in _found(made.baseline):
        click.echo(f"  {line}")
    for reason, count in sorted(made.rejected.items()):
        click.echo(f"{count} rows rejected: {reason}", err=True)
    _warn_unread("reference", made.unread_bytes)
    for warning in made.baseline.warnings:
        click.echo(f"warning: {warning}", err=True)


def _found(made: artefact.Baseline) -> Iterator[str]:
    """What a reader can hold against what they know of the model."""
    rows, labelled, days = (made.summary[name] for name in ("rows", "labelled", "days"))
    yield f"{days:g} days, {labelled / rows:.1%} labelled"
    shares = list(made.summary.get("class_ratios", {}).items())
    if shares:
        more = f", and {len(shares) - SHOWN_CLASSES} classes more" if len(shares) > SHOWN_CLASSES else ""
        yield "predicted " + ", ".join(f"{name} {share:.1%}" for name, share in shares[:SHOWN_CLASSES]) + more
    whole = {name: value for name, value in made.summary["quality"].items() if ":" not in name}
    if labelled and whole:
        yield ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in whole.items())


def _warn_unread(where: str, size: int) -> None:
    """Says that a log ends inside a line, which a service may still be writing."""
    if size:
        click.echo(f"{where}: {size} bytes not read: the last line has no newline yet", err=True)
