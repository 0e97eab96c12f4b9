"""Behind a proxy: every route under a prefix, with links that work whether the proxy keeps or takes away the path."""

from dataclasses import replace
from urllib.parse import urljoin

import pytest
from example_facts import MODEL, ExampleFacts
from tests.web.test_app import NOW, PATHS, SNAPSHOT, Answer, Tags, ask

from ml_exporter.errors import ProblemsError
from ml_exporter.web import Site, create_app, site
from ml_exporter.web.site import under

PREFIXES = ["", "/ml", "/a/b.c-d_e~f"]


def app(place: Site):
    return under(create_app(lambda: SNAPSHOT, lambda: NOW, "1.2.3"), place)


def get(place: Site, path: str) -> Answer:
    return ask(app(place), "GET", path, {})


@pytest.mark.parametrize(
    ("external_url", "route_prefix", "expected"),
    [
        (None, None, Site()),
        (None, "/", Site()),
        (None, "", Site()),
        (None, "ml", Site("", "/ml", "/ml")),
        (None, "//ml//", Site("", "/ml", "/ml")),
        ("http://host", None, Site("http://host", "", "")),
        ("http://host:9846/", None, Site("http://host:9846", "", "")),
        ("https://host/a/b/", None, Site("https://host/a/b", "/a/b", "/a/b")),
        ("https://host/ml", "/", Site("https://host/ml", "", "/ml")),
        ("https://host/ml", "/other", Site("https://host/ml", "/other", "/ml")),
        ("https://[::1]:80/ml", "", Site("https://[::1]:80/ml", "", "/ml")),
    ],
)
def test_the_prefix_is_the_path_of_the_external_url_unless_it_is_given(external_url, route_prefix, expected) -> None:
    assert site(external_url, route_prefix) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host/ml",
        "/ml",
        "ftp://host",
        "http://",
        "http://host:99999",
        "http://host:port",
        "http://user:secret@host",
        "http://host/?a=b",
        "http://host/#top",
        "http://host/a b",
        "http://host/%2e",
        "http://host/a/../b",
        'http://host/"onload="alert(1)',
        "http://höst/",
        "'http://host'",
        "http://[::1",
    ],
)
def test_what_is_no_external_url_is_refused(url: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        site(url, None)
    assert str(caught.value) == (
        f"--web.external-url: expected an http or https URL with a host, got {url!r}. "
        "Write what people open, for example https://example.org/ml."
    )


@pytest.mark.parametrize("prefix", ["/a b", "/..", "/a/./b", "/a?b", "/a%2fb", "/a//b", "/<script>", "/ä"])
def test_what_is_no_prefix_is_refused_together_with_the_url(prefix: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        site("nothing", prefix)
    assert [problem.where for problem in caught.value.problems] == ["--web.external-url", "--web.route-prefix"]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("path", PATHS[:-1])
def test_every_route_is_under_the_prefix(prefix: str, path: str) -> None:
    assert get(site(None, prefix), prefix + path).status_code == 200


@pytest.mark.parametrize("path", [*PATHS[1:], "/mlmetrics", "/ml2/metrics", "/ML/metrics", "//ml/metrics", "/x"])
def test_nothing_is_outside_of_the_prefix(path: str) -> None:
    answer = get(site(None, "/ml"), path)
    assert (answer.status_code, answer.text) == (404, "There is no such page.\n")


@pytest.mark.parametrize("prefix", PREFIXES[1:])
def test_the_way_to_the_prefix_is_shown_without_naming_a_host(prefix: str) -> None:
    place = site(None, prefix)
    for path in ["/", prefix]:
        answer = get(place, path)
        assert answer.status_code == 302
        assert urljoin(f"http://host{path}", answer.headers["location"]) == f"http://host{prefix}/"


@pytest.mark.parametrize("outside", PREFIXES)
@pytest.mark.parametrize("inside", PREFIXES)
def test_every_link_and_redirect_works_behind_a_proxy_that_changes_the_path(outside: str, inside: str) -> None:
    """A browser follows everything from the landing page, through a proxy that turns one path into the other."""
    shown = replace(SNAPSHOT, facts=ExampleFacts())
    plain = create_app(lambda: shown, lambda: NOW, "1.2.3")
    proxied = under(plain, site(f"https://host{outside}", inside))
    waiting, seen = (
        [f"https://host{outside}/", f"https://host{outside}/runbooks", f"https://host{outside}/models"],
        set(),
    )
    while waiting:
        url = waiting.pop().partition("#")[0]
        if url in seen or not url.startswith("https://host/"):
            continue
        seen.add(url)
        path = url.removeprefix("https://host")
        assert path.startswith(f"{outside}/"), url
        answer = ask(proxied, "GET", inside + path.removeprefix(outside), {})
        assert answer.status_code == ask(plain, "GET", path.removeprefix(outside), {}).status_code, url
        if answer.headers.get("content-type", "").startswith("text/html"):
            waiting += [urljoin(url, str(link)) for link in Tags(answer.text).links]
        if "location" in answer.headers:
            waiting.append(urljoin(url, answer.headers["location"]))
    assert {f"https://host{outside}/{path}" for path in ("metrics", "runbooks/", f"models/{MODEL}")} <= seen
    assert sum("/features/" in url for url in seen) > 2
    assert not any("/models/models" in url for url in seen)


def test_the_app_sees_the_path_that_a_browser_has() -> None:
    seen = []

    async def look(scope, receive, send) -> None:
        seen.append({key: scope[key] for key in ("path", "raw_path", "root_path")})

    for raw in ["/r/models/a%2Fb", "/%72/models/a%2Fb"]:
        scope = {"type": "http", "path": "/r/models/a/b", "raw_path": raw.encode()}
        coroutine = under(look, site("https://host/e", "/r"))(scope, None, None)
        with pytest.raises(StopIteration):
            coroutine.send(None)
    assert seen[0] == {"path": "/e/models/a/b", "raw_path": b"/e/models/a%2Fb", "root_path": "/e"}
    assert seen[1]["raw_path"] == b"/e/models/a/b"
