"""What is attested of an image: the in-toto statements that came, or were made, with it.

BuildKit puts a manifest beside the image's into the index, marked by annotations; its layers
are the statements. See ``docs/attestations/attestation-storage.md`` of BuildKit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from pierhead.engine.images.index import INDEX_DEPTH_LIMIT, ImageIndex
from pierhead.engine.images.model import Image
from pierhead.engine.images.summaries import ATTESTATION, FOR, TYPE, decoded, manifests_below
from pierhead.errors import PierError
from pierhead.oci.manifest import Descriptor, Manifest
from pierhead.store.blobs import BlobStore

PREDICATE: Final = "in-toto.io/predicate-type"


async def statements(
    index: ImageIndex,
    blobs: BlobStore,
    ref: str,
    image: Image,
    *,
    types: Collection[str] = (),
    whole: bool = False,
) -> list[dict[str, Any]]:
    """``GET /images/{name}/attestations``: ``Descriptor``, ``PredicateType``, ``Statement``.

    ``types``: only predicates of these types; ``whole``: with the statements' JSON, where it
    is held and is JSON.
    """
    found = []
    for layer in _layers(index, blobs, ref, image):
        predicate = (layer.annotations or {}).get(PREDICATE, "")
        if types and predicate not in types:
            continue
        entry: dict[str, Any] = {
            "Descriptor": msgspec.to_builtins(layer),
            "PredicateType": predicate,
        }
        if whole:
            entry["Statement"] = await asyncio.to_thread(_statement, blobs, layer)
        found.append(entry)
    return found


def _layers(index: ImageIndex, blobs: BlobStore, ref: str, image: Image) -> Iterator[Descriptor]:
    target = index.target(ref)
    if target is None:
        return
    manifest = index.manifest_of(image, within=target.digest)
    if manifest is None:
        return
    for descriptor in manifests_below(blobs, target.descriptor, INDEX_DEPTH_LIMIT):
        annotations = descriptor.annotations or {}
        if annotations.get(TYPE) != ATTESTATION or annotations.get(FOR) != manifest.digest:
            continue
        held = decoded(blobs, descriptor.digest)
        if isinstance(held, Manifest):
            yield from held.layers


def _statement(blobs: BlobStore, layer: Descriptor) -> Any:
    try:
        return msgspec.json.decode(blobs.read(layer.digest))
    except (PierError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
