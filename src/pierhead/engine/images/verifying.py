"""``image verify``: read everything of an image again, and put whole things in place of damaged.

Configs, manifests and compressed layers are hashed against their names, layers as their
snapshotter does it (erofs: tar and index; overlay2: only the tar beside the tree). A layer
is repaired from its blob if that is whole, else from a registry that was seen to have it.
Containers that run keep the files that they have open. Messages, one per thing that was looked at::

    {"Kind": "layer", "Digest": "sha256:...", "Image": "sha256:...", "Status": "damaged",
     "Fault": "...", "Source": "docker.io/library/x"}

``Kind``: ``config``, ``manifest``, ``index``, ``blob``, ``layer``. ``Status``: ``whole``,
``damaged``, ``missing``, ``repaired``. The last message is ``{"Checked": n, "Damaged": n,
"Repaired": n}``; ``Damaged`` counts those that are still so.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

from pierhead.engine.images.content import Kept, LayerBlob, RawManifest
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.model import Image
from pierhead.errors import NotFound, PierError
from pierhead.linux import worker
from pierhead.oci import manifest, reference
from pierhead.oci.digest import ChainId, DiffId, Digest
from pierhead.oci.manifest import Descriptor, Manifest
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Incoming, Snapshotter, Staged

log = logging.getLogger(__name__)

Message = dict[str, Any]


class Registries(Protocol):
    """Where whole things come from (``DistributionService``)."""

    async def fetch_manifest(
        self, repository: str, digest: Digest, *, auth: str | None = None
    ) -> RawManifest: ...

    async def fetch_blob(
        self, repository: str, descriptor: Descriptor, *, auth: str | None = None
    ) -> bytes: ...

    async def fetch_layer(
        self, repository: str, descriptor: Descriptor, diff_id: DiffId, *, auth: str | None = None
    ) -> Staged: ...


class Verifier:
    """One run over some images. What they share is looked at once."""

    def __init__(
        self,
        index: ImageIndex,
        blobs: BlobStore,
        snapshots: Snapshotter,
        registries: Registries | None,
        auth: str | None = None,
    ) -> None:
        """``registries``: repair what is damaged; ``None``: only tell."""
        self._index = index
        self._blobs = blobs
        self._snapshots = snapshots
        self._registries = registries
        self._auth = auth
        self._seen: set[str] = set()
        self._damaged = 0
        self._repaired = 0

    async def run(self, images: Iterable[Image]) -> AsyncIterator[Message]:
        """See the module's docstring. A registry that fails is part of a ``Fault``."""
        for image in images:
            with self._index.lease() as lease:
                lease.add_chains(image.chains)
                async for message in self._image(image):
                    yield message
        yield {"Checked": len(self._seen), "Damaged": self._damaged, "Repaired": self._repaired}

    async def _image(self, image: Image) -> AsyncIterator[Message]:
        content = self._index.content
        manifests = [content.manifests[one] for one in content.by_image.get(image.id, ())]
        above = {
            parent: content.manifests[parent]
            for one in manifests
            for parent in content.parents.get(one.digest, ())
            if parent in content.manifests
        }
        for kept in [*above.values(), *manifests]:
            if self._new(kept.digest):
                yield await self._manifest(image, kept)
        if self._new(image.id):
            yield await self._config(image, manifests)
        for chain_id, diff_id in zip(image.chains, image.config.rootfs.diff_ids, strict=True):
            for blob in content.layer_blobs(diff_id):
                if self._blobs.exists(blob.digest) and self._new(blob.digest):
                    yield await self._blob(image, _descriptor(blob), diff_id)
            if self._new("layer " + chain_id):
                yield await self._layer(image, chain_id, diff_id)

    def _new(self, key: str) -> bool:
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    # The kinds

    async def _manifest(self, image: Image, kept: Kept) -> Message:
        fault = await self._hashed(kept.digest)

        async def repair(repository: str) -> None:
            assert self._registries is not None
            raw = await self._registries.fetch_manifest(repository, kept.digest, auth=self._auth)
            self._blobs.delete(kept.digest)
            self._blobs.put(raw.data)

        kind = "index" if kept.is_index else "manifest"
        return await self._tell(kind, kept.digest, image, fault, repair)

    async def _config(self, image: Image, manifests: list[Kept]) -> Message:
        fault = await self._hashed(image.id)

        async def repair(repository: str) -> None:
            assert self._registries is not None
            descriptor = Descriptor(
                media_type=manifest.OCI_CONFIG, digest=Digest(image.id), size=-1
            )
            for kept in manifests:
                decoded = manifest.decode_manifest(self._blobs.read(kept.digest))
                if isinstance(decoded, Manifest):
                    descriptor = decoded.config
            data = await self._registries.fetch_blob(repository, descriptor, auth=self._auth)
            self._blobs.delete(image.id)
            self._blobs.put(data)

        return await self._tell("config", image.id, image, fault, repair)

    async def _blob(self, image: Image, descriptor: Descriptor, diff_id: DiffId) -> Message:
        fault = await self._hashed(descriptor.digest)

        async def repair(repository: str) -> None:
            assert self._registries is not None
            self._blobs.delete(descriptor.digest)
            staged = await self._registries.fetch_layer(
                repository, descriptor, diff_id, auth=self._auth
            )
            await staged.discard()  # the blob stays

        with self._index.lease() as lease:
            lease.add_blobs([descriptor.digest])
            return await self._tell("blob", descriptor.digest, image, fault, repair)

    async def _layer(self, image: Image, chain_id: ChainId, diff_id: DiffId) -> Message:
        faults = await self._snapshots.verify(chain_id)
        blobs = self._index.content.layer_blobs(diff_id)  # those that are here first

        async def repair(repository: str) -> None:
            assert self._registries is not None
            if not blobs:
                raise NotFound("no compressed form of it is known")
            staged = await self._registries.fetch_layer(
                repository, _descriptor(blobs[0]), diff_id, auth=self._auth
            )
            await self._replace(staged, chain_id)

        async def from_blob() -> bool:
            if not blobs or not self._blobs.exists(blobs[0].digest):
                return False
            # It was found whole, or repaired, just before.
            fd = os.open(self._blobs.path(blobs[0].digest), os.O_RDONLY | os.O_CLOEXEC)
            try:
                staged = await self._snapshots.stage(Incoming(fd, diff_id))
            finally:
                os.close(fd)
            await self._replace(staged, chain_id)
            return True

        with self._index.lease() as lease:
            lease.add_blobs(blob.digest for blob in blobs)
            return await self._tell(
                "layer", diff_id, image, "; ".join(faults), repair, from_blob,
                held_as=[blob.digest for blob in blobs],
            )  # fmt: skip

    async def _replace(self, staged: Staged, chain_id: ChainId) -> None:
        try:
            await staged.replace(chain_id)
        finally:
            await staged.discard()

    # Common

    async def _hashed(self, digest: str) -> str:
        """What is wrong with the blob ``digest``; "" if nothing."""
        try:
            fd = os.open(self._blobs.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return "it is missing"
        try:
            found = await worker.call("store.rehash:rehash", {}, stdin=fd)
        except OSError as error:
            return f"reading it fails: {error.strerror}"
        finally:
            os.close(fd)
        if found["digest"] != digest:
            return f"its {found['size_bytes']} bytes have the digest {found['digest']}"
        return ""

    async def _tell(
        self,
        kind: str,
        digest: str,
        image: Image,
        fault: str,
        repair: Callable[[str], Awaitable[None]],
        local: Callable[[], Awaitable[bool]] | None = None,
        *,
        held_as: Sequence[str] = (),
    ) -> Message:
        """Repair if asked to; the message of one thing.

        ``held_as``: the blobs that a registry has it as, if not as ``digest``.
        """
        message: Message = {"Kind": kind, "Digest": digest, "Image": image.id, "Status": "whole"}
        if not fault:
            return message
        message |= {"Status": "missing" if fault == "it is missing" else "damaged", "Fault": fault}
        self._damaged += 1
        log.error("damaged", extra={"kind": kind, "digest": digest, "fault": fault})
        if self._registries is None:
            return message
        complaints = []
        try:
            if local is not None and await local():
                return self._mended(message, "")
        except (PierError, OSError) as error:
            complaints.append(f"its blob: {error}")
        for repository in self._repositories(image, held_as or [digest]):
            try:
                await repair(repository)
            except (PierError, OSError) as error:
                complaints.append(f"{repository}: {error}")
                continue
            return self._mended(message, repository)
        message["Complaint"] = "; ".join(complaints) or "no registry is known to have it"
        return message

    def _mended(self, message: Message, source: str) -> Message:
        self._damaged -= 1
        self._repaired += 1
        return message | {"Status": "repaired", "Source": source}

    def _repositories(self, image: Image, digests: Iterable[str]) -> list[str]:
        """Where it may be had: those that were seen to have it, then those of the image's names."""
        known = [one for digest in digests for one in self._index.content.sources(digest)]
        for name in sorted(image.refs):
            ref = reference.parse_stored(name)
            if ref.digest is not None:  # of a name that came from a registry
                known.append(ref.name)
        return list(dict.fromkeys(known))


def _descriptor(blob: LayerBlob) -> Descriptor:
    return Descriptor(media_type=blob.media_type, digest=blob.digest, size=blob.size_bytes)
