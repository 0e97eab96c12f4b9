"""Everything that is counted for one model: batches in, panes, waiting joins and counters kept.

No I/O, and `now` is an argument.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.config import Corrections, Model, Source, Time, window_seconds
from ml_exporter.frequent import Frequent
from ml_exporter.groups import Groups, group_rows
from ml_exporter.heads import Scored, known
from ml_exporter.history import History
from ml_exporter.join import Join, Joined, Records, Rules, hash_ids, label_dtype
from ml_exporter.layout import REPEATS, Bools, Layout, Vector
from ml_exporter.outlying import LastOutliers, LastTexts
from ml_exporter.panes import Grid, Panes
from ml_exporter.records import FEATURE_PREFIX, SEGMENT_PREFIX, Batch, Ints
from ml_exporter.segments import OTHER, By, Codes, Panned, Segments
from ml_exporter.vectorise import Vectoriser, make_vectoriser

MAX_VERSIONS = 20
MAX_PENDING = 20_000_000
NO_VERSION = ""


@dataclass(frozen=True)
class Timing:
    """The configured times that decide where rows and windows fall, all in microseconds."""

    grid: Grid
    settle_us: int
    idle_after_us: int
    stale_after_us: int
    future_us: int
    maturity_us: int
    retention_us: int
    grace_us: int
    expire_us: int
    day_us: int

    @classmethod
    def of(cls, model: Model, time: Time, source: Source, maturity_seconds: float) -> "Timing":
        """The times of one model.

        Panes are kept as long as any window can reach, and a label joins only while its prediction's pane is kept.
        """
        names = (*model.windows.head, *model.windows.features, *model.windows.quality)
        longest = max(window_seconds(name, time) for name in names)
        earlier = max((window_seconds(name, time) for name in model.windows.features), default=0.0)
        reach = {"previous": earlier * 2, "last_week": earlier + 7 * time.day}
        reaches = (reach.get(name, 0.0) for name in model.comparisons)
        labels = model.labels
        seconds = (source.settle, source.idle_after, time.stale_after, time.future_tolerance, maturity_seconds)
        kept = max((longest + maturity_seconds, *reaches)) + 2 * time.day
        waits = (labels.grace, min(labels.expire_after, kept - time.day)) if labels else (0.0, 0.0)
        grid = Grid(micros(time.pane), micros(time.hour))
        return cls(grid, *(micros(item) for item in (*seconds, kept, *waits, time.day)))


def micros(seconds: float) -> int:
    """Seconds as whole microseconds."""
    return round(seconds * 1e6)


@dataclass
class Counting:
    """Everything counted for one model: panes, waiting joins, and counters since the start of the process."""

    layout: Layout
    timing: Timing
    has_labels: bool
    bys: tuple[By, ...] = ()
    segments: Segments = field(init=False)
    panes: Panes = field(init=False)
    scopes: dict[tuple[str, str], Panes] = field(default_factory=dict)
    combinations: list[tuple[str, ...]] = field(default_factory=lambda: [()])
    segment_names: dict[str, list[str]] = field(default_factory=dict)
    join: Join = field(init=False)
    history: History = field(init=False)
    dropped: int = 0
    total: Vector = field(init=False)
    by_version: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    versions_us: dict[str, int] = field(default_factory=dict)
    last_label_us: int = 0
    last_arrival_us: int = 0
    outliers: LastOutliers = field(default_factory=LastOutliers)
    unseen: dict[str, Frequent] = field(default_factory=dict)
    invalid: dict[str, LastTexts] = field(default_factory=dict)
    vectoriser: Vectoriser = field(init=False)

    def __post_init__(self) -> None:
        self.panes = Panes(self.layout, self.timing.grid)
        self.history = History.of(self.timing.grid.hour_us, self.timing.day_us)
        self.set_rules("first", MAX_PENDING)
        self.total = self.layout.zeros()
        self.vectoriser = make_vectoriser(self.layout)
        self.segments = Segments(self.layout.head, self.timing.grid, self.bys, self.scopes)
        self._head = make_vectoriser(self.layout.head)
        self._show_segments()

    def _show_segments(self) -> None:
        """What the store keeps of the segments beside their panes."""
        self.combinations, self.segment_names = self.segments.combinations, self.segments.names

    def adopt_segments(self) -> tuple[str, ...]:
        """Fits what the store loaded to the segments that are configured. Returns in words what was reset."""
        reset = self.segments.restore(self.segment_names, self.combinations)
        self._show_segments()
        return reset

    def set_rules(self, corrections: Corrections, max_pending: int) -> None:
        """Starts an empty join by the configured rules."""
        arrival = self.layout.align == "arrival"
        rules = Rules(self.timing.grace_us, self.timing.expire_us, corrections == "last", arrival, max_pending)
        self.join = Join(rules, self.layout.join_scores, self.layout.is_class)

    def predictions(self, batch: Batch, now_us: int) -> Mapping[str, Ints]:
        """Takes in predictions; returns the places of rows that the clock refused, by reason."""
        self.violations.update(batch.violations)
        times = batch.table.column("timestamp").to_numpy()
        future, late = times > now_us + self.timing.future_us, times < now_us - self.timing.retention_us
        table, refused = batch.table, future | late
        begins = late & np.logical_and.accumulate(refused) & (self.panes.newest_us == 0)
        if refused.any():
            table = table.filter(pa.array(~refused))
            times = times[~refused]
        if len(times):
            invalid = self._count(table, np.asarray(times, np.int64), now_us)
            self._note_invalid(invalid, batch, ~refused)
        reasons = (("future", future), ("before_windows", begins), ("too_late", late & ~begins))
        return {name: batch.offsets[found] for name, found in reasons if found.any()}

    def _note_invalid(self, invalid: Mapping[str, Ints], batch: Batch, kept: Bools) -> None:
        """Keeps what the log says in place of numbers; the places are those of the rows that were kept."""
        if batch.text_at is None or not invalid:
            return
        rows, times = np.flatnonzero(kept), batch.table.column("timestamp")
        for name, places in invalid.items():
            for row in rows[places].tolist():
                text = batch.text_at(int(batch.offsets[row]), FEATURE_PREFIX + name)
                if text is not None:
                    self.invalid.setdefault(name, LastTexts()).note(text, times[row].as_py())

    def _count(self, table: pa.Table, times: Vector, now_us: int) -> Mapping[str, Ints]:
        """Counts rows; returns the last few places of values that are no number, by feature."""
        self.last_arrival_us = now_us
        self.panes.advance(int(times.max()))
        keys, groups = group_rows(self.panes.keys(times))
        matrix, scored, odd, unseen, invalid = self.vectoriser.predictions(table, groups, self.has_labels)
        if odd is not None:
            self.outliers.note(table, times, odd)
        for name, rows in unseen.items():
            texts = table.column(FEATURE_PREFIX + name).take(pa.array(np.flatnonzero(rows)))
            self.unseen.setdefault(name, Frequent()).note(texts, times[rows])
        self.panes.add_groups(keys, matrix)
        self.history.touch(keys, labels=False)
        self.total += matrix.sum(axis=0)
        self._count_versions(table, times)
        codes = self._count_segments(table, Panned(keys, groups, matrix))
        if self.has_labels:
            self._wait(table, times, scored, codes)
            self._take_own_labels(table, times, now_us)
        return invalid

    def _count_segments(self, table: pa.Table, panned: Panned) -> Codes:
        """Counts the rows in the panes of their values; returns the codes of the values."""
        codes = self.segments.read(table)
        of_head = [name for name in table.column_names if not name.startswith((FEATURE_PREFIX, SEGMENT_PREFIX))]

        def count(rows: Codes | None, groups: Groups) -> Vector:
            part = table.select(of_head)
            return self._head.predictions(part if rows is None else part.take(rows), groups, self.has_labels).matrix

        self.segments.add(codes, panned, count, self.panes.newest_us)
        return codes

    def _count_versions(self, table: pa.Table, times: Vector) -> None:
        if "version" not in table.column_names:
            self.by_version[NO_VERSION] += len(times)
            return
        encoded = pc.dictionary_encode(pc.fill_null(table.column("version"), NO_VERSION).combine_chunks())
        codes = encoded.indices.to_numpy()
        newest = np.zeros(len(encoded.dictionary), np.int64)
        np.maximum.at(newest, codes, times)
        for name, count, seen in zip(
            encoded.dictionary.to_pylist(), np.bincount(codes).tolist(), newest.tolist(), strict=True
        ):
            kept = name if name in self.versions_us or len(self.versions_us) < MAX_VERSIONS else OTHER
            self.by_version[kept] += count
            self.versions_us[kept] = max(seen, self.versions_us.get(kept, 0))

    def _wait(self, table: pa.Table, times: Vector, scored: Scored, codes: Codes) -> None:
        kept = scored.known & np.asarray(pc.is_valid(table.column("id")).to_numpy(), np.bool_)
        fresh = np.zeros(int(kept.sum()), self.join.dtype)
        fresh["hash"], fresh["time_us"] = hash_ids(table.column("id"))[kept], times[kept]
        fresh["predicted"], fresh["scores"] = scored.predicted[kept], scored.scores[kept]
        fresh["segment"] = self.segments.combine(codes)[kept]
        joined = self.join.predictions(fresh)
        if joined.repeated is not None and len(joined.repeated):
            self._count_repeated(joined.repeated)
        self._joined(joined)

    def _count_repeated(self, records: Records) -> None:
        """Counts predictions whose id another one had, in the panes of their own time."""
        records = records[np.argsort(records["time_us"], kind="stable")]
        keys, groups = group_rows(self.panes.keys(records["time_us"]))

        def count(_: Codes | None, groups: Groups) -> Vector:
            matrix = np.zeros((groups.count, self.segments.layout.size), np.int64)
            self.layout.cells(matrix, REPEATS)["rows"][:, 0] = groups.rows()
            return matrix

        matrix = np.zeros((groups.count, self.layout.size), np.int64)
        matrix[:, : self.segments.layout.size] = count(None, groups)
        self.panes.add_groups(keys, matrix)
        self.total += matrix.sum(axis=0)
        codes = self.segments.codes_of(records["segment"])
        self.segments.add(codes, Panned(keys, groups, matrix), count, self.panes.newest_us)

    def labels(self, batch: Batch, now_us: int) -> Mapping[str, Ints]:
        """Takes in labels; returns the places of rows that the clock refused, by reason."""
        self.violations.update(batch.violations)
        times = np.asarray(batch.table.column("timestamp").to_numpy(), np.int64)
        future = times > now_us + self.timing.future_us
        table = batch.table.filter(pa.array(~future)) if future.any() else batch.table
        self._take_labels(table, times[~future], now_us)
        return {"future": batch.offsets[future]} if future.any() else {}

    def _take_own_labels(self, table: pa.Table, times: Vector, now_us: int) -> None:
        """Takes in the labels that are in the prediction records. One from the future is invalid."""
        if "label" not in table.column_names:
            return
        there = np.asarray(pc.is_valid(table.column("label")).to_numpy(), np.bool_)
        if "label_timestamp" in table.column_names:
            times = np.asarray(pc.coalesce(table.column("label_timestamp"), pa.array(times)).to_numpy(), np.int64)
        kept = there & (times <= now_us + self.timing.future_us)
        self.statuses["invalid"] += int((there & ~kept).sum())
        if kept.any():
            self._take_labels(table.filter(pa.array(kept)), times[kept], now_us)

    def _take_labels(self, table: pa.Table, times: Vector, now_us: int) -> None:
        """Joins labels; columns `id` and `label`."""
        actual = self.vectoriser.actual(table.column("label"))
        valid = known(actual)
        self.statuses["invalid"] += int((~valid).sum())
        fresh = np.zeros(int(valid.sum()), label_dtype(self.layout.is_class))
        fresh["hash"], fresh["time_us"] = hash_ids(table.column("id"))[valid], times[valid]
        fresh["actual"], fresh["seen_us"] = actual[valid], now_us
        if len(fresh):
            self.last_label_us = max(self.last_label_us, int(fresh["time_us"].max()))
            self._joined(self.join.labels(fresh))

    def _joined(self, joined: Joined) -> None:
        self.statuses.update(joined.statuses)
        if len(joined.taken):
            self._add_labels(joined.taken, -1)
        if len(joined.added):
            added = self._add_labels(joined.added, 1)
            if joined.first is joined.added:
                self.total[: len(added)] += added
            elif len(joined.first):
                _, groups = group_rows(np.zeros(len(joined.first), np.int64))
                self.total[: len(added)] += _label_vectors(self._head, joined.first, groups)[0]

    def _add_labels(self, records: Records, sign: int) -> Vector:
        """Adds what labels count to the panes of their predictions and, where quality goes by arrival, to their own.

        Returns the sum over all panes, shape (cells of the head,): labels count nowhere else.
        """
        head = self.layout.head
        arriving, total = head.arriving, head.zeros()
        for times, cells in ((records["time_us"], ~arriving), (records["label_us"], arriving)):
            if cells.any():
                keys, groups = group_rows(self.panes.keys(times))
                matrix = _label_vectors(self._head, records, groups)
                if sign < 0:
                    np.negative(matrix, out=matrix)
                if not cells.all():
                    matrix[:, ~cells] = 0
                self.panes.add_groups(keys, matrix)
                self.history.touch(keys, labels=True)
                total += matrix.sum(axis=0)
                self._add_segment_labels(records, Panned(keys, groups, matrix), sign * cells)
        return total

    def _add_segment_labels(self, records: Records, panned: Panned, signs: Vector) -> None:
        """Adds to the values that the predictions were counted under. `signs`: 0 for cells that go elsewhere."""

        def count(rows: Codes | None, groups: Groups) -> Vector:
            some = records if rows is None else records[rows]
            return _label_vectors(self._head, some, groups) * signs

        codes = self.segments.codes_of(records["segment"])
        self.segments.add(codes, panned, count, self.panes.newest_us)

    def settled_us(self, now_us: int) -> int:
        """Until when windows are complete: until the last settled pane, but not beyond what a busy source has given."""
        end = now_us - self.timing.settle_us
        if self.panes.newest_us and now_us - self.last_arrival_us <= self.timing.idle_after_us:
            end = min(end, self.panes.newest_us)
        return end

    def expire(self, now_us: int) -> None:
        """Forgets what no window can reach any more."""
        oldest = self.panes.newest_us - self.timing.retention_us
        self.versions_us = {name: seen for name, seen in self.versions_us.items() if seen >= oldest}
        day_ago = self.panes.newest_us - self.timing.day_us
        for name in self.unseen:
            self.unseen[name].forget(day_ago)
        for name in self.invalid:
            self.invalid[name].forget(day_ago)
        self.panes.drop_before("hour", oldest)
        self.segments.expire(oldest, self.panes.newest_us)
        self.history.expire(self.panes.newest_us)
        hour_us = self.timing.grid.hour_us
        self.join.oldest_us = -(-oldest // hour_us) * hour_us  # where the first hour that is kept begins
        self.statuses.update(self.join.expire(self.panes.newest_us, now_us))


def _label_vectors(vectoriser: Vectoriser, records: Records, groups: Groups) -> Vector:
    """What labelled records add, by group. Delays are whole milliseconds."""
    scored = vectoriser.scored(records["predicted"], records["scores"])
    delay = np.maximum(records["label_us"] - records["time_us"], 0) // 1000 / 1000
    return vectoriser.labels(scored, records["actual"], delay, groups)
