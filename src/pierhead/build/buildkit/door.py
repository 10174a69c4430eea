"""The whole door as one object, made by the wiring and used by the API's handlers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Protocol

from pierhead.errors import NotImplementedYet

if TYPE_CHECKING:
    from pierhead.build.model import BuildOptions
    from pierhead.build.service import BuildService
    from pierhead.engine.images.service import ImageService
    from pierhead.engine.settings import Settings


class Upgraded(Protocol):
    """A connection that has left HTTP/1.1, as a handler hands it over."""

    transport: asyncio.Transport
    early: bytes
    """What the client has sent already."""

    def lost(self, error: Exception | None) -> None:
        """The connection ended: whoever counts connections is told."""
        ...


class BuildKitDoor:
    """Sessions and builds of BuildKit's clients."""

    def __init__(self, *, builds: BuildService, images: ImageService, settings: Settings) -> None:
        self.builds = builds
        self.images = images
        self.settings = settings

    async def serve(self, connection: Upgraded) -> None:
        """``/grpc``: answer calls until the client goes."""
        raise NotImplementedYet("BuildKit's door is not open yet: use DOCKER_BUILDKIT=0")

    async def serve_session(
        self, connection: Upgraded, headers: Mapping[str, str], methods: list[str]
    ) -> None:
        """``/session``: hold a client's session until it goes."""
        raise NotImplementedYet("BuildKit's door is not open yet: use DOCKER_BUILDKIT=0")

    def build(self, options: BuildOptions, session_id: str) -> AsyncIterator[dict[str, object]]:
        """``POST /build?version=2``: build from a session; the messages of the answer."""
        raise NotImplementedYet("BuildKit's door is not open yet: use DOCKER_BUILDKIT=0")

    async def close(self) -> None:
        """End all sessions and builds: pierd stops."""
