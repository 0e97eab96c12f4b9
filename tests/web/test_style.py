"""The style: every colour of a text stands out from everything that it may lie on, in light, dark and print."""

import re
from importlib.resources import files

import pytest

STYLE = (files("ml_exporter.web") / "templates" / "style.css").read_text(encoding="utf-8")
LIGHT = dict(re.findall(r"--(\w+): (#\w+)", STYLE.partition("@media")[0]))
SCHEMES = {
    "light": LIGHT,
    "dark": LIGHT | dict(re.findall(r"--(\w+): (#\w+)", STYLE.partition("dark)")[2].partition("\n}")[0])),
    "print": LIGHT | dict(re.findall(r"--(\w+): (#\w+)", STYLE.partition("@media print")[2])),
}
TEXTS = set(re.findall(r"(?<![-\w])color: var\(--(\w+)\)", STYLE))
TEXTS |= set(re.findall(r"svg (?:text|\.limit-name) { fill: var\(--(\w+)\)", STYLE))
GROUNDS = set(re.findall(r"background: var\(--(\w+)\)", STYLE))
MARKS = set(re.findall(r"(?:fill|stroke): var\(--(\w+)\)", STYLE)) - {"line"}


def luminance(colour: str) -> float:
    """Relative luminance of #rgb or #rrggbb (WCAG 2.2)."""
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#fff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_stands_out(scheme: str) -> None:
    colours = SCHEMES[scheme]
    assert {"text", "quiet", "link", "bad", "look", "good", "limit"} <= TEXTS
    assert {"page", "panel"} <= GROUNDS
    low = {(a, b): contrast(colours[a], colours[b]) for a in TEXTS for b in GROUNDS}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_mark_of_a_chart_stands_out(scheme: str) -> None:
    colours = SCHEMES[scheme]
    assert {"now", "then", "bad"} <= MARKS
    assert {mark for mark in MARKS if contrast(colours[mark], colours["page"]) < 3} == set()


def test_colours_have_one_place_and_nothing_is_loaded() -> None:
    rules = re.sub(r"--\w+: #\w+", "", STYLE)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgb|hsl", rules) == []
    assert not re.search(r"url\(|@import|expression|</", STYLE)
    for colours in SCHEMES.values():
        assert colours.keys() == LIGHT.keys()
