"""From the files of a replay into a Prometheus: a shell script of every step, and the recording rules in their order.

`promtool tsdb create-blocks-from rules` asks a running Prometheus; a rule sees nothing of what the same run records. So
the rules are cut into levels, each of which reads only the levels below, and a Prometheus that serves nobody gets
the blocks of one level before the next is made. promtool makes a block of every rule; that Prometheus merges them, as
it does with all blocks that overlap. Nothing else is touched until the last step.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ml_exporter.errors import Problem, ProblemsError
from ml_exporter.replay.parts import replacing
from ml_exporter.replay.running import Outcome
from ml_exporter.replay.text import timestamp

BLOCKS = "blocks"
Groups = Sequence[Mapping[str, Any]]


def read_rules(paths: Sequence[Path]) -> Groups:
    """The groups of rule files. Raises ProblemsError."""
    groups: list[Mapping[str, Any]] = []
    for path in paths:
        action = "Give a file of Prometheus rules with --rules"
        try:
            groups += yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        except OSError as error:
            raise ProblemsError([Problem(str(path), "a readable file", str(error.strerror), action)]) from error
        except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError) as error:
            raise ProblemsError([Problem(str(path), "groups of rules", "something else", action)]) from error
    return groups


def levels(groups: Groups) -> list[Groups]:
    """The recording rules, each in the first level that is above all that it reads. Alerts are left out.

    A rule reads another if a selector of it names what that one records and asks for no other label than that one
    sets. Rules that read each other in a circle are in the last level, with all that read them.
    """
    rules = [(place, rule) for place, group in enumerate(groups) for rule in group["rules"] if "record" in rule]
    reads = [
        {other for other, (_, one) in enumerate(rules) if one is not rule and _reads(rule, one)} for _, rule in rules
    ]
    level_of: dict[int, int] = {}
    while len(level_of) < len(rules):
        rest = [number for number in range(len(rules)) if number not in level_of]
        ready = [number for number in rest if reads[number] <= level_of.keys()]
        level_of |= dict.fromkeys(ready or rest, max(level_of.values(), default=-1) + 1)
    found: list[Groups] = []
    for level in range(max(level_of.values(), default=-1) + 1):
        chosen = [rules[number] for number in sorted(level_of) if level_of[number] == level]
        found.append(
            [{**group, "rules": [rule for own, rule in chosen if own == place]} for place, group in enumerate(groups)]
        )
    return found


_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?")
_EQUAL = re.compile(r'(\w+)\s*=\s*"([^"]*)"')


def _reads(rule: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a rule may read what another one records."""
    labels = other.get("labels", {})
    for name, matchers in _SELECTOR.findall(str(rule["expr"])):
        if name == other["record"]:
            asked = _EQUAL.findall(matchers)
            if all(labels.get(label, value) == value for label, value in asked):
                return True
    return False


def write_levels(found: Sequence[Groups], folder: Path) -> list[Path]:
    """Writes a rule file for each level. Raises OSError."""
    paths = []
    for number, groups in enumerate(found, 1):
        paths.append(folder / f"rules-{number}.yaml")
        with replacing(paths[-1]) as file:
            document = {"groups": [dict(group) for group in groups if group["rules"]]}
            file.write(yaml.safe_dump(document, sort_keys=False, width=1000).encode())
    return paths


@dataclass(frozen=True)
class Import:
    """What is to be imported: what a replay wrote below `output`, rule files by level, and the step of the samples."""

    outcome: Outcome
    output: Path
    rules: Sequence[Path]


def script(found: Import) -> str:
    """The steps as a shell script."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Import) -> Iterator[str]:
    output, outcome = found.output.absolute(), found.outcome
    blocks = shlex.quote(str(output / BLOCKS))
    longest = f"--max-block-duration={outcome.block_hours}h --quiet"
    yield from (
        "#!/bin/sh",
        "# Puts what was replayed into the data directory of a Prometheus. Only the last step leaves its folder.",
        "# Prometheus deletes what is older than --storage.tsdb.retention.time (15 days by default): set it first.",
        "set -eu",
        "promtool=${PROMTOOL:-promtool}",
        "data=${DATA:?the data directory of your Prometheus}",
        "",
        f"# 1. A block for each of {len(outcome.files)} files.",
        f"rm -rf {blocks} && mkdir {blocks}",
    )
    for path in outcome.files:
        yield f'"$promtool" tsdb create-blocks-from openmetrics {longest} {shlex.quote(str(path.absolute()))} {blocks}'
    if found.rules:
        yield from _recorded(found, blocks, longest)
    number = len(found.rules) + 3 if found.rules else 2
    yield from (
        "",
        f"# {number}. Into Prometheus, which finds new blocks within a minute or two. They need the owner of its data.",
        f'chown -R --reference="$data" {blocks} 2>/dev/null || true',
        f'mv {blocks}/01* "$data"/',
    )


def _recorded(found: Import, blocks: str, longest: str) -> Iterator[str]:
    """Blocks of the recording rules."""
    made, log = (shlex.quote(str(found.output.absolute() / name)) for name in ("recorded", "prometheus.log"))
    first, last = (timestamp(at_us) for at_us in found.outcome.span)
    yield from (
        "",
        "# The recording rules are evaluated by a Prometheus that serves nobody and has these blocks alone.",
        "prometheus=${PROMETHEUS:-prometheus} address=${ADDRESS:-127.0.0.1:9399} pid=",
        'trap \'[ -z "$pid" ] || kill "$pid"\' EXIT',
        f"rm -rf {made}",
        f"config={shlex.quote(str(found.output.absolute() / 'empty.yml'))}",
        ': >"$config"',
        "start() {",
        f'  "$prometheus" --config.file="$config" --storage.tsdb.path={blocks} --storage.tsdb.retention.time=100y \\',
        f"    --storage.tsdb.max-block-duration={found.outcome.block_hours}h \\",
        f'    --web.listen-address="$address" >{log} 2>&1 &',
        "  pid=$!",
        '  until "$promtool" query instant "http://$address" \'vector(1)\' >/dev/null 2>&1; do',
        f'    kill -0 "$pid" || {{ pid=; cat {log} >&2; exit 1; }}',
        "    sleep 1",
        "  done",
        "}",
        "stop() {",
        '  kill "$pid"',
        '  wait "$pid" || true',
        f"  pid=; rm -rf {blocks}/wal {blocks}/wbl {blocks}/chunks_head {blocks}/lock {blocks}/queries.active",
        "}",
    )
    for number, path in enumerate(found.rules, 1):
        reads = "no recorded series" if number == 1 else f"those of level {number - 1}"
        yield from (
            "",
            f"# {number + 1}. Rules of level {number}, which read {reads}.",
            "start",
            f'"$promtool" tsdb create-blocks-from rules {longest} --url="http://$address" \\',
            f"  --start={first} --end={last} --output-dir={made} {shlex.quote(str(path.absolute()))}",
            "stop",
            f"if ls {made}/01* >/dev/null 2>&1; then mv {made}/01* {blocks}/; fi; rm -rf {made}",
        )
    yield from (
        "",
        f"# {len(found.rules) + 2}. One block for each file again. Prometheus looks every minute what it can merge.",
        "# With MERGE=no it is left to your Prometheus.",
        'if [ "${MERGE:-yes}" = yes ]; then',
        "  start",
        f'  until [ "$(ls -d {blocks}/01* | wc -l)" -le {len(found.outcome.files)} ]; do sleep 1; done',
        "  stop",
        "fi",
    )
