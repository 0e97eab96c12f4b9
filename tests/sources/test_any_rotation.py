"""Writes, rotations of every kind, looks, stops and restarts in any order: each row exactly once."""

import os
import random
import shutil

import pytest
from tests.sources.rotation import LATER, World

KINDS = {
    "write": 8,
    "write_half": 3,
    "poll": 6,
    "poll_once": 1,
    "restart": 2,
    "stop_or_start": 2,
    "rename": 3,
    "rename_dated": 2,
    "rename_and_compress": 2,
    "compress_one": 2,
    "copytruncate": 2,
    "copytruncate_keeping_the_place": 1,
    "replace_by_more": 1,
    "truncate_when_read": 1,
    "delete_when_read": 1,
}


class Service:
    """Does what a service and its logrotate do, at random, within what can be seen at all."""

    def __init__(self, world, draw):
        self.world, self.draw = world, draw
        self.is_up = True
        self.day = 10
        self.rest = b""
        self.rotated = []
        self.done = []

    def act(self):
        kind = self.draw.choices(list(KINDS), list(KINDS.values()))[0]
        self.done.append(kind)
        getattr(self, kind)()

    def write(self):
        self.finish_row()
        self.world.write(self.draw.randint(1, 6), text="y" * self.draw.randint(0, 300))

    def write_half(self):
        """A row in two pieces."""
        self.finish_row()
        row = self.world.rows(1)
        cut = self.draw.randint(1, len(row) - 1)
        self.append(row[:cut])
        self.rest = row[cut:]

    def append(self, content):
        if self.world.kind == "csv" and not self.world.log.stat().st_size:
            content = self.world.head + content
        with open(self.world.log, "ab") as file:
            file.write(content)

    def finish_row(self):
        if self.rest:
            self.append(self.rest)
        self.rest = b""

    @property
    def now(self):
        """In the midst of a row the file has not rested."""
        return 0.0 if self.rest else LATER

    def poll(self):
        if self.is_up:
            self.world.poll(self.now)
            assert not self.world.problems, self.world.problems

    def poll_once(self):
        if self.is_up:
            self.world.poll_once(self.now)

    def restart(self):
        if self.is_up:
            self.world.restart()

    def stop_or_start(self):
        (self.world.stop if self.is_up else self.world.start)()
        self.is_up = not self.is_up

    def rename(self, compresses=False):
        """The last row may go to the renamed file later, or lack its newline for ever."""
        self.make_room()
        new = self.world.folder / "app.log.1"
        self.world.log.rename(new)
        if self.rest and self.draw.random() < 0.5 and not compresses:
            self.create()
            self.poll()
            rest = self.rest
        else:
            rest = self.rest[:-1] if self.draw.random() < 0.5 else self.rest
            self.create()
        with open(new, "ab") as file:
            file.write(rest)
        self.rest = b""
        self.rotated.insert(0, new)

    def create(self):
        self.world.log.touch()

    def make_room(self):
        self.world.shift(40)
        numbered = sorted(
            (path for path in self.world.folder.glob("app.log.*")), key=lambda path: int(path.name.split(".")[2])
        )
        self.rotated = numbered + [path for path in self.rotated if "-" in path.name]

    def rename_dated(self):
        self.finish_row()
        new = self.world.folder / f"app.log-201301{self.day}"
        self.day += 1
        self.world.log.rename(new)
        self.create()
        self.rotated.append(new)

    def rename_and_compress(self):
        self.rename(compresses=True)
        if self.draw.random() < 0.3:
            self.poll()
        self.compress(self.world.folder / "app.log.1")

    def compress_one(self):
        plain = [path for path in self.rotated if path.suffix != ".gz"]
        if plain:
            self.compress(self.draw.choice(plain))

    def compress(self, path):
        self.world.compress(path, removes=False, keeps_time=self.draw.random() < 0.9 or not self.is_up)
        if self.draw.random() < 0.3:
            self.poll()
        path.unlink()
        self.rotated.remove(path)
        self.rotated.append(path.with_name(path.name + ".gz"))

    def copytruncate(self):
        self.finish_row()
        self.make_room()
        if self.world.log.stat().st_size:
            copy = self.world.folder / "app.log.1"
            shutil.copy2(self.world.log, copy)
            if self.draw.random() < 0.3:
                self.poll()
            os.truncate(self.world.log, 0)
            self.rotated.insert(0, copy)

    def copytruncate_keeping_the_place(self):
        self.finish_row()
        place = self.world.log.stat().st_size
        self.copytruncate()
        if self.draw.random() < 0.5:
            self.poll()
        with open(self.world.log, "r+b") as writer:
            writer.seek(place)
            head = b"" if place else self.world.head
            writer.write(head + self.world.rows(self.draw.randint(1, 3)))

    def replace_by_more(self):
        self.finish_row()
        other = self.world.folder / ".app.log.tmp"
        shutil.copy2(self.world.log, other)
        self.world.write(2, path=other)
        os.replace(other, self.world.log)

    def truncate_when_read(self):
        if self.is_up:
            self.finish_row()
            self.poll()
            os.truncate(self.world.log, 0)

    def delete_when_read(self):
        if self.is_up and self.rotated:
            self.poll()
            self.rotated.pop(self.draw.randrange(len(self.rotated))).unlink()

    def finish(self):
        self.finish_row()
        if not self.is_up:
            self.stop_or_start()


def run(folder, kind, files, seed, steps):
    world = World(folder, kind, files)
    world.write(2)
    world.poll()
    service = Service(world, random.Random(seed))
    try:
        for _ in range(steps):
            service.act()
        service.finish()
        world.check()
        world.restart()
        world.check()
    except BaseException as error:
        error.add_note(f"seed {seed}: {' '.join(service.done)}")
        raise
    finally:
        world.tail.close()


@pytest.mark.parametrize("files", ["app.log", "app.log*"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("seed", range(40))
def test_each_row_once(tmp_path, kind, files, seed):
    run(tmp_path, kind, files, seed, 60)
