"""What the demo shows on the terminal."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.panel import Panel


@dataclass(frozen=True)
class Vitals:
    """The gauges that the demo shows; NaN where the exporter exposes none."""

    predicted_late: float
    accuracy: float
    accuracy_lower: float
    accuracy_upper: float
    coverage: float
    rows: float

    @classmethod
    def parse(cls, text: str) -> Vitals:
        """Reads them from a text exposition, over the window of one day."""
        found: dict[tuple[str, str], float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.labels.get("window") == "1d" and "segment_by" not in sample.labels:
                    found[sample.name, sample.labels.get("class", "")] = sample.value

        def one(name: str, of: str = "") -> float:
            return found.get((name, of), math.nan)

        return cls(
            one("ml_prediction_class_ratio", "late"),
            one("ml_accuracy"),
            one("ml_accuracy_lower"),
            one("ml_accuracy_upper"),
            one("ml_label_coverage_ratio"),
            one("ml_window_rows"),
        )


def percent(value: float) -> str:
    """A ratio for people.

    >>> percent(0.426), percent(math.nan)
    ('43 %', 'none')
    """
    return "none" if math.isnan(value) else f"{value:.0%}".replace("%", " %")


class Screen:
    """Prints steps, one line for each played hour, every change of an alert, and the page."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._begun = time.monotonic()
        self._hour: datetime | None = None
        self._states: dict[tuple[str, str], str] = {}

    def step(self, text: str) -> None:
        """Begins a step."""
        self._console.print(f"[bold]{text}[/bold]")

    def done(self, text: str) -> None:
        """Ends a step."""
        self._console.print(f"  {text} [dim]({time.monotonic() - self._begun:.0f} s)[/dim]", markup=True)

    def show(self, played: datetime, vitals: Vitals, alerts: list[dict[str, Any]]) -> None:
        """One line when a new hour is played, and one for every alert that changes."""
        hour = played.replace(minute=0, second=0, microsecond=0)
        if hour != self._hour:
            if self._hour is None:
                self._console.print(
                    "\n[dim]played hour    flights   says late   right (95 % interval)      labels known[/dim]"
                )
            self._hour = hour
            interval = (
                f"{percent(vitals.accuracy)} ({percent(vitals.accuracy_lower)} to {percent(vitals.accuracy_upper)})"
            )
            late = percent(vitals.predicted_late)
            known = percent(vitals.coverage)
            self._console.print(f"{hour:%d %b %H:%M}   {vitals.rows:7.0f}   {late:>9}   {interval:<24}   {known}")
        for alert in alerts:
            labels = alert["labels"]
            if labels["alertname"] == "MLWatchdog":
                continue
            key = (labels["alertname"], labels["severity"])
            if self._states.get(key) != alert["state"]:
                self._states[key] = alert["state"]
                colour = "red" if alert["state"] == "firing" else "yellow"
                self._console.print(f"  [{colour}]{alert['state']:>8}[/{colour}]  {key[0]} ({key[1]})")

    def page(self, payload: dict[str, Any]) -> None:
        """The page, as the person on call gets it."""
        alert = next(item for item in payload["alerts"] if item["labels"].get("severity") == "critical")
        labels, notes = alert["labels"], alert["annotations"]
        owner = f"model {labels.get('model')}  team {labels.get('team')}  tier {labels.get('tier')}"
        text = "\n".join(
            [
                f"[bold]{labels['alertname']}[/bold]  {owner}",
                "",
                notes["summary"],
                notes["description"],
                "",
                f"Runbook:   {notes['runbook_url']}",
                f"Page:      {notes['page_url']}",
                f"Dashboard: {notes['dashboard_url']} (where a Grafana has them; there is none here)",
            ]
        )
        title = f"page delivered to the webhook after {time.monotonic() - self._begun:.0f} s"
        self._console.print(Panel(text, title=title, border_style="red"))

    def drawn(self, page: Path, problems: str) -> None:
        """Says where the dashboards are drawn, and what of them could not be."""
        self._console.print(f"\nThe dashboards as they are now, without Grafana: {page}", soft_wrap=True)
        if problems:
            self._console.print(problems, style="red", markup=False, soft_wrap=True)

    def alone(self, limit: float, url: str) -> None:
        """Says what would have paged, had there been a Prometheus."""
        self._console.print(
            f"\nThe whole interval of the accuracy lies below {percent(limit)}. With Prometheus this would page: {url}"
        )

    def ended(self) -> None:
        """Says why the links lead nowhere any more."""
        self._console.print(
            "Everything ends now. `make demo ARGS=--keep` keeps it up, so that the links can be opened."
        )

    def wait(self, url: str) -> None:
        """Keeps everything up until Ctrl-C."""
        self._console.print(f"Everything stays up. Exporter: {url}. Ctrl-C ends it.")
        while True:
            time.sleep(3600)

    def failed(self) -> int:
        """Says that no page came."""
        self._console.print(
            "[red]No page was delivered in time. The logs of all servers are in the folder `out`.[/red]"
        )
        return 1
