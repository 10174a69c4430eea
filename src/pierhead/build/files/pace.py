"""Progress told now and then: ten times a second is enough for anybody. No IO but the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

Progress = Callable[[str, int, int], None]
"""(what, bytes or files so far, of how many; 0: unknown)."""

EVERY_S: Final = 0.1


class Paced:
    """Passes the first call on, and then one in ``EVERY_S``."""

    __slots__ = ("_clock", "_next", "_tell")

    def __init__(self, tell: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._next = float("-inf")

    def __call__(self, what: str, current: int, total: int) -> None:
        now = self._clock()
        if now >= self._next:
            self._next = now + EVERY_S
            self._tell(what, current, total)
