"""Where an imported build cache's bytes are: in a registry, or in a directory of the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol

from pierhead import tasks
from pierhead.build.cache.document import CachedLayer
from pierhead.build.model import Client, Listing, Wanted
from pierhead.build.registries import Registries
from pierhead.engine.images.feed import through_pipe
from pierhead.errors import InvalidParameter, NotFound, TooLarge
from pierhead.oci.digest import hex_of
from pierhead.oci.manifest import Descriptor
from pierhead.oci.reference import Reference
from pierhead.store.snapshots import Incoming, Snapshotter, Staged

CONFIG_LIMIT_BYTES: Final = 64 << 20
_STEP_BYTES: Final = 1 << 20


class Store(Protocol):
    """Where a cache's bytes are."""

    async def stage(self, layer: CachedLayer) -> Staged: ...

    def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]: ...


class Nowhere:
    """An image's inline cache: every layer is here."""

    async def stage(self, layer: CachedLayer) -> Staged:
        raise NotFound(f"layer {hex_of(layer.diff_id)[:12]} is missing")

    def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        raise NotFound("it has no blobs")


class InRegistry:
    def __init__(self, registries: Registries, ref: Reference, auth: str | None) -> None:
        self._registries = registries
        self._ref = ref
        self._auth = auth

    async def stage(self, layer: CachedLayer) -> Staged:
        return await self._registries.fetch_layer(
            self._ref.name, layer.blob, layer.diff_id, self._auth
        )

    async def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """The blob as it is downloaded: at most a few chunks wait."""
        chunks: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(8)

        async def fetch() -> None:
            async with self._registries.open(self._ref.domain, self._auth, False) as registry:
                await registry.download(self._ref.path, descriptor, chunks.put)

        async def run() -> None:
            await chunks.put(await tasks.outcome(fetch()))

        fetching = tasks.spawn(run(), name="download a cache's blob")
        try:
            while (chunk := await chunks.get()) is not None:
                if isinstance(chunk, Exception):
                    raise chunk
                yield chunk
        finally:
            fetching.cancel()
            await asyncio.wait([fetching])


class InListing:
    """A layout directory on the client's side."""

    def __init__(self, listing: Listing, snapshots: Snapshotter) -> None:
        self._listing = listing
        self._snapshots = snapshots

    def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        return self._listing.content(f"blobs/sha256/{hex_of(descriptor.digest)}".encode())

    async def stage(self, layer: CachedLayer) -> Staged:
        made: list[Staged] = []

        async def take(fd: int) -> Staged:
            made.append(await self._snapshots.stage(Incoming(fd)))
            return made[0]

        try:
            staged: Staged = await through_pipe(self.blob(layer.blob), take)
        except BaseException:
            for each in made:  # it was in when we were told to stop
                await each.discard()
            raise
        if staged.blob_digest != layer.blob.digest or staged.diff_id not in (None, layer.diff_id):
            await staged.discard()
            raise InvalidParameter(f"a layer of the cache isn't {layer.blob.digest}")
        return staged


async def open_listing(client: Client, number: int, stack: AsyncExitStack) -> Listing:
    """The client's directory; ``stack`` ends the transfer."""
    opened = client.local(f"cache-from:{number}", Wanted())
    if hasattr(opened, "aclose"):
        stack.push_async_callback(opened.aclose)
    return await anext(aiter(opened))


async def whole(chunks: AsyncIterator[bytes]) -> bytes:
    data = b""
    async for chunk in chunks:
        data += chunk
        if len(data) > CONFIG_LIMIT_BYTES:
            raise TooLarge(f"a document of the cache is larger than {CONFIG_LIMIT_BYTES} bytes")
    return data


async def unzipped(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A gzip stream, in bounded steps, decompressed in a thread."""
    import zlib

    decoder: Any = zlib.decompressobj(31)
    try:
        async for chunk in chunks:
            while chunk and not decoder.eof:
                yield await asyncio.to_thread(decoder.decompress, chunk, _STEP_BYTES)
                chunk = decoder.unconsumed_tail
    except zlib.error as error:
        raise InvalidParameter(f"invalid gzip data: {error}") from error
