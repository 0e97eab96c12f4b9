"""Runbooks as pages: a model's names in the queries and its numbers in front, and nothing but names that exist."""

import html
import re
import time
from dataclasses import replace
from urllib.parse import parse_qs, quote_plus, unquote, urljoin, urlsplit

import pytest
from example_facts import FACTS, FEATURE, HOSTILE, MODEL, ExampleFacts
from tests.web.asking import Tags, ask
from tests.web.test_app import NOW, SCRIPT, SNAPSHOT

from ml_exporter import packed
from ml_exporter.facts.answers import FeatureSummary
from ml_exporter.web import Outside, create_app
from ml_exporter.web.now import MOST_ROWS, About, now
from ml_exporter.web.runbooks import Reads, promql, read_runbooks

BOOKS = packed.pack_dir() / "runbooks"
ODD = 'a "b"\\ c/..\n<i>`${x}`</i> \u202e&=+ é'
NAMES = (MODEL, "quiet", ODD)


class Odd(ExampleFacts):
    """The same facts for a model with an odd name."""

    def model(self, name):
        return FACTS if name == ODD else super().model(name)

    def features(self, model):
        return super().features(MODEL if model == ODD else model)


SNAP = replace(SNAPSHOT, models=tuple(NAMES), facts=Odd())


SERVED = [SNAP]
APP = create_app(lambda: SERVED[-1], lambda: NOW, "1.2.3", BOOKS)


def get(path, snapshot=SNAP):
    SERVED[:] = [snapshot]
    return ask(APP, "GET", path, {})


def queries(page):
    return html.unescape("\n".join(re.findall(r"<pre[^>]*><code[^>]*>(.*?)</code>", page, re.DOTALL)))


def told(page):
    """The text of a page; blocks and cells are apart."""
    body = page[page.index('<main id="content">') : page.index("<footer>")]
    body = re.sub(r"</?(a|bdi|span|strong|code)\b[^>]*>", "", body)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", body)))


def test_a_runbook_without_a_model_asks_for_one():
    page = get("/runbooks/MLFeatureDrift").text
    assert "Which model?" in page
    assert '{model="$model",window="1d"}' in queries(page)
    links = [link for link in Tags(page).own_links if "?" in link]
    assert [parse_qs(urlsplit(link).query) for link in links] == [{"model": [name]} for name in NAMES]
    assert all(get(urljoin("/runbooks/x", link)).status_code == 200 for link in links)
    assert "<!--" not in html.unescape(page)


def test_a_runbook_of_a_model_has_its_name_and_numbers():
    page = get(f"/runbooks/MLFeatureDrift?model={MODEL}&feature={FEATURE}").text
    assert "$model" not in queries(page)
    assert "$feature" not in queries(page)
    assert f'ml:feature_psi:significant{{model="{MODEL}",window="1d"}}' in queries(page)
    assert f'feature="{FEATURE}"' in queries(page)
    text = told(page)
    assert f"ml_feature_psi of {FEATURE} 1d 0.31 – 0.12: 2.58 times, since 2023-10-28 or earlier –" in text
    assert "ml_window_rows 1d 12,345" in text
    assert (
        "1d, current: 12,345 predictions, 20 with a label, 2023-11-13 22:13:20 UTC to 2023-11-14 22:13:20 UTC." in text
    )
    assert "ml_feature_null_ratio" not in text.partition("Meaning")[0]
    assert "LTR" not in text.partition("Meaning")[0]  # the other feature
    assert f"../models/{MODEL}" in Tags(page).own_links
    assert f"../models/{MODEL}/features/{FEATURE}" in Tags(page).own_links


def test_without_a_feature_all_are_shown_the_strongest_first():
    page = get(f"/runbooks/MLFeatureDrift?model={MODEL}").text
    text = told(page).partition("Meaning")[0]
    assert text.index(f"ml_feature_psi of {FEATURE}") < text.index("ml_feature_psi of <script>")
    assert 'feature="$feature"' in queries(page)


def test_what_is_missing_says_why():
    text = told(get(f"/runbooks/MLRocAucLow?model={MODEL}").text)
    assert "ml_roc_auc 1d waiting for 120 of 200 rows – – 0.81" in text
    silent = told(get("/runbooks/MLRocAucLow?model=quiet").text)
    assert "Its gauges are withheld, so no alert about them can fire or end: no window: no predictions yet" in silent
    assert "It has none of the values that this alert reads." in silent
    assert "current 1d: none, no predictions yet." in silent
    assert (
        "There are no numbers of it yet." in get(f"/runbooks/MLRocAucLow?model={MODEL}", replace(SNAP, facts=None)).text
    )


def test_intervals_and_segments():
    text = told(get(f"/runbooks/MLSegmentWorse?model={MODEL}").text)
    assert "ml_accuracy 1d 0.91 0.9 to 0.92" in text
    assert "ml_accuracy (segment_by=country, segment=<script>alert('x')</script>⟨U+202E⟩LTR" in text
    assert "segment_by" not in told(get(f"/runbooks/MLAccuracyLow?model={MODEL}").text).partition("Meaning")[0]


def test_links_to_other_runbooks_keep_model_and_feature():
    page = get(f"/runbooks/MLFeatureDrift?model={quote_plus(ODD)}&feature={FEATURE}&window=1d").text
    (link,) = {link for link in Tags(page).own_links if "MLFeatureNullRatioHigh" in link}
    assert parse_qs(urlsplit(link).query) == {"model": [ODD], "feature": [FEATURE], "window": ["1d"]}
    assert not [link for link in Tags(page).own_links if "runbooks/MLFeatureDrift?" in link]
    plain = [link for link in Tags(get("/runbooks/MLFeatureDrift").text).own_links if "MLFeatureNull" in link]
    assert plain == ["../runbooks/MLFeatureNullRatioHigh"]


def test_the_index_keeps_a_model_for_the_runbooks_about_models():
    links = Tags(get(f"/runbooks/?model={quote_plus(ODD)}").text).own_links
    asked = {urlsplit(link).path.rpartition("/")[2]: parse_qs(urlsplit(link).query) for link in links}
    assert asked["MLFeatureDrift"] == {"model": [ODD]}
    assert asked["MLWatchdog"] == {}
    plain = [link for link in Tags(get("/runbooks/").text).own_links if "?" in link]
    assert plain == [link for link in Tags(get("/runbooks/?model=gone").text).own_links if "?" in link] == []
    assert f"../runbooks/?model={MODEL}" in Tags(get(f"/models/{MODEL}").text).own_links


@pytest.mark.parametrize(
    "asked",
    [
        f"model={quote_plus(SCRIPT)}",
        f"model={quote_plus('no such model')}&feature={FEATURE}",
        "model=%00&feature=%ff%fe",
        "model=FRAUD",
        "model=" + "x" * 10_000,
        "model[]=fraud",
        "model=quiet&model=gone",
    ],
)
def test_only_names_that_exist_are_put_into_queries(asked):
    page = get(f"/runbooks/MLFeatureDrift?{asked}").text
    assert queries(page) == queries(get("/runbooks/MLFeatureDrift").text)
    assert "Which model?" in page
    assert Tags(page).names <= Tags(get("/runbooks/MLFeatureDrift").text).names | {"i"}


@pytest.mark.parametrize("asked", ["feature=nothing", f"feature={quote_plus(SCRIPT)}", "window=9d", "window=%22%7D"])
def test_a_feature_or_window_that_does_not_exist_is_left_out(asked):
    assert (
        get(f"/runbooks/MLFeatureDrift?model={MODEL}&{asked}").text
        == get(f"/runbooks/MLFeatureDrift?model={MODEL}").text
    )


def test_hostile_names_are_text_and_right_in_queries():
    honest, odd = (
        get(f"/runbooks/MLFeatureDrift?model={quote_plus(model)}&feature={quote_plus(feature)}").text
        for model, feature in ((MODEL, FEATURE), (ODD, HOSTILE))
    )
    assert Tags(odd).names == Tags(honest).names
    assert 'model="a \\"b\\"\\\\ c/..\\n<i>`${x}`</i> \\u202e&=+ é"' in queries(odd)
    assert not re.search("[\u202e\u2028]", odd.partition("<main")[2])


def test_tables_are_readable_on_a_phone():
    page = get("/runbooks/MLFeatureDrift").text
    assert '<table class="cards">' in page
    assert '<th scope="col">severity</th>' in page
    assert '<td data-label="signal"><span><code>feature_psi</code> over 1d</span></td>' in page
    assert '<td data-label="limit"><span>0.2</span></td>' in page


@pytest.mark.parametrize("name", [*sorted(path.stem for path in BOOKS.glob("*.md"))])
def test_every_runbook_is_a_page_with_and_without_a_model(name):
    for asked in ("", f"?model={MODEL}", f"?model={quote_plus(ODD)}&feature={quote_plus(HOSTILE)}&window=1d"):
        answer = get(f"/runbooks/{name}{asked}")
        assert answer.status_code == 200
        assert not Tags(answer.text).open
        ids = [attributes["id"] for _, attributes in Tags(answer.text).tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        if "$model" in read_runbooks(BOOKS)[name].text:
            assert ("Which model?" in answer.text) == (not asked)
            assert ("$model" in answer.text) == (not asked)
        else:
            assert "Which model?" not in answer.text


def test_what_an_alert_reads_is_known_to_its_page():
    books = read_runbooks(BOOKS)
    assert books["MLFeatureDrift"].reads == Reads(
        ("ml_feature_psi", "ml_feature_psi_critical", "ml_window_rows"), ("1d",), False
    )
    assert books["MLSegmentWorse"].reads.segments
    assert books["MLLatencyOverLimit"].reads.windows == ("1h", "5m")
    assert books["MLWatchdog"].reads == Reads()
    assert books["MLLabelsLate"].reads == Reads(("ml_last_label_timestamp_seconds",), (), False)


def test_many_features_are_cut_and_counted():
    many = tuple(
        FeatureSummary(
            f"f{place}", "numeric", 0.1, tuple(replace(item, strength=place) for item in FACTS.features[0].values)
        )
        for place in range(200)
    )
    reads = Reads(("ml_feature_psi", "ml_feature_psi_critical"), ("1d",))
    found = now(reads, About(replace(FACTS, features=many)), lambda _: [])
    assert len(found.rows) == MOST_ROWS
    assert found.more == (("ml_feature_psi", 200 - MOST_ROWS),)
    assert (found.rows[0].strength, found.rows[0].since) == ("199 times", "since 2023-10-28 or earlier")


def test_a_window_counts_where_the_alert_names_none():
    reads = Reads(("ml_window_rows", "ml_accuracy"))
    assert {row.window for row in now(reads, About(FACTS), lambda _: []).rows} == {"1d"}
    assert now(reads, About(FACTS, window="1h"), lambda _: []).rows == ()


EXPOSITION = b"""\
# HELP ml_correct_predictions_total Right ones.
# TYPE ml_correct_predictions_total counter
ml_correct_predictions_total{model="fraud"} 900.0
ml_correct_predictions_total{model="quiet"} 1.0
# TYPE ml_exporter_source_lag_seconds gauge
ml_exporter_source_lag_seconds{source="<b>log</b>"} 90.0
ml_exporter_source_lag_seconds{source="truth"} 0.0
# TYPE ml_labelled_predictions_total counter
ml_labelled_predictions_total{model="fraud"} 1000.0
# TYPE ml_last_label_timestamp_seconds gauge
ml_last_label_timestamp_seconds{model="fraud"} 1.7e+09
"""


def test_what_no_fact_is_about_comes_from_the_metrics():
    snapshot = replace(SNAP, exposition=EXPOSITION)
    text = told(get(f"/runbooks/MLErrorBudgetBurn?model={MODEL}", snapshot).text).partition("Meaning")[0]
    assert "ml_correct_predictions_total – 900 – – –" in text
    assert "ml_labelled_predictions_total – 1,000 – – –" in text
    late = told(get(f"/runbooks/MLLabelsLate?model={MODEL}", snapshot).text)
    assert "ml_last_label_timestamp_seconds – 2023-11-14 22:13:20 UTC – – –" in late


def test_a_runbook_about_the_exporter_shows_the_exporter():
    snapshot = replace(SNAP, exposition=EXPOSITION)
    for asked in ("", f"?model={MODEL}"):
        text = told(get(f"/runbooks/MLSourceLagging{asked}", snapshot).text).partition("Meaning")[0]
        assert "Now: this exporter" in text
        assert "ml_exporter_source_lag_seconds (source=<b>log</b>) – 1 min 30 s – – –" in text
        assert "fraud" not in text
    assert "Now" not in told(get("/runbooks/MLWatchdog", snapshot).text).partition("Meaning")[0]


def test_control_limits_are_shown_beside_what_they_limit():
    text = told(get(f"/runbooks/MLVolumeOutOfControl?model={MODEL}").text)
    assert "ml_window_rows 1d 12,345 – control limits 10,000 to 14,000 –" in text
    assert "ml_control_limit" not in text.partition("Meaning")[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("plain", "plain"), ('"', '\\"'), ("\\", "\\\\"), ("\n\t\r", "\\n\\t\\r"), ("\U000e0001", "\\U000e0001")],
)
def test_promql(name, expected):
    assert promql(name) == expected


# /models?model=...: where links of alerts lead


def target(path, snapshot=SNAP):
    answer = get(path, snapshot)
    assert answer.status_code == 302
    return urljoin("http://x/models", answer.headers["location"]).removeprefix("http://x")


@pytest.mark.parametrize("model", [MODEL, ODD])
def test_an_alert_leads_to_the_page_of_its_model_or_feature(model):
    asked = f"/models?model={quote_plus(model)}"
    assert unquote(target(asked)) == f"/models/{model}"
    assert unquote(target(f"{asked}&feature={FEATURE}")) == f"/models/{model}/features/{FEATURE}"
    assert target(f"{asked}&feature={quote_plus(HOSTILE)}").startswith(target(asked) + "/features/")
    assert target(f"{asked}&page=labels") == f"{target(asked)}/labels"
    assert target(f"{asked}&page=outliers") == f"{target(asked)}/outliers"
    assert target(f"{asked}&page=../../metrics") == target(asked)
    assert target(f"{asked}&feature=gone") == target(asked)


@pytest.mark.parametrize("model", ["gone", "//evil.test", "https://evil.test", "../..", SCRIPT, "fraud/", "%0d%0aX: y"])
def test_no_other_name_leads_anywhere(model):
    answer = get(f"/models?model={quote_plus(model)}")
    assert answer.status_code == 404
    assert "location" not in answer.headers


def test_without_a_name_or_before_the_first_evaluation_it_leads_to_all_models():
    assert target("/models") == "/"
    assert target(f"/models?model={MODEL}", None) == "/"


def test_a_page_with_two_hundred_features_is_made_in_little_time():
    features = tuple(replace(FACTS.features[0], name=f"f{place}") for place in range(200))

    class Many(ExampleFacts):
        def model(self, name):
            return replace(FACTS, features=features)

    started = time.process_time()
    assert get(f"/runbooks/MLFeatureDrift?model={MODEL}", replace(SNAP, facts=Many())).status_code == 200
    print(f"a runbook with 200 features: {time.process_time() - started:.3f} s")


def test_a_runbook_leads_to_the_dashboard_of_its_alert_and_to_what_it_reads():
    here = Outside("https://grafana.test", "https://prometheus.test")
    page = get(f"/runbooks/MLFeatureDrift?model={MODEL}", replace(SNAP, outside=here)).text
    links = [html.unescape(str(link)) for link in Tags(page).links if "://" in str(link)]
    assert links[0] == f"https://grafana.test/d/ml-features?from=now-24h&to=now&var-model={MODEL}"
    assert links[1].startswith("https://prometheus.test/graph?g0.expr=ml_feature_psi")
