"""`ml-exporter preview`: dashboards as one page, without Grafana."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ml_exporter.errors import ConfigError, ExporterError, Problem
from ml_exporter.preview.asking import Looked, When, look
from ml_exporter.previewing.dashboards import Dashboard
from ml_exporter.previewing.reading import read
from ml_exporter.previewing.views import Nothing
from ml_exporter.prometheus import Prometheus

ALL = "all"

__all__ = ["ALL", "Looked", "Preview", "When", "look", "preview", "read_dashboards"]


@dataclass(frozen=True)
class Preview:
    """The page, and what it could not show."""

    html: str
    looked: tuple[Looked, ...]

    @property
    def findings(self) -> list[str]:
        """What could not be shown, a line each."""
        return [text for item in self.looked for text in item.findings()]

    def summary(self) -> str:
        """How much it shows."""
        seen = [panel for item in self.looked for panel in item.panels()]
        empty = sum(isinstance(panel.view, Nothing) and not panel.problems for panel in seen)
        counted = (_counted(len(self.looked), "dashboard"), _counted(len(seen), "panel"))
        return ", ".join((*counted, f"{empty} without data", _counted(len(self.findings), "problem")))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def read_dashboards(folder: Path, uid: str) -> list[Dashboard]:
    """The dashboard of a folder with this uid, or all, the overview first. Raises ConfigError."""
    files = sorted(folder.glob("*.json"))
    found = []
    for path in files:
        try:
            found.append(read(path.read_text(encoding="utf-8"), str(path)))
        except (OSError, UnicodeDecodeError) as error:
            problem = Problem(str(path), "a readable file", str(error), "Give another --dashboards")
            raise ConfigError([problem]) from error
    chosen = [item for item in found if uid in (ALL, item.uid)]
    if not chosen:
        known = ", ".join(item.uid for item in found) or "no dashboard"
        problem = Problem(str(folder), f"a dashboard with uid {uid}", known, "Give another --dashboard or --dashboards")
        raise ConfigError([problem])
    return sorted(chosen, key=lambda item: "overview" not in item.uid)


def preview(prometheus: Prometheus, dashboards: Sequence[Dashboard], when: When, wanted: Mapping[str, str]) -> Preview:
    """Asks and draws. Raises ExporterError where matplotlib is missing or Prometheus does not answer at all."""
    if find_spec("matplotlib") is None:
        raise ExporterError("preview: expected matplotlib, got none. Run pip install 'ml-exporter[report]'.")
    from ml_exporter.preview.page import page  # noqa: PLC0415 - an extra draws

    prometheus.query("1")
    looked = tuple(look(prometheus, item, when, wanted) for item in dashboards)
    return Preview(page(looked, prometheus.server.url, when.now), looked)
