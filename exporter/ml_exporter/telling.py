"""The facts of a publish of a running exporter: what it counted, and what its sources did."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from ml_exporter.dead_letter import DeadLetter, last_notes
from ml_exporter.facts.answers import RejectedLine, SourceFacts
from ml_exporter.facts.asked import Lines, Memory, PublishedFacts
from ml_exporter.facts.rows import rejections
from ml_exporter.facts.views import Exported, Known, View, view_of
from ml_exporter.ingest import Fleet
from ml_exporter.loading import Loaded
from ml_exporter.publishing import Evaluated, Published

LINES = 50
"""Refused lines that are shown at most."""


@dataclass(frozen=True)
class Teller:
    """Makes facts for as long as a configuration is in use."""

    loaded: Loaded
    dead_letter: DeadLetter
    memory: Memory = field(default_factory=Memory)

    def tell(self, fleet: Fleet, published: Published, now_us: int, ready: bool) -> PublishedFacts:
        """The facts of what was just published. To be called on the thread that counts."""
        views = {name: self._view(fleet, name, found, now_us) for name, found in published.models.items()}
        sources = tuple(self._sources(fleet))
        return PublishedFacts(now_us / 1e6, ready, views, sources, self._lines(), self.memory)

    def _view(self, fleet: Fleet, name: str, found: Evaluated, now_us: int) -> View:
        config, counting = self.loaded.config, fleet.countings[name]
        baseline = self.loaded.baselines[name]
        known = Known(name, config.models[name], config.time, baseline, counting.timing, counting.has_labels)
        troubles = (_utf8(text) for text in fleet.troubles(name, usable=bool(counting.panes.newest_us)))
        exported = Exported(found.samples, found.series, found.dropped)
        return view_of(counting, known, found.prepared, exported, now_us, troubles)

    def _sources(self, fleet: Fleet) -> Iterator[SourceFacts]:
        for feed in fleet.feeds:
            found = rejections(feed.rejected, feed.by_role)
            yield SourceFacts(
                feed.name,
                self.loaded.config.sources[feed.name].files,
                tuple(sorted(feed.models("predictions"))),
                tuple(sorted(feed.models("labels"))),
                feed.up,
                _utf8(feed.error),
                feed.rows_read,
                sum(item.count for item in found),
                feed.files_lost,
                found,
            )

    def _lines(self) -> Lines:
        config, path = self.loaded.config, self.dead_letter.path
        if not config.dead_letter.max_size:
            return Lines(config.web.samples, tuple, "Refused lines are not noted: `dead_letter.max_size` is 0.")
        note = f"Refused lines are noted in {path.name} in the state directory"
        values = "with their content" if config.dead_letter.values else "by file and place, without their content"
        return Lines(config.web.samples, partial(last_lines, path), f"{note}, {values}.")


def last_lines(path: Path) -> tuple[RejectedLine, ...]:
    """The last refused lines that a dead-letter file notes, newest first."""
    return tuple(_line(note) for note in last_notes(path, LINES))


def _line(note: Mapping[str, object]) -> RejectedLine:
    texts = [str(note.get(name, "")) for name in ("source", "reason", "file", "digest")]
    offset, line = note.get("offset"), note.get("line")
    return RejectedLine(
        _time(str(note.get("time"))),
        texts[0],
        texts[1],
        texts[2],
        offset if isinstance(offset, int) else None,
        texts[3],
        line if isinstance(line, str) else None,
    )


def _time(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _utf8(text: str) -> str:
    """A path may have bytes that are no UTF-8."""
    return text.encode(errors="replace").decode()
