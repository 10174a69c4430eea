"""Reaping orphans. pierd is a subreaper, so processes it never started end as its children.

Whoever waits for a process has its pidfd and reaps it at once. A child that stays a zombie
has nobody: a sweep takes those that were there at the sweep before.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

SWEEP_S: Final = 5.0
_AT_ONCE: Final = 512


class Reaper:
    """Sweeps after SIGCHLD, and only then: no work while nothing ends."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._suspects: frozenset[int] = frozenset()

    def start(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._plan)
        self._plan()

    def stop(self) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
        if self._timer is not None:
            self._timer.cancel()

    def _plan(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        zombies = _zombies()
        for pid in zombies & self._suspects:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass
        self._suspects = zombies - self._suspects
        if self._suspects:
            self._plan()


def _zombies() -> frozenset[int]:
    """Our dead children. The kernel lists children per thread; a zombie's state is Z."""
    found = set()
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/children") as file:
                children = file.read().split()
        except OSError:
            continue
        for pid in children[:_AT_ONCE]:
            try:
                with open(f"/proc/{pid}/stat") as file:
                    state = file.read().rpartition(") ")[2][:1]
            except OSError:
                continue
            if state == "Z":
                found.add(int(pid))
    return frozenset(found)
