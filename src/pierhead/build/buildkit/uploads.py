"""Contexts that come by a request of their own: CLI 20.10's ``docker build -`` with a tar.

One request brings the tar, another one asks for the build; either may come first, and the
first ends when the tar is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from pierhead.errors import Conflict, InvalidParameter

MEET_S: Final = 30.0
"""How long one of the two waits for the other."""


class Uploads:
    """Tars on their way, by the build's id."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[AsyncIterator[bytes]]] = {}

    async def put(self, build_id: str, chunks: AsyncIterator[bytes]) -> None:
        """Offer a tar and wait until it is read. Raises ``InvalidParameter`` if nobody comes."""
        place = self._place(build_id)
        if place.done():
            raise Conflict(f"there is a context for build {build_id} already")
        done = asyncio.Event()
        taken = asyncio.Event()
        place.set_result(_until_read(chunks, taken, done))
        try:
            async with asyncio.timeout(MEET_S):
                await taken.wait()
        except TimeoutError:
            raise InvalidParameter(f"no build asked for the context of {build_id}") from None
        finally:
            self._waiting.pop(build_id, None)
        await done.wait()

    async def take(self, build_id: str) -> AsyncIterator[bytes]:
        """A tar that is offered or will be. Raises ``InvalidParameter`` if none comes."""
        place = self._place(build_id)
        try:
            async with asyncio.timeout(MEET_S):
                return await asyncio.shield(place)
        except TimeoutError:
            self._waiting.pop(build_id, None)
            raise InvalidParameter(f"the context of build {build_id} was not sent") from None

    def _place(self, build_id: str) -> asyncio.Future[AsyncIterator[bytes]]:
        if build_id not in self._waiting:
            self._waiting[build_id] = asyncio.get_running_loop().create_future()
        return self._waiting[build_id]


async def _until_read(
    chunks: AsyncIterator[bytes], taken: asyncio.Event, done: asyncio.Event
) -> AsyncIterator[bytes]:
    taken.set()
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        done.set()
