"""The exporter's pages in a real browser: from an alert to the feature, for everybody, and a log is only text."""

import json
import time
from collections import Counter
from itertools import count

import pytest
import yaml
from browsing import scrolls_sideways, serious_faults, structure, visit
from tests.preview.test_page import drawn, everything
from tests.serve import service

from ml_exporter import baseline as artefact
from ml_exporter import generate, make_baseline, packed
from ml_exporter.config import parse
from ml_exporter.preview import ALL, read_dashboards
from ml_exporter.web.links import feature_path

ROWS = 1200
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "javascript:alert(3)//",
    "\u202eright to left \u0645\u0631\u062d\u0628\u0627",
    "</title></style></svg><base href=//evil.test>",
    "a/../../b?c#d%2Fé&amp;{{ 7*7 }}",
    "two\nlines\tand \x1b \x7f",
    "x" * 3000,
]
HARMLESS = [f"name{place}" + "y" * 3000 * (len(text) > 1000) for place, text in enumerate(HOSTILE)]


def written(folder, names, at):
    """A folder with a model whose every text comes from `names`, 10,000 categories, and a feature that drifted.

    Rows are of the time `at`, the reference of four weeks before.
    """
    numeric, many, drifted, version, one, other, place, long = names
    time_of_the_clock = {"pane": "1s", "future_tolerance": "5s"}
    document = service.config("risk", web={"samples": True}, time=time_of_the_clock, interval="2s")
    windows = {"head": ["1h", "1d"]}  # which no row leaves while the tests run
    segments = {"place": {"column": place}}
    model = service.model("risk", classes=[one, other], segments=segments, windows=windows)
    model["features"] = {
        "object": "inputs",
        "numeric": {numeric: {"range": [-30, 50]}, drifted: None},
        "categorical": {many: None},
    }
    document["models"] = {"risk": model}
    document["sources"]["risk"]["files"] = "risk*.jsonl"
    for log in ("risk.jsonl", "risk-labels.jsonl"):
        (folder / log).touch()
    path = service.write_config(folder, document)

    def row(number, at, shift):
        rarely = number % 50 == 0
        found = service.prediction(number, at, version=version, id=f"{long if rarely else version}{number}")
        found["prediction"] = other if found["prediction"] == "yes" else one
        category = names[number % 8] if number % 50 < 8 else f"{version}{number % 10_000}"
        values = {numeric: number % 40 - 10.0, drifted: number * 7 % 40 + shift, many: category}
        return found | {"inputs": values, place: names[number % 5]}

    reference = [row(number, at - (10_000 - number) * 250, 0.0) for number in range(10_000)]
    (folder / "reference.jsonl").write_bytes(service.lines(reference))
    logs = make_baseline.ReferenceLogs(["reference.jsonl"], [])
    made = make_baseline.make(parse(path.read_text()), "risk", logs, folder)
    (folder / "risk.json").write_text(artefact.dump(made.baseline))
    refused = json.dumps({"timestamp": "never", "id": version}).encode() + b"\nno JSON\n"
    served = service.lines(row(number, at + number / 100, 25.0) for number in range(ROWS))
    service.append(folder / "risk.jsonl", served + refused)
    return path


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    """Return two exporters of logs that differ in nothing but the texts in them: harmless and hostile ones."""
    folders = [tmp_path_factory.mktemp(name) for name in ("harmless", "hostile")]
    at = time.time() - 30
    paths = [written(folder, names, at) for folder, names in zip(folders, (HARMLESS, HOSTILE), strict=True)]
    with service.serve(paths[0]) as harmless, service.serve(paths[1]) as hostile:
        for running in (harmless, hostile):
            running.until(lambda found: found("ml_window_rows", model="risk", window="1d") == ROWS, "all rows")
        yield harmless, hostile


SMALL_PHONE = 320
TABLETS = (720, 834)
PAGES = {
    "models": "/",
    "model": "/models/risk",
    "labels": "/models/risk/labels",
    "outliers": "/models/risk/outliers",
    "rejected rows": "/rejected",
    "runbooks": "/runbooks/",
    "runbook": "/runbooks/MLFeatureDrift",
    "runbook of a model": "/runbooks/MLFeatureDrift?model=risk",
    "nothing": "/nothing",
}
FEATURES = {"drifted": 2, "many categories": 1}


def pages(names):
    """The addresses of all pages by name."""
    return PAGES | {f"{name} feature": feature_path("risk", names[place]) for name, place in FEATURES.items()}


def noticed(visited, page):
    """What a page did beyond showing text; that one that does not exist was not found is no more than its text."""
    return [line for line in visited.noticed if page != "nothing" or "404 (Not Found)" not in line]


@pytest.mark.parametrize("page", pages(HOSTILE))
def test_a_page_is_for_everybody_and_hostile_text_is_only_text(browser, worlds, page):
    with visit(browser, worlds[0].server.url + pages(HARMLESS)[page]) as visited:
        harmless = Counter(structure(visited.page))
        assert noticed(visited, page) == []
    with visit(browser, worlds[1].server.url + pages(HOSTILE)[page]) as visited:
        shown = visited.page
        assert Counter(structure(shown)) == harmless
        assert shown.title().endswith("ml-exporter")
        assert shown.locator("h1").count() == 1
        assert [width for width in (SMALL_PHONE, *TABLETS) if scrolls_sideways(shown, width)] == []
        assert serious_faults(shown) == []
        assert noticed(visited, page) == []


def links_of(alert, exporter):
    """The links of an alert about the model `risk`, as generated for this exporter."""
    url = exporter.server.url
    settings = generate.Settings(exporter_url=url, runbook_url_pattern=f"{url}/runbooks/%s")
    text = generate.render(packed.pack_dir(), settings)["rules/ml-exporter-alerts.yaml"]
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    notes = next(rule["annotations"] for rule in rules if rule.get("alert") == alert)
    without_feature = notes["page_url"].partition("{{ with")[0], notes["runbook_url"].partition("{{ with")[0]
    return [link.replace("{{ $labels.model | urlquery }}", "risk") for link in without_feature]


@pytest.mark.parametrize("names", [HARMLESS, HOSTILE], ids=["harmless", "hostile"])
def test_an_alert_leads_to_the_drifted_feature_in_three_clicks(browser, worlds, names):
    drifted = names[FEATURES["drifted"]]
    for link in links_of("MLFeatureDrift", worlds[names is HOSTILE]):
        with visit(browser, link) as visited:  # the first click
            page = visited.page
            first = page.locator('main a[href*="/features/"]').first  # the second
            first.click()
            page.wait_for_url(lambda url: url.endswith(feature_path("risk", drifted)))
            assert page.locator("svg.histogram").count() >= 1
            verdict = page.locator(".verdict").first.inner_text()
            assert "beyond" in verdict
            assert "since" in verdict
            assert visited.noticed == []


def test_the_keyboard_alone_reaches_the_drifted_feature(browser, worlds):
    drifted = HARMLESS[FEATURES["drifted"]]
    with visit(browser, links_of("MLFeatureDrift", worlds[0])[0]) as visited:
        page = visited.page
        for pressed in count(1):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent").strip() == drifted:
                break
            assert pressed < 20
        seen = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert seen not in ("none", "")
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: url.endswith(feature_path("risk", drifted)))
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        page.wait_for_function("location.hash === '#content'")


@pytest.mark.parametrize("which", ["ml-latency", pytest.param(ALL, marks=pytest.mark.soak)])
def test_a_preview_is_for_everybody_and_loads_nothing(browser, tmp_path, which):
    pack = read_dashboards(packed.pack_dir() / "dashboards" / "out", which)
    (tmp_path / "preview.html").write_text(drawn(*pack, everything())[0], encoding="utf-8", errors="replace")
    with visit(browser, (tmp_path / "preview.html").as_uri()) as visited:
        assert visited.page.locator("svg").count() > 20
        assert serious_faults(visited.page) == []
        assert visited.noticed == []
