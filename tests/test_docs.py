"""The documents: what they name exists, what they show works, and what is generated is fresh."""

import dataclasses
import re
import shlex
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt

from ml_exporter import cli, config, documents
from ml_exporter.catalogue import BY_NAME, METRICS
from ml_exporter.commands import generate as generate_command
from ml_exporter.generate import Settings, data

ROOT = Path(__file__).parents[1]
HIDDEN = {"out", "dist", "build"}
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in HIDDEN for part in path.relative_to(ROOT).parts)
)
MARKDOWN = MarkdownIt("commonmark").enable("table")
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def tokens(path):
    """Return every token of a page, those inside paragraphs too."""
    for token in MARKDOWN.parse(path.read_text(encoding="utf-8")):
        yield token
        yield from token.children or ()


def fences(path, kind):
    """Return the blocks of a kind."""
    return [token.content for token in tokens(path) if token.type == "fence" and token.info == kind]


def code(path):
    """Return every piece of code, in lines and in blocks, a line each."""
    pieces = (token.content for token in tokens(path) if token.type in ("fence", "code_inline"))
    return [line.strip() for piece in pieces for line in piece.splitlines()]


def anchors(path):
    """Return the anchors of the headings, as GitHub makes them."""
    found, is_heading = set(), False
    for token in MARKDOWN.parse(path.read_text(encoding="utf-8")):
        if is_heading:
            found.add(re.sub(r"[^\w\- ]", "", token.content.lower()).replace(" ", "-"))
        is_heading = token.type == "heading_open"
    return found


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    for token in tokens(page):
        href = str(token.attrs.get("href") or token.attrs.get("src") or "")
        if not href or re.match(r"[a-z]+:", href):
            continue
        target, _, anchor = href.partition("#")
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), href
        assert found.is_relative_to(ROOT), href
        assert not anchor or anchor in anchors(found), href


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_exist(page):
    for line in code(page):
        for target in re.findall(r"(?:^\$ |^)make ([a-z-]+)", line):
            assert target in MAKE_TARGETS, line
        found = re.match(r"(?:\$ )?ml-exporter ([a-z]\S*)(.*)", line)
        if found:
            assert found[1] in documents.named(cli.cli), line
            command = documents.named(cli.cli)[found[1]]
            context = click.Context(command, parent=click.Context(cli.cli, **cli.cli.context_settings))
            command.make_parser(context).parse_args(shlex.split(found[2], comments=True))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_files_that_are_named_exist(page):
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"state"}
    for piece in code(page):
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", piece) and piece.split("/")[0] in folders:
            assert (ROOT / piece).exists(), piece


def test_the_page_of_formats_shows_a_configuration_that_works():
    for text in fences(ROOT / "docs" / "formats.md", "yaml"):
        found = config.parse(text)
        assert [item.model for item in config.streams_of(found, "log")] == ["flights", "ships", "flights"]


def test_the_page_of_tasks_shows_a_configuration_of_each():
    found = [config.parse(text) for text in fences(ROOT / "docs" / "tasks.md", "yaml")]
    tasks = [model.task for item in found for model in item.models.values()]
    assert tasks == ["binary", "multiclass", "regression"]


def test_the_readme_shows_a_configuration_that_works():
    (text,) = fences(ROOT / "README.md", "yaml")
    found = config.parse(text)
    assert found.models
    names = [line for line in code(ROOT / "README.md") if re.match(r"ml_\w+\{", line)]
    assert len(names) >= 3
    for line in names:
        name, labels, value = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line).groups()
        shown = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        assert set(shown) == set(BY_NAME[name].labels) - set(BY_NAME[name].optional), line
        assert shown["model"] in found.models
        float(value)


def test_the_readme_says_what_matters_first():
    first = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40]
    for start in ("$ make demo", "$ make test", "models:", "ml_"):
        assert any(line.startswith(start) for line in first), start


def test_every_setting_of_the_pack_is_documented(tmp_path):
    page = ROOT / "rules" / "README.md"
    part = page.read_text(encoding="utf-8").split("## Settings")[1].split("\n## ")[0]
    keys = set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE))
    assert keys == {item.name for item in dataclasses.fields(Settings)} - {"expected_models", "divide_durations"}
    (changes,) = fences(page, "yaml")
    (tmp_path / "limits.yaml").write_text(changes)
    rows = {row["signal"]: row for row in data.thresholds(ROOT / "rules" / "thresholds.yaml", None)}
    merged = data.thresholds(ROOT / "rules" / "thresholds.yaml", tmp_path / "limits.yaml")
    assert len(merged) >= len(rows)
    (found,) = (row for row in merged for item in row.get("overrides", ()) if item["model"] == "loans")
    assert found["value"] is not None


def test_the_changelog_has_a_place_for_what_comes():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (.+)$", text, re.MULTILINE)
    assert newest is not None
    assert newest[1] == "Unreleased"


def test_generated_pages_are_fresh():
    for name, text in generate_command.references(cli.cli).items():
        assert (ROOT / name).read_text(encoding="utf-8") == text, f"{name}: run `make generate`"


def test_every_metric_is_documented():
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    assert {metric.name for metric in METRICS} == set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


def test_every_example_has_its_page():
    for example in (ROOT / "examples").glob("[0-9]*"):
        assert (example / "README.md").is_file(), example.name
