"""Transfers that several operations may wait for: one at a time per key, some at once in all.

A *transfer* makes one thing (a layer) that has a key. Who wants it joins: the first one
starts it, all see its progress, and it is cancelled when the last one has left. ``Slots``
bounds how many move bytes at the same time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar

from pierhead import tasks

T = TypeVar("T")


class Watcher(Protocol):
    """``progress.Progress`` as far as transfers use it."""

    def mark(self, id: str, action: str) -> None: ...
    def update(self, id: str, action: str, current: int, total: int) -> None: ...
    def note(self, id: str, text: str) -> None: ...


class Audience:
    """All who watch one transfer. A late one first learns how it stands."""

    def __init__(self, id: str) -> None:
        self.id = id
        self._watchers: list[Watcher] = []
        self._last: tuple[str, int, int] | None = None  # action, current, total (-1: no bar)

    def add(self, watcher: Watcher) -> None:
        if self._last is not None:
            action, current, total = self._last
            if total < 0:
                watcher.mark(self.id, action)
            else:
                watcher.update(self.id, action, current, total)
        self._watchers.append(watcher)

    def remove(self, watcher: Watcher) -> None:
        self._watchers.remove(watcher)

    def mark(self, action: str) -> None:
        self._last = (action, 0, -1)
        for watcher in self._watchers:
            watcher.mark(self.id, action)

    def update(self, action: str, current: int, total: int) -> None:
        self._last = (action, current, total)
        for watcher in self._watchers:
            watcher.update(self.id, action, current, total)

    def note(self, text: str) -> None:
        self._last = (text, 0, -1)
        for watcher in self._watchers:
            watcher.note(self.id, text)


class Silence:
    """A watcher that isn't interested."""

    def mark(self, id: str, action: str) -> None:
        pass

    def update(self, id: str, action: str, current: int, total: int) -> None:
        pass

    def note(self, id: str, text: str) -> None:
        pass


class _Transfer(Generic[T]):
    def __init__(self, audience: Audience, task: asyncio.Task[T | BaseException]) -> None:
        self.audience = audience
        self.task = task
        self.users = 0


class Ticket(Generic[T]):
    """One operation's share in a transfer; ``leave`` it when done with it, in any case."""

    def __init__(self, transfer: _Transfer[T], watcher: Watcher) -> None:
        self._transfer = transfer
        self._watcher = watcher
        self._left = False

    async def result(self) -> T:
        """Wait for the transfer's end; raises what it raised. May be awaited several times."""
        outcome = await asyncio.shield(self._transfer.task)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def leave(self) -> None:
        """Stop watching. The last to leave cancels a transfer under way and waits for its end."""
        if self._left:
            return
        self._left = True
        transfer = self._transfer
        transfer.audience.remove(self._watcher)
        transfer.users -= 1
        if transfer.users == 0 and not transfer.task.done():
            transfer.task.cancel()
            await asyncio.wait([transfer.task])


class Transfers(Generic[T]):
    """The transfers under way, by key."""

    def __init__(self) -> None:
        self._running: dict[str, _Transfer[T]] = {}

    def join(
        self,
        key: str,
        id: str,
        watcher: Watcher,
        make: Callable[[Audience], Awaitable[T]],
    ) -> Ticket[T]:
        """Take part in the transfer ``key``; start it with ``make`` if nobody else has.

        ``id`` names its line in the progress. A transfer is forgotten when it ends: who comes
        later looks first whether the thing is there.
        """
        transfer = self._running.get(key)
        if transfer is None or transfer.task.cancelling():
            audience = Audience(id)
            task = tasks.spawn(tasks.outcome(make(audience)), name=f"transfer {key}")
            transfer = _Transfer(audience, task)
            self._running[key] = transfer
            started = transfer
            task.add_done_callback(lambda _: self._forget(key, started))
        transfer.users += 1
        transfer.audience.add(watcher)
        return Ticket(transfer, watcher)

    def _forget(self, key: str, transfer: _Transfer[T]) -> None:
        if self._running.get(key) is transfer:
            del self._running[key]

    def __len__(self) -> int:
        return len(self._running)

    async def close(self) -> None:
        """Cancel all and wait for their ends."""
        running = [transfer.task for transfer in self._running.values()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


class Slots:
    """At most ``limit()`` holders at a time, first come first served; the limit may change."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._held = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> bool:
        return self._held < max(1, self._limit()) and not self._queue

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        if self.free:
            self._held += 1
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            try:
                await turn  # whoever wakes us has counted us
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._release()
                else:
                    self._queue.remove(turn)
                raise
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        self._held -= 1
        while self._queue and self._held < max(1, self._limit()):
            turn = self._queue.popleft()
            if not turn.done():
                self._held += 1
                turn.set_result(None)


class Locks:
    """One lock per key, as long as somebody has or wants it."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)
