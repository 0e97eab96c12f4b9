"""A service that logs predictions and labels in every disorderly way, and remembers every line it ever wrote.

All that happens follows from a seed. The memory is the truth that the exporter is compared with: which rows are good,
why each bad line is refused, and which label each prediction ends with.
"""

import gzip
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tests.chaos.formats import LINE_BYTES, Format, Row

SPAN_SECONDS = 60.0
"""Rows are up to this old when they are written."""


@dataclass
class Log:
    """One log file, written by one service, with every kind of rotation."""

    path: Path
    header: bytes
    chance: random.Random
    truncates: bool
    rotations: int = 0
    _open: int = -1
    _rest: bytes = b""
    _plain: list[Path] = field(default_factory=list)
    """Old files that are not compressed yet, oldest first."""

    def __post_init__(self) -> None:
        self._reopen()

    def _reopen(self) -> None:
        if self._open >= 0:
            os.close(self._open)
        self._open = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._rest = self.header

    def write(self, lines: list[bytes]) -> None:
        """Writes lines; the end of the last one may come with the next call."""
        content = self._rest + b"".join(line + b"\n" for line in lines)
        cut = self.chance.randrange(len(content)) if content and self.chance.random() < 0.3 else len(content)
        os.write(self._open, content[:cut])
        self._rest = content[cut:]

    def finish(self) -> None:
        """Writes what is left of the last line."""
        while self._rest:
            self.write([])

    def rotate(self) -> None:
        """Begins anew, in the way in which this log is rotated."""
        (self._copy_and_truncate if self.truncates else self._rename)()

    def _rename(self) -> None:
        """Another name for the old file, and a new one; the rest of a line still goes into the old one."""
        target = self._next()
        self.path.rename(target)
        if self.chance.random() < 0.5:
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644))
        self.finish()
        self._reopen()

    def _copy_and_truncate(self) -> None:
        """A copy of the old content, and the same file empty."""
        self.finish()
        shutil.copyfile(self.path, self._next())
        os.truncate(self.path, 0)

    def _next(self) -> Path:
        self.rotations += 1
        self._plain.append(self.path.with_name(f"{self.path.name}-{self.rotations:06d}"))
        return self._plain[-1]

    def compress(self) -> None:
        """The oldest plain file as gzip instead."""
        if not self._plain:
            return
        plain = self._plain.pop(0)
        packed = plain.with_name(plain.name + ".gz")
        unfinished = plain.with_name(f".{plain.name}.unfinished")
        with plain.open("rb") as source, gzip.open(unfinished, "wb") as target:
            shutil.copyfileobj(source, target)
        shutil.copystat(plain, unfinished)  # as gzip does
        unfinished.rename(packed)
        plain.unlink()

    def close(self) -> None:
        """Completes the last line."""
        self.finish()
        os.close(self._open)


def digest(line: bytes) -> str:
    """What a note of the dead-letter file tells of a line."""
    return blake2b(line, digest_size=8).hexdigest()


def new_row(number: int, now: float, chance: random.Random) -> Row:
    """A prediction of the last minute."""
    score = chance.randrange(1001) / 1000
    return {
        "timestamp": round(now - chance.random() * SPAN_SECONDS, 3),
        "id": f"p{number}",
        "version": "v1",
        "prediction": "yes" if score >= 0.5 else "no",
        "score": score,
        "latency": chance.randrange(400) / 100,
        "fallback": chance.random() < 0.02,
        "error": chance.random() < 0.01,
        "features": {
            "temp": chance.choice([None, 0.0, round(chance.gauss(10, 8), 2)]),
            "carrier": chance.choice(["AA", "UA", "DL", None]),
        },
        "serial": chance.getrandbits(63),
    }


@dataclass
class World:
    """The service of one model: its two logs, and what it ever wrote."""

    name: str
    format: Format
    folder: Path
    chance: random.Random
    clock: Callable[[], float]
    truncates: tuple[bool, bool] = (False, False)
    """Whether each log is rotated by copying and truncating: not for a format with a header, which would be lost."""
    predictions: list[Row] = field(default_factory=list)
    """Rows of good lines of predictions, in order."""
    labels: list[Row] = field(default_factory=list)
    """Good labels, in order."""
    refused: dict[str, str] = field(default_factory=dict)
    """Digest of every bad line, and why it is refused."""
    cut: dict[str, str] = field(default_factory=dict)
    """The same digests by that of the first bytes: of a line that is too long, more may not be read."""
    ids: int = 0

    def __post_init__(self) -> None:
        paths = (self.folder / f"{name}.{self.format.name}" for name in (self.name, f"{self.name}-labels"))
        how = zip(paths, self.truncates, strict=True)
        self.logs = tuple(Log(path, self.format.header, self.chance, truncates) for path, truncates in how)

    def step(self) -> None:
        """Something happens."""
        log, action = self.chance.choice(self.logs), self.chance.random()
        if action < 0.07:
            log.rotate()
        elif action < 0.14:
            log.compress()
        elif action < 0.6:
            self._predict()
        else:
            self._label()

    def _predict(self) -> None:
        lines = []
        for _ in range(self.chance.randrange(1, 120)):
            self.ids += self.chance.random() < 0.99  # now and then an id comes twice
            row, dice = new_row(self.ids, self.clock(), self.chance), self.chance.random()
            if dice < 0.08:
                lines.append(self._refuse(row))
                continue
            if dice < 0.15:
                row = self.chance.choice(list(self.format.odd.values()))(row)
            self.predictions.append(row)
            lines.append(self.format.render(row) + (b"\r" if dice > 0.99 else b""))
            if dice > 0.995:
                lines.append(b"")
        self.logs[0].write(lines)

    def _refuse(self, row: Row) -> bytes:
        reason, spoil = self.chance.choice(list(self.format.dirty.values()))
        line = spoil(self.format, row)
        self.refused[digest(line)] = reason
        self.cut[digest(line[: LINE_BYTES + 1])] = digest(line)
        return line

    def _label(self) -> None:
        lines = []
        for _ in range(self.chance.randrange(1, 100)):
            label = {
                "timestamp": round(self.clock(), 3),
                "id": f"p{self.chance.randrange(max(0, self.ids - 4000), self.ids + 200)}",  # early, twice, never
                "label": self.chance.choice(["yes", "no", "no", "no"]),
                "serial": self.chance.getrandbits(64),
            }
            dice = self.chance.random()
            if dice < 0.03:
                label["label"] = "perhaps"
            elif dice < 0.06:
                lines.append(self._refuse_label(label))
                continue
            else:
                self.labels.append(label)
            lines.append(self.format.render(label))
        self.logs[1].write(lines)

    def _refuse_label(self, label: Row) -> bytes:
        line = self.format.render(label | {"id": None})
        self.refused[digest(line)] = "missing_column"
        return line

    def end(self) -> None:
        """Completes both logs."""
        for log in self.logs:
            log.close()


@dataclass
class Drops:
    """A service that drops finished Parquet files, whose rows have their label where it is known."""

    name: str
    folder: Path
    chance: random.Random
    clock: Callable[[], float]
    predictions: list[Row] = field(default_factory=list)
    labels: list[Row] = field(default_factory=list)
    files: int = 0

    def step(self) -> None:
        """A file comes, or nothing."""
        if self.chance.random() < 0.7:
            return
        now, first = self.clock(), len(self.predictions)
        rows = [new_row(first + number, now, self.chance) for number in range(self.chance.randrange(1, 400))]
        for row in rows:
            row["label"] = self.chance.choice([None, "yes", "no"])
            row["known"] = round(now, 3) if row["label"] else None
        self.predictions += rows
        self.labels += [row | {"timestamp": row["known"]} for row in rows if row["label"]]
        self.files += 1
        unfinished = self.folder / f".{self.name}-{self.files}.unfinished"
        pq.write_table(pa.Table.from_pylist(rows), unfinished, row_group_size=self.chance.randrange(1, 500))
        unfinished.rename(self.folder / f"{self.name}-{self.files:06d}.parquet")

    def end(self) -> None:
        """Nothing is left open."""
