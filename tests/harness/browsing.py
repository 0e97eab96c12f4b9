"""Open pages in a Chromium without a screen, and notice whatever a page does beyond showing text.

    with chromium() as browser, visit(browser, url) as visited:
        visited.page.get_by_role("link", name="risk").click()
        assert serious_faults(visited.page) == []
        assert visited.noticed == []

Chromium is `.tools/browser/bin/chromium`, which `make browser` fetches. It is driven over a pipe: Playwright ends it by
its pid when the body ends, and it ends itself when the test dies.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, sync_playwright
from servers import TOOLS, ServerError

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE, DESK = 390, 1280
"""Widths in CSS pixels."""
HEIGHT = 844
LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = ((PHONE, "light"), (DESK, "dark"))
UNFOLD = "document.querySelectorAll('details').forEach((details) => { details.open = true; })"
STRUCTURE = """\
() => [...document.querySelectorAll("*")].map(
  (node) => [node.tagName, ...[...node.attributes].map((attribute) => attribute.name).sort()].join(" "))
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium with a profile of its own until the body ends."""
    program = TOOLS / "browser" / "bin" / "chromium"
    if not program.exists():
        raise ServerError(f"{program}: expected a Chromium, got nothing. Run `make browser`.")
    # No proxy of the environment: everything here is on loopback.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS, env=environment, timeout=240_000)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visited:
    """An open page, and all that it did beyond showing text: errors, dialogs, requests to elsewhere, downloads."""

    page: Page
    origin: str
    noticed: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Begin to notice. What a content security policy forbids is an error in the console."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.noticed.append(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("download", lambda download: self.noticed.append(f"download: {download.url}"))
        self.page.on("popup", lambda popup: self.noticed.append(f"window: {popup.url}"))
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        self.noticed.append(f"console {message.type}: {message.text}")

    def _dialog(self, dialog: Dialog) -> None:
        self.noticed.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.noticed.append(f"request: {request.url}")


@contextmanager
def visit(browser: Browser, url: str) -> Iterator[Visited]:
    """Open a URL without cookies or cache, in a window of a desk."""
    context = browser.new_context(viewport={"width": DESK, "height": HEIGHT})
    context.set_default_timeout(120_000)
    try:
        parts = urlsplit(url)
        visited = Visited(context.new_page(), f"{parts.scheme}://{parts.netloc}")
        visited.watch()
        visited.page.goto(url)
        yield visited
    finally:
        context.close()


def serious_faults(page: Page) -> list[str]:
    """What axe-core calls a serious or critical fault of accessibility: where, its rule, the element and what is wrong.

    It looks at a phone in light and at a desk in dark, with everything unfolded that can be: colours follow the scheme
    alone, and the layout the width alone.
    """
    page.evaluate(UNFOLD)
    page.evaluate(Axe().axe_script)
    faults = []
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.emulate_media(color_scheme=scheme)
        found: list[dict[str, Any]] = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        faults += [
            f"{width} {scheme}: {fault['id']} at {' '.join(map(str, node['target']))}: {node['failureSummary']}"
            for fault in found
            if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]
        ]
    return faults


def structure(page: Page) -> list[str]:
    """Every element of the page with the names of its attributes, in order: what content must not change."""
    found: list[str] = page.evaluate(STRUCTURE)
    return found


def scrolls_sideways(page: Page, width: int) -> bool:
    """Whether the page, unfolded, is wider than a window of this width."""
    page.evaluate(UNFOLD)
    page.set_viewport_size({"width": width, "height": HEIGHT})
    wider: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wider


def keep(page: Page, folder: Path, name: str) -> Path:
    """A picture of the whole page, to be looked at."""
    path = folder / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path
