"""The registries' face to the daemon: what the API asks of hosts that hold images.

Owns which pulls and pushes are under way and how many at once; the bytes are moved by
``pull`` and ``push`` over ``registry``, what is local is the images room's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from pierhead.engine.events import EventBus
from pierhead.engine.images.service import ImageService
from pierhead.engine.settings import Settings
from pierhead.errors import NotImplementedYet
from pierhead.oci.digest import Digest
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.distribution.push import Pusher

Message = dict[str, Any]
"""One line of Docker's JSON stream (``status``, ``id``, ``progressDetail``, ``aux``...)."""


class DistributionService:
    """Pull, push and questions to registries."""

    def __init__(
        self,
        *,
        images: ImageService,
        blobs: BlobStore,
        snapshots: Snapshotter,
        events: EventBus,
        settings: Settings,
    ) -> None:
        self._images = images
        self._blobs = blobs
        self._snapshots = snapshots
        self._events = events
        self._settings = settings
        self._pusher: Pusher | None = None

    def pull(
        self,
        name: str,
        tag: str = "",
        *,
        platform: str | None = None,
        auth: str | None = None,
        all_tags: bool = False,
    ) -> AsyncIterator[Message]:
        """``POST /images/create?fromImage=``: Docker's progress messages.

        ``name`` may carry tag or digest; ``tag`` may be a digest, too. ``auth`` is the value of
        ``X-Registry-Auth``. What goes wrong before the registry has said what the name is comes
        before the first message (so it has an HTTP status), the rest from the iteration.
        Closing the iterator cancels what no other pull waits for.
        """
        raise NotImplementedYet("pull comes with the registry client")

    def push(
        self,
        name: str,
        tag: str = "",
        *,
        platform: str | None = None,
        auth: str | None = None,
    ) -> AsyncIterator[Message]:
        """``POST /images/{name}/push``; as ``pull``. ``name`` alone means all of its tags."""
        if self._pusher is None:
            from pierhead.distribution.push import Pusher

            self._pusher = Pusher(
                images=self._images,
                blobs=self._blobs,
                snapshots=self._snapshots,
                events=self._events,
                settings=self._settings,
            )
        return self._pusher.push(name, tag, platform=platform, auth=auth)

    async def inspect(self, name: str, *, auth: str | None = None) -> dict[str, Any]:
        """``GET /distribution/{name}/json``: ``Descriptor`` and ``Platforms``."""
        raise NotImplementedYet("inspecting a registry's image comes with the registry client")

    async def login(self, body: dict[str, Any]) -> dict[str, str]:
        """``POST /auth``: ``Status`` and ``IdentityToken``. ``Unauthorized`` if refused."""
        raise NotImplementedYet("login comes with the registry client")

    async def search(
        self, term: str, *, limit: int = 25, filters: Any = None, auth: str | None = None
    ) -> list[dict[str, Any]]:
        """``GET /images/search``."""
        raise NotImplementedYet("search comes with the registry client")

    async def fetch_blob(self, name: str, digest: Digest) -> None:
        """Get one blob of the repository ``name`` again and keep it (``image verify``'s repair)."""
        raise NotImplementedYet("repairing comes with the registry client")

    async def close(self) -> None:
        """Cancel what is under way; partial downloads stay."""
