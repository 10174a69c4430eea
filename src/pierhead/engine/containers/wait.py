"""Waiting for a container: not running, its next exit, its removal (``POST .../wait``)."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Final

from pierhead.engine.containers.container import Container
from pierhead.errors import InvalidParameter

CONDITIONS: Final = ("not-running", "next-exit", "removed")


class Waiter:
    """Await it for (exit code, error text or None). Dropping it is fine."""

    def __init__(self, container: Container, condition: str) -> None:
        self.condition = condition
        self._future: asyncio.Future[tuple[int, str | None]] = (
            asyncio.get_running_loop().create_future()
        )
        container.waiters.append(self)
        self._container = container

    def __await__(self) -> Generator[object, None, tuple[int, str | None]]:
        try:
            return (yield from self._future.__await__())
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Forget it."""
        if self in self._container.waiters:
            self._container.waiters.remove(self)
        self._future.cancel()

    def resolve(self, exit_code: int, error: str | None = None) -> None:
        if not self._future.done():
            self._future.set_result((exit_code, error))


def register_wait(container: Container, condition: str) -> Waiter:
    """Register; "not-running" is answered at once when nothing runs."""
    condition = condition or "not-running"
    if condition not in CONDITIONS:
        raise InvalidParameter(f'invalid condition: "{condition}"')
    waiter = Waiter(container, condition)
    if condition == "not-running" and not container.active:
        waiter.resolve(container.status.exit_code)
    return waiter


def notify_exit(container: Container) -> None:
    """The process has ended and its exit is recorded."""
    _notify(container, ("not-running", "next-exit"), None)


def notify_removed(container: Container, error: str | None = None) -> None:
    """The container is gone, or with ``error`` could not be removed."""
    _notify(container, CONDITIONS, error)


def _notify(container: Container, conditions: tuple[str, ...], error: str | None) -> None:
    for waiter in list(container.waiters):
        if waiter.condition in conditions:
            container.waiters.remove(waiter)
            waiter.resolve(container.status.exit_code, error)
