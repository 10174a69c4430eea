"""What a pull or push tells its client: Docker's JSON messages, never waited for.

Clients keep one line per ``id`` and draw ``progressDetail``. A slow client gets fewer
messages: of several ``update``s of one line only the newest is kept; ``status`` and ``mark``
are all delivered, in order.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Protocol

from pierhead import tasks
from pierhead.engine.images.progress import bar

Message = dict[str, Any]
"""One line of the JSON stream."""

INTERVAL_S: Final = 0.1
"""The least time between two updates of one line, as in dockerd."""


class Reporter(Protocol):
    """Whom the parts of a transfer tell how far they are."""

    def mark(self, id: str, action: str) -> None:
        """A line's new state: ``Pulling fs layer``, ``Download complete``..."""
        ...

    def update(self, id: str, action: str, current: int, total: int) -> None:
        """A line's bar, in bytes; cheap, and dropped when it comes too often."""
        ...


class Progress:
    """The messages of one operation. Iterate over it until ``close``."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._queue: deque[Message] = deque()
        self._bars: dict[str, Message] = {}  # id → its update in the queue, not yet taken
        self._shown: dict[str, float] = {}  # id → when its last update was queued
        self._wake = asyncio.Event()
        self._closed = False

    def status(self, text: str, id: str = "") -> None:
        """A line of its own (``Digest: sha256:...``), or with ``id`` the state of that line."""
        self._put({"status": text, "id": id} if id else {"status": text})

    def aux(self, value: Message) -> None:
        """Something for the client's program rather than for its user."""
        self._put({"progressDetail": {}, "aux": value})

    def mark(self, id: str, action: str) -> None:
        self._bars.pop(id, None)
        self._shown.pop(id, None)
        self._put({"status": action, "progressDetail": {}, "id": id})

    def update(self, id: str, action: str, current: int, total: int) -> None:
        message = self._bars.get(id)
        if message is None:
            now = self._clock()
            if current < total and now - self._shown.get(id, -INTERVAL_S) < INTERVAL_S:
                return
            self._shown[id] = now
            message = self._bars[id] = {"id": id}
            self._put(message)
        message["status"] = action
        message["progressDetail"] = (
            {"current": current, "total": total} if total else {"current": current}
        )

    def note(self, id: str, text: str) -> None:
        """A line's passing state without a bar (``Retrying in 5 seconds``)."""
        message = self._bars.get(id)
        if message is None:
            message = self._bars[id] = {"id": id}
            self._put(message)
        message["status"] = text
        message["progressDetail"] = {}

    def close(self) -> None:
        """No more messages: the iteration ends when all are taken."""
        self._closed = True
        self._wake.set()

    def _put(self, message: Message) -> None:
        if not self._closed:
            self._queue.append(message)
            self._wake.set()

    def take(self) -> Message | None:
        """The next message that waits, if any."""
        if not self._queue:
            return None
        message = self._queue.popleft()
        id_ = message.get("id", "")
        if self._bars.get(id_) is message:
            del self._bars[id_]
            if detail := message["progressDetail"]:
                current, total = detail["current"], detail.get("total", 0)
                message["progress"] = bar(current, total)
        return message

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            while (message := self.take()) is not None:
                yield message
            if self._closed:
                return
            self._wake.clear()
            await self._wake.wait()


async def following(progress: Progress, work: Awaitable[object]) -> AsyncIterator[Message]:
    """Run ``work`` and yield what it tells ``progress`` meanwhile; its error comes last.

    Closing the iterator cancels the work and waits for its end.
    """

    async def run() -> BaseException | None:
        try:
            await work
        except Exception as error:
            return error
        finally:
            progress.close()
        return None

    task = tasks.spawn(run(), name="move an image")
    try:
        async for message in progress:
            yield message
        error = await task
        if error is not None:
            raise error
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
