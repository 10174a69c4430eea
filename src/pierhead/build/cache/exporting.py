"""``--cache-to``: what a build learned, for another machine's builds. See ``document.py``.

Layers go compressed, parents first; with ``mounts=true`` the cache mounts that the build's
steps named go along, as they are now.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pierhead.build.cache.document import (
    CONFIG_TYPE,
    MOUNT_TYPE,
    CachedLayer,
    CachedMount,
    CacheDocument,
    chosen,
)
from pierhead.build.cache.wishes import Wish, used_mounts, wish
from pierhead.build.export.archive import LayoutWriter
from pierhead.build.export.layers import Layers
from pierhead.build.export.model import Solved
from pierhead.build.export.progress import Step, step
from pierhead.build.export.pushing import send
from pierhead.build.model import CacheOption, Client, Emit, Output
from pierhead.build.registries import Registries, auth_for
from pierhead.engine.images.content import Lease
from pierhead.engine.images.feed import read_range, through_pipe
from pierhead.engine.images.service import ImageService
from pierhead.errors import PierError, Unavailable
from pierhead.linux import worker
from pierhead.oci import manifest as oci
from pierhead.oci.digest import ChainId, Digest, sha256
from pierhead.oci.manifest import Descriptor, Manifest
from pierhead.oci.reference import Reference
from pierhead.store.blobs import BlobStore, Partial
from pierhead.store.snapshots import Layer, Snapshotter

if TYPE_CHECKING:
    from pierhead.build.cache.imported import ImportedCache
    from pierhead.build.execute.mounts import CacheMounts

RECEIVER_NUMBER: Final = 1000
"""Local caches ask the client's ``receive`` with numbers from here on."""

Opener = Callable[[int], AsyncIterator[bytes]]
"""Opens a blob at an offset."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What goes out: the document, and where the bytes of its blobs are."""

    document: CacheDocument
    sources: Mapping[str, Opener]
    """Digest → its bytes."""


class CacheExporter:
    """Writes caches. ``inline`` ones aren't its business: the image exporter puts them in."""

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
        self._layers = Layers(blobs=blobs, snapshots=snapshots, content=images.index.content)

    @staticmethod
    def check(options: Iterable[CacheOption]) -> None:
        """Raise what is wrong with any of ``options``: before a build."""
        for option in options:
            wish(option)

    async def export(
        self, solved: Solved, option: CacheOption, client: Client, emit: Emit, *, number: int = 0
    ) -> dict[str, object]:
        """Write one ``--cache-to``; what is to be said of it in the metadata.

        ``local`` goes to ``client.receive(Output(type="local", attributes={"dest": ...,
        "cache": "true"}, number=1000 + number))`` as a tar of an OCI layout. Raises what
        registry and client answer, unless the option has ``ignore-error``.
        """
        wanted = wish(option)
        if wanted.type == "inline":
            return {}
        where = "registry" if wanted.type == "registry" else "client directory"
        seed = f"{solved.ref} cache export {number}"
        with step(emit, seed, f"exporting cache to {where}") as progress:
            try:
                with self._images.index.lease() as lease:
                    parts = await self._gather(solved, wanted, client, lease, progress)
                    if wanted.ref is not None:
                        made = await self._to_registry(parts, wanted.ref, client, progress)
                    else:
                        attributes = {**option.attributes, "cache": "true"}
                        output = Output(
                            type="local", attributes=attributes, number=RECEIVER_NUMBER + number
                        )
                        made = await self._to_client(parts, wanted, client, output, progress)
            except (PierError, OSError) as error:  # the disk may be full
                words = error.message if isinstance(error, PierError) else str(error.strerror)
                if wanted.ignore_error:
                    progress.warn(f"cache not exported to {where}: {words}")
                    return {}
                if isinstance(error, PierError):
                    raise
                raise Unavailable(f"failed to export the cache to {where}: {words}") from error
        return {"cache.manifest": json.dumps(made)}

    # Gathering

    async def _gather(
        self, solved: Solved, wanted: Wish, client: Client, lease: Lease, progress: Step
    ) -> _Parts:
        records = chosen(
            [pair for image in solved.images for pair in image.cache_keys],
            [image.chains for image in solved.images],
            wanted.mode,
        )
        document = CacheDocument()
        sources: dict[str, Opener] = {}
        chains = self._closure(
            (result for result in records.values() if result is not None), solved.imported
        )
        here = [chain_id for chain_id in chains if self._snapshots.layer(chain_id) is not None]
        lease.add_chains(here)
        with progress.part("preparing build cache for export"):
            packed = await asyncio.gather(
                *(
                    self._layers.pack(chain_id, wanted.packing, lease, of_base=True)
                    for chain_id in here
                )
            )
        own = dict(zip(here, packed, strict=True))
        for chain_id in chains:
            if (layer := own.get(chain_id)) is not None:
                record = self._snapshots.layer(chain_id)
                assert record is not None  # the lease holds it
                blob = _listed(layer.descriptor)
                document.layers[chain_id] = CachedLayer(layer.diff_id, record.parent, blob)
                sources[blob.digest] = self._layers.source(layer)
                continue
            cache = next(each for each in solved.imported if chain_id in each.layers)
            passed = document.layers[chain_id] = cache.layers[chain_id]
            sources[passed.blob.digest] = _passed_on(cache, passed.blob, client)
        document.records = {
            key: result
            for key, result in records.items()
            if result is None or result in document.layers
        }
        for image in solved.images:
            document.created |= {
                key: when for key, when in image.cache_times.items() if key in document.records
            }
        document.mounts = await self._pack_mounts(solved, wanted, lease, progress)
        for mount in document.mounts:
            sources[mount.blob.digest] = self._opener(mount.blob)
        if wanted.mounts is not False:
            self._pass_mounts(solved, wanted, client, document, sources)
        return _Parts(document, sources)

    def _pass_mounts(
        self,
        solved: Solved,
        wanted: Wish,
        client: Client,
        document: CacheDocument,
        sources: dict[str, Opener],
    ) -> None:
        """Imported cache mounts that no step needed here go on as they came."""
        ids = {mount.id for mount in self._mounts.list()}
        for cache in solved.imported:
            for mount in cache.mounts:
                chosen_one = wanted.mounts is True or mount.name in (wanted.mounts or ())
                if chosen_one and mount.id not in ids:
                    ids.add(mount.id)
                    document.mounts.append(mount)
                    sources[mount.blob.digest] = _passed_on(cache, mount.blob, client)

    def _closure(
        self, results: Iterable[ChainId], imported: Sequence[ImportedCache]
    ) -> list[ChainId]:
        """The chains with all that they stand on, parents first.

        What is neither here nor in an imported cache is left out.
        """
        found: dict[ChainId, None] = {}
        for result in results:
            line: list[ChainId] = []
            at: ChainId | None = result
            while at is not None and at not in found:
                layer: Layer | CachedLayer | None = self._snapshots.layer(at)
                if layer is None:
                    layer = next(
                        (cache.layers[at] for cache in imported if at in cache.layers), None
                    )
                if layer is None:
                    line = []
                    break
                line.append(at)
                at = layer.parent
            found.update(dict.fromkeys(reversed(line)))
        return list(found)

    async def _pack_mounts(
        self, solved: Solved, wanted: Wish, lease: Lease, progress: Step
    ) -> list[CachedMount]:
        if wanted.mounts is False:
            return []
        here = list(self._mounts.list())
        names = {mount.name for mount in here}
        if wanted.mounts is True:
            chosen_names = used_mounts(
                (each for image in solved.images for each in image.steps), names
            )
        else:
            chosen_names = set(wanted.mounts) & names
            for missing in sorted(wanted.mounts - names):
                progress.warn(f"there is no cache mount {missing}")
        packed = []
        for mount in sorted(here, key=lambda each: each.id):
            if mount.name in chosen_names:
                with progress.part(f"packing cache mount {mount.name}"):
                    blob = await self._pack_mount(mount.id, lease)
                packed.append(CachedMount(mount.id, mount.name, blob))
        return packed

    async def _pack_mount(self, id_: str, lease: Lease) -> Descriptor:
        fd, path = self._blobs.spool()
        try:

            async def compress(read_fd: int) -> dict[str, Any]:
                made: dict[str, Any] = await worker.call(
                    "store.compress:compress", {}, stdin=read_fd, stdout=fd, site_packages=True
                )
                return made

            made = await through_pipe(self._mounts.export(id_), compress)
            digest = Digest(made["digest"])
            lease.add_blobs([digest])
            self._blobs.keep(Partial(digest, path))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        return Descriptor(media_type=MOUNT_TYPE, digest=digest, size=made["size_bytes"])

    # Giving away

    async def _to_registry(
        self, parts: _Parts, ref: Reference, client: Client, progress: Step
    ) -> dict[str, Any]:
        config, listed, data = _documents(parts.document)
        auth = await auth_for(client, ref)
        async with self._registries.open(ref.domain, auth, True) as registry:
            for blob in listed:
                what = "cache mount" if blob.media_type == MOUNT_TYPE else "layer"
                with progress.part(f"writing {what} {blob.digest}"):
                    if await registry.blob_exists(ref.path, blob.digest) is None:
                        source = parts.sources[blob.digest]
                        await registry.upload(ref.path, blob.digest, blob.size, source)
            with progress.part(f"writing config {sha256(config)}"):
                await send(registry, ref.path, config)
            with progress.part(f"writing cache manifest {sha256(data)}"):
                assert ref.tag is not None
                await registry.put_manifest(ref.path, ref.tag, data, oci.OCI_MANIFEST)
        return _entry(data)

    def _opener(self, blob: Descriptor) -> Opener:
        path = self._blobs.path(blob.digest)
        return lambda offset: read_range(path, offset, blob.size - offset)

    async def _to_client(
        self, parts: _Parts, wanted: Wish, client: Client, output: Output, progress: Step
    ) -> dict[str, Any]:
        config, listed, data = _documents(parts.document)
        receiver = client.receive(output)
        with progress.part("sending cache"):
            async for chunk in self._layout(parts, config, listed, data, wanted.tag):
                await receiver.write(chunk)
            await receiver.close()
        return _entry(data)

    async def _layout(
        self, parts: _Parts, config: bytes, listed: list[Descriptor], data: bytes, tag: str
    ) -> AsyncIterator[bytes]:
        """An OCI layout directory as a tar."""
        writer = LayoutWriter(self._layers)
        yield writer.begin()
        for blob in listed:
            source = parts.sources[blob.digest](0)
            async for chunk in writer.stream(str(blob.digest), blob.size, source):
                yield chunk
        yield writer.blob(config)
        yield writer.blob(data)
        entry = _entry(data) | {"annotations": {oci.ANNOTATION_REF_NAME: tag}}
        table = {"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": [entry]}
        yield writer.file("index.json", json.dumps(table, separators=(",", ":")).encode())
        yield writer.end()


def _passed_on(cache: ImportedCache, blob: Descriptor, client: Client) -> Opener:
    async def opened(offset: int) -> AsyncIterator[bytes]:
        async for chunk in cache.read(blob, client):
            if offset < len(chunk):
                yield chunk[offset:]
            offset = max(0, offset - len(chunk))

    return opened


def _entry(manifest: bytes) -> dict[str, Any]:
    """A manifest's descriptor, as buildx keeps it in ``index.json``."""
    return {"mediaType": oci.OCI_MANIFEST, "digest": sha256(manifest), "size": len(manifest)}


def _listed(descriptor: Descriptor) -> Descriptor:
    """A layer's descriptor under OCI's media types: the manifest is OCI's."""
    kind = descriptor.media_type
    if kind == oci.DOCKER_LAYER:
        kind = f"{oci.OCI_LAYER}+gzip"
    return Descriptor(media_type=kind, digest=descriptor.digest, size=descriptor.size)


def _documents(document: CacheDocument) -> tuple[bytes, list[Descriptor], bytes]:
    """The config, the blobs that it counts in, and the manifest above both."""
    config, layers = document.encode()
    described = Descriptor(media_type=CONFIG_TYPE, digest=sha256(config), size=len(config))
    data = oci.encode(Manifest(media_type=oci.OCI_MANIFEST, config=described, layers=layers))
    return config, layers, data
