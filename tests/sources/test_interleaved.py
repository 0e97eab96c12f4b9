"""Rotations at any instant of a look: each line once, whatever comes between two calls of the reader to the system."""

import itertools
import random
import shutil

import pytest
from tests.sources.interleaved import Calls, Scene

from ml_exporter.sources import follow
from ml_exporter.sources.locate import Search

HOW = ["rename", "copy", "pack"]
NAMES = ["dated", "numbered"]


@pytest.fixture
def small_chunks(monkeypatch):
    """Files are read in several chunks."""
    monkeypatch.setattr(follow, "_LARGEST_CHUNK_BYTES", 100)
    monkeypatch.setattr(follow, "_SMALLEST_CHUNK_BYTES", 60)


def once(folder, names, how, plan):
    """One rotation; `plan` is how many steps come before a look, before which of its calls others come, and how many.

    Returns how many calls the look made.
    """
    begin, place, burst = plan
    folder.mkdir()
    scene = Scene(folder)
    scene.write(3)
    scene.look()
    steps = getattr(scene, names)(how, 1, False)
    for step in itertools.islice(steps, begin):
        step()
    calls = itertools.count()

    def before():
        if next(calls) == place:
            for step in itertools.islice(steps, burst):
                step()

    if (begin + place) % 2:
        scene.restart()
    with Calls(before).watched():
        scene.look()
    for step in steps:
        step()
    try:
        scene.check()
    except AssertionError as error:
        error.add_note(f"steps before the look, call, and steps before that call: {plan}")
        raise
    finally:
        scene.handles.close()
        shutil.rmtree(folder)
    return next(calls)


QUICK = [("dated", "rename"), ("dated", "copy"), ("dated", "pack"), ("numbered", "rename")]
SLOW = [pytest.param("numbered", how, marks=pytest.mark.soak) for how in ("copy", "pack")]


@pytest.mark.parametrize(("names", "how"), [*QUICK, *SLOW])
def test_every_interleaving_of_a_look_and_a_rotation(tmp_path, names, how):
    """A part of the rotation comes before the look, one step or all others before any call of it, the rest behind."""
    number = len(list(getattr(Scene(tmp_path), names)(how, 1, False)))
    for begin in range(number):
        for burst in {1, number - begin}:
            for place in itertools.count():
                if once(tmp_path / "scene", names, how, (begin, place, burst)) <= place:
                    break


def anyhow(folder, names, how, seed, kind="jsonl", files="app.log"):
    """Four rotations and as many looks as it takes, all of it at random."""
    folder.mkdir()
    draw = random.Random(seed)
    scene = Scene(folder, kind, files, width=draw.choice([20, 700]))
    steps = getattr(scene, names)(how, 4, draw.random() < 0.5)
    chance = draw.choice([0.0, 0.01, 0.05])

    def go_on(counts):
        return [step() for step in itertools.islice(steps, draw.choice(counts))]

    calls = Calls(lambda: draw.random() < chance and go_on([1, 1, 2, 3, 5, 8]))
    scene.look()
    try:
        while go_on([1, 1, 1, 2, 4, 8]):
            if draw.random() < 0.3:
                scene.restart()
            for _ in range(draw.choice([0, 1, 1, 1, 2])):
                with calls.watched():
                    scene.look(draw.choice([None, None, None, 1, 2, 3]))
        scene.check()
    except AssertionError as error:
        error.add_note(f"seed {seed}")
        raise
    finally:
        scene.handles.close()
        shutil.rmtree(folder)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("files", ["app.log", "app.log*"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("names", NAMES)
def test_any_interleaving_of_looks_and_rotations(tmp_path, names, how, kind, files):
    for seed in range(24):
        anyhow(tmp_path / "scene", names, how, seed, kind, files)


@pytest.mark.soak
@pytest.mark.parametrize("files", ["app.log", "app.log*"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("names", NAMES)
def test_very_many_interleavings(tmp_path, names, how, kind, files):
    for seed in range(1000, 6000):
        anyhow(tmp_path / "scene", names, how, seed, kind, files)


@pytest.mark.parametrize("how", HOW)
def test_these_tests_find_what_a_single_look_overlooks(tmp_path, monkeypatch, how):
    """Without the second sight that has to agree with the first, lines are lost or come twice."""
    monkeypatch.setattr(Search, "holds", lambda *_: True)
    found = set()
    for seed in range(40):
        try:
            anyhow(tmp_path / f"{seed}", "dated", how, seed)
        except AssertionError:
            found.add(seed)
    assert found
