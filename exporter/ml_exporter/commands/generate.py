"""`ml-exporter generate`."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import click

from ml_exporter import documents, generate, options, packed
from ml_exporter.commands import saying
from ml_exporter.loading import read_config

_PARTS = {
    "rules/": "for `rule_files` of Prometheus, and alerts.md to read",
    "alertmanager.yaml": "for Alertmanager",
    "operator-*": "resources of the Prometheus operator",
    "dashboards/": "for Grafana",
    "runbooks/": "one for each alert",
}
_NOBODY = (
    "receivers: expected who hears of alerts, got the pack's example at localhost:8060. "
    "Name a file of yours as `routing` in --settings."
)


@click.command("generate", short_help="Write rules, routes, dashboards and runbooks.")
@click.option("--out", type=options.PATH, help="Folder for the pack. Default: the committed files here.")
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit with 1 when a file is stale.")
@click.option("--config", "path", type=options.PATH, help="Configuration whose models must report.")
@click.option("--settings", type=options.PATH, help="Settings of the pack: addresses, thresholds, routing.")
@click.option("--divide-durations", "factor", type=click.FloatRange(min=1), default=1.0, help="For a compressed demo.")
def command(out: Path | None, only_check: bool, path: Path | None, settings: Path | None, factor: float) -> None:
    """Write the rules pack: Prometheus rules, Alertmanager configuration, Grafana dashboards, runbooks.

    Without --out, in a checkout, it writes the files that are committed: the pack as it comes, and the references in
    docs/.
    """
    pack = packed.pack_dir()
    if out is None and (path or settings or factor != 1 or not (pack / "docs").is_dir()):
        raise click.UsageError("--out: expected a folder for the pack, got none. Add `--out pack`.")
    if out is None:
        folder, files = (
            pack,
            generate.render_committed(pack)
            | references(cast(click.Group, click.get_current_context().find_root().command)),
        )
    else:
        chosen = generate.read_settings(settings) if settings else generate.Settings()
        models = generate.expected_models(read_config(path)) if path else ()
        chosen = replace(chosen, expected_models=models, divide_durations=factor)
        folder, files = out, generate.render(pack, chosen)
    with saying.writing(folder):
        names = generate.check(folder, files) if only_check else generate.write(folder, files)
    if out is not None and not only_check:
        _say_where(folder, files, names)
        if not (chosen.routing or chosen.webhook_url):
            click.echo(f"warning: {_NOBODY}", err=True)
        return
    for name in names:
        click.echo(f"{'stale' if only_check else 'written'}: {folder / name}", err=only_check)
    if only_check and names:
        sys.exit(1)


def _say_where(folder: Path, files: Mapping[str, str], changed: Sequence[str]) -> None:
    """What each part of a pack is for."""
    for part, what in _PARTS.items():
        if any(name.startswith(part.rstrip("*")) for name in files):
            click.echo(f"{folder / part}: {what}")
    click.echo(f"{len(changed)} of {len(files)} files changed")


def references(root: click.Group) -> dict[str, str]:
    """The generated pages of docs/, of the command at the root."""
    return {
        "docs/metrics.md": documents.metrics_page(),
        "docs/config.md": documents.config_page(),
        "docs/api.md": documents.api_page(),
        "docs/command-line.md": documents.command_line_page(root),
    }
