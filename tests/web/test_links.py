"""Links lead where they say, from every page, under every prefix, whatever the name."""

from urllib.parse import parse_qs, unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_exporter.web.links import feature_path, link_from, model_path, page_of

PAGES = [
    "/",
    "/rejected",
    "/runbooks/",
    "/runbooks/MLFeatureDrift",
    "/models/a%2Fb",
    "/models/a/features/b%20c",
    "/x/y/z",
]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("target", [*PAGES, "/models/a/features/?name=.."])
@pytest.mark.parametrize("prefix", ["", "/ml", "/one/two"])
def test_a_link_resolves_below_the_prefix(page: str, target: str, prefix: str) -> None:
    base = f"http://host:9000{prefix}{page}"
    assert urljoin(base, link_from(page)(target)) == f"http://host:9000{prefix}{target}"


@given(st.text())
def test_a_name_is_one_step_or_a_query(name: str) -> None:
    path = feature_path("m", name)
    resolved = urlsplit(urljoin("http://host/p/models/m", link_from("/models/m")(path)))
    assert resolved.path.startswith("/p/models/m/features/")
    step = resolved.path.removeprefix("/p/models/m/features/")
    assert "/" not in step
    assert step not in {".", ".."}
    sent = name.encode(errors="replace").decode()
    assert (unquote(step) or parse_qs(resolved.query, keep_blank_values=True)["name"][0]) == sent


@pytest.mark.parametrize("dots", ["", ".", "..", "...", "../..", "a/../b", "\\..\\"])
def test_names_that_are_steps_of_a_path_go_into_the_query(dots: str) -> None:
    assert feature_path("m", dots).startswith("/models/m/features/?name=")


def test_a_model_is_one_step() -> None:
    assert model_path("a/b", "labels") == "/models/a%2Fb/labels"


def test_the_page_is_what_lies_below_the_prefix() -> None:
    assert page_of({"path": "/models/a", "root_path": ""}) == "/models/a"
    assert page_of({"path": "/ml/models/a", "raw_path": b"/ml/models/a", "root_path": "/ml"}) == "/models/a"
    assert page_of({"path": "/mlx/a", "root_path": "/ml"}) == "/mlx/a"
    assert page_of({"path": "/a b", "root_path": ""}) == "/a%20b"
    assert page_of({"path": "/a", "raw_path": b"/a?x=/b/c", "root_path": ""}) == "/a"
