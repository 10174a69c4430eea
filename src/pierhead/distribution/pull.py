"""One pull: reference → manifest for our platform → layers → image, or nothing at all.

The messages and their order are dockerd's (its ``distribution/pull_v2.go``), since clients
and scripts read them.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from pierhead import tasks
from pierhead.distribution import complaints, platforms
from pierhead.distribution.layers import LayerPuller, Source, WantedLayer
from pierhead.distribution.progress import Progress
from pierhead.distribution.registry import Registry
from pierhead.distribution.transfers import Silence, Ticket
from pierhead.engine.events import EventBus
from pierhead.engine.images.content import RawManifest
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.model import Image
from pierhead.errors import InvalidParameter, NotFound, PierError
from pierhead.oci import manifest as oci
from pierhead.oci.digest import ChainId, Digest, ImageId, chain_ids, is_digest, sha256
from pierhead.oci.image_config import ImageConfig
from pierhead.oci.manifest import Descriptor, Index, Manifest
from pierhead.oci.platform import Platform, normalise
from pierhead.oci.reference import Reference
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Layer, Snapshotter

log = logging.getLogger(__name__)

CONFIG_LIMIT_BYTES: Final = 8 << 20
INDEX_DEPTH_LIMIT: Final = 4
LAYERS_LIMIT: Final = 500
_SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1"
_IMAGE_CONFIGS: Final = (  # what dockerd takes for an image's config; old tools wrote these
    *oci.CONFIG_TYPES, "application/octet-stream", "application/json", "text/html", "",
)  # fmt: skip
_LAYER_TYPES: Final = ("application/vnd.oci.image", "application/vnd.docker")


@dataclass(frozen=True, slots=True)
class Found:
    """What a reference has led to: one image's manifest, and the indexes above it."""

    target: Descriptor
    """What the reference itself stands for."""
    manifest: Manifest
    raw: list[RawManifest]
    """The indexes from the top and the manifest, byte for byte."""
    from_index: bool


class Pull:
    """One request: ``run`` it once."""

    def __init__(
        self,
        *,
        index: ImageIndex,
        blobs: BlobStore,
        snapshots: Snapshotter,
        events: EventBus,
        layers: LayerPuller,
        registry: Registry,
        ref: Reference,
        platform: Platform | None,
        progress: Progress,
    ) -> None:
        """A ``ref`` without tag and digest means all tags; no ``platform`` means the host's."""
        self._index = index
        self._blobs = blobs
        self._snapshots = snapshots
        self._events = events
        self._layers = layers
        self._source = Source(registry, ref.path)
        self._ref = ref
        self._asked = platform
        self._wanted = platform or platforms.of_host(index.host)
        self._progress = progress

    async def run(self) -> None:
        """Raises ``PierError`` in Docker's words."""
        async with self._source:
            try:
                if self._ref.is_name_only:
                    tags = await self._source.registry.tags(self._ref.path)
                    refs = [self._ref.with_tag(tag) for tag in tags]
                else:
                    refs = [self._ref]
                fresh = False
                for ref in refs:
                    fresh = await self._pull(ref) or fresh
            except complaints.RegistryError as error:
                raise complaints.pull_error(error, self._ref) from error
        shown = self._ref.familiar
        self._progress.status(
            f"Status: Downloaded newer image for {shown}"
            if fresh
            else f"Status: Image is up to date for {shown}"
        )
        for ref in refs:
            self._tell(ref)

    def _tell(self, ref: Reference) -> None:
        image = self._index.by_ref(ref)
        labels = dict(image.config.config.labels or {}) if image is not None else {}
        self._events.emit("image", "pull", ref.familiar, {**labels, "name": ref.familiar_name})

    async def _pull(self, ref: Reference) -> bool:
        """One tag or digest; whether its name stands for an image that it didn't before."""
        name = str(ref.without_tag() if ref.digest is not None else ref)
        held = await self._held(ref, name)
        if held is not None:
            self._begin(ref)
            self._progress.status(f"Digest: {held}")
            return False
        found = await self._find(ref)
        before = (
            {image.id for image in self._index.companions(ref.familiar)}
            if name in self._index.refs
            else set()
        )
        image = await self._bring(ref, found)
        self._progress.status(f"Digest: {found.target.digest}")
        self._warn(ref, found, image)
        return image.id not in before

    async def _held(self, ref: Reference, name: str) -> Digest | None:
        """The digest that ``ref`` stands for, if all we want of it is here already.

        Costs a HEAD request at most, which registries don't count against a limit of pulls.
        """
        target = self._index.targets.get(name)
        if target is None:
            return None
        image = self._index.variant(ref.familiar, self._wanted)
        if image is None:
            return None
        if ref.digest is None:
            head = await self._source.registry.head_manifest(ref.path, ref.tag or "")
            if head is None or head.digest != target:
                return None
        return target

    def _begin(self, ref: Reference) -> None:
        self._progress.status(
            f"Pulling from {ref.path}",
            str(ref.without_tag()) if ref.digest is not None else ref.tag or "",
        )

    # What it is

    async def _find(self, ref: Reference) -> Found:
        fetched = await self._source.registry.manifest(ref.path, ref.digest or ref.tag or "")
        target = fetched.descriptor
        raw = [RawManifest(fetched.data, fetched.media_type)]
        decoded = decode(ref, fetched.data, fetched.media_type)
        self._begin(ref)
        if isinstance(decoded, Manifest):
            return Found(target, decoded, raw, from_index=False)
        chosen = await self._choose(ref, decoded, INDEX_DEPTH_LIMIT)
        if chosen is None:
            raise NotFound(f"no matching manifest for {self._wanted} in the manifest list entries")
        manifest, below = chosen
        return Found(target, manifest, [*raw, *below], from_index=True)

    async def _choose(
        self, ref: Reference, index: Index, depth: int
    ) -> tuple[Manifest, list[RawManifest]] | None:
        """The best image of ``index`` for our platform and the raw manifests down to it."""
        for descriptor in platforms.choose(index, self._wanted):
            data, media_type = await self._manifest(ref, descriptor)
            decoded = decode(ref, data, media_type)
            raw = RawManifest(data, media_type)
            if isinstance(decoded, Manifest):
                if decoded.config.media_type in _IMAGE_CONFIGS:
                    return decoded, [raw]
            elif depth > 1:
                below = await self._choose(ref, decoded, depth - 1)
                if below is not None:
                    return below[0], [raw, *below[1]]
        return None

    async def _manifest(self, ref: Reference, descriptor: Descriptor) -> tuple[bytes, str]:
        """A manifest that an index names: ours, if we hold it."""
        if not is_digest(descriptor.digest):
            raise InvalidParameter(f"invalid manifest: bad digest {descriptor.digest[:100]!r}")
        known = self._index.content.manifests.get(descriptor.digest)
        if known is not None and self._blobs.exists(descriptor.digest):
            return self._blobs.read(descriptor.digest), known.media_type
        fetched = await self._source.registry.manifest(ref.path, descriptor.digest)
        return fetched.data, fetched.media_type

    # Bringing it in

    async def _bring(self, ref: Reference, found: Found) -> Image:
        manifest = found.manifest
        _check(manifest)
        with self._index.lease() as lease:
            lease.add_blobs([manifest.config.digest, *(item.digest for item in manifest.layers)])
            config_blob = await self._config(ref, manifest.config)
            config = ImageConfig.decode(config_blob)
            wanted = self._layers_of(manifest, config)
            chains = [layer.chain_id for layer in wanted]
            lease.add_chains(chains)
            try:
                if ImageId(manifest.config.digest) not in self._index.images:
                    await self._fetch(wanted)
                for layer in wanted:
                    self._layers.keep(layer.descriptor.digest)
                return self._index.add(
                    config_blob,
                    refs=[ref.without_tag() if ref.digest is not None else ref],
                    target=found.target,
                    manifests=found.raw,
                    blobs={layer.diff_id: layer.descriptor for layer in wanted},
                    repository=ref.name,
                )
            except BaseException:
                tasks.spawn(self._forget(chains), name="forget a failed pull")
                raise

    async def _config(self, ref: Reference, descriptor: Descriptor) -> bytes:
        if ImageId(descriptor.digest) in self._index.images:
            return self._blobs.read(descriptor.digest)
        data = await self._source.registry.read_blob(
            ref.path, descriptor, limit_bytes=CONFIG_LIMIT_BYTES
        )
        if sha256(data) != descriptor.digest:
            raise InvalidParameter(
                f"image config verification failed for digest {descriptor.digest}"
            )
        return data

    def _layers_of(self, manifest: Manifest, config: ImageConfig) -> list[WantedLayer]:
        diff_ids = config.rootfs.diff_ids
        if config.os not in ("", self._wanted.os):
            raise InvalidParameter(
                f'image operating system "{config.os}" cannot be used on this platform'
            )
        if len(diff_ids) != len(manifest.layers) or not all(map(is_digest, diff_ids)):
            raise InvalidParameter("layers from manifest don't match image configuration")
        wanted = []
        parent: ChainId | None = None
        for descriptor, diff_id, chain_id in zip(
            manifest.layers, diff_ids, chain_ids(diff_ids), strict=True
        ):
            wanted.append(WantedLayer(descriptor, diff_id, chain_id, parent))
            parent = chain_id
        return wanted

    async def _fetch(self, wanted: list[WantedLayer]) -> None:
        """All layers at once, or the first error; nothing goes on behind it."""
        lines: set[str] = set()
        async with AsyncExitStack() as stack:
            tickets: list[Ticket[Layer]] = []
            below: Ticket[Layer] | None = None
            for layer in wanted:
                first = layer.line not in lines  # a layer that stands twice has one line
                lines.add(layer.line)
                if self._snapshots.layer(layer.chain_id) is not None:
                    if first:
                        self._progress.mark(layer.line, "Already exists")
                    below = None
                    continue
                if first:
                    self._progress.mark(layer.line, "Pulling fs layer")
                below = self._layers.want(
                    layer, self._source, below, self._progress if first else Silence()
                )
                stack.push_async_callback(below.leave)
                tickets.append(below)
            await _all(tickets)

    async def _forget(self, chains: list[ChainId]) -> None:
        """Layers of an image that never came about, if nothing else counts on them."""
        for chain_id in reversed(chains):
            if self._snapshots.layer(chain_id) is None:
                continue
            if self._index.needed(chain_id):
                return
            try:
                await self._snapshots.remove_layer(chain_id)
            except PierError:
                return

    def _warn(self, ref: Reference, found: Found, image: Image) -> None:
        """A single image is taken for any platform that was asked for, as in dockerd."""
        if self._asked is None or found.from_index:
            return
        config = image.config
        actual = normalise(config.os or "linux", config.architecture, config.variant or "")
        if not self._asked.matches(actual.os, actual.architecture, actual.variant):
            self._progress.status(
                f"WARNING: image with reference {ref} was found but does not match the "
                f"specified platform: wanted {self._asked}, actual: {actual}"
            )


async def _all(tickets: list[Ticket[Layer]]) -> None:
    """Wait for all; the first error ends the wait."""
    waits = {tasks.spawn(_failure(ticket), name="wait for a layer") for ticket in tickets}
    try:
        while waits:
            done, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in done:
                if (error := wait.result()) is not None:
                    raise error
    finally:
        for wait in waits:
            wait.cancel()


async def _failure(ticket: Ticket[Layer]) -> Exception | None:
    try:
        await ticket.result()
    except Exception as error:
        return error
    return None


def decode(ref: Reference, data: bytes, media_type: str) -> Manifest | Index:
    """Raises ``InvalidParameter`` for what is no image, in dockerd's words where it has some."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind.startswith(_SCHEMA1) or b'"fsLayers"' in data:
        raise InvalidParameter(
            "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has "
            f"been removed. Suggest the author of {ref} to upgrade the image to the OCI Format "
            "or Docker Image manifest v2, schema 2. More information at "
            "https://docs.docker.com/go/deprecated-image-specs/"
        )
    return oci.decode_manifest(data)


def _check(manifest: Manifest) -> None:
    """Refuse artifacts and layers that no file system can be made of."""
    config = manifest.config
    if config.media_type not in _IMAGE_CONFIGS:
        kind = manifest.artifact_type or config.media_type
        raise InvalidParameter(
            f"unsupported media type {kind}: this is an artifact, not a container image; "
            "get it with a tool made for it, like oras"
        )
    if len(manifest.layers) > LAYERS_LIMIT:
        raise InvalidParameter(f"invalid manifest: more than {LAYERS_LIMIT} layers")
    for descriptor in (config, *manifest.layers):
        if not is_digest(descriptor.digest):
            raise InvalidParameter(
                f'could not validate layer digest "{descriptor.digest[:100]}": '
                "invalid checksum digest format"
            )
        if descriptor.size < 0:
            raise InvalidParameter(f"invalid manifest: {descriptor.digest} has a negative size")
    for descriptor in manifest.layers:
        kind = descriptor.media_type.lower()
        if kind not in _IMAGE_CONFIGS and not kind.startswith(_LAYER_TYPES):
            raise InvalidParameter(f"unsupported media type {descriptor.media_type}")
