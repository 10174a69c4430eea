"""The manifests of an image as the API tells of them (``Manifests``, since 1.47; 1.48)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from pierhead.engine.images.content import Kept
from pierhead.engine.images.index import INDEX_DEPTH_LIMIT, ImageIndex
from pierhead.engine.images.model import Image
from pierhead.errors import PierError
from pierhead.oci import manifest
from pierhead.oci.digest import Digest, ImageId
from pierhead.oci.manifest import Descriptor, Index, Manifest
from pierhead.store.blobs import BlobStore

TYPE: Final = "vnd.docker.reference.type"
FOR: Final = "vnd.docker.reference.digest"
"""Annotations by which BuildKit marks attestations in an index."""
ATTESTATION: Final = "attestation-manifest"


def summaries(
    index: ImageIndex, blobs: BlobStore, target: Kept, users: Callable[[str], list[str]]
) -> list[dict[str, Any]]:
    """One object for each manifest that ``target`` leads to, held or not, in its order.

    ``users`` gives the ids of the containers of an image.
    """
    return [
        _summary(index, blobs, descriptor, users)
        for descriptor in manifests_below(blobs, target.descriptor, INDEX_DEPTH_LIMIT)
    ]


def manifests_below(blobs: BlobStore, descriptor: Descriptor, depth: int) -> Iterator[Descriptor]:
    """Every manifest that an index leads to, in its order; a manifest itself."""
    found = decoded(blobs, descriptor.digest) if depth else None
    if not isinstance(found, Index):
        yield descriptor
        return
    for child in found.manifests:
        if child.media_type in manifest.INDEX_TYPES:
            yield from manifests_below(blobs, child, depth - 1)
        else:
            yield child


def decoded(blobs: BlobStore, digest: Digest) -> Manifest | Index | None:
    """What stands in a blob; ``None`` if it isn't held, or is neither."""
    try:
        return manifest.decode_manifest(blobs.read(digest))
    except PierError:
        return None  # isn't held


def _summary(
    index: ImageIndex,
    blobs: BlobStore,
    descriptor: Descriptor,
    users: Callable[[str], list[str]],
) -> dict[str, Any]:
    held = decoded(blobs, descriptor.digest)
    content = 0
    available = isinstance(held, Manifest)
    if isinstance(held, Manifest):
        content = descriptor.size
        for part in (held.config, *held.layers):
            if blobs.exists(part.digest):
                content += part.size
            else:
                available = False
    found: dict[str, Any] = {
        "ID": descriptor.digest,
        "Descriptor": msgspec.to_builtins(descriptor),
        "Available": available,
        "Size": {"Content": content, "Total": content},
        "Kind": "unknown",
    }
    annotations = descriptor.annotations or {}
    if annotations.get(TYPE) == ATTESTATION:
        found["Kind"] = "attestation"
        found["AttestationData"] = {"For": annotations.get(FOR, "")}
        return found
    image = None
    if isinstance(held, Manifest):
        if held.config.media_type not in manifest.CONFIG_TYPES:
            return found
        image = index.images.get(ImageId(held.config.digest))
    found["Kind"] = "image"
    unpacked = image.size_bytes if image is not None else 0
    # The layers are here, whatever became of their compressed form: it can run.
    found["Available"] = available or image is not None
    found["Size"]["Total"] += unpacked
    found["ImageData"] = {
        "Platform": _platform(descriptor, image),
        "Size": {"Unpacked": unpacked},
        "Containers": users(image.id) if image is not None else [],
    }
    return found


def _platform(descriptor: Descriptor, image: Image | None) -> dict[str, Any]:
    if descriptor.platform is not None:
        fields: dict[str, Any] = msgspec.to_builtins(descriptor.platform)
    elif image is not None:
        config = image.config
        fields = {"architecture": config.architecture, "os": config.os or "linux"}
        if config.variant:
            fields["variant"] = config.variant
    else:
        fields = {}
    return {"architecture": "", "os": "", **fields}
