"""Background tasks: started in one place, named, kept until done, never silent.

Scoped work uses ``asyncio.TaskGroup``; whatever outlives its caller comes here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

_running: set[asyncio.Task[Any]] = set()


def spawn(coro: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start ``coro`` as a task that is kept alive and whose failure is logged."""
    task = asyncio.get_running_loop().create_task(coro, name=name)
    _running.add(task)
    task.add_done_callback(_done)
    return task


async def outcome(work: Awaitable[T]) -> T | Exception:
    """An error as a value: whoever awaits the task decides, nothing is logged in between."""
    try:
        return await work
    except Exception as error:
        return error


def _done(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background task failed", extra={"task": task.get_name()}, exc_info=error)


async def cancel_all(timeout_s: float) -> None:
    """Cancel what still runs and wait for it, ``timeout_s`` at the most."""
    pending = [task for task in _running if task is not asyncio.current_task()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending, timeout=timeout_s)
