"""``docker save``: one archive that is an OCI layout and a docker archive at once.

The layout is that of Docker 25 and later, which every version since 1.10, podman and
skopeo load::

    blobs/sha256/<hex>   layers (compressed as they came, else plain), configs, manifests
    index.json           OCI index, one entry per name
    manifest.json        Docker's list: Config, RepoTags, Layers
    oci-layout

Old readers know no zstd, so a layer in it goes out a second time, plain, for manifest.json.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec

from pierhead.engine.images.content import Kept
from pierhead.engine.images.feed import out_of_pipe, read_range
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.model import Image
from pierhead.engine.images.selection import Item, Plan, Variant
from pierhead.errors import Internal
from pierhead.oci import manifest, reference, tar
from pierhead.oci.compression import layer_media_type
from pierhead.oci.digest import ChainId, DiffId, Digest, hex_of, sha256
from pierhead.oci.manifest import Descriptor, Index, Manifest, PlatformField
from pierhead.oci.tar import Header
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Snapshotter

log = logging.getLogger(__name__)

_BLOBS: Final = "blobs/sha256/"


async def stream(
    wanted: Plan, index: ImageIndex, blobs: BlobStore, snapshots: Snapshotter
) -> AsyncIterator[bytes]:
    """The archive. What it needs can't be removed while it runs."""
    with index.lease() as lease:
        for image in wanted.images:
            lease.add_chains(image.chains)
            lease.add_blobs([image.id])
            for diff_id in image.config.rootfs.diff_ids:
                lease.add_blobs(blob.digest for blob in index.content.layer_blobs(diff_id))
        for item in wanted.items:
            lease.add_blobs(kept.digest for kept in _documents(index, item))
        async for chunk in _Archive(index, blobs, snapshots).stream(wanted):
            yield chunk


def _documents(index: ImageIndex, item: Item) -> list[Kept]:
    """The kept manifests of ``item``: its index, what that lists and is here, its images' own."""
    found = [each.kept for each in item.variants if each.kept is not None]
    wave = [item.index.digest] if item.index is not None else []
    while wave:
        kept = [index.content.manifests[each] for each in wave if each in index.content.manifests]
        found += [each for each in kept if each not in found]
        wave = [child for each in kept for child in each.children]
    return found


class _Archive:
    """One archive being written."""

    def __init__(self, index: ImageIndex, blobs: BlobStore, snapshots: Snapshotter) -> None:
        self._index = index
        self._blobs = blobs
        self._snapshots = snapshots
        self._written: set[str] = set()

    async def stream(self, wanted: Plan) -> AsyncIterator[bytes]:
        yield _directory("blobs") + _directory("blobs/sha256")
        entries: list[Descriptor] = []
        listing: dict[str, dict[str, Any]] = {}
        ids = {image.id for image in wanted.images}
        for item in wanted.items:
            made: list[Descriptor] = []
            for number, variant in enumerate(item.variants):
                layers = self._layers(variant)
                for descriptor, chain_id in zip(layers, variant.image.chains, strict=True):
                    async for chunk in self._layer(descriptor, chain_id):
                        yield chunk
                if number == 0:
                    paths = []
                    diff_ids = variant.image.config.rootfs.diff_ids
                    parts = zip(layers, variant.image.chains, diff_ids, strict=True)
                    for descriptor, chain_id, diff_id in parts:
                        simple = self._simple(descriptor, chain_id, diff_id)
                        async for chunk in self._layer(simple, chain_id):
                            yield chunk
                        paths.append(_BLOBS + hex_of(simple.digest))
                    self._list(listing, variant.image, item.names, paths, ids)
                descriptor, documents = self._describe(variant, layers)
                made.append(descriptor)
                for data in documents:
                    yield self._document(data)
            if item.index is not None:
                async for chunk in self._extras(item.index):
                    yield chunk
                entries += _named(item.index.descriptor, item.names)
            else:
                entries += _named(made[0], item.names) + made[1:]
        table = manifest.encode(Index(media_type=manifest.OCI_INDEX, manifests=entries))
        yield _file("index.json", table)
        yield _file(
            "manifest.json", json.dumps([*listing.values()], separators=(",", ":")).encode()
        )
        yield _file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}') + bytes(2 * tar.BLOCK)

    @staticmethod
    def _list(
        listing: dict[str, dict[str, Any]],
        image: Image,
        names: list[str],
        paths: list[str],
        ids: set[Any],
    ) -> None:
        entry = listing.setdefault(
            image.id, {"Config": _BLOBS + hex_of(image.id), "RepoTags": None, "Layers": paths}
        )
        known = entry["RepoTags"] or []
        entry["RepoTags"] = [*known, *(name for name in names if name not in known)] or None
        if image.parent in ids:
            entry["Parent"] = image.parent

    def _layers(self, variant: Variant) -> list[Descriptor]:
        """What the image's manifest lists: its own, or the compressed forms that are here."""
        if variant.manifest is not None:
            return list(variant.manifest.layers)
        image = variant.image
        layers = []
        for diff_id, chain_id in zip(image.config.rootfs.diff_ids, image.chains, strict=True):
            held = [
                blob
                for blob in self._index.content.layer_blobs(diff_id)
                if "gzip" in blob.media_type and self._blobs.exists(blob.digest)
            ]
            if held:
                layers.append(
                    Descriptor(
                        media_type=layer_media_type("gzip") or "",
                        digest=held[0].digest,
                        size=held[0].size_bytes,
                    )
                )
            else:
                layers.append(self._plain(diff_id, chain_id))
        return layers

    def _plain(self, diff_id: DiffId, chain_id: ChainId) -> Descriptor:
        record = self._snapshots.layer(chain_id)
        if record is None:
            raise Internal(f"layer {chain_id} is missing")
        return Descriptor(
            media_type=manifest.OCI_LAYER, digest=Digest(diff_id), size=record.tar_bytes
        )

    def _simple(self, descriptor: Descriptor, chain_id: ChainId, diff_id: DiffId) -> Descriptor:
        """A form of the layer that any reader knows."""
        if "zstd" in descriptor.media_type:
            return self._plain(diff_id, chain_id)
        return descriptor

    def _describe(
        self, variant: Variant, layers: list[Descriptor]
    ) -> tuple[Descriptor, list[bytes]]:
        """The manifest's descriptor with its platform, and config and manifest themselves."""
        config = self._blobs.read(variant.image.id)
        if variant.kept is not None:
            encoded, media_type = self._blobs.read(variant.kept.digest), variant.kept.media_type
        else:
            media_type = manifest.OCI_MANIFEST
            described = Descriptor(
                media_type=manifest.OCI_CONFIG, digest=Digest(variant.image.id), size=len(config)
            )
            encoded = manifest.encode(
                Manifest(media_type=media_type, config=described, layers=layers)
            )
        fields = variant.image.config
        descriptor = Descriptor(
            media_type=media_type,
            digest=sha256(encoded),
            size=len(encoded),
            platform=PlatformField(
                architecture=fields.architecture, os=fields.os or "linux", variant=fields.variant
            ),
        )
        return descriptor, [config, encoded]

    async def _extras(self, top: Kept) -> AsyncIterator[bytes]:
        """The index itself, indexes within it, attestations: all documents that are here."""
        members = self._index.content.members()
        wave: list[Digest] = [top.digest]
        while wave:
            below: list[Digest] = []
            for digest in wave:
                kept = self._index.content.manifests.get(digest)
                if kept is None or not self._blobs.exists(digest):
                    continue
                data = self._blobs.read(digest)
                yield self._document(data)
                if kept.is_index:
                    below += kept.children
                elif kept.image_id is None or _attests(data):
                    for member in members.get(digest, ()):
                        if member not in self._written and self._blobs.exists(member):
                            size = os.stat(self._blobs.path(member)).st_size
                            descriptor = Descriptor(digest=member, size=size)
                            async for chunk in self._blob(descriptor):
                                yield chunk
            wave = below

    def _document(self, data: bytes) -> bytes:
        digest = sha256(data)
        if digest in self._written:
            return b""
        self._written.add(digest)
        return _file(_BLOBS + hex_of(digest), data)

    async def _layer(self, descriptor: Descriptor, chain_id: ChainId) -> AsyncIterator[bytes]:
        """A layer in the form that ``descriptor`` says, once."""
        record = self._snapshots.layer(chain_id)
        if record is None:
            raise Internal(f"layer {chain_id} is missing")
        if str(descriptor.digest) != record.diff_id:
            async for chunk in self._blob(descriptor):
                yield chunk
            return
        if descriptor.digest in self._written:
            return
        self._written.add(descriptor.digest)
        place = self._snapshots.layer_tar_range(chain_id)
        if place is not None:
            source = read_range(*place)
        else:
            source = out_of_pipe(lambda fd: self._snapshots.layer_tar(chain_id, fd))
        async for chunk in _member(descriptor, source):
            yield chunk

    async def _blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        if descriptor.digest in self._written:
            return
        self._written.add(descriptor.digest)
        path = self._blobs.path(descriptor.digest)
        async for chunk in _member(descriptor, read_range(path, 0, descriptor.size)):
            yield chunk


async def _member(descriptor: Descriptor, source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A blob as a member of the archive."""
    size = descriptor.size
    name = f"{_BLOBS}{hex_of(descriptor.digest)}".encode()
    yield tar.build_header(Header(name, tar.REGULAR, 0o644, size=size))
    sent = 0
    async for chunk in source:
        sent += len(chunk)
        yield chunk
    if sent != size:
        raise Internal(
            f"{descriptor.digest} has {sent} bytes instead of {size}: its files are damaged"
        )
    if fill := tar.padding(size):
        yield bytes(fill)


def _attests(data: bytes) -> bool:
    decoded = manifest.decode_manifest(data)
    return isinstance(decoded, Manifest) and manifest.attests(decoded)


def _named(descriptor: Descriptor, names: list[str]) -> list[Descriptor]:
    """An index's entries for ``descriptor``, one for each name."""
    entries = []
    for name in names:
        ref = reference.parse(name)
        annotations = {
            manifest.ANNOTATION_IMAGE_NAME: str(ref),
            manifest.ANNOTATION_REF_NAME: ref.tag or "",
        }
        entries.append(msgspec.structs.replace(descriptor, annotations=annotations))
    return entries or [descriptor]


def _directory(name: str) -> bytes:
    return tar.build_header(Header(name.encode(), tar.DIRECTORY, 0o755))


def _file(name: str, data: bytes) -> bytes:
    header = Header(name.encode(), tar.REGULAR, 0o644, size=len(data))
    return tar.build_header(header) + data + bytes(tar.padding(len(data)))


def discard(path: Path) -> None:
    """Remove a scratch file or directory, whatever is in it."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("scratch not removed", extra={"path": str(path), "error": str(error)})
