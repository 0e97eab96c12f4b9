"""Jumps of the clock: the wall clock against one that only goes on."""

from dataclasses import dataclass

JUMP_SECONDS = 5.0
"""A wall clock that moves by more than this against the steady one has jumped; less is drift, or a slow look."""


@dataclass
class Watch:
    """What the two clocks showed when they were last looked at."""

    wall: float
    steady: float

    def jump(self, wall: float, steady: float) -> float:
        """By how many seconds the wall clock jumped since the last look; 0 for drift.

        >>> watch = Watch(1000.0, 50.0)
        >>> watch.jump(1010.5, 60.0), watch.jump(920.5, 70.0), watch.jump(921.5, 71.0)
        (0.0, -100.0, 0.0)
        """
        moved = (wall - self.wall) - (steady - self.steady)
        self.wall, self.steady = wall, steady
        return moved if abs(moved) > JUMP_SECONDS else 0.0
