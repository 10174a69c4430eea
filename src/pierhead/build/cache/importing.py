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

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from pierhead.build.cache import document as documents
from pierhead.build.cache.document import BUILDKIT_CONFIG, CONFIG_TYPE, CacheDocument
from pierhead.build.cache.imported import ImportedCache, Opened
from pierhead.build.cache.stores import (
    CONFIG_LIMIT_BYTES,
    InListing,
    InRegistry,
    Nowhere,
    Store,
    open_listing,
    whole,
)
from pierhead.build.export.progress import Step, step
from pierhead.build.model import CacheOption, Client, Emit
from pierhead.build.registries import Registries, RegistryClient, auth_for
from pierhead.engine.images.service import ImageService
from pierhead.errors import InvalidParameter, NotFound, NotImplementedYet, PierError
from pierhead.oci import manifest as oci
from pierhead.oci import reference
from pierhead.oci.digest import Digest, is_digest, sha256
from pierhead.oci.manifest import Descriptor, Index, Manifest
from pierhead.oci.platform import Platform
from pierhead.oci.reference import Reference
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.build.execute.mounts import CacheMounts

__all__ = ["CacheImporter", "ImportedCache"]


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
        return Opened(
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
    ) -> tuple[CacheDocument, Store] | None:
        given = option.attributes
        if option.type == "local":
            return await self._local(given, client, number, stack)
        if not given.get("ref"):
            raise InvalidParameter("registry cache importer requires ref")
        ref = reference.parse(given["ref"])
        if (held := self._of_image(ref)) is not None:
            return held, Nowhere()
        if option.type == "image":
            return None
        ref = ref.with_default_tag()
        auth = await auth_for(client, ref)
        async with self._registries.open(ref.domain, auth, False) as registry:
            document = await _read(registry, ref, self._images.index.host)
        if document is None:
            progress.warn(f"there is no build cache of ours in {ref.familiar}")
            return None
        return document, InRegistry(self._registries, ref, auth)

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
    ) -> tuple[CacheDocument, Store] | None:
        listing = await open_listing(client, number, stack)
        digest = given.get("digest", "")
        if not digest:
            async for _ in listing.files():
                pass  # contents can be asked for when all names are known
            table = await whole(listing.content(b"index.json"))
            digest = _chosen(table, given.get("tag") or "latest")
        if not is_digest(digest):
            raise InvalidParameter(f"invalid digest {digest!r}")
        store = InListing(listing, self._snapshots)
        data = await whole(store.blob(Descriptor(digest=Digest(digest), size=0)))
        if sha256(data) != digest:
            raise InvalidParameter(f"the cache's manifest isn't {digest}")
        manifest = oci.decode_manifest(data)
        if not isinstance(manifest, Manifest) or manifest.config.media_type != CONFIG_TYPE:
            raise NotFound("it isn't a build cache of ours")
        config = await whole(store.blob(manifest.config))
        return documents.decode(config, manifest.layers), store


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
