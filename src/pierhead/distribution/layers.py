"""Layers from a registry's blobs: fetched, checked and applied in one pass.

What comes over the network goes straight into the pipe of a jailed worker (``stage`` of
the snapshotter), which keeps the blob, decompresses, and checks both digests. Layers of
one image come in side by side and are committed in order. A blob that is on its way in
stays ``partial`` until its image is recorded, so that whatever breaks (the connection, the
client, pierd) the next pull goes on from the last byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pierhead import tasks
from pierhead.distribution.transfers import Audience, Locks, Slots, Ticket, Transfers, Watcher
from pierhead.engine.images.feed import make_pipe, write_to
from pierhead.engine.settings import Settings
from pierhead.errors import Internal, InvalidParameter, PierError, Unavailable
from pierhead.oci.digest import ChainId, DiffId, Digest, hex_of
from pierhead.oci.manifest import Descriptor
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Incoming, Layer, Snapshotter, Staged

if TYPE_CHECKING:
    from pierhead.distribution.registry import Registry


SHORT: Final = 12
"""Digits of a digest that name a layer's line."""


@dataclass(frozen=True, slots=True)
class WantedLayer:
    """One layer of an image to pull."""

    descriptor: Descriptor
    diff_id: DiffId
    chain_id: ChainId
    parent: ChainId | None

    @property
    def line(self) -> str:
        """The id of its line in the progress."""
        return hex_of(self.descriptor.digest)[:SHORT]


class Source:
    """A repository over one registry session that pulls share: the last user closes it."""

    def __init__(self, registry: Registry, repo: str) -> None:
        self.registry = registry
        self.repo = repo
        self._users = 0

    async def __aenter__(self) -> Source:
        if self._users == 0:
            await self.registry.__aenter__()
        self._users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        if self._users == 0:
            closing = tasks.spawn(
                self.registry.__aexit__(None, None, None), name="close a registry session"
            )
            await asyncio.shield(closing)


class LayerPuller:
    """All layers that are being pulled; one for the daemon."""

    def __init__(self, blobs: BlobStore, snapshots: Snapshotter, settings: Settings) -> None:
        self._blobs = blobs
        self._snapshots = snapshots
        self._transfers: Transfers[Layer] = Transfers()
        self._slots = Slots(lambda: settings.max_concurrent_downloads)
        self._locks = Locks()  # by blob: one writer of a partial at a time
        self._checked: set[Digest] = set()
        """Partials that are whole and whose digest a worker has found right."""

    def want(
        self, layer: WantedLayer, source: Source, parent: Ticket[Layer] | None, watcher: Watcher
    ) -> Ticket[Layer]:
        """Have ``layer`` made, on the layer that ``parent`` stands for if that isn't there yet.

        The caller holds a lease on its chain id and its blob.
        """

        async def make(audience: Audience) -> Layer:
            async with source:
                return await self._make(layer, source, parent, audience)

        return self._transfers.join(layer.chain_id, layer.line, watcher, make)

    def keep(self, digest: Digest) -> None:
        """Make a blob of what came for ``digest``: its image is being recorded now."""
        if digest in self._checked:
            self._checked.discard(digest)
            partial = self._blobs.partial(digest)
            if self._blobs.exists(digest):
                partial.discard()
            else:
                self._blobs.keep(partial)

    async def stage(self, descriptor: Descriptor, diff_id: DiffId, source: Source) -> Staged:
        """One layer alone, for who will put it in another's place; its blob is kept."""
        staged = await self._stage(descriptor, diff_id, source, Audience(""))
        self.keep(descriptor.digest)
        return staged

    async def close(self) -> None:
        """Cancel what is under way; what came stays for the next time."""
        await self._transfers.close()

    async def _make(
        self, layer: WantedLayer, source: Source, parent: Ticket[Layer] | None, audience: Audience
    ) -> Layer:
        if self._whole(layer.descriptor.digest) is not None:
            if parent is not None:
                await parent.result()
            with registering():
                known = await self._snapshots.adopt(layer.diff_id, layer.parent)
            if known is not None:
                audience.mark("Pull complete")
                return known
        staged = await self._stage(layer.descriptor, layer.diff_id, source, audience)
        try:
            audience.mark("Download complete")
            if parent is not None:
                await parent.result()
            size = layer.descriptor.size
            audience.update("Extracting", size, size)
            with registering():
                made = await staged.commit(layer.parent)
        finally:
            await staged.discard()
        audience.mark("Pull complete")
        return made

    async def _stage(
        self, descriptor: Descriptor, diff_id: DiffId, source: Source, audience: Audience
    ) -> Staged:
        digest = descriptor.digest
        async with self._locks.hold(digest):
            if not self._slots.free:
                audience.mark("Waiting")
            async with self._slots.hold():
                here = self._whole(digest)
                if here is not None:
                    return await self._from_file(diff_id, here)
                resumed = self._blobs.partial(digest).held_bytes > 0
                try:
                    return await self._download(descriptor, diff_id, source, audience)
                except InvalidParameter:
                    # What was held may have been spoilt (a power cut): once more, all of it.
                    if not resumed or self._blobs.partial(digest).held_bytes > 0:
                        raise
                    return await self._download(descriptor, diff_id, source, audience)

    def _whole(self, digest: Digest) -> str | None:
        """The blob's file, if all of it is here and known to be right."""
        if self._blobs.exists(digest):
            return str(self._blobs.path(digest))
        if digest in self._checked:
            partial = self._blobs.partial(digest)
            if partial.path.exists():
                return str(partial.path)
            self._checked.discard(digest)
        return None

    async def _from_file(self, diff_id: DiffId, path: str) -> Staged:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            with registering():
                return await self._snapshots.stage(Incoming(fd, diff_id, blob_bytes=size))
        finally:
            os.close(fd)

    async def _download(
        self, descriptor: Descriptor, diff_id: DiffId, source: Source, audience: Audience
    ) -> Staged:
        """Bytes from the registry into the worker's pipe, from where the last attempt ended."""
        partial = self._blobs.partial(descriptor.digest)
        if partial.held_bytes > descriptor.size:
            partial.discard()
        held = partial.held_bytes
        read_fd, write_fd = make_pipe()
        os.set_blocking(write_fd, False)
        feed = Feed(write_fd)
        staging = tasks.spawn(
            tasks.outcome(
                self._snapshots.stage(Incoming(read_fd, diff_id, partial, descriptor.size))
            ),
            name="stage a layer",
        )
        loading = tasks.spawn(
            tasks.outcome(self._feed(descriptor, source, audience, feed, held)),
            name="download a layer",
        )
        try:
            await asyncio.wait((staging, loading), return_when=asyncio.FIRST_COMPLETED)
            if not staging.done():
                feed.close()
                audience.mark("Verifying Checksum")
                await asyncio.wait((staging,))
            else:
                loading.cancel()
                await asyncio.wait((loading,))
            broken = None if loading.cancelled() else loading.result()
            staged = staging.result()
            if isinstance(staged, Exception):
                if broken is not None and not isinstance(broken, BrokenPipeError):
                    raise broken
                with registering():
                    raise staged
            self._checked.add(descriptor.digest)
            return staged
        finally:
            for task in (loading, staging):
                if not task.done():
                    task.cancel()
                    await asyncio.wait((task,))
            feed.close()
            os.close(read_fd)

    async def _feed(
        self, descriptor: Descriptor, source: Source, audience: Audience, feed: Feed, held: int
    ) -> None:
        total = descriptor.size
        if held >= total:
            return

        def wait(seconds: int) -> None:
            audience.note(f"Retrying in {seconds} second{'' if seconds == 1 else 's'}")

        await source.registry.download(
            source.repo,
            descriptor,
            feed.write,
            offset=held,
            on_progress=lambda done: audience.update("Downloading", done, total),
            on_wait=wait,
        )


class Feed:
    """The writing end of a worker's pipe, awaited while it is full."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    async def write(self, data: bytes) -> None:
        """All of ``data``. ``BrokenPipeError`` when the worker has gone."""
        if not await write_to(self._fd, memoryview(data)):
            raise BrokenPipeError

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@contextlib.contextmanager
def registering() -> Iterator[None]:
    """Errors of the store in Docker's words."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Internal(f"failed to register layer: {reason}") from error
    except PierError as error:
        if isinstance(error, Unavailable) or error.message.startswith("failed to register"):
            raise
        raise type(error)(f"failed to register layer: {error.message}") from error
