"""An opened ``--cache-from``: results that are known, layers and mounts that come when needed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Protocol

from pierhead import tasks
from pierhead.build.cache.document import CachedLayer, CachedMount, CacheDocument
from pierhead.build.cache.stores import InListing, Store, open_listing, unzipped
from pierhead.build.export.progress import Step
from pierhead.build.model import Client
from pierhead.engine.images.content import Lease
from pierhead.errors import InvalidParameter, NotFound, PierError
from pierhead.oci.digest import ChainId, hex_of
from pierhead.oci.manifest import Descriptor
from pierhead.store.snapshots import Snapshotter, Staged

if TYPE_CHECKING:
    from pierhead.build.execute.mounts import CacheMounts

SIDE_BY_SIDE: Final = 3
"""Layers on their way at a time."""


class ImportedCache(Protocol):
    """One opened ``--cache-from``; holds a lease on what it fetched until ``close``."""

    name: str
    """For people: ``registry example.org/app:cache``."""

    results: Mapping[str, ChainId | None]
    """Key → result. ``None`` is the empty tree."""

    created: Mapping[str, int]
    """When a result was made, nanoseconds since 1970, where that is known."""

    async def materialise(self, chain_id: ChainId) -> bool:
        """Have all layers of ``chain_id`` here; false (and a warning) if that can't be done."""
        ...

    async def fill_mounts(self, names: Iterable[str]) -> None:
        """Unpack the cache mounts of these names that the cache has and this daemon hasn't."""
        ...

    async def close(self) -> None:
        """Let go; no error the second time."""
        ...

    # For those who pass it on, also after ``close``

    layers: Mapping[ChainId, CachedLayer]
    mounts: Sequence[CachedMount]

    def read(self, descriptor: Descriptor, client: Client) -> AsyncIterator[bytes]:
        """The bytes of one of its blobs, as they are stored."""
        ...


class Opened:
    """See ``ImportedCache``."""

    def __init__(
        self,
        *,
        name: str,
        document: CacheDocument,
        store: Store,
        snapshots: Snapshotter,
        mounts: CacheMounts | None,
        lease: Lease,
        stack: AsyncExitStack,
        progress: Step,
        number: int,
    ) -> None:
        self.name = name
        self.layers: Mapping[ChainId, CachedLayer] = document.layers
        self.mounts: Sequence[CachedMount] = document.mounts if mounts is not None else ()
        self.results: Mapping[str, ChainId | None] = document.records
        self.created: Mapping[str, int] = document.created
        self._document = document
        self._store = store
        self._snapshots = snapshots
        self._mounts = mounts
        self._lease = lease
        self._stack = stack
        self._progress = progress
        self._number = number
        self._one = asyncio.Lock()
        self._turns = asyncio.Semaphore(SIDE_BY_SIDE)

    async def materialise(self, chain_id: ChainId) -> bool:
        if chain_id not in self._document.layers:
            return self._snapshots.layer(chain_id) is not None
        async with self._one:
            try:
                await self._materialise(chain_id)
            except PierError as error:
                self._progress.warn(
                    f"layers of the cache {self.name} can't be had: {error.message}"
                )
                return False
            return True

    async def _materialise(self, chain_id: ChainId) -> None:
        missing: list[ChainId] = []
        at: ChainId | None = chain_id
        self._lease.add_chains([chain_id])
        while at is not None and self._snapshots.layer(at) is None:
            if at not in self._document.layers:
                raise NotFound(f"layer {hex_of(at)[:12]} is missing")
            missing.append(at)
            at = self._document.layers[at].parent
            if at is not None:
                self._lease.add_chains([at])
        missing.reverse()
        layers = [self._document.layers[each] for each in missing]
        waiting = [
            tasks.spawn(tasks.outcome(self._stage(layer)), name="stage a cached layer")
            for layer in layers
        ]
        done = 0
        try:
            for layer, staging in zip(layers, waiting, strict=True):
                staged = await staging
                if isinstance(staged, Exception):
                    raise staged
                if staged is None:
                    adopted = await self._snapshots.adopt(layer.diff_id, layer.parent)
                    if adopted is None:
                        raise NotFound(f"layer {hex_of(layer.diff_id)[:12]} is gone")
                else:
                    made = await staged.commit(layer.parent)
                    if made.diff_id != layer.diff_id:
                        raise InvalidParameter(f"a layer of the cache isn't {layer.diff_id}")
                done += 1
        finally:
            await _discard(waiting[done:])

    async def _stage(self, layer: CachedLayer) -> Staged | None:
        """The layer's bytes; ``None`` if it is here already, on whatever parent."""
        if any(each.diff_id == layer.diff_id for each in self._snapshots.layers()):
            return None
        self._lease.add_blobs([layer.blob.digest])
        async with self._turns:
            with self._progress.part(f"pulling layer {layer.blob.digest}"):
                return await self._store.stage(layer)

    async def fill_mounts(self, names: Iterable[str]) -> None:
        if self._mounts is None:
            return
        wanted = set(names)
        async with self._one:
            here = {mount.id for mount in self._mounts.list()}
            for mount in self._document.mounts:
                if mount.name in wanted and mount.id not in here:
                    await self._fill(mount, self._mounts)

    async def _fill(self, mount: CachedMount, mounts: CacheMounts) -> None:
        """It is a cache: what can't be had costs time, and nothing else."""
        with self._progress.part(f"unpacking cache mount {mount.name}"):
            try:
                chunks = unzipped(self._store.blob(mount.blob))
                await mounts.import_(mount.id, mount.name, chunks)
            except PierError as error:
                self._progress.warn(f"cache mount {mount.name} not filled: {error.message}")

    async def read(self, descriptor: Descriptor, client: Client) -> AsyncIterator[bytes]:
        if not isinstance(self._store, InListing):
            async for chunk in self._store.blob(descriptor):
                yield chunk
            return
        async with AsyncExitStack() as stack:
            listing = await open_listing(client, self._number, stack)
            async for _ in listing.files():
                pass
            async for chunk in InListing(listing, self._snapshots).blob(descriptor):
                yield chunk

    async def close(self) -> None:
        self._lease.release()
        await self._stack.aclose()


async def _discard(waiting: Sequence[asyncio.Task[Staged | Exception | None]]) -> None:
    """Whatever was staged and isn't needed goes."""
    if not waiting:
        return
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    for task in waiting:
        staged = None if task.cancelled() else task.result()
        if staged is not None and not isinstance(staged, Exception):
            with contextlib.suppress(PierError, OSError):
                await staged.discard()
