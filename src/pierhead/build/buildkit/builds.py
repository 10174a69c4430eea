"""Builds that clients of BuildKit have under way, by the reference that each client made up.

Three calls meet here: ``Control.Solve`` opens a build and waits for its end, ``Status`` reads
what it tells, and the gateway's calls, which name it in their metadata, do the work.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pierhead.build.export.model import Assembled, Solved
from pierhead.build.files.model import Source
from pierhead.build.model import Client, Event
from pierhead.errors import Conflict, NotFound

APPEAR_S: Final = 30.0
"""How long a call waits for the build that it names: calls overtake each other."""
KEPT: Final = 64
"""Ended builds whose status nobody has read yet."""
BATCH_S: Final = 0.01
"""Events of this time go out together: one message instead of dozens."""


class Feed:
    """What one build has told, for any number of readers, from the beginning."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._finished = False
        self._changed = asyncio.Event()

    def add(self, event: Event) -> None:
        self._events.append(event)
        self._changed.set()

    def finish(self) -> None:
        self._finished = True
        self._changed.set()

    async def batches(self) -> AsyncIterator[list[Event]]:
        """All events, a few at a time, until the build has ended."""
        read = 0
        while True:
            if read < len(self._events):
                batch = self._events[read:]
                read += len(batch)
                yield batch
            elif self._finished:
                return
            else:
                self._changed.clear()
                await self._changed.wait()
                if not self._finished:
                    await asyncio.sleep(BATCH_S)


@dataclass(frozen=True, slots=True)
class Ref:
    """A result that a client may name: an image of a solved build, or a source's files."""

    id: str
    solved: Solved | None = None
    image: Assembled | None = None
    source: Source | None = None


@dataclass(slots=True, kw_only=True)
class Build:
    """One build of a client."""

    ref: str
    client: Client
    feed: Feed = field(default_factory=Feed)
    attributes: dict[str, str] = field(default_factory=dict)
    entitlements: frozenset[str] = frozenset()
    request: Any = None
    """The ``SolveRequest`` that opened it."""
    refs: dict[str, Ref] = field(default_factory=dict)
    solved: list[Solved] = field(default_factory=list)
    returned: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """The client's ``ReturnRequest``."""
    working: set[asyncio.Task[Any]] = field(default_factory=set)
    watched: bool = False

    def emit(self, event: Event) -> None:
        self.feed.add(event)

    def add_ref(
        self,
        *,
        solved: Solved | None = None,
        image: Assembled | None = None,
        source: Source | None = None,
    ) -> Ref:
        ref = Ref(secrets.token_hex(12), solved, image, source)
        self.refs[ref.id] = ref
        return ref

    def find(self, ref_id: str) -> Ref:
        """Raises ``NotFound``, in BuildKit's words."""
        try:
            return self.refs[ref_id]
        except KeyError:
            raise NotFound(f"no such ref: {ref_id}") from None


class Builds:
    """The registry."""

    def __init__(self) -> None:
        self._open: dict[str, Build] = {}
        self._ended: OrderedDict[str, Build] = OrderedDict()
        self._changed = asyncio.Condition()

    async def add(self, build: Build) -> None:
        """Raises ``Conflict`` if one of this reference is under way."""
        async with self._changed:
            if build.ref in self._open:
                raise Conflict(f"job ID {build.ref} exists")
            self._open[build.ref] = build
            self._ended.pop(build.ref, None)
            self._changed.notify_all()

    def remove(self, build: Build) -> None:
        """It has ended: its status can still be read once."""
        self._open.pop(build.ref, None)
        build.feed.finish()
        for task in build.working:
            task.cancel()
        if not build.returned.done():
            build.returned.cancel()
        if not build.watched:
            self._ended[build.ref] = build
            while len(self._ended) > KEPT:
                self._ended.popitem(last=False)

    async def get(self, ref: str, timeout_s: float = APPEAR_S) -> Build:
        """One that is under way; waits for it to begin. Raises ``NotFound``."""
        return await self._wait(ref, lambda: self._open.get(ref), timeout_s)

    async def watch(self, ref: str, timeout_s: float = APPEAR_S) -> Build:
        """One to read the status of: it may have ended. Raises ``NotFound``."""
        build = await self._wait(
            ref, lambda: self._open.get(ref) or self._ended.get(ref), timeout_s
        )
        build.watched = True
        self._ended.pop(ref, None)
        return build

    def known(self, ref: str) -> bool:
        return ref in self._open or ref in self._ended

    def of_result(self, ref_id: str) -> Ref | None:
        """A result of any build under way, by its id."""
        for build in self._open.values():
            if ref_id in build.refs:
                return build.refs[ref_id]
        return None

    async def _wait(self, ref: str, find: Callable[[], Build | None], timeout_s: float) -> Build:
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                while (build := find()) is None:
                    await self._changed.wait()
                return build
        except TimeoutError:
            raise NotFound(f"no such job {ref}") from None
