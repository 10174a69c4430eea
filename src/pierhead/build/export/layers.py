"""Layers in the form that manifests name: compressed once, kept as blobs with their image."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from pierhead.build.export.attributes import Packing
from pierhead.engine.images.compressing import Compressor
from pierhead.engine.images.content import Content, Lease
from pierhead.engine.images.feed import out_of_pipe, read_range
from pierhead.errors import Internal
from pierhead.oci import manifest as oci
from pierhead.oci.digest import ChainId, DiffId, Digest, hex_of
from pierhead.oci.manifest import Descriptor
from pierhead.store.blobs import BlobStore, Partial
from pierhead.store.snapshots import Snapshotter


@dataclass(frozen=True, slots=True)
class PackedLayer:
    """One layer as a manifest names it. ``chain_id`` has the bytes if it isn't compressed."""

    descriptor: Descriptor
    diff_id: DiffId
    chain_id: ChainId

    @property
    def is_plain(self) -> bool:
        return str(self.descriptor.digest) == str(self.diff_id)


class Layers:
    """Packs layers and gives their bytes away; one for the daemon."""

    def __init__(self, *, blobs: BlobStore, snapshots: Snapshotter, content: Content) -> None:
        self._blobs = blobs
        self._snapshots = snapshots
        self._content = content
        self._compressor = Compressor(snapshots)
        self._locks: dict[str, asyncio.Lock] = {}

    async def pack(
        self, chain_id: ChainId, packing: Packing, lease: Lease, *, of_base: bool = False
    ) -> PackedLayer:
        """Have the layer in the form wanted: a blob (held by ``lease``) or its plain tar.

        A layer ``of_base`` stays compressed as it came, unless ``packing.force``.
        """
        layer = self._snapshots.layer(chain_id)
        if layer is None:
            raise Internal(f"layer {hex_of(chain_id)[:12]} is missing")
        diff_id = layer.diff_id
        if of_base and not packing.force and (held := self._held(diff_id, None)) is not None:
            lease.add_blobs([held.digest])
            return PackedLayer(held, diff_id, chain_id)
        if packing.compression == "uncompressed":
            plain = Descriptor(
                media_type=oci.OCI_LAYER, digest=Digest(diff_id), size=layer.tar_bytes
            )
            return PackedLayer(plain, diff_id, chain_id)
        async with self._locks.setdefault(f"{diff_id} {packing.compression}", asyncio.Lock()):
            made = self._held(diff_id, packing.compression) if packing.level is None else None
            if made is None:
                made = await self._compress(chain_id, packing, lease)
                self._content.add_layer_blob(diff_id, made)
            else:
                lease.add_blobs([made.digest])
        self._locks.pop(f"{diff_id} {packing.compression}", None)
        return PackedLayer(made, diff_id, chain_id)

    def _held(self, diff_id: DiffId, compression: str | None) -> Descriptor | None:
        """A compressed form that is here; of ``compression`` if that is said."""
        for blob in self._content.layer_blobs(diff_id):
            if not self._blobs.exists(blob.digest):
                break  # those that are here come first
            fits = compression is None or compression in blob.media_type
            if fits and str(blob.digest) != str(diff_id):
                return Descriptor(
                    media_type=blob.media_type, digest=blob.digest, size=blob.size_bytes
                )
        return None

    async def _compress(self, chain_id: ChainId, packing: Packing, lease: Lease) -> Descriptor:
        fd, path = self._blobs.spool()
        try:
            made = await self._compressor.run(
                chain_id, fd, format=packing.compression, level=packing.level
            )
            lease.add_blobs([made.digest])
            self._blobs.keep(Partial(made.digest, path))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        return made

    def source(self, layer: PackedLayer) -> Callable[[int], AsyncIterator[bytes]]:
        """Opens the layer's bytes, as its descriptor has them, at an offset."""
        if not layer.is_plain:
            path, size = self._blobs.path(layer.descriptor.digest), layer.descriptor.size
            return lambda offset: read_range(path, offset, size - offset)
        place = self._snapshots.layer_tar_range(layer.chain_id)
        if place is not None:
            file, start, length = place
            return lambda offset: read_range(file, start + offset, length - offset)
        return lambda offset: _skip(
            out_of_pipe(lambda fd: self._snapshots.layer_tar(layer.chain_id, fd)), offset
        )


async def _skip(chunks: AsyncIterator[bytes], offset: int) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        if offset < len(chunk):
            yield chunk[offset:]
        offset = max(0, offset - len(chunk))
