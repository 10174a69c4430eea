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

_TYPE: Final = "vnd.docker.reference.type"
_FOR: Final = "vnd.docker.reference.digest"
"""Annotations by which BuildKit marks attestations in an index."""


def summaries(
    index: ImageIndex, blobs: BlobStore, target: Kept, users: Callable[[str], list[str]]
) -> list[dict[str, Any]]:
    """One object for each manifest that ``target`` leads to, held or not, in its order.

    ``users`` gives the ids of the containers of an image.
    """
    return [
        _summary(index, blobs, descriptor, users)
        for descriptor in _manifests(blobs, target.descriptor, INDEX_DEPTH_LIMIT)
    ]


def _manifests(blobs: BlobStore, descriptor: Descriptor, depth: int) -> Iterator[Descriptor]:
    decoded = _decoded(blobs, descriptor.digest) if depth else None
    if not isinstance(decoded, Index):
        yield descriptor
        return
    for child in decoded.manifests:
        if child.media_type in manifest.INDEX_TYPES:
            yield from _manifests(blobs, child, depth - 1)
        else:
            yield child


def _decoded(blobs: BlobStore, digest: Digest) -> Manifest | Index | None:
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
    decoded = _decoded(blobs, descriptor.digest)
    content = 0
    available = isinstance(decoded, Manifest)
    if isinstance(decoded, Manifest):
        content = descriptor.size
        for part in (decoded.config, *decoded.layers):
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
    if annotations.get(_TYPE) == "attestation-manifest":
        found["Kind"] = "attestation"
        found["AttestationData"] = {"For": annotations.get(_FOR, "")}
        return found
    image = None
    if isinstance(decoded, Manifest):
        if decoded.config.media_type not in manifest.CONFIG_TYPES:
            return found
        image = index.images.get(ImageId(decoded.config.digest))
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
