"""docs/quick-start.md is done as it stands: its files, its commands and what it says that they print."""

import json
import random
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from servers import tools

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "quick-start.md"
FENCES = [token for token in MarkdownIt("commonmark").parse(PAGE.read_text("utf-8")) if token.type == "fence"]
BEGINNING = datetime(2025, 10, 1, tzinfo=UTC)
DAYS = 25
ROWS = 3000


def blocks(kind):
    return [token.content for token in FENCES if token.info == kind]


def write_logs(folder, names):
    """Logs whose lines have the form that the page shows, with outcomes that come a week later."""
    (shape,) = (json.loads(text) for text in blocks("json"))
    header, example = blocks("csv")[0].splitlines()
    assert len(header.split(";")) == len(example.split(";")) == 3
    generator = random.Random(7)
    made, known = [], [header]
    for number in range(ROWS):
        at = BEGINNING + timedelta(days=DAYS) * number / ROWS
        age, income = generator.randint(18, 90), round(generator.lognormvariate(10.5, 0.5))
        score = round(generator.betavariate(0.5, 2.0), 3)
        inputs = {"income": income, "age": age, "purpose": generator.choice(["car", "house", "trip"])}
        row = {
            "at": at.isoformat(),
            "request": f"r-{number}",
            "model": "v7",
            "ms": round(generator.lognormvariate(3, 0.5), 1),
        }
        made.append(row | {"input": inputs, "output": {"default": score}})
        assert made[-1].keys() == shape.keys()
        assert made[-1]["input"].keys() == shape["input"].keys()
        assert made[-1]["output"].keys() == shape["output"].keys()
        outcome = "default" if generator.random() < score else "repaid"
        known.append(f"{(at + timedelta(days=7)).isoformat()};r-{number};{outcome}")
    for path, text in zip(names, ["\n".join(map(json.dumps, made)), "\n".join(known)], strict=True):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text + "\n")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a folder with the files of the page, and with logs as it describes them."""
    folder = tmp_path_factory.mktemp("quick")
    for text in blocks("yaml"):
        (folder / re.match(r"# (\S+)\n", text)[1]).write_text(text)
    write_logs(folder, ["logs/predictions.jsonl", "logs/outcomes.csv"])
    write_logs(folder, ["reference/predictions.jsonl", "reference/outcomes.csv"])
    return folder


def test_every_command_does_what_the_page_says(written, shell, monkeypatch):
    monkeypatch.chdir(written)
    lines = [line for text in blocks("console") for line in text.splitlines()]
    shown = {}
    for line in lines:
        found = re.match(r"\$ ml-exporter (.*)", line)
        if found and found[1] != "serve":
            code, out, err = shell(*found[1].split())
            assert (code, err) == (0, ""), line
            shown[found[1].split()[0]] = out
    assert list(shown) == ["baseline", "check", "once", "generate"]
    printed = lines[
        1 + next(number for number, line in enumerate(lines) if line.startswith("$ ml-exporter baseline")) :
    ]
    made = shown["baseline"].splitlines()
    assert re.fullmatch(r"loans\.json: baseline [0-9a-f]{12} from 3000 rows", made[0])
    assert made[1:] == printed[1 : len(made)]
    assert 'ml_accuracy{model="loans",window="30d"}' in shown["once"]
    check_pack(written)


def check_pack(folder):
    """Prometheus and Alertmanager accept what was generated; rules and links are those of the page."""
    for command in (
        ["promtool", "check", "config", "prometheus.yml"],
        ["amtool", "check-config", "pack/alertmanager.yaml"],
    ):
        done = subprocess.run(
            [tools("latest") / command[0], *command[1:]], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    routes = yaml.safe_load((folder / "pack/alertmanager.yaml").read_text())
    assert {"oncall", "channel"} <= {item["name"] for item in routes["receivers"]}
    alerts = (folder / "pack/rules/ml-exporter-alerts.yaml").read_text()
    assert "http://ml-exporter.example.org:9846/runbooks/MLAccuracyLow" in alerts
    assert "page_url: http://ml-exporter.example.org:9846/models" in alerts
    assert "https://grafana.example.org/d/ml-model" in alerts
