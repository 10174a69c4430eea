"""Work that several builds may need at once is done once.

Nor does everything run at once: work here waits for no other work, so a bound is safe.

``Flights.run`` joins the work that is under way for a key, or starts it. Work runs in a task
of its own: a build that goes away leaves it, and the last one to leave cancels it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

from pierhead import tasks

T = TypeVar("T")

Log = Callable[[int, bytes], None]

REPLAY_LIMIT_BYTES: Final = 256 << 10
"""Of output, for who joins late."""


class Flight(Generic[T]):
    """One piece of work, and who waits for it."""

    def __init__(self) -> None:
        self.task: asyncio.Task[T] | None = None
        self.waiting = 0
        self._listeners: list[Log] = []
        self._said: list[tuple[int, bytes]] = []
        self._said_bytes = 0

    def log(self, stream: int, data: bytes) -> None:
        """Output of the work, to everybody who waits for it."""
        if self._said_bytes < REPLAY_LIMIT_BYTES:
            self._said.append((stream, data))
            self._said_bytes += len(data)
        for listener in self._listeners:
            listener(stream, data)

    def listen(self, log: Log) -> None:
        for stream, data in self._said:
            log(stream, data)
        self._listeners.append(log)

    def leave(self, log: Log) -> None:
        if log in self._listeners:
            self._listeners.remove(log)


class Flights:
    """By key; keys of different kinds of work must differ."""

    def __init__(self, at_once: int = 0) -> None:
        """``at_once``: how many may work at a time; 0: four for each processor, at least 8."""
        self._flights: dict[str, Flight[Any]] = {}
        self._slots = asyncio.Semaphore(at_once or max(4 * (os.cpu_count() or 1), 8))

    async def run(
        self,
        key: str,
        work: Callable[[Flight[T]], Awaitable[T]],
        log: Log | None = None,
        started: Callable[[asyncio.Task[Any]], None] | None = None,
    ) -> T:
        """The result of ``work`` (or of the same work that runs already), or its error.

        ``started`` is given the task if it is this call's ``work`` that runs: what that uses
        must stay until the task ends, even if this caller leaves before.
        """
        flight: Flight[T] | None = self._flights.get(key)
        while flight is not None and flight.waiting == 0:
            # Everybody left: it is being cancelled. Wait until its things are gone.
            if flight.task is not None:
                await asyncio.wait([flight.task])
            flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight()
            flight.task = tasks.spawn(
                self._outcome(key, flight, work), name=f"build step {key[7:19]}"
            )
            if started is not None:
                started(flight.task)
        return await self._wait(flight, log)

    async def _outcome(
        self, key: str, flight: Flight[T], work: Callable[[Flight[T]], Awaitable[T]]
    ) -> Any:
        """The work with its error as a value: whoever waits decides, nothing is logged."""
        try:
            async with self._slots:
                return await tasks.outcome(work(flight))
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]

    async def _wait(self, flight: Flight[T], log: Log | None) -> T:
        task = flight.task
        assert task is not None
        flight.waiting += 1
        if log is not None:
            flight.listen(log)
        try:
            result: Any = await asyncio.shield(task)
        except asyncio.CancelledError:
            if flight.waiting == 1 and not task.done():
                flight.waiting = 0  # nobody may join any more
                task.cancel()
                await asyncio.wait([task])
                flight.waiting = 1
            raise
        finally:
            flight.waiting -= 1
            if log is not None:
                flight.leave(log)
        if isinstance(result, Exception):
            raise _own(result)
        return result  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Cancel all that is under way and wait for it."""
        running = [flight.task for flight in self._flights.values() if flight.task is not None]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


def _own(error: Exception) -> Exception:
    """A copy for one of those who wait: each says where in its Dockerfile it happened."""
    copy = error.__class__.__new__(error.__class__, *error.args)
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    copy.__cause__ = error.__cause__
    return copy.with_traceback(error.__traceback__)
