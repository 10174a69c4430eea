"""Deleting trees in the background: a rename now, the work in a child process later.

A tree of a few entries, as most containers leave, goes in a thread; ``rm`` takes the others:
no work in our interpreter, so a tree of a million files disturbs nobody, but 2 ms of a start.
What arrives while one runs goes together into the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from pathlib import Path

from pierhead import tasks
from pierhead.linux import process

log = logging.getLogger(__name__)

_BATCH = 200
_FEW = 64


def remove_few(tree: str, budget: int = _FEW) -> bool:
    """Delete ``tree`` unless it has more than ``budget`` entries; False: (part of) it is left."""
    return _remove(tree, budget, os.lstat(tree).st_dev) >= 0


def _remove(folder: str, budget: int, device: int) -> int:
    """The budget that is left, -1 when it did not suffice or something is mounted there."""
    if os.lstat(folder).st_dev != device:
        return -1
    with os.scandir(folder) as entries:
        for entry in entries:
            budget -= 1
            if budget < 0:
                return -1
            if entry.is_dir(follow_symlinks=False):
                budget = _remove(entry.path, budget, device)
                if budget < 0:
                    return -1
            else:
                os.unlink(entry.path)
    os.rmdir(folder)
    return budget


class Trash:
    """A directory on the same file system as what is thrown into it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._task: asyncio.Task[None] | None = None

    def throw(self, path: Path) -> bool:
        """Make ``path`` vanish at once; False if it wasn't there."""
        target = self._directory / f"{path.name}-{secrets.token_hex(4)}"
        try:
            os.rename(path, target)
        except FileNotFoundError:
            return False
        self.sweep()
        return True

    def sweep(self) -> None:
        """Start deleting if it isn't under way."""
        if self._task is None or self._task.done():
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                return  # no loop: the next start does it
            self._task = tasks.spawn(self._run(), name="empty the trash")

    async def _run(self) -> None:
        failed: set[str] = set()
        await asyncio.sleep(0.02)  # let a burst gather, and the caller answer first
        while names := [n for n in os.listdir(self._directory) if n not in failed][:_BATCH]:
            names = await asyncio.to_thread(self._remove_small, names)
            if not names:
                continue
            done = await process.run(
                ["rm", "-rf", "--one-file-system", "--", *(str(self._directory / n) for n in names)]
            )
            if done.returncode != 0:
                log.warning("trash not emptied", extra={"error": done.stderr.decode()[:500]})
                failed.update(names)

    def _remove_small(self, names: list[str]) -> list[str]:
        """Delete the trees of few entries; returns the others."""
        left = []
        for name in names:
            try:
                done = remove_few(str(self._directory / name))
            except OSError:
                done = False  # rm says why
            if not done:
                left.append(name)
        return left

    async def close(self, timeout_s: float = 5.0) -> None:
        """Wait for deletions under way."""
        if self._task is not None and not self._task.done():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._task), timeout_s)
