"""One layer's way to a registry: it is there, or can be mounted, or is sent.

Looked for first under every digest that it is known by: a blob that the repository has
is never sent again, and one that another repository of the same registry was seen to have
is linked there. What has to be sent is the kept compressed blob, as it came; a layer
without one is compressed on all processors (``store.compress``) into a nameless file, and
the result's digest looked for as well. Only one push at a time sends a blob to a
repository.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pierhead.distribution.complaints import RegistryError
from pierhead.distribution.parcels import Piece, mountable
from pierhead.distribution.progress import Reporter
from pierhead.distribution.transfer import file_source
from pierhead.distribution.transfers import Locks, Slots
from pierhead.engine.images.compressing import Compressor
from pierhead.engine.images.content import Content
from pierhead.engine.images.feed import out_of_pipe
from pierhead.errors import NotFound, PierError
from pierhead.oci.manifest import Descriptor
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.distribution.registry import Registry

log = logging.getLogger(__name__)

MOUNTS_LIMIT: Final = 3
"""How many repositories are asked for a blob before it is sent."""
DIGESTS_LIMIT: Final = 3


class LayerPusher:
    """Sends layers; shared by all pushes of the daemon."""

    def __init__(
        self,
        *,
        blobs: BlobStore,
        snapshots: Snapshotter,
        content: Content,
        limit: Callable[[], int],
    ) -> None:
        """``limit`` says how many layers may be on their way at a time."""
        self.blobs = blobs
        self.content = content
        self._snapshots = snapshots
        self._compressor = Compressor(snapshots)
        self._uploads = Slots(limit)
        self._locks = Locks()

    async def push(
        self, registry: Registry, repository: str, piece: Piece, reporter: Reporter
    ) -> Descriptor:
        """Have the repository hold ``piece``; return what to call it in a manifest.

        ``repository`` is a whole name. Raises what the registry answers.
        """
        if piece.is_foreign and piece.wanted is not None:
            reporter.mark(piece.id, "Skipped foreign layer")
            return piece.wanted
        if not self._uploads.free:
            reporter.mark(piece.id, "Waiting")
        async with self._locks.hold(f"{repository} {piece.key}"), self._uploads.hold():
            attempt = _Attempt(self, registry, repository, piece, reporter)
            return await attempt.run()

    async def compress(self, piece: Piece, out_fd: int) -> Descriptor:
        """Write the layer's gzip form to ``out_fd``; record what it is known by."""
        assert piece.chain_id is not None
        made = await self._compressor.run(piece.chain_id, out_fd)
        assert piece.diff_id is not None
        self.content.add_layer_blob(piece.diff_id, made)
        return made

    def plain(self, piece: Piece) -> Callable[[int], AsyncIterator[bytes]]:
        """Opens the layer's plain tar at an offset."""
        assert piece.chain_id is not None
        chain_id = piece.chain_id
        place = self._snapshots.layer_tar_range(chain_id)

        async def stream(offset: int) -> AsyncIterator[bytes]:
            skip = offset
            async for chunk in out_of_pipe(lambda fd: self._snapshots.layer_tar(chain_id, fd)):
                if skip < len(chunk):
                    yield chunk[skip:]
                skip = max(0, skip - len(chunk))

        if place is None:
            return stream
        path, start, length = place
        return file_source(path, start, length)

    def has_layer(self, piece: Piece) -> bool:
        return piece.chain_id is not None and self._snapshots.layer(piece.chain_id) is not None


@dataclass(slots=True)
class _Attempt:
    """One layer to one repository."""

    shared: LayerPusher
    registry: Registry
    repository: str
    piece: Piece
    reporter: Reporter

    @property
    def _path(self) -> str:
        return self.repository.partition("/")[2]

    def _say(self, status: str) -> None:
        self.reporter.mark(self.piece.id, status)

    async def run(self) -> Descriptor:
        known = self._known()
        asked: set[str] = set()
        for blob in known[:DIGESTS_LIMIT]:
            asked.add(blob.digest)
            if (found := await self._exists(blob)) is not None:
                return found
        for blob in known[:DIGESTS_LIMIT]:
            if await self._mounted(blob):
                return blob
        for blob in known:
            if self.shared.blobs.exists(blob.digest):
                path = self.shared.blobs.path(blob.digest)
                return await self._send(blob, file_source(path, 0, blob.size))
        if not self.shared.has_layer(self.piece):
            raise missing(self.piece)
        wanted = self.piece.wanted
        if wanted is not None and str(wanted.digest) == self.piece.diff_id:
            return await self._send(wanted, self.shared.plain(self.piece))
        return await self._compressed(asked)

    def _known(self) -> list[Descriptor]:
        """The digests that will do, the best first."""
        if self.piece.wanted is not None:
            return [self.piece.wanted]
        assert self.piece.diff_id is not None
        content = self.shared.content
        domain = self.repository.partition("/")[0]
        blobs = content.layer_blobs(self.piece.diff_id)

        def rank(digest: str) -> int:
            sources = content.sources(digest)
            if self.repository in sources:
                return 0
            return 1 if any(source.startswith(f"{domain}/") for source in sources) else 2

        ranked = sorted(blobs, key=lambda blob: rank(blob.digest))
        return [
            Descriptor(media_type=blob.media_type, digest=blob.digest, size=blob.size_bytes)
            for blob in ranked
        ]

    async def _exists(self, blob: Descriptor) -> Descriptor | None:
        if not await exists(self.registry, self._path, blob.digest):
            self.shared.content.drop_source(blob.digest, self.repository)
            return None
        self._say("Layer already exists")
        self._seen(blob)
        return blob

    async def _mounted(self, blob: Descriptor) -> bool:
        content = self.shared.content
        for source in mountable(content.sources(blob.digest), self.repository, MOUNTS_LIMIT):
            try:
                done = await self.registry.mount(self._path, blob.digest, source)
            except PierError as error:
                # Nothing is lost: it is sent then, and that says what is wrong, if anything is.
                log.debug("not mounted", extra={"blob": blob.digest, "error": error.message})
                done = False
            if done:
                self._say(f"Mounted from {source}")
                self._seen(blob)
                return True
            domain = self.repository.partition("/")[0]
            content.drop_source(blob.digest, f"{domain}/{source}")
        return False

    async def _compressed(self, asked: set[str]) -> Descriptor:
        spool = self.shared.blobs.scratch()
        try:
            made = await self.shared.compress(self.piece, spool)
            if made.digest not in asked:
                if (found := await self._exists(made)) is not None:
                    return found
                if await self._mounted(made):
                    return made
            return await self._send(made, file_source(Path(f"/proc/self/fd/{spool}"), 0, made.size))
        finally:
            os.close(spool)

    async def _send(
        self, blob: Descriptor, source: Callable[[int], AsyncIterator[bytes]]
    ) -> Descriptor:
        def wait(seconds: int) -> None:
            self._say(f"Retrying in {seconds} second{'' if seconds == 1 else 's'}")

        await self.registry.upload(
            self._path,
            blob.digest,
            blob.size,
            source,
            on_progress=lambda done: self.reporter.update(
                self.piece.id, "Pushing", done, blob.size
            ),
            on_wait=wait,
        )
        self._say("Pushed")
        self._seen(blob)
        return blob

    def _seen(self, blob: Descriptor) -> None:
        self.shared.content.add_source(blob.digest, self.repository)


async def exists(registry: Registry, path: str, digest: str) -> bool:
    """Whether a repository has a blob, as far as we may know.

    An answer to HEAD doesn't say why we mayn't: sending the blob will.
    """
    try:
        return await registry.blob_exists(path, digest) is not None
    except RegistryError as error:
        if error.of_proof or error.status not in (400, 401, 403, 405):
            raise
        return False


def missing(piece: Piece) -> NotFound:
    """A layer that can't be sent, since neither its blob nor its tar is here."""
    return NotFound(f"layer {piece.id} can't be pushed: its files are missing")
