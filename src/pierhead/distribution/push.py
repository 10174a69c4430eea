"""``docker push``: from a local name to a registry, with Docker's progress messages.

``parcels`` says what goes, ``layer_push`` brings one layer over, ``registry`` speaks to the
host. The layers of all manifests go side by side, topmost first as Docker shows them; then
the configs, the manifests, and the tag last: a name over there never points to half an
image. What the registry knows an image by afterwards is kept here (``RepoDigests``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pierhead import tasks
from pierhead.distribution.complaints import RegistryError
from pierhead.distribution.credentials import Credentials, decode
from pierhead.distribution.layer_push import LayerPusher, exists
from pierhead.distribution.parcels import Parcel, Piece, Shipment, plan
from pierhead.distribution.progress import Message, Progress, following
from pierhead.engine.events import EventBus
from pierhead.engine.images.content import RawManifest
from pierhead.engine.images.service import ImageService
from pierhead.engine.settings import Settings
from pierhead.errors import InvalidParameter, NotFound, PierError
from pierhead.oci import reference
from pierhead.oci.manifest import Descriptor
from pierhead.oci.reference import Reference
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.distribution.registry import Registry


@contextmanager
def _proofs_later() -> Iterator[None]:
    """A registry that wants to know who asks is one that answers: the first blob finds out."""
    try:
        yield
    except RegistryError as error:
        if error.status != 401:
            raise


def _words(error: PierError) -> str:
    """Docker's words for what is wrong with a push: without the request that failed."""
    if isinstance(error, RegistryError) and error.of_proof and error.__cause__ is not None:
        return str(error.__cause__)
    return error.message


class Pusher:
    """Pushes; one for the daemon, so that the limit of uploads holds for all of them."""

    def __init__(
        self,
        *,
        images: ImageService,
        blobs: BlobStore,
        snapshots: Snapshotter,
        events: EventBus,
        settings: Settings,
        user_agent: str = "",
    ) -> None:
        self._user_agent = user_agent
        self._images = images
        self._index = images.index
        self._blobs = blobs
        self._events = events
        self._settings = settings
        self._layers = LayerPusher(
            blobs=blobs,
            snapshots=snapshots,
            content=images.index.content,
            limit=lambda: settings.max_concurrent_uploads,
        )

    async def push(
        self, name: str, tag: str = "", *, platform: str | None = None, auth: str | None = None
    ) -> AsyncIterator[Message]:
        """``POST /images/{name}/push``; a name alone means all of its tags.

        Raises ``InvalidParameter`` before the first message for what is no name; whatever
        goes wrong later is the last message, as Docker has it. Closing the iterator ends
        the push.
        """
        ref = reference.parse(name)
        if tag:
            ref = ref.with_tag(tag)
        try:
            credentials = decode(auth)
        except InvalidParameter:
            credentials = None  # as dockerd: the registry will say what it thinks of nobody
        yield {"status": f"The push refers to repository [{ref.name}]"}
        progress = Progress()
        work = following(progress, self._run(ref, platform, credentials, progress))
        try:
            async with aclosing(work):  # type: ignore[type-var]
                async for message in work:
                    yield message
        except PierError as error:
            # Without a code: clients of all ages take 401 for "ask for a password".
            words = _words(error)
            yield {"errorDetail": {"message": words}, "error": words}
        except OSError as error:  # the disk is full, most of all: layers are compressed there
            words = f"push failed: {(error.strerror or str(error)).lower()}"
            yield {"errorDetail": {"message": words}, "error": words}

    async def _run(
        self,
        ref: Reference,
        platform: str | None,
        credentials: Credentials | None,
        progress: Progress,
    ) -> None:
        from pierhead.distribution.registry import Registry  # aiohttp's client is large

        names = self._names(ref)
        async with Registry(
            ref.domain,
            self._settings,
            credentials=credentials,
            user_agent=self._user_agent,
            push=True,
        ) as registry:
            with _proofs_later():
                await registry.ping()
            for each in names:
                await _Push(self, registry, each, platform, progress).run()
        self._tell(ref, names[-1])

    def _names(self, ref: Reference) -> list[Reference]:
        """The tags to push. Raises ``NotFound`` in Docker's words, which say less than is so."""
        mine = [
            each
            for each in map(reference.parse_stored, sorted(self._index.refs))
            if each.name == ref.name
        ]
        if not mine:
            raise NotFound(f"An image does not exist locally with the tag: {ref.familiar_name}")
        if ref.digest is not None:
            raise InvalidParameter("cannot push a digest reference")
        if ref.tag is not None:
            if str(ref) not in self._index.refs:
                raise NotFound(f"tag does not exist: {ref.familiar}")
            return [ref]
        tagged = [each for each in mine if each.tag is not None and each.digest is None]
        if not tagged:
            raise NotFound(f"no tags to push for {ref.familiar_name}")
        return tagged

    def _tell(self, ref: Reference, pushed: Reference) -> None:
        image = self._index.by_ref(pushed)
        labels = image.config.config.labels if image is not None else None
        self._events.emit(
            "image", "push", ref.familiar, {**(labels or {}), "name": ref.familiar_name}
        )

    # What one tag's push needs

    @property
    def images(self) -> ImageService:
        return self._images

    @property
    def blobs(self) -> BlobStore:
        return self._blobs

    @property
    def layers(self) -> LayerPusher:
        return self._layers


@dataclass(slots=True)
class _Push:
    """One tag."""

    pusher: Pusher
    registry: Registry
    ref: Reference
    platform: str | None
    progress: Progress
    sent: dict[str, Descriptor] = field(default_factory=dict)

    async def run(self) -> None:
        index = self.pusher.images.index
        blobs = self.pusher.blobs
        name = str(self.ref)
        with index.lease() as lease:
            lease.add_chains(image.chains[-1] for image in index.companions(name) if image.chains)
            chosen = self.pusher.images.resolve(name, self.platform) if self.platform else None
            shipment = plan(index, name, blobs.read, blobs.exists, chosen)
            for parcel in shipment.parcels:
                if parcel.image is not None:
                    lease.add_chains(parcel.image.chains)
                lease.add_blobs([parcel.config.digest])
                lease.add_blobs(layer.digest for layer in parcel.layers)
            await self._send(shipment)

    async def _send(self, shipment: Shipment) -> None:
        await self._send_blobs(shipment.parcels)
        whole = shipment.index
        if whole is not None and not all(
            parcel.manifest(self.sent) is parcel.kept for parcel in shipment.parcels
        ):
            whole = None  # a layer goes in another form: the index would name what isn't there
        parcels = shipment.parcels if whole is not None else [_main(shipment)]
        if whole is None:
            top = parcels[0].manifest(self.sent)
        else:
            for parcel in parcels:
                raw = parcel.manifest(self.sent)
                await self._put(raw.digest, raw)
            top = whole
        assert self.ref.tag is not None
        await self._put(self.ref.tag, top)
        self._remember(shipment, top)
        size = len(top.data)
        self.progress.status(f"{self.ref.tag}: digest: {top.digest} size: {size}")
        self.progress.aux({"Tag": self.ref.tag, "Digest": top.digest, "Size": size})
        if shipment.instead_of is not None:
            self.progress.aux(_instead(shipment.instead_of, top))

    async def _send_blobs(self, parcels: list[Parcel]) -> None:
        """Layers and configs; a config is soon there, or tells that nothing may be sent."""
        pieces: dict[str, Piece] = {}
        for parcel in parcels:
            for piece in reversed(parcel.pieces):
                self.progress.mark(piece.id, "Preparing")
                pieces.setdefault(piece.key, piece)
        waiting = [
            *(
                tasks.spawn(tasks.outcome(self._send_config(parcel)), name="push a config")
                for parcel in parcels
            ),
            *(
                tasks.spawn(tasks.outcome(self._send_layer(piece)), name=f"push {piece.id}")
                for piece in pieces.values()
            ),
        ]
        try:
            for done in asyncio.as_completed(waiting):
                if (error := await done) is not None:
                    raise error
        finally:
            for task in waiting:
                task.cancel()
            if waiting:
                await asyncio.wait(waiting)

    async def _send_layer(self, piece: Piece) -> None:
        self.sent[piece.key] = await self.pusher.layers.push(
            self.registry, self.ref.name, piece, self.progress
        )

    async def _send_config(self, parcel: Parcel) -> None:
        config = parcel.config
        if await exists(self.registry, self.ref.path, config.digest):
            return
        data = self.pusher.blobs.read(config.digest)

        async def source(offset: int) -> AsyncIterator[bytes]:
            yield data[offset:]

        await self.registry.upload(self.ref.path, config.digest, len(data), source)

    async def _put(self, ref: str, raw: RawManifest) -> None:
        await self.registry.put_manifest(self.ref.path, ref, raw.data, raw.media_type)

    def _remember(self, shipment: Shipment, top: RawManifest) -> None:
        """Keep what the registry knows the image by."""
        index = self.pusher.images.index
        name = str(self.ref)
        if index.refs.get(name) is None:
            return  # untagged meanwhile
        digest = top.digest
        if index.targets.get(name, digest) == digest:
            target = Descriptor(media_type=top.media_type, digest=digest, size=len(top.data))
            index.pushed(shipment.image, self.ref, target=target, manifests=[top])
            return
        # One manifest went in the place of an index, which the name goes on to stand for.
        with index.transaction():
            index.content.put(top)
            index.tag(shipment.image, self.ref.without_tag().with_digest(digest), digest)


def _main(shipment: Shipment) -> Parcel:
    """The parcel of the image that the name means."""
    mine = [parcel for parcel in shipment.parcels if parcel.image is shipment.image]
    return (mine or shipment.parcels)[0]


def _instead(index: Descriptor, top: RawManifest) -> dict[str, Any]:
    """Tells newer clients that one platform's manifest went, and not the index."""
    return {
        "manifestPushedInsteadOfIndex": True,
        "originalIndex": {
            "mediaType": index.media_type,
            "digest": index.digest,
            "size": index.size,
        },
        "selectedManifest": {
            "mediaType": top.media_type,
            "digest": top.digest,
            "size": len(top.data),
        },
    }
