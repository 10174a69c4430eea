"""``--cache-from``: what other builds learned. Layers are fetched only when they are needed.

Use::

    cache = await importer.open(option, client, emit)      # None: there is nothing to use
    if key in cache.results:
        chain_id = cache.results[key]                      # known without any layer being here
    ...
    await cache.materialise(chain_id)                      # before somebody stands on it
    await cache.fill_mounts(["/root/.cache/pip"])          # before a RUN with cache mounts
    await cache.close()
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol

from pierhead import tasks
from pierhead.build.cache import document as documents
from pierhead.build.cache.document import (
    BUILDKIT_CONFIG,
    CONFIG_TYPE,
    CachedLayer,
    CachedMount,
    CacheDocument,
)
from pierhead.build.export.progress import Step, step
from pierhead.build.model import CacheOption, Client, Emit, Listing, Wanted
from pierhead.build.registries import Registries, RegistryClient, auth_for
from pierhead.engine.images.content import Lease
from pierhead.engine.images.feed import through_pipe
from pierhead.engine.images.service import ImageService
from pierhead.errors import InvalidParameter, NotFound, NotImplementedYet, PierError, TooLarge
from pierhead.oci import manifest as oci
from pierhead.oci import reference
from pierhead.oci.digest import ChainId, Digest, hex_of, is_digest, sha256
from pierhead.oci.manifest import Descriptor, Index, Manifest
from pierhead.oci.platform import Platform
from pierhead.oci.reference import Reference
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Incoming, Snapshotter, Staged

if TYPE_CHECKING:
    from pierhead.build.execute.mounts import CacheMounts

CONFIG_LIMIT_BYTES: Final = 64 << 20
_STEP_BYTES: Final = 1 << 20
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


class _Store(Protocol):
    """Where a cache's bytes are."""

    async def stage(self, layer: CachedLayer) -> Staged: ...

    def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]: ...


class CacheImporter:
    """Opens caches."""

    def __init__(
        self,
        *,
        images: ImageService,
        blobs: BlobStore,
        snapshots: Snapshotter,
        mounts: CacheMounts,
        registries: Registries,
    ) -> None:
        self._images = images
        self._blobs = blobs
        self._snapshots = snapshots
        self._mounts = mounts
        self._registries = registries

    async def open(
        self, option: CacheOption, client: Client, emit: Emit, *, number: int = 0
    ) -> ImportedCache | None:
        """Read one ``--cache-from``: a missing or foreign cache is a warning, never an error.

        ``registry`` looks at a local image of that name first (its inline cache), ``image``
        at nothing else. ``local`` reads the client's source ``cache-from:<number>``.
        """
        if option.type in ("gha", "s3", "azblob"):
            raise NotImplementedYet(
                f"--cache-from type={option.type} isn't supported: use registry or local"
            )
        if option.type not in ("registry", "local", "image", "inline"):
            raise InvalidParameter(f"unknown cache importer: {option.type!r}")
        what = option.attributes.get("ref") or option.attributes.get("src") or option.type
        seed = f"cache import {number} {option.type} {what}"
        stack = AsyncExitStack()
        with step(emit, seed, f"importing cache manifest from {what}") as progress:
            try:
                found = await self._find(option, client, number, stack, progress)
            except PierError as error:
                progress.warn(f"no cache from {what}: {error.message}")
                found = None
            except BaseException:
                await stack.aclose()
                raise
            if found is None:
                await stack.aclose()
                return None
            document, store = found
        lease = self._images.index.lease()
        return _Opened(
            name=f"{option.type} {what}",
            document=document,
            store=store,
            snapshots=self._snapshots,
            mounts=self._mounts if option.attributes.get("mounts", "true") != "false" else None,
            lease=lease,
            stack=stack,
            progress=progress,
            number=number,
        )

    async def _find(
        self,
        option: CacheOption,
        client: Client,
        number: int,
        stack: AsyncExitStack,
        progress: Step,
    ) -> tuple[CacheDocument, _Store] | None:
        given = option.attributes
        if option.type == "local":
            return await self._local(given, client, number, stack)
        if not given.get("ref"):
            raise InvalidParameter("registry cache importer requires ref")
        ref = reference.parse(given["ref"])
        if (held := self._of_image(ref)) is not None:
            return held, _Nowhere()
        if option.type == "image":
            return None
        ref = ref.with_default_tag()
        auth = await auth_for(client, ref)
        async with self._registries.open(ref.domain, auth, False) as registry:
            document = await _read(registry, ref, self._images.index.host)
        if document is None:
            progress.warn(f"there is no build cache of ours in {ref.familiar}")
            return None
        return document, _InRegistry(self._registries, ref, auth)

    def _of_image(self, ref: Reference) -> CacheDocument | None:
        """The inline cache of an image that is here: its layers are, too."""
        image = self._images.index.by_ref(ref)
        if image is None:
            return None
        blobs = [
            Descriptor(digest=Digest(diff_id), size=0) for diff_id in image.config.rootfs.diff_ids
        ]
        return documents.decode_inline(self._blobs.read(image.id), blobs)

    async def _local(
        self, given: Mapping[str, str], client: Client, number: int, stack: AsyncExitStack
    ) -> tuple[CacheDocument, _Store] | None:
        listing = await _listing(client, number, stack)
        digest = given.get("digest", "")
        if not digest:
            async for _ in listing.files():
                pass  # contents can be asked for when all names are known
            table = await _whole(listing.content(b"index.json"))
            digest = _chosen(table, given.get("tag") or "latest")
        if not is_digest(digest):
            raise InvalidParameter(f"invalid digest {digest!r}")
        store = _InListing(listing, self._snapshots)
        data = await _whole(store.blob(Descriptor(digest=Digest(digest), size=0)))
        if sha256(data) != digest:
            raise InvalidParameter(f"the cache's manifest isn't {digest}")
        manifest = oci.decode_manifest(data)
        if not isinstance(manifest, Manifest) or manifest.config.media_type != CONFIG_TYPE:
            raise NotFound("it isn't a build cache of ours")
        config = await _whole(store.blob(manifest.config))
        return documents.decode(config, manifest.layers), store


async def _listing(client: Client, number: int, stack: AsyncExitStack) -> Listing:
    """The client's directory; ``stack`` ends the transfer."""
    opened = client.local(f"cache-from:{number}", Wanted())
    if hasattr(opened, "aclose"):
        stack.push_async_callback(opened.aclose)
    return await anext(aiter(opened))


def _chosen(table: bytes, tag: str) -> str:
    """The digest of the manifest that ``index.json`` has for ``tag``."""
    index = oci.decode_manifest(table)
    if isinstance(index, Index):
        for entry in index.manifests:
            if (entry.annotations or {}).get(oci.ANNOTATION_REF_NAME, "latest") == tag:
                return entry.digest
    raise NotFound(f"its index.json has no tag {tag}")


async def _read(registry: RegistryClient, ref: Reference, host: Platform) -> CacheDocument | None:
    """A cache manifest, or an image with an inline cache; ``None`` if it is neither."""
    fetched = await registry.manifest(ref.path, ref.digest or ref.tag or "latest")
    manifest = oci.decode_manifest(fetched.data)
    if isinstance(manifest, Index):
        if any(each.media_type == BUILDKIT_CONFIG for each in manifest.manifests):
            return None
        mine = [
            each
            for each in manifest.manifests
            if each.platform is not None
            and host.matches(each.platform.os, each.platform.architecture, each.platform.variant)
        ]
        if not mine:
            return None
        fetched = await registry.manifest(ref.path, mine[0].digest)
        manifest = oci.decode_manifest(fetched.data)
    if not isinstance(manifest, Manifest):
        return None
    kind = manifest.config.media_type
    if kind not in oci.CONFIG_TYPES and kind != CONFIG_TYPE:
        return None
    config = await registry.read_blob(ref.path, manifest.config, limit_bytes=CONFIG_LIMIT_BYTES)
    if kind == CONFIG_TYPE:
        return documents.decode(config, manifest.layers)
    return documents.decode_inline(config, manifest.layers)


class _Opened:
    """See ``ImportedCache``."""

    def __init__(
        self,
        *,
        name: str,
        document: CacheDocument,
        store: _Store,
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
                    await staged.commit(layer.parent)
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
                chunks = _unzipped(self._store.blob(mount.blob))
                await mounts.import_(mount.id, mount.name, chunks)
            except PierError as error:
                self._progress.warn(f"cache mount {mount.name} not filled: {error.message}")

    async def read(self, descriptor: Descriptor, client: Client) -> AsyncIterator[bytes]:
        if not isinstance(self._store, _InListing):
            async for chunk in self._store.blob(descriptor):
                yield chunk
            return
        async with AsyncExitStack() as stack:
            listing = await _listing(client, self._number, stack)
            async for _ in listing.files():
                pass
            async for chunk in _InListing(listing, self._snapshots).blob(descriptor):
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


class _Nowhere:
    """An image's inline cache: every layer is here."""

    async def stage(self, layer: CachedLayer) -> Staged:
        raise NotFound(f"layer {hex_of(layer.diff_id)[:12]} is missing")

    def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        raise NotFound("it has no blobs")


class _InRegistry:
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


class _InListing:
    """A layout directory on the client's side."""

    def __init__(self, listing: Listing, snapshots: Snapshotter) -> None:
        self._listing = listing
        self._snapshots = snapshots

    def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        return self._listing.content(f"blobs/sha256/{hex_of(descriptor.digest)}".encode())

    async def stage(self, layer: CachedLayer) -> Staged:
        async def take(fd: int) -> Staged:
            return await self._snapshots.stage(Incoming(fd))

        staged: Staged = await through_pipe(self.blob(layer.blob), take)
        if staged.blob_digest != layer.blob.digest:
            await staged.discard()
            raise InvalidParameter(f"a layer of the cache isn't {layer.blob.digest}")
        return staged


async def _whole(chunks: AsyncIterator[bytes]) -> bytes:
    data = b""
    async for chunk in chunks:
        data += chunk
        if len(data) > CONFIG_LIMIT_BYTES:
            raise TooLarge(f"a document of the cache is larger than {CONFIG_LIMIT_BYTES} bytes")
    return data


async def _unzipped(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
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
