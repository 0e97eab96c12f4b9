"""The exporter's pages in a real browser: readable by everybody, on a phone too, and nothing in a log but text."""

import time

import pytest
from browsing import DESK, PHONE, scrolls_sideways, serious_faults, visit
from tests.serve import service

PATHS = ("/", "/runbooks/", "/runbooks/MLFeatureDrift", "/nowhere")


@pytest.fixture(scope="module")
def exporter(tmp_path_factory):
    """Return an exporter whose logs hold quotes, newlines and HTML wherever a log can have text."""
    folder = tmp_path_factory.mktemp("hostile")
    with service.serve(service.prepare_hostile(folder, 200, time.time() - 30)) as running:
        running.until(lambda found: found("ml_window_rows", model="risk", window="1d") == 200, "200 rows")
        yield running


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_accessible_and_quiet(browser, exporter, path):
    for width in (PHONE, DESK):
        for scheme in ("light", "dark"):
            with visit(browser, exporter.server.url + path, width, scheme) as visited:
                assert serious_faults(visited.page) == []
                assert [line for line in visited.noticed if "status of 404" not in line] == []
                assert visited.page.title().endswith("ml-exporter")
                assert visited.page.locator("h1").count() == 1


@pytest.mark.parametrize("path", PATHS)
def test_a_page_fits_a_small_phone(browser, exporter, path):
    with visit(browser, exporter.server.url + path, 320) as visited:
        assert not scrolls_sideways(visited.page)
