"""Every route in every state of the exporter, with names that want to be HTML."""

import gzip
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from tests.web.asking import Answer, Tags, ask

from ml_exporter.web import Snapshot, create_app

NOW = 1_700_000_000.0
EXPOSITION = b'# HELP ml_window_rows Rows.\n# TYPE ml_window_rows gauge\nml_window_rows{model="m"} 1.0\n' * 40_000
SCRIPT = "<script>alert('x')</script>"
SNAPSHOT = Snapshot(
    exposition=EXPOSITION,
    compressed=gzip.compress(EXPOSITION, compresslevel=1, mtime=0),
    rendered_at=NOW,
    ready=True,
    interval_seconds=15.0,
    models=("fraud",),
)
RUNBOOK = f"""# MLFeatureDrift

{SCRIPT} <b>bold</b> [click](javascript:alert(1)) [other](MLNulls.md) `up == 0`

| a | b |
|---|---|
| 1 | 2 |
"""


class World:
    """What the app sees: the newest snapshot and the time; a test may change both."""

    def __init__(self, runbooks: Path | None) -> None:
        self.snapshot: Snapshot | None = SNAPSHOT
        self.now = NOW
        self.app = create_app(lambda: self.snapshot, lambda: self.now, "1.2.3", runbooks)

    def get(self, path: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return ask(self.app, "GET", path, named)


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder = tmp_path / "runbooks"
    folder.mkdir()
    (folder / "MLFeatureDrift.md").write_text(RUNBOOK, encoding="utf-8")
    (folder / "MLNulls.md").write_text("# MLNulls\n", encoding="utf-8")
    (folder / "README.md").write_text("# not a runbook\n", encoding="utf-8")
    (folder / "ML-odd name.md").write_text("# not a runbook\n", encoding="utf-8")
    (tmp_path / "MLSecret.md").write_text("# secret\n", encoding="utf-8")
    return World(folder)


# /metrics


def test_metrics_are_the_rendered_bytes(world: World) -> None:
    answer = world.get("/metrics", accept_encoding="identity")
    assert answer.status_code == 200
    assert answer.content == EXPOSITION
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["content-length"] == str(len(EXPOSITION))
    assert answer.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("accepted", ["gzip", "zstd;q=0.9, gzip;q=0.5", "deflate,GZIP ; q=1.0"])
def test_metrics_are_compressed_for_whoever_takes_gzip(world: World, accepted: str) -> None:
    answer = world.get("/metrics", accept_encoding=accepted)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(SNAPSHOT.compressed))
    assert gzip.decompress(answer.content) == EXPOSITION


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "gzip; q=0.000", "br, xgzip", "*;q=0"])
def test_metrics_are_plain_for_everybody_else(world: World, accepted: str) -> None:
    assert "content-encoding" not in world.get("/metrics", accept_encoding=accepted).headers


def test_metrics_before_the_first_rendering_are_unavailable(world: World) -> None:
    world.snapshot = None
    answer = world.get("/metrics")
    assert (answer.status_code, answer.text) == (503, "Nothing was evaluated yet.\n")


def test_metrics_are_served_while_catching_up(world: World) -> None:
    world.snapshot = replace(SNAPSHOT, ready=False)
    assert world.get("/metrics").status_code == 200


@pytest.mark.parametrize(("interval", "limit"), [(0.5, 120.0), (15.0, 120.0), (24.0, 120.0), (60.0, 300.0)])
@pytest.mark.parametrize("path", ["/metrics", "/-/healthy"])
def test_an_overdue_rendering_is_withheld(world: World, path: str, interval: float, limit: float) -> None:
    world.snapshot = replace(SNAPSHOT, interval_seconds=interval)
    world.now = NOW + limit
    assert world.get(path).status_code == 200
    world.now = NOW + limit + 1
    answer = world.get(path)
    assert answer.status_code == 503
    assert answer.text == (
        f"The last evaluation is {limit + 1:.0f} s old; the limit is {limit:.0f} s. See the exporter's log.\n"
    )


# Health


def test_healthy_and_ready(world: World) -> None:
    assert world.get("/-/healthy").text == "ml-exporter is healthy.\n"
    assert world.get("/-/ready").text == "ml-exporter is ready.\n"


def test_not_ready_while_catching_up_but_healthy(world: World) -> None:
    world.snapshot = replace(SNAPSHOT, ready=False)
    assert world.get("/-/ready").status_code == 503
    assert world.get("/-/healthy").status_code == 200


def test_an_exporter_that_never_evaluates_is_unhealthy_after_two_minutes(world: World) -> None:
    world.snapshot = None
    world.now = NOW + 120
    assert world.get("/-/healthy").status_code == 200
    assert world.get("/-/ready").status_code == 503
    world.now = NOW + 121
    assert world.get("/-/healthy").status_code == 503


def test_a_clock_that_was_set_back_does_no_harm(world: World) -> None:
    world.now = NOW - 86_400
    assert world.get("/metrics").status_code == 200


# Methods, paths, headers

PATHS = ["/", "/metrics", "/-/healthy", "/-/ready", "/runbooks/", "/runbooks/MLFeatureDrift"]


@pytest.mark.parametrize("path", PATHS)
def test_head_answers_as_get_does(world: World, path: str) -> None:
    assert ask(world.app, "HEAD", path, {}).status_code == world.get(path).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", PATHS)
def test_nothing_but_get_and_head(world: World, path: str, method: str) -> None:
    answer = ask(world.app, method, path, {})
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/-/", "/runbooks/MLUnknown", "/static/x", "//"])
def test_other_paths_are_not_found(world: World, path: str) -> None:
    answer = world.get(path)
    assert answer.status_code == 404
    assert "There is no such page." in answer.text


@pytest.mark.parametrize("path", [*PATHS, "/nothing", f"/{SCRIPT}", "/runbooks"])
def test_no_answer_lets_a_browser_run_anything(world: World, path: str) -> None:
    headers = world.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "set-cookie" not in headers
    assert "server" not in headers


# Pages


@pytest.mark.parametrize("path", ["/", "/nothing", "/runbooks/", "/runbooks/MLFeatureDrift"])
def test_a_page_is_whole_small_and_needs_nothing_from_elsewhere(world: World, path: str) -> None:
    page = world.get(path).text
    parsed = Tags(page)
    assert not parsed.open
    names = [tag for tag, _ in parsed.tags]
    assert {"html", "head", "title", "style", "main", "footer"} <= set(names)
    assert not {"script", "link", "img", "iframe", "form", "object"} & set(names)
    assert not [name for _, attributes in parsed.tags for name in attributes if name in {"src", "style"}]
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in parsed.tags
    assert "prefers-color-scheme: dark" in page
    assert all("://" not in str(link) for link in parsed.links)


@pytest.mark.parametrize("path", ["/", "/nothing", "/runbooks/MLFeatureDrift"])
def test_the_style_of_a_page_is_the_one_that_its_policy_allows(world: World, path: str) -> None:
    answer = world.get(path)
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in answer.headers["content-security-policy"]


def test_the_landing_page_says_how_the_exporter_is(world: World) -> None:
    assert "The exporter is ready." in world.get("/").text
    world.snapshot = replace(SNAPSHOT, ready=False)
    assert "The exporter is catching up with its sources." in world.get("/").text
    world.snapshot = None
    page = world.get("/").text
    assert "The exporter is starting." in page
    assert "None yet: nothing was evaluated." in page
    world.now = NOW + 500
    assert "The last evaluation is 500 s old" in world.get("/").text
    assert {"./", "metrics", "runbooks/", "-/healthy", "-/ready"} <= set(Tags(page).links)


# Runbooks


def test_the_index_lists_the_runbooks_and_no_other_file(world: World) -> None:
    links = Tags(world.get("/runbooks/").text).own_links
    assert links == ["../runbooks/MLFeatureDrift", "../runbooks/MLNulls"]


def test_without_a_folder_the_index_says_so() -> None:
    assert "There are none in this installation." in World(None).get("/runbooks/").text


def test_the_index_without_its_slash_is_redirected_without_naming_a_host(world: World) -> None:
    answer = world.get("/runbooks", host="evil.example")
    assert (answer.status_code, answer.headers["location"]) == (308, "runbooks/")


@pytest.mark.parametrize("path", ["/runbooks/MLFeatureDrift", "/runbooks/MLFeatureDrift.md"])
def test_a_runbook_is_rendered_without_its_html(world: World, path: str) -> None:
    page = world.get(path).text
    parsed = Tags(page)
    assert "<h1>MLFeatureDrift</h1>" in page
    assert "<code>up == 0</code>" in page
    assert '<td data-label="b"><span>2</span></td>' in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert not {"b", "script"} & {tag for tag, _ in parsed.tags}
    assert parsed.own_links == ["MLNulls.md"]


@pytest.mark.parametrize(
    "name",
    [
        "README",
        "ML-odd name",
        "../MLSecret",
        "..%2fMLSecret",
        "%2e%2e%2fMLSecret",
        "..%5cMLSecret",
        "MLFeatureDrift%00",
        "MLFeatureDrift%0a",
        "MLFeatureDrift.md.md",
        "mlfeaturedrift",
        "ML",
    ],
)
def test_no_name_reaches_another_file(world: World, name: str) -> None:
    assert world.get(f"/runbooks/{name}").status_code == 404
