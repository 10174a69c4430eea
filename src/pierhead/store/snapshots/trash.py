"""Deleting trees in the background: a rename now, the work in a child process later.

``rm`` does it: no work in our interpreter, so a tree of a million files disturbs nobody.
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
            done = await process.run(
                ["rm", "-rf", "--one-file-system", "--", *(str(self._directory / n) for n in names)]
            )
            if done.returncode != 0:
                log.warning("trash not emptied", extra={"error": done.stderr.decode()[:500]})
                failed.update(names)

    async def close(self, timeout_s: float = 5.0) -> None:
        """Wait for deletions under way."""
        if self._task is not None and not self._task.done():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._task), timeout_s)
