"""The registries' face to the daemon: what the API asks of hosts that hold images.

Owns which pulls and pushes are under way and how many at once; the bytes are moved by
``pull`` and ``push`` over ``registry``, what is local is the images room's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from pierhead import __version__
from pierhead.engine.events import EventBus
from pierhead.engine.images.service import ImageService
from pierhead.engine.settings import Settings
from pierhead.errors import Forbidden, InvalidParameter
from pierhead.oci import platform as platforms
from pierhead.oci import reference
from pierhead.oci.digest import DiffId, Digest, is_digest
from pierhead.oci.manifest import Descriptor
from pierhead.oci.reference import Reference
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Snapshotter, Staged

if TYPE_CHECKING:
    from pierhead.distribution.credentials import Credentials
    from pierhead.distribution.layers import LayerPuller
    from pierhead.distribution.push import Pusher
    from pierhead.distribution.registry import Registry
    from pierhead.engine.filters import Filters
    from pierhead.engine.images.content import RawManifest

USER_AGENT = f"pierhead/{__version__}"

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
        self._layers: LayerPuller | None = None

    def pull(
        self,
        name: str,
        tag: str = "",
        *,
        platform: str | None = None,
        auth: str | None = None,
    ) -> AsyncIterator[Message]:
        """``POST /images/create?fromImage=``: Docker's progress messages.

        ``name`` may carry tag or digest; ``tag`` may be a digest, too; with neither all tags
        are pulled. ``auth`` is the value of ``X-Registry-Auth``. What goes wrong before the
        registry has said what the name is comes before the first message (so it has an HTTP
        status), the rest from the iteration. Closing the iterator cancels what no other pull
        waits for.
        """
        # The registry client is megabytes of code: for those who use it.
        from pierhead.distribution.progress import Progress, following
        from pierhead.distribution.pull import Pull

        ref = pulled_reference(name, tag)
        host = self._images.index.host
        progress = Progress()
        pull = Pull(
            index=self._images.index,
            blobs=self._blobs,
            snapshots=self._snapshots,
            events=self._events,
            layers=self._puller(),
            registry=self._registry(ref.domain, auth),
            ref=ref,
            platform=platforms.parse(platform, host.architecture) if platform else None,
            progress=progress,
        )
        return following(progress, pull.run())

    def _puller(self) -> LayerPuller:
        if self._layers is None:
            from pierhead.distribution.layers import LayerPuller

            self._layers = LayerPuller(self._blobs, self._snapshots, self._settings)
        return self._layers

    def _registry(self, domain: str, auth: str | None) -> Registry:
        from pierhead.distribution.registry import Registry

        return Registry(
            domain,
            self._settings,
            credentials=_credentials(auth),
            user_agent=USER_AGENT,
            attempts=self._settings.max_download_attempts,
        )

    def open(self, domain: str, auth: str | None, push: bool) -> Registry:
        """A client for one registry, for who moves blobs of its own (builds: caches).

        An async context manager; ``push``: to write as well.
        """
        from pierhead.distribution.registry import Registry

        return Registry(
            domain,
            self._settings,
            credentials=_credentials(auth),
            user_agent=USER_AGENT,
            push=push,
            attempts=self._settings.max_download_attempts,
        )

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
                user_agent=USER_AGENT,
            )
        return self._pusher.push(name, tag, platform=platform, auth=auth)

    async def inspect(self, name: str, *, auth: str | None = None) -> dict[str, Any]:
        """``GET /distribution/{name}/json``: ``Descriptor`` and ``Platforms``."""
        from pierhead.distribution import queries

        if is_digest(name):
            raise InvalidParameter("no manifest found for full image ID")
        ref = reference.parse(name)
        return await queries.inspect(self._registry(ref.domain, auth), ref)

    async def login(self, body: dict[str, Any]) -> dict[str, str]:
        """``POST /auth``: ``Status`` and ``IdentityToken``. ``Unauthorized`` if refused."""
        from pierhead.distribution import queries
        from pierhead.distribution.credentials import of_document
        from pierhead.distribution.registry import Registry

        credentials = of_document(body)
        registry = Registry(
            queries.domain_of(credentials.server_address),
            self._settings,
            credentials=credentials,
            user_agent=USER_AGENT,
            push=True,  # mirrors know no passwords
        )
        return await queries.login(registry)

    async def search(
        self, term: str, *, limit: int = 25, filters: Filters, auth: str | None = None
    ) -> list[dict[str, Any]]:
        """``GET /images/search``."""
        from pierhead.distribution import queries

        return await queries.search(
            term,
            self._settings,
            limit=limit,
            filters=filters,
            credentials=_credentials(auth),
            user_agent=USER_AGENT,
        )

    # For ``image verify``, which puts whole things in the place of damaged ones. ``repository``
    # is a stored name ("docker.io/library/busybox"), such as ``Content.sources`` gives.

    async def fetch_manifest(
        self, repository: str, digest: Digest, *, auth: str | None = None
    ) -> RawManifest:
        """A manifest or index by its digest, verified."""
        from pierhead.engine.images.content import RawManifest

        ref = reference.parse_stored(repository)
        async with self._registry(ref.domain, auth) as registry:
            fetched = await registry.manifest(ref.path, digest)
        return RawManifest(fetched.data, fetched.media_type)

    async def fetch_blob(
        self, repository: str, descriptor: Descriptor, *, auth: str | None = None
    ) -> bytes:
        """A small blob (a config), verified."""
        from pierhead.distribution.pull import CONFIG_LIMIT_BYTES

        ref = reference.parse_stored(repository)
        async with self._registry(ref.domain, auth) as registry:
            return await registry.read_blob(ref.path, descriptor, limit_bytes=CONFIG_LIMIT_BYTES)

    async def fetch_layer(
        self, repository: str, descriptor: Descriptor, diff_id: DiffId, *, auth: str | None = None
    ) -> Staged:
        """The layer that the blob ``descriptor`` gives, staged: ``replace`` or ``discard`` it.

        Taken from our own blob if there is one (delete a damaged one before), else fetched and
        kept as a blob. The caller holds a lease on the blob.
        """
        from pierhead.distribution.layers import Source

        ref = reference.parse_stored(repository)
        source = Source(self._registry(ref.domain, auth), ref.path)
        async with source:
            return await self._puller().stage(descriptor, diff_id, source)

    async def close(self) -> None:
        """Cancel what is under way; partial downloads stay."""
        if self._layers is not None:
            await self._layers.close()


def pulled_reference(name: str, tag: str) -> Reference:
    """What to pull, from the API's ``fromImage`` and ``tag``."""
    ref = reference.parse(name)
    if tag:
        ref = ref.without_tag().with_digest(tag) if is_digest(tag) else ref.with_tag(tag)
    if ref.familiar_name == "scratch":
        raise Forbidden("'scratch' is a reserved name")
    return ref


def _credentials(auth: str | None) -> Credentials | None:
    """Pulling and searching go on without what can't be read, as in dockerd."""
    from pierhead.distribution.credentials import decode

    try:
        return decode(auth)
    except InvalidParameter:
        return None
