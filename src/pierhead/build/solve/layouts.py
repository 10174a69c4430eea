"""``--build-context NAME=oci-layout://PLACE[:TAG][@DIGEST]``: an image from a client's layout.

The client gives the layout's files as its local source ``oci-layout:PLACE``: contents of
``index.json`` (asked for only without a digest) and of ``blobs/sha256/<hex>``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from pierhead.build.model import Client, Listing, Wanted
from pierhead.engine.images.content import Lease
from pierhead.engine.images.feed import through_pipe
from pierhead.errors import InvalidParameter, NotFound, TooLarge
from pierhead.oci import manifest as oci
from pierhead.oci.digest import ChainId, DiffId, Digest, chain_ids, hex_of, is_digest, sha256
from pierhead.oci.image_config import ImageConfig
from pierhead.oci.manifest import Descriptor, Index, Manifest
from pierhead.oci.platform import Platform
from pierhead.store.snapshots import Incoming, Snapshotter, Staged

PREFIX: Final = "oci-layout://"
DOCUMENT_LIMIT_BYTES: Final = 8 << 20
_DEPTH: Final = 4


async def load(
    value: str, platform: Platform, client: Client, snapshots: Snapshotter, lease: Lease
) -> tuple[ChainId | None, ImageConfig]:
    """The image for ``platform``; its layers are here and held by ``lease``.

    Raises ``NotFound`` (no such tag, no image for the platform), ``InvalidParameter``.
    """
    place, tag, digest = split(value)
    opened = client.local(f"oci-layout:{place}", Wanted())
    try:
        async for listing in opened:
            if not digest:
                async for _ in listing.files():
                    pass  # contents can be asked for when all names are known
            layout = _Layout(listing, snapshots, lease)
            return await layout.load(digest, tag, platform)
        raise NotFound(f"no such OCI layout: {place}")
    finally:
        if hasattr(opened, "aclose"):
            await opened.aclose()


def split(value: str) -> tuple[str, str, str]:
    """``oci-layout://dir:tag@digest`` → (``dir``, ``tag``, ``digest``)."""
    place, _, digest = value.removeprefix(PREFIX).partition("@")
    if digest and not is_digest(digest):
        raise InvalidParameter(f"invalid digest {digest!r} in context {value}")
    before, colon, tag = place.rpartition(":")
    if colon and "/" not in tag:
        place = before
    else:
        tag = ""
    if not place:
        raise InvalidParameter(f"context {value} names no layout")
    return place, tag or "latest", digest


class _Layout:
    def __init__(self, listing: Listing, snapshots: Snapshotter, lease: Lease) -> None:
        self._listing = listing
        self._snapshots = snapshots
        self._lease = lease

    async def load(
        self, digest: str, tag: str, platform: Platform
    ) -> tuple[ChainId | None, ImageConfig]:
        manifest = await self._manifest(digest, tag, platform)
        config = ImageConfig.decode(await self._document(manifest.config))
        diff_ids = config.rootfs.diff_ids
        if len(diff_ids) != len(manifest.layers):
            raise InvalidParameter("the layout's config and manifest have different layers")
        chains = chain_ids(diff_ids)
        self._lease.add_chains(chains)
        parent: ChainId | None = None
        for chain_id, diff_id, blob in zip(chains, diff_ids, manifest.layers, strict=True):
            if self._snapshots.layer(chain_id) is None:
                await self._layer(diff_id, blob, parent)
            parent = chain_id
        return parent, config

    async def _manifest(self, digest: str, tag: str, platform: Platform) -> Manifest:
        if digest:
            found = oci.decode_manifest(await self._blob(Digest(digest)))
        else:
            found = oci.decode_manifest(await _whole(self._listing.content(b"index.json")))
            if isinstance(found, Index):
                found = oci.decode_manifest(await self._document(tagged(found, tag)))
        for _ in range(_DEPTH):
            if isinstance(found, Manifest):
                return found
            found = oci.decode_manifest(await self._document(variant(found, platform)))
        raise InvalidParameter("indexes in indexes in indexes: too many")

    async def _document(self, descriptor: Descriptor) -> bytes:
        return await self._blob(Digest(descriptor.digest))

    async def _blob(self, digest: Digest) -> bytes:
        data = await _whole(self._listing.content(_path(digest)))
        if sha256(data) != digest:
            raise InvalidParameter(f"a blob of the layout isn't {digest}")
        return data

    async def _layer(self, diff_id: DiffId, blob: Descriptor, parent: ChainId | None) -> None:
        if await self._snapshots.adopt(diff_id, parent) is not None:
            return

        async def take(fd: int) -> Staged:
            return await self._snapshots.stage(Incoming(fd, diff_id))

        staged: Staged = await through_pipe(self._listing.content(_path(Digest(blob.digest))), take)
        await staged.commit(parent)


def tagged(index: Index, tag: str) -> Descriptor:
    """What ``index.json`` has under ``tag``; the only one if there is but one. ``NotFound``."""
    for entry in index.manifests:
        name = (entry.annotations or {}).get(oci.ANNOTATION_REF_NAME, "")
        if name == tag or name.endswith(f":{tag}"):
            return entry
    if len(index.manifests) == 1:
        return index.manifests[0]
    raise NotFound(f"the layout has no tag {tag}")


def variant(index: Index, platform: Platform) -> Descriptor:
    """The image for ``platform``. ``NotFound``."""
    for entry in index.manifests:
        found = entry.platform
        if found is not None and platform.matches(found.os, found.architecture, found.variant):
            return entry
    raise NotFound(f"the layout has no image for {platform}")


def _path(digest: Digest) -> bytes:
    if not is_digest(digest):
        raise InvalidParameter(f"invalid digest {digest!r} in the layout")
    return f"blobs/sha256/{hex_of(digest)}".encode()


async def _whole(chunks: AsyncIterator[bytes]) -> bytes:
    data = b""
    async for chunk in chunks:
        data += chunk
        if len(data) > DOCUMENT_LIMIT_BYTES:
            raise TooLarge(f"a document of the layout has more than {DOCUMENT_LIMIT_BYTES} bytes")
    return data
