"""What a push sends: which manifests, which layers each needs, and in which words (no IO).

A name that came from a registry (or from a layout) stands for a *target*: it is sent byte
for byte. Of an index that is all of its manifests if all of them are held, else the one for
the platform asked for, or this host's. An image made here gets a schema 2 manifest, written
as dockerd writes it.

``plan`` only looks things up (the images room's index is in memory); sending is
``push``'s business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pierhead.engine.images.content import Kept, RawManifest
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.model import Image
from pierhead.oci import manifest as oci
from pierhead.oci.digest import ChainId, DiffId, Digest, hex_of
from pierhead.oci.manifest import Descriptor, Index, Manifest

GZIP_TYPES: Final = frozenset({oci.DOCKER_LAYER, f"{oci.OCI_LAYER}+gzip"})
_FOREIGN: Final = ("foreign", "nondistributable")
_SHORT: Final = 12


@dataclass(frozen=True, slots=True)
class Piece:
    """One layer (or another blob) on its way out."""

    diff_id: DiffId | None
    """``None`` for what is no layer of ours: the blob ``wanted`` goes as it is."""
    chain_id: ChainId | None
    wanted: Descriptor | None
    """What the kept manifest calls it; ``None``: any compressed form will do."""

    @property
    def id(self) -> str:
        """What the progress calls it."""
        name = self.diff_id or (self.wanted.digest if self.wanted is not None else "")
        return hex_of(name)[:_SHORT]

    @property
    def key(self) -> str:
        """Pieces with the same key are sent once."""
        return f"{self.diff_id} {self.wanted.digest if self.wanted is not None else ''}"

    @property
    def is_foreign(self) -> bool:
        """To be had elsewhere, and not to be given to registries."""
        wanted = self.wanted
        return wanted is not None and any(word in wanted.media_type for word in _FOREIGN)


@dataclass(slots=True)
class Parcel:
    """One manifest with its config and its layers, lowest first."""

    config: Descriptor
    pieces: list[Piece]
    image: Image | None = None
    kept: RawManifest | None = None
    """The manifest to send byte for byte, if its layers go out as it says."""
    layers: list[Descriptor] = field(default_factory=list)
    """The kept manifest's."""

    def manifest(self, sent: Mapping[str, Descriptor]) -> RawManifest:
        """The manifest for the layers as they were sent (piece's key → descriptor)."""
        layers = [sent[piece.key] for piece in self.pieces]
        if self.kept is not None and [layer.digest for layer in layers] == [
            layer.digest for layer in self.layers
        ]:
            return self.kept
        return built(self.config, layers)


@dataclass(slots=True)
class Shipment:
    """All that one name takes: its manifests, and the index above them if it goes, too."""

    image: Image
    parcels: list[Parcel]
    index: RawManifest | None = None
    instead_of: Descriptor | None = None
    """The index of which only one manifest is here, and goes."""


def plan(
    index: ImageIndex,
    name: str,
    read: Callable[[Digest], bytes],
    held: Callable[[Digest], bool],
    chosen: Image | None = None,
) -> Shipment:
    """What to send for the stored name ``name``; ``chosen`` if a platform was asked for.

    ``read`` gives a held manifest's bytes, ``held`` says whether a blob is here.
    """
    image = chosen or index.images[index.refs[name]]
    target = index.target_of_name(name)
    if target is None:
        return Shipment(image, [_made(image, None, read)])
    if not target.is_index:
        kept = target if target.image_id == image.id else index.manifest_of(image)
        return Shipment(image, [_made(image, kept, read)])
    if chosen is None and (parcels := _whole(index, target, read, held)) is not None:
        return Shipment(image, parcels, RawManifest(read(target.digest), target.media_type))
    kept = index.manifest_of(image, target.digest)
    return Shipment(image, [_made(image, kept, read)], instead_of=target.descriptor)


def _made(image: Image, kept: Kept | None, read: Callable[[Digest], bytes]) -> Parcel:
    """The parcel of an image, with its manifest if it has one that fits."""
    raw, layers, config = None, [], _config(image, read)
    if kept is not None:
        raw = RawManifest(read(kept.digest), kept.media_type)
        decoded = oci.decode_manifest(raw.data)
        if isinstance(decoded, Manifest) and len(decoded.layers) == len(image.chains):
            layers, config = decoded.layers, decoded.config
        else:
            raw = None
    pieces = [
        Piece(diff_id, chain_id, layers[at] if layers else None)
        for at, (diff_id, chain_id) in enumerate(
            zip(image.config.rootfs.diff_ids, image.chains, strict=True)
        )
    ]
    return Parcel(config, pieces, image, raw, layers)


def _config(image: Image, read: Callable[[Digest], bytes]) -> Descriptor:
    digest = Digest(image.id)
    return Descriptor(media_type=oci.DOCKER_CONFIG, digest=digest, size=len(read(digest)))


def _whole(
    index: ImageIndex,
    target: Kept,
    read: Callable[[Digest], bytes],
    held: Callable[[Digest], bool],
) -> list[Parcel] | None:
    """A parcel for each manifest of an index; ``None`` unless all of it is here.

    An index within an index counts as not here: nobody pushes those with Docker's tools.
    """
    parcels = []
    for digest in target.children:
        kept = index.content.manifests.get(digest)
        if kept is None or kept.is_index:
            return None
        image = index.images.get(kept.image_id) if kept.image_id is not None else None
        if image is not None:
            parcels.append(_made(image, kept, read))
            continue
        raw = RawManifest(read(digest), kept.media_type)
        decoded = oci.decode_manifest(raw.data)
        if isinstance(decoded, Index):
            return None
        if not all(held(blob.digest) for blob in (decoded.config, *decoded.layers)):
            return None
        pieces = [Piece(None, None, layer) for layer in decoded.layers]
        parcels.append(Parcel(decoded.config, pieces, None, raw, decoded.layers))
    return parcels


def built(config: Descriptor, layers: list[Descriptor]) -> RawManifest:
    """A manifest of our own: schema 2 in dockerd's hand, or OCI if a layer isn't gzip."""
    docker = all(layer.media_type in GZIP_TYPES for layer in layers)
    types = (
        (oci.DOCKER_MANIFEST, oci.DOCKER_CONFIG) if docker else (oci.OCI_MANIFEST, oci.OCI_CONFIG)
    )
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": types[0],
        "config": {"mediaType": types[1], "size": config.size, "digest": config.digest},
        "layers": [
            {
                "mediaType": oci.DOCKER_LAYER if docker else _oci_type(layer.media_type),
                "size": layer.size,
                "digest": layer.digest,
            }
            for layer in layers
        ],
    }
    return RawManifest(json.dumps(document, indent=3).encode(), types[0])


def _oci_type(media_type: str) -> str:
    return f"{oci.OCI_LAYER}+gzip" if media_type == oci.DOCKER_LAYER else media_type


def mountable(sources: list[str], repository: str, limit: int) -> list[str]:
    """Repositories of the same registry to mount from: the nearest by name first.

    ``sources`` (whole names) come the latest first; what comes out has no registry.
    """
    domain, _, path = repository.partition("/")
    wanted = path.split("/")
    found = [
        source.partition("/")[2]
        for source in sources
        if source.partition("/")[0] == domain and source != repository
    ]
    found.sort(key=lambda source: -_common(source.split("/"), wanted))
    return found[:limit]


def _common(one: list[str], other: list[str]) -> int:
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count
