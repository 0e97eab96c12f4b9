"""The JSON API: names, errors, and what hostile texts do to it."""

import json
from dataclasses import replace
from urllib.parse import quote

import msgspec
import pytest
from example_facts import FEATURE, HOSTILE, MODEL, ExampleFacts
from tests.web.test_app import NOW, SNAPSHOT, ask

from ml_exporter.facts.answers import FeatureFacts, Models
from ml_exporter.web import create_app, site
from ml_exporter.web.openapi import ENDPOINTS, OPENAPI_PATH, described, document
from ml_exporter.web.site import under

SHOWN = replace(SNAPSHOT, facts=ExampleFacts())


def get(path, snapshot=SHOWN, method="GET"):
    return ask(create_app(lambda: snapshot, lambda: NOW, "1.2.3"), method, path, {})


def read(answer):
    """The document; anything that strict JSON does not know fails."""
    assert answer.headers["content-type"] == "application/json"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    return json.loads(answer.content.decode("utf-8", "strict"), parse_constant=pytest.fail)


@pytest.mark.parametrize("item", ENDPOINTS, ids=lambda item: item.answer.__name__)
def test_every_path_answers_with_its_type(item):
    answer = get(item.path.format(model=MODEL, feature=FEATURE))
    assert answer.status_code == 200
    found = read(answer)
    assert msgspec.json.decode(answer.content, type=item.answer)
    schema = document("1.2.3")["components"]["schemas"][item.answer.__name__]
    assert list(found) == list(schema["properties"]) == [field.name for field in fields_of(item.answer.__name__)]


def fields_of(name):
    return next(item for item in described() if item.name == name).fields


def test_every_field_of_every_answer_is_documented():
    schemas = document("1.2.3")["components"]["schemas"]
    for name, schema in schemas.items():
        if name == "Error":
            continue
        documented = {field.name: field.text for field in fields_of(name)}
        assert list(documented) == list(schema["properties"])
        assert all(text.endswith(".") for text in documented.values()), name
        assert all(part["description"] for part in schema["properties"].values()), name
    assert {item.name for item in described()} == schemas.keys() - {"Error"}


def test_the_description_is_openapi():
    found = read(get(OPENAPI_PATH))
    assert found["openapi"] == "3.1.0"
    assert found["info"]["version"] == "1.2.3"
    assert list(found["paths"]) == [item.path for item in ENDPOINTS]
    for path, item in found["paths"].items():
        named = {name for name in ("model", "feature") if f"{{{name}}}" in path}
        assert {part["name"] for part in item["get"]["parameters"]} == named
        assert ("404" in item["get"]["responses"]) == bool(named)
    references = [text for text in json.dumps(found).split('"') if text.startswith("#/components/schemas/")]
    assert {text.rpartition("/")[2] for text in references} <= found["components"]["schemas"].keys()


def test_everything_moves_under_a_prefix():
    app = under(create_app(lambda: SHOWN, lambda: NOW, "1.2.3"), site("https://example.org/ml", None))
    found = read(ask(app, "GET", f"/ml{OPENAPI_PATH}", {}))
    assert found["servers"] == [{"url": "/ml"}]
    assert read(get(OPENAPI_PATH))["servers"] == [{"url": "/"}]
    for item in ENDPOINTS:
        path = item.path.format(model=MODEL, feature=FEATURE)
        assert ask(app, "GET", f"/ml{path}", {}).content == get(path).content
        assert ask(app, "GET", path, {}).status_code == 404


def test_hostile_names_are_only_names():
    path = f"/api/v1/models/{MODEL}/features/{quote(HOSTILE, safe='')}"
    found = msgspec.json.decode(get(path).content, type=FeatureFacts)
    assert found.name == HOSTILE
    models = msgspec.json.decode(get("/api/v1/models").content, type=Models)
    assert HOSTILE in models.models[0].versions


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/api/v1/models/nobody", "model: expected one of fraud, quiet, got 'nobody'."),
        ("/api/v1/models/nobody/labels", "model: expected one of fraud, quiet, got 'nobody'."),
        ("/api/v1/models/nobody/outliers", "model: expected one of fraud, quiet, got 'nobody'."),
        ("/api/v1/models/nobody/features/x", "model: expected one of fraud, quiet, got 'nobody'."),
        ("/api/v1/models/quiet/features/x", "quiet: feature: expected nothing, as there are none, got 'x'."),
        ("/api/v1/models/..%2f..%2fetc/labels", None),
        ("/api/v1/models/%00", None),
        ("/api/v1/models/" + "a" * 5000, None),
        ("/api/v2/models", "path: expected one of those in /api/v1/openapi.json, got '/api/v2/models'."),
        ("/api/x%0Ay", None),
        ("/api/", "path: expected one of those in /api/v1/openapi.json, got '/api/'."),
    ],
)
def test_unknown_names_are_told_in_json(path, error):
    answer = get(path)
    assert answer.status_code == 404
    found = read(answer)
    assert list(found) == ["error"]
    assert len(found["error"]) < 300
    if error:
        assert found["error"] == error


def test_before_the_first_evaluation():
    for snapshot in (None, SNAPSHOT):
        answer = get("/api/v1/models", snapshot)
        assert answer.status_code == 503
        assert "expected an evaluation, got none yet" in read(answer)["error"]


def test_head_has_no_body_and_post_is_refused():
    assert get("/api/v1/models", method="HEAD").status_code == 200
    assert get("/api/v1/models", method="POST").status_code == 405


def test_single_rows_are_shown_only_where_that_is_allowed():
    secret = replace(SNAPSHOT, facts=ExampleFacts(samples=False))
    for path in (f"/api/v1/models/{MODEL}/outliers", "/api/v1/rejected"):
        assert read(get(path))["samples"] is True
        assert read(get(path, secret))["samples"] is False
    assert read(get(f"/api/v1/models/{MODEL}/outliers", secret))["last"] == []
    assert read(get(f"/api/v1/models/{MODEL}/outliers"))["last"][0]["id"] == HOSTILE
    assert read(get("/api/v1/rejected", secret))["lines"] == []
    path = f"/api/v1/models/{MODEL}/features/{quote(HOSTILE, safe='')}"
    assert read(get(path))["unseen"]["values"][0]["value"] == HOSTILE
    assert (read(get(path, secret))["unseen"]["values"], read(get(path, secret))["unseen"]["kept"]) == ([], 2)
    assert "web: {samples: true}" in read(get("/api/v1/rejected", secret))["note"]
