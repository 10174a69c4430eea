"""``docker load``: docker archives of any age and OCI layouts, in one pass.

The archive comes in (``intake.py``), then it is known what is in it (``contents.py``), then
the staged layers are committed, in order, and the images recorded. What fails leaves nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from pierhead.engine.events import EventBus
from pierhead.engine.images import contents
from pierhead.engine.images.content import RawManifest
from pierhead.engine.images.contents import Found, Leaf
from pierhead.engine.images.events import image_event
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.intake import Archive
from pierhead.engine.images.model import Image
from pierhead.errors import InvalidParameter
from pierhead.oci.digest import ChainId, DiffId, chain_ids, is_digest, sha256
from pierhead.oci.image_config import ImageConfig
from pierhead.oci.manifest import Descriptor
from pierhead.oci.platform import Platform
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter


class Loader:
    """One load."""

    def __init__(
        self,
        paths: Paths,
        db: Database,
        blobs: BlobStore,
        index: ImageIndex,
        snapshots: Snapshotter,
        events: EventBus,
        host: Platform,
        platforms: list[Platform],
    ) -> None:
        self._paths = paths
        self._db = db
        self._blobs = blobs
        self._index = index
        self._snapshots = snapshots
        self._events = events
        self._host = host
        self._platforms = platforms

    async def run(
        self, chunks: AsyncIterator[bytes], *, quiet: bool
    ) -> AsyncIterator[dict[str, Any]]:
        """See ``ImageService.load``."""
        with self._index.lease() as lease:
            archive = Archive(self._paths, self._blobs, self._snapshots, self._index, lease)
            try:
                async with contextlib.aclosing(archive.take(chunks)) as messages:
                    async for message in messages:
                        if not quiet:
                            yield message
                for found in contents.find(archive, self._host, self._platforms):
                    async for message in self._load(archive, found):
                        if not quiet or "stream" in message:
                            yield message
            finally:
                await archive.discard()

    async def _load(self, archive: Archive, found: Found) -> AsyncIterator[dict[str, Any]]:
        ready: list[tuple[Leaf, dict[DiffId, Descriptor]]] = []
        for leaf in found.leaves:
            async for message in self._commit(archive, leaf):
                yield message
            ready.append((leaf, self._blobs_of(archive, leaf)))
        extras = self._extras(archive, found)
        images: list[Image] = []
        names: list[dict[str, Any]] = []
        with self._db.transaction():
            for leaf, blobs in ready:
                raw = [leaf.manifest] if leaf.manifest is not None else []
                images.append(
                    self._index.add(
                        leaf.config,
                        parent=found.parent if found.parent in self._index.images else None,
                        manifests=[*raw, *found.indexes, *extras],
                        blobs=blobs,
                    )
                )
            names = self._name(images[0], found)
        for message in names:
            yield message
        for image in images:
            image_event(self._events, image, image.id, "load")

    def _extras(self, archive: Archive, found: Found) -> list[RawManifest]:
        """Attestations are kept with what they list, so that an index stays whole."""
        whole = []
        for raw, listed in found.extras:
            try:
                documents = [archive.blob(descriptor) for descriptor in listed]
            except InvalidParameter:
                continue
            archive.lease.add_blobs(sha256(data) for data in documents)
            for data in documents:
                self._blobs.put(data)
            whole.append(raw)
        return whole

    async def _commit(self, archive: Archive, leaf: Leaf) -> AsyncIterator[dict[str, Any]]:
        """Make the layers of ``leaf``, lowest first."""
        diff_ids: list[DiffId] | None = None
        if leaf.make_config is None:
            diff_ids = self._check(leaf)
            archive.lease.add_chains(chain_ids(diff_ids))
        parent: ChainId | None = None
        made: list[DiffId] = []
        for number, name in enumerate(leaf.layers):
            member = archive.get(name)
            expected = diff_ids[number] if diff_ids is not None else None
            was_small = member.data is not None and member.committed is None
            layer = await archive.commit(member, parent, expected)
            if was_small:
                yield member.message(member.size_bytes)
            made.append(layer.diff_id)
            parent = layer.chain_id
        if leaf.make_config is not None:
            leaf.config = leaf.make_config(made)

    def _check(self, leaf: Leaf) -> list[DiffId]:
        config = ImageConfig.decode(leaf.config)
        diff_ids = config.rootfs.diff_ids
        if config.os not in ("", self._host.os):
            raise InvalidParameter(f"cannot load {config.os} image on {self._host.os}")
        if len(diff_ids) != len(leaf.layers):
            raise InvalidParameter(
                f"invalid manifest, layers length mismatch: expected {len(leaf.layers)}, "
                f"got {len(diff_ids)}"
            )
        for diff_id in diff_ids:
            if not is_digest(diff_id):
                raise InvalidParameter(f"invalid image config: bad diff id {diff_id[:100]!r}")
        return diff_ids

    def _blobs_of(self, archive: Archive, leaf: Leaf) -> dict[DiffId, Descriptor]:
        """The compressed forms in which layers came, with the media types they go by."""
        known: dict[DiffId, Descriptor] = {}
        for number, name in enumerate(leaf.layers):
            member = archive.get(name)
            if member.blob is None or member.diff_id is None:
                continue
            media_type = member.blob.media_type
            if leaf.descriptors:
                media_type = leaf.descriptors[number].media_type
            known[member.diff_id] = msgspec.structs.replace(member.blob, media_type=media_type)
        return known

    def _name(self, image: Image, found: Found) -> list[dict[str, Any]]:
        messages = []
        for ref in found.names:
            before = self._index.tag(image, ref, found.target)
            if found.target is not None:
                digest_ref = ref.without_tag().with_digest(found.target)
                self._index.tag(image, digest_ref, found.target)
            if before is not None and before in self._index.images:
                old = self._index.images[before]
                note = "" if old.refs else f"The image {ref.familiar} already exists, renaming the "
                if note:
                    messages.append({"stream": f"{note}old one with ID {before} to empty string\n"})
            messages.append({"stream": f"Loaded image: {ref.familiar}\n"})
        if not found.names:
            messages.append({"stream": f"Loaded image ID: {image.id}\n"})
        return messages
