"""The command line.

Exit codes: 0 fine, 1 findings (a check failed), 2 bad usage or configuration. Data goes to stdout, messages to stderr.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ml_exporter import __version__, documents, drill_options, fitness, generate, options, preview_options, web_options
from ml_exporter import baseline as artefact
from ml_exporter import check as checking
from ml_exporter import drill as drilling
from ml_exporter import make_baseline as making
from ml_exporter import once as finished
from ml_exporter import preview as previewed
from ml_exporter import replay as replaying
from ml_exporter import serve as serving
from ml_exporter import textfile as files
from ml_exporter.errors import ExporterError, Problem, ProblemsError
from ml_exporter.exposition import Renderer
from ml_exporter.loading import Loaded, load, read_config
from ml_exporter.web import WebConfig


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Exposes drift, data quality, latency and quality of ML models, from their logs, to Prometheus."""


def main() -> None:
    """Runs the command line. Errors that are meant for the user are one line each, and exit with 2."""
    try:
        cli(prog_name="ml-exporter", standalone_mode=False)
    except ExporterError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)


@cli.command()
@options.CONFIG
@web_options.web
@click.option(
    "--log.level", "level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.pass_obj
def serve(given: Mapping[str, Any], path: Path, level: str) -> None:
    """Follow the logs and serve /metrics. SIGHUP reloads the configuration, SIGTERM stops."""
    logging.basicConfig(
        level=level.upper(), format="time=%(asctime)s level=%(levelname)s %(message)s", stream=sys.stderr
    )
    runbooks = generate.pack_dir() / "runbooks"
    serving.run(path, web_options.served(given), runbooks if runbooks.is_dir() else None)


@cli.command()
@options.CONFIG
@click.option("--at", help="Instant at which the windows end, ISO 8601 with zone. Default: the end of the data.")
@click.option(
    "--textfile", type=options.PATH, help="Write a *.prom file for the textfile collector of the node exporter instead."
)
@options.pushgateway
@click.option(
    "--max-rejected-ratio",
    type=click.FloatRange(0, 1),
    default=fitness.MAX_REJECTED_RATIO,
    show_default=True,
    help="Share of refused lines of a source beyond which its data is unfit.",
)
@click.option(
    "--fail-on",
    multiple=True,
    type=click.Choice(["drift", "nulls"]),
    help="Data is unfit too when a feature drifts, or is null, beyond the limits of the alerts. May be repeated.",
)
@click.pass_obj
def once(
    pushed: Mapping[str, Any],
    path: Path,
    at: str | None,
    textfile: Path | None,
    max_rejected_ratio: float,
    fail_on: tuple[str, ...],
) -> None:
    """Print the gauges of finished logs, and say whether their data is fit. Nothing is remembered.

    Exit code 0: the data is fit. 1: it is not, and stderr has a line for each reason. 2: nothing can be said, because
    of the command line, the configuration, or an output that cannot be written.
    """
    group, target = options.group(pushed), files.checked(textfile) if textfile else None
    instant, now = options.instant_us(at) if at else None, time.time()
    result = finished.run(load(path), instant, round(now * 1e6), fitness.Limits(max_rejected_ratio, frozenset(fail_on)))
    _say(result)
    if target:
        known = files.values_by_model(target, finished.SUCCESS)
        files.write(target, Renderer().render(finished.exposed(result, now, known)))
    if group:
        known = group.values_by_model(finished.SUCCESS) if result.unfit else {}
        group.replace(Renderer().render(finished.exposed(result, now, known)))
    if not target and not group:
        click.echo(Renderer().render(finished.exposed(result, now, {})).decode(), nl=False)
    if result.findings:
        sys.exit(1)


@cli.command("replay")
@options.CONFIG
@click.option("--output", type=options.PATH, required=True, help="Folder for the files, and for what goes on from.")
@options.replay
@click.option(
    "--rules",
    multiple=True,
    type=options.PATH,
    help="File of Prometheus rules whose recording rules get a past too. May be repeated. Default: the pack's.",
)
@click.pass_obj
def replay_command(replayed: Mapping[str, Any], path: Path, output: Path, rules: tuple[Path, ...]) -> None:
    """Turn recorded logs into the series that would have been scraped, for a Prometheus that has no past yet.

    Writes OpenMetrics files into --output, and prints a shell script that makes blocks of them and of the recording
    rules, and moves them into a Prometheus. What was interrupted goes on when the same is run again.

    Exit code 0: all was replayed. 2: it could not be. 130: it was interrupted.
    """
    chosen = rules or tuple(sorted((generate.pack_dir() / "rules" / "out").glob("ml-exporter-*.yaml")))
    outcome, script = replaying.run(load(path), options.replayed(replayed, output), chosen, Console(stderr=True))
    _say_lost(outcome.lost)
    state = "replayed" if script else "interrupted: run the same again to go on"
    click.echo(f"{output}: {outcome.instants} instants, {outcome.samples} samples, {state}", err=True)
    if not script:
        sys.exit(130)
    click.echo(script, nl=False)


def _say_lost(lost: Mapping[str, Mapping[str, int]]) -> None:
    """What was refused, a line each."""
    for source, reasons in lost.items():
        for reason, count in sorted(reasons.items()):
            click.echo(f"{source}: {count} rows rejected: {reason}", err=True)


def _say(result: finished.Finished) -> None:
    """What was lost and what is unfit, a line each."""
    _say_lost(result.rejected)
    for finding in result.findings:
        click.echo(f"unfit: {finding.text}", err=True)


@contextmanager
def _writing(target: Path, option: str = "--out") -> Iterator[None]:
    """Says what hinders the writing of a file."""
    try:
        yield
    except OSError as error:
        problem = Problem(str(target), "a path that can be written", str(error.strerror), f"Give another {option}")
        raise ProblemsError([problem]) from error


def _write(target: Path | None, option: str, text: str) -> None:
    """Writes a file that was asked for."""
    if target:
        with _writing(target, option):
            target.write_text(text, encoding="utf-8")


def _warn_unread(where: str, size: int) -> None:
    """Says that a log ends inside a line, which a service may still be writing."""
    if size:
        click.echo(f"{where}: {size} bytes not read: the last line has no newline yet", err=True)


@cli.command()
@options.CONFIG
@web_options.checked
def check(path: Path, web_config: Path | None) -> None:
    """Validate the configuration and its baselines, and print how many series each model will export."""
    if web_config:
        access = WebConfig(web_config).current
        click.echo(f"{web_config}: {'TLS' if access.tls else 'plain HTTP'}, {len(access.users)} users")
    loaded = load(path)
    forecasts = checking.series(loaded)
    for name, found in forecasts.items():
        limit = loaded.config.models[name].series_limit
        click.echo(f"{name}: {found.count} series (limit {limit}), baseline {loaded.baselines[name].fingerprint}")
        if len(found.series) > 1:
            click.echo(f"{name}: {_listed(found.series)}")
        for warning in loaded.baselines[name].warnings:
            click.echo(f"{name}: {warning}", err=True)
        if found.dropped:
            count, action = sum(found.dropped.values()), "Raise series_limit, or configure fewer windows or segments"
            click.echo(f"{name}: {count} series would be dropped: {_listed(found.dropped)}. {action}.", err=True)
    if any(found.dropped for found in forecasts.values()):
        sys.exit(1)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


@cli.command()
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
def baseline(
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
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(artefact.dump(made.baseline), encoding="utf-8")
    click.echo(f"{target}: baseline {made.baseline.fingerprint} from {made.baseline.summary['rows']} rows")
    for reason, count in sorted(made.rejected.items()):
        click.echo(f"{count} rows rejected: {reason}", err=True)
    _warn_unread("reference", made.unread_bytes)
    for warning in made.baseline.warnings:
        click.echo(f"warning: {warning}", err=True)


@cli.command("drill")
@options.CONFIG
@drill_options.drill
@click.pass_obj
def drill_command(given: Mapping[str, Any], path: Path) -> None:
    """Inject faults into recorded logs, and say what the generated rules notice.

    Clean logs, then a fault, then clean logs are replayed; the rules are evaluated by Prometheus' own engine. Exit code
    0: every fault was noticed by an alert of its layer, and nothing that is no fault paged. 1: not so, and stderr has a
    line for each. 2: nothing can be said.

    With --live, a marked model of the running exporter loses a feature, and its alert is followed through Prometheus
    and Alertmanager to the notification and back. Exit code 1: a step did not happen in time.
    """
    if given["cron"]:
        click.echo(drill_options.scheduled(given, path), nl=False)
        return
    loaded = load(path)
    name = drill_options.model_of(loaded.config, given["model"])
    if given["live"]:
        _drill_live(loaded, name, given)
        return
    wanted = drill_options.wanted(given)
    with drill_options.progress(len(wanted.tasks)) as advance:
        result = drilling.offline(loaded, name, wanted, advance)
    if str(given["json"]) == "-":
        click.echo(json.dumps(result.as_json(), indent=2))
    else:
        drilling.show(result, drill_options.console())
    _write(drill_options.target(given["json"]), "--json", json.dumps(result.as_json(), indent=2) + "\n")
    _write(given["html"], "--html", result.as_html() if given["html"] else "")
    for finding in result.findings:
        click.echo(finding, err=True)
    if result.findings:
        sys.exit(1)


def _drill_live(loaded: Loaded, name: str, given: Mapping[str, Any]) -> None:
    with drill_options.live(given) as live:
        try:
            drilling.live_drill(loaded, name, live, click.echo)
        except drilling.OverdueError as error:
            click.echo(str(error), err=True)
            sys.exit(1)


@cli.command("preview")
@preview_options.preview
@click.pass_obj
def preview_command(given: Mapping[str, Any]) -> None:
    """Draw Grafana dashboards against any Prometheus, as one page that needs neither Grafana nor a network.

    Exit code 0: everything was asked and drawn. 1: a query failed, or something cannot be drawn; the page shows it in
    its place, and stderr has a line for each. 2: nothing can be shown.
    """
    found = preview_options.dashboards(given)
    when, wanted = preview_options.when(given, time.time()), preview_options.wanted(given, found)
    result = previewed.preview(preview_options.prometheus(given), found, when, wanted)
    _write(given["out"], "--out", result.html)
    for finding in result.findings:
        click.echo(finding, err=True)
    click.echo(f"{given['out']}: {result.summary()}", err=True)
    if result.findings:
        sys.exit(1)


@cli.command("generate")
@click.option("--out", type=options.PATH, help="Folder for the pack. Default: the committed files here.")
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit with 1 when a file is stale.")
@click.option("--config", "path", type=options.PATH, help="Configuration whose models must report.")
@click.option("--settings", type=options.PATH, help="Settings of the pack: addresses, thresholds, routing.")
@click.option("--divide-durations", "factor", type=click.FloatRange(min=1), default=1.0, help="For a compressed demo.")
def generate_command(
    out: Path | None, only_check: bool, path: Path | None, settings: Path | None, factor: float
) -> None:
    """Write the rules pack: Prometheus rules, Alertmanager configuration, Grafana dashboard.

    Without --out, in a checkout, it writes the files that are committed: the pack as it comes, and the references in
    docs/.
    """
    pack = generate.pack_dir()
    if out is None:
        folder, files = pack, generate.render_committed(pack) | _references()
    else:
        chosen = generate.read_settings(settings) if settings else generate.Settings()
        models = generate.expected_models(read_config(path)) if path else ()
        chosen = replace(chosen, expected_models=models, divide_durations=factor)
        folder, files = out, generate.render(pack, chosen)
    with _writing(folder):
        names = generate.check(folder, files) if only_check else generate.write(folder, files)
    for name in names:
        click.echo(f"{'stale' if only_check else 'written'}: {folder / name}", err=only_check)
    if only_check and names:
        sys.exit(1)


def _references() -> dict[str, str]:
    """The generated pages of docs/."""
    return {
        "docs/metrics.md": documents.metrics_page(),
        "docs/config.md": documents.config_page(),
        "docs/api.md": documents.api_page(),
        "docs/command-line.md": documents.command_line_page(cli),
    }
