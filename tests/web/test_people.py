"""The pages of facts: what they say, where they lead, and that nothing from a log is more than text in them."""

import html
import re
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

import pytest
from example_facts import AT, FACTS, FEATURE, HOSTILE, LABELS, MODEL, NUMERIC, PSI, SUMMARY, ExampleFacts
from example_facts import CATEGORICAL as CATEGORIES
from tests.web.asking import Answer, Tags, ask

from ml_exporter.facts.answers import Bin, FeatureSummary, PsiBin, SegmentFacts, Value, VersionFacts
from ml_exporter.web import Outside, Snapshot, create_app
from ml_exporter.web.links import feature_path
from ml_exporter.web.words import visible

PAGES = {
    "models": "/",
    "model": f"/models/{MODEL}",
    "sick model": "/models/quiet",
    "feature": f"/models/{MODEL}/features/{FEATURE}",
    "hostile feature": feature_path(MODEL, HOSTILE),
    "labels": f"/models/{MODEL}/labels",
    "no labels": "/models/quiet/labels",
    "outliers": f"/models/{MODEL}/outliers",
    "rejected": "/rejected",
}
NAMES = {
    "html": "<b onclick=x>bold</b>",
    "script": "</style></script><script>alert(1)</script>",
    "quotes": "\" autofocus onfocus='alert(1)' x=`y`",
    "template": "{{ 7 * 7 }}{% raw %}",
    "right to left": "אבג \u202egnp.exe\u2066 عربي",
    "controls": "a\x00\x07\x1b[31m\r\n\u2028\ufeff",
    "long": "x" * 10_000,
    "long words": "Wort " * 2_000,
    "entities": "&lt;script&gt; &#0; &nbsp",
    "half a surrogate": "\ud800!",
    "empty": "",
}


@dataclass(frozen=True)
class Renamed:
    """The example, with every occurrence of the hostile name replaced by another, wherever a log's text may stand."""

    name: str
    samples: bool = True

    def __getattr__(self, asked: str) -> Any:
        found = getattr(ExampleFacts(self.samples), asked)
        return lambda *names: _renamed(found(*(HOSTILE if name == self.name else name for name in names)), self.name)


def _renamed(value: Any, name: str) -> Any:
    if isinstance(value, str):
        return value.replace(HOSTILE, name)
    if isinstance(value, tuple):
        return tuple(_renamed(item, name) for item in value)
    if isinstance(value, dict):
        return {_renamed(key, name): _renamed(item, name) for key, item in value.items()}
    if is_dataclass(value):
        return replace(value, **{field.name: _renamed(getattr(value, field.name), name) for field in fields(value)})
    return value


@dataclass(frozen=True)
class Changed(ExampleFacts):
    """The example with another answer for one question."""

    asked: str = ""
    answer: Any = None

    def __getattribute__(self, name: str) -> Any:
        if name in {"models", "model", "feature", "labels", "outliers", "rejected"} and name == self.asked:
            return lambda *_: self.answer
        return super().__getattribute__(name)


ROOT = Path(__file__).parents[2]
SHOWN: list[Snapshot] = []
APP = create_app(lambda: SHOWN[-1], lambda: AT + 7, "1.2.3")


def get(path: str, facts: Any = None) -> Answer:
    SHOWN[:] = [Snapshot(b"", b"", AT, True, 15.0, (), facts or ExampleFacts())]
    return ask(APP, "GET", path, {})


def text_of(page: str) -> str:
    """What a reader sees, without marks."""
    words = re.sub(r"\s+", " ", html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)))
    return re.sub(r" ([.,:)])", r"\1", words).replace("( ", "(")


# What pages say


def test_the_models_are_ranked_and_what_is_wrong_is_said_in_words() -> None:
    answer = get("/")
    page = text_of(answer.text)
    assert page.index("quiet") < page.index("fraud")
    assert "✕ trouble" in page
    assert "expected a file" in page
    assert "Look at the source `log`." in page
    assert "1 of 2 features drift: amount" in page
    assert {"models/fraud", "models/quiet", "models/fraud/features/amount"} <= set(Tags(answer.text).own_links)


def test_a_model_begins_with_what_moved_and_then_the_outcome() -> None:
    page = text_of(get(PAGES["model"]).text)
    places = [
        page.index(words) for words in ("Something moved", "Last prediction", "Outcome Quality", "Features By drift")
    ]
    assert places == sorted(places)
    assert "Outcome: Accuracy 0.91 over 1d (95 %: 0.9 to 0.92), 0.93 in the reference, since 2023-11-13 (0.94" in page
    assert (
        "Data: amount: Nulls 2 % over 1d, 1 % in the reference, since 2023-11-14 04:00 UTC (0.9 % the day before);"
        in page
    )
    assert "waiting for 120 of 200 rows" in page
    assert "waiting for 12 of 30 days" in page
    assert "control limits 0.9 to 0.94" in page
    assert "estimated without labels: 0.9 ± 0.01" in page
    assert "9,600 of 12,000" in page


def test_a_model_that_is_well_says_so() -> None:
    well = replace(FACTS, values=(), features=(FeatureSummary("a", "numeric", 0.3, (replace(PSI, strength=0.3),)),))
    well = replace(well, summary=replace(well.summary, features_beyond=()))
    page = text_of(get(PAGES["model"], Changed(asked="model", answer=well)).text)
    assert "✓ Nothing is beyond its noise." in page
    assert "▲" not in page


def test_a_model_in_trouble_says_what_to_do() -> None:
    page = text_of(get(PAGES["sick model"]).text)
    assert "✕ Something is broken." in page
    assert "Pipeline: log: expected a file" in page
    assert "Look at the source `log`." in page
    assert "No features are watched, or there are no rows yet." in page


def test_a_feature_names_the_bins_that_carry_its_drift_in_words_marks_and_numbers() -> None:
    answer = get(PAGES["feature"])
    page = text_of(answer.text)
    assert "▲ PSI 0.31 over 1d is beyond the noise floor of 0.12 (2.58 times), since 2023-10-28 or earlier." in page
    assert page.index("▲ Nulls 2 % over 1d") < page.index("▲ PSI 0.31")
    assert "Most of the PSI comes from: 50 and more." in page
    assert "▼ 0.21" in page
    assert "▼ 0.1 " not in page
    assert answer.text.count('class="carries"') == 2  # in the chart and in its key
    assert "33.3 % 50 % 5,000" in page
    assert "plausible from 0" in page
    assert "No window 1h: no rows." in page


def test_a_model_shows_its_days() -> None:
    answer = get(PAGES["model"])
    page = text_of(answer.text)
    shown = page[page.index("Day by day") : page.index("Features By drift")]
    assert "Predictions" in shown
    assert "The numbers of 3 days" in shown
    assert "2023-11-14 00:00 (not over) 4,000 –" in shown
    assert "2023-11-13 00:00 12,000 0.91" in shown
    assert answer.text.count('aria-label="Accuracy by day."') == 1


def test_a_feature_draws_the_noise_floor_that_it_is_judged_by() -> None:
    svg = next(part for part in get(PAGES["feature"]).text.split("<svg")[::-1] if 'aria-label="PSI over time."' in part)
    assert "noise floor" in svg


def test_a_feature_without_rows_is_not_said_to_be_well() -> None:
    (window,) = NUMERIC.windows
    empty = replace(window, values=(), psi=None, psi_bins=(), summary=replace(window.summary, rows=0))
    page = text_of(get(PAGES["feature"], Changed(asked="feature", answer=replace(NUMERIC, windows=(empty,)))).text)
    assert "… No rows over 1d." in page
    assert "✓" not in page


def test_sources_without_rejected_rows_take_one_line_each() -> None:
    rejected = ExampleFacts().rejected()
    clean = replace(rejected.sources[0], name="clean", rejections=(), rows_rejected=0, files_lost=0, up=True)
    answer = replace(rejected, sources=(clean, *rejected.sources))
    page = text_of(get("/rejected", Changed(asked="rejected", answer=answer)).text)
    assert page.index(f"Source {rejected.sources[0].name}") < page.index("Sources without rejected rows")
    assert "Source clean" not in page


def test_a_model_whose_gauges_are_withheld_has_no_table_of_dashes() -> None:
    withheld = replace(FACTS, stale="the last window ended 5h ago; gauges are withheld after 3h")
    page = text_of(get(PAGES["model"], Changed(asked="model", answer=withheld)).text)
    assert "Nothing is known of them now: the last window ended 5h ago" in page
    assert "By drift over its noise" not in page


NULLS = replace(NUMERIC.windows[0].values[1], strength=0.5)
WORSE = next(value for value in FACTS.values if value.metric == "ml_accuracy")


@pytest.mark.parametrize(
    ("features", "values", "labelled", "words"),
    [
        ((PSI,), (WORSE,), AT, "Inputs moved together with the outcome: look at these features first."),
        ((NULLS,), (WORSE,), AT, "The outcome moved and no input did: look at labels, a new version"),
        ((PSI, NUMERIC.windows[0].values[1]), (WORSE,), AT, "Look at the data first: values are missing or wrong"),
        ((PSI,), (), AT, "Inputs moved; the outcome did not, as far as labels are there."),
        ((PSI,), (), None, "Inputs moved. Nobody knows the outcome: there are no labels."),
        ((NULLS,), (), AT, "✓ Nothing is beyond its noise."),
    ],
)
def test_a_model_says_where_to_look_first(
    features: tuple[Value, ...], values: tuple[Value, ...], labelled: float | None, words: str
) -> None:
    summary = replace(FACTS.summary, last_label_at=labelled, features_beyond=())
    told = replace(FACTS, summary=summary, values=values, features=(FeatureSummary("a", "numeric", 1.0, features),))
    assert words in text_of(get(PAGES["model"], Changed(asked="model", answer=told)).text)


def test_without_rows_nothing_is_said_of_the_inputs() -> None:
    empty = tuple(replace(window, rows=0) if window.role == "current" else window for window in FACTS.windows)
    told = replace(FACTS, windows=empty, values=(WORSE,), features=())
    page = text_of(get(PAGES["model"], Changed(asked="model", answer=told)).text)
    assert "No predictions over 1d: look at what writes the log first." in page
    assert "no input did" not in page


def test_the_list_names_features_whose_values_are_missing_or_wrong() -> None:
    broken = replace(SUMMARY, features_beyond=(), features_broken=("amount", "b"))
    answer = get("/", Changed(asked="models", answer=replace(ExampleFacts().models(), models=(broken,))))
    page = text_of(answer.text)
    assert "2 of 2 features have missing or wrong values: amount, b." in page
    assert "▲ moved" in text_of(answer.text)


def test_a_feature_without_psi_says_why() -> None:
    assert "No PSI: fewer than two bins have 5 expected rows." in text_of(get(PAGES["hostile feature"]).text)


def test_labels_show_delay_coverage_and_what_became_of_them() -> None:
    page = text_of(get(PAGES["labels"]).text)
    for words in (
        "up to 1 h",
        "over 1 h",
        "the first of its prediction",
        "still waiting",
        "all should be there",
        "2,400",
    ):
        assert words in page
    assert "The configuration names no labels" in text_of(get(PAGES["no labels"]).text)


@pytest.mark.parametrize(("path", "secret"), [("/rejected", "ab12"), (f"/models/{MODEL}/outliers", "id-1")])
def test_single_rows_are_shown_only_if_allowed(path: str, secret: str) -> None:
    assert secret in get(path, ExampleFacts(samples=True)).text.replace("17", "ab12")
    page = get(path, ExampleFacts(samples=False)).text
    assert secret not in page
    assert "Set `web: {samples: true}` to see them here." in html.unescape(page)


def test_unseen_categories_are_named_only_if_allowed() -> None:
    path = PAGES["hostile feature"]
    shown = text_of(get(path, ExampleFacts(samples=True)).text)
    assert "Categories that the reference does not know 2 names now. Counted since the exporter started." in shown
    assert "XX 71 (perhaps 17 more before) 2023-" in shown
    hidden = text_of(get(path, ExampleFacts(samples=False)).text)
    assert "2 names now. Set `web: {samples: true}` to see them here." in hidden
    assert "XX" not in hidden
    assert "does not know" not in text_of(get(PAGES["feature"]).text)


def test_values_that_are_no_number_are_shown_only_if_allowed() -> None:
    shown = text_of(get(PAGES["feature"], ExampleFacts(samples=True)).text)
    assert "Values that are no number 2 different ones now. Kept since the exporter started." in shown
    assert "1,5 2023-" in shown
    hidden = text_of(get(PAGES["feature"], ExampleFacts(samples=False)).text)
    assert "2 different ones now. Set `web: {samples: true}` to see them here." in hidden
    assert "1,5 2023-" not in hidden


# Where they lead


@pytest.mark.parametrize("path", PAGES.values())
def test_every_page_is_whole_has_one_heading_and_the_same_landmarks(path: str) -> None:
    answer = get(path)
    assert answer.status_code == 200
    parsed = Tags(answer.text)
    assert not parsed.open
    names = [tag for tag, _ in parsed.tags]
    for once in ("h1", "main", "header", "footer", "title"):
        assert names.count(once) == 1, once
    assert not {"script", "link", "img", "iframe", "form", "object", "b", "base"} & set(names)
    assert not {n for _, attributes in parsed.tags for n in attributes if n in {"style", "src"} or n.startswith("on")}
    levels = [int(tag[1]) for tag in names if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all("://" not in str(link) for link in parsed.links)


@pytest.mark.parametrize("path", PAGES.values())
def test_every_table_has_a_caption_and_headers_with_a_scope(path: str) -> None:
    page = get(path).text
    for table in re.findall(r"<table.*?</table>", page, re.DOTALL):
        assert "<caption>" in table
        assert re.sub(r"\s", "", table.split("<caption>")[1].split("</caption>")[0])
    parsed = Tags(page)
    assert all(attributes.get("scope") in {"row", "col"} for tag, attributes in parsed.tags if tag == "th")
    assert all("aria-label" in a or "aria-hidden" in a for tag, a in parsed.tags if tag == "svg")
    assert all({"role", "aria-label"} <= a.keys() for tag, a in parsed.tags if a.get("tabindex") and tag == "div")


def test_ids_are_unique_and_the_skip_link_leads_to_the_content() -> None:
    parsed = Tags(get("/").text)
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert ids == ["content"]
    assert parsed.links[0] == "#content"


def test_the_drifted_feature_is_one_click_from_its_model_and_two_from_the_models() -> None:
    """The first link of the model's own content that is a feature is the one that drifted."""
    (first, *_) = [link for link in Tags(get(PAGES["model"]).text).own_links if "/features/" in str(link)]
    assert urlsplit(urljoin(f"http://h/models/{MODEL}", first)).path == PAGES["feature"]
    assert "PSI 0.31 over 1d is beyond" in get(PAGES["feature"]).text


@pytest.mark.parametrize(
    "path",
    [
        "/models/nobody",
        "/models/nobody/labels",
        "/models/nobody/outliers",
        "/models/fraud/features/nothing",
        "/models/fraud/features/",
        "/models/fraud/features/..%2f..%2f..%2fetc%2fpasswd",
        "/models/fraud/features/?name=%2Fetc%2Fpasswd",
        "/models/../rejected",
        "/models/%2e%2e/rejected",
        "/models/fraud%00",
        "/models/fraud/other",
        "/models/fraud/labels/",
    ],
)
def test_names_that_are_not_configured_are_not_found(path: str) -> None:
    assert get(path).status_code == 404


@pytest.mark.parametrize("path", [path for path in PAGES.values() if path != "/"])
def test_before_the_first_evaluation_pages_say_so(path: str) -> None:
    app = create_app(lambda: None, lambda: AT, "1.2.3")
    answer = ask(app, "GET", path, {})
    assert answer.status_code == 503
    assert "Nothing was evaluated yet." in answer.text


@pytest.mark.parametrize("path", PAGES.values())
def test_every_page_leads_to_the_same_facts_as_json(path: str) -> None:
    page = Tags(get(path).text)
    wanted = urlsplit(f"/api/v1{path if path != '/' else '/models'}")
    targets = [urlsplit(urljoin(f"http://h{path}", str(link))) for link in page.own_links]
    assert (unquote(wanted.path), wanted.query) in {(unquote(target.path), target.query) for target in targets}


@pytest.mark.parametrize(
    ("page", "dashboard"), [("models", "overview"), ("hostile feature", "features"), ("labels", "labels")]
)
def test_pages_lead_to_grafana_and_prometheus_where_they_are_known(page: str, dashboard: str) -> None:
    here = Outside("https://grafana.test/", "https://prometheus.test/p")
    SHOWN[:] = [replace(Snapshot(b"", b"", AT, True, 15.0, (), ExampleFacts()), outside=here)]
    links = [str(link) for link in Tags(ask(APP, "GET", PAGES[page], {}).text).links if "://" in str(link)]
    assert [urlsplit(link).netloc for link in links] == ["grafana.test", "prometheus.test"]
    assert urlsplit(links[0]).path == f"/d/ml-{dashboard}"
    assert (ROOT / "dashboards" / "out" / f"ml-{dashboard}.json").exists()
    if page == "hostile feature":
        assert parse_qs(urlsplit(links[0]).query)["var-feature"] == [HOSTILE]
        (query,) = parse_qs(urlsplit(links[1]).query)["g0.expr"]
        assert query.startswith('ml_feature_psi{model="fraud",feature="<script>alert(')
        assert '\\"quoted\\"' in query


# Hostile content


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("page", PAGES)
def test_no_name_changes_more_than_text(page: str, name: str) -> None:
    hostile = NAMES[name]
    path = feature_path(MODEL, hostile) if page == "hostile feature" else PAGES[page]
    answer = get(path, Renamed(hostile))
    if page == "hostile feature" and name == "half a surrogate":  # no address can hold it
        assert answer.status_code == 404
        return
    assert answer.status_code == 200
    parsed, honest = (
        Tags(answer.text),
        Tags(get(path, Renamed("honest")).text if "hostile" not in page else answer.text),
    )
    assert not parsed.open
    shapes = [
        [(tag, sorted(attributes)) for tag, attributes in item.tags if tag not in {"bdi", "i"}]
        for item in (parsed, honest)
    ]
    assert shapes[0] == shapes[1]
    assert not re.search("[\x00-\x08\x0b-\x1f\u2028\u2066\u202e\ufeff]", answer.text)
    assert len(answer.content) < 100_000
    assert "<script" not in answer.text
    if 0 < len(hostile) < 60 and page not in {"labels", "no labels"}:
        assert visible(hostile) in html.unescape(answer.text) or page == "feature"


def test_a_name_is_isolated_from_the_direction_of_the_text_around_it() -> None:
    page = get(PAGES["model"], Renamed("שלום")).text
    found = [page[match.start() - 5 : match.start()] for match in re.finditer("שלום", page)]
    assert len(found) >= 3
    assert all(before in {"<bdi>", '-35 "'} or before.endswith(("\u2068", "of ", "for ")) for before in found)


# Size


def test_two_hundred_features_are_folded_and_the_page_stays_small() -> None:
    features = tuple(
        FeatureSummary(f"feature {place}", "numeric", 3.0 - place / 100, (replace(PSI, strength=3.0 - place / 100),))
        for place in range(200)
    )
    answer = get(PAGES["model"], Changed(asked="model", answer=replace(FACTS, features=features)))
    assert "180 more features" in answer.text
    assert answer.text.index("feature 0<") < answer.text.index("feature 19<") < answer.text.index("180 more features")
    assert len(answer.content) < 400_000


def test_the_category_that_moved_most_comes_first() -> None:
    parts = [("AA", 0.01), ("BB", 0.5), ("CC", 0.2)]
    bins = tuple(PsiBin(name, None, None, 10, 0.3, 3, 0.3, (0,), part) for name, part in parts)
    window = replace(CATEGORIES.windows[0], psi_bins=bins, psi=0.71)
    page = text_of(get(PAGES["feature"], Changed(asked="feature", answer=replace(CATEGORIES, windows=(window,)))).text)
    table = page[page.index("Part of the PSI") :]
    assert table.index("BB") < table.index("CC") < table.index("AA")
    assert "Most of the PSI comes from: BB." in page


def test_ten_thousand_categories_are_cut_and_the_rest_is_summed_and_counted() -> None:
    names = tuple(Bin(f"{'category' * 1250} {place}", None, None, 10, 1e-4, 3, 1e-4) for place in range(10_000))
    parts = tuple(
        PsiBin(item.label, None, None, 10, 1e-4, 3, 1e-4, (place,), 0.001) for place, item in enumerate(names)
    )
    window = replace(CATEGORIES.windows[0], histogram=names, psi_bins=parts[:5000], psi=5.0)
    answer = get(PAGES["feature"], Changed(asked="feature", answer=replace(CATEGORIES, windows=(window,))))
    page = text_of(answer.text)
    assert "9,950 more are not listed: together 99.5 % of the reference and 99.5 % (29,850 values) now." in page
    assert "4,950 more are not listed" in page
    assert "(10,002 characters)" in page
    assert len(answer.content) < 300_000


def test_many_classes_segments_and_versions_are_cut_and_counted() -> None:
    values = tuple(
        Value("ml_prediction_class_ratio", "predictions", "Share.", "ratio", "1d", {"class": f"c{place}"}, 0.001)
        for place in range(5000)
    )
    segments = tuple(SegmentFacts("country", f"s{place}", {"1d": 5}, values[:20]) for place in range(1000))
    versions = tuple(VersionFacts(f"v{place}", 1, AT, {}) for place in range(5000))
    many = replace(FACTS, values=values, segments=segments, versions=versions)
    answer = get(PAGES["model"], Changed(asked="model", answer=many))
    page = text_of(answer.text)
    assert "4,900 more are in the JSON." in page
    assert "950 more are in the JSON." in page
    assert "4950 more are in the JSON." in page
    assert len(answer.content) < 400_000


def test_a_year_of_days_stays_small() -> None:
    days = tuple(replace(NUMERIC.days[0], start_at=AT + place * 86400.0) for place in range(400))
    assert len(get(PAGES["feature"], Changed(asked="feature", answer=replace(NUMERIC, days=days))).content) < 200_000
    label_days = tuple(replace(LABELS.days[0], start_at=AT + place * 86400.0) for place in range(400))
    assert len(get(PAGES["labels"], Changed(asked="labels", answer=replace(LABELS, days=label_days))).content) < 200_000
