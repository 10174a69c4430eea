"""A solved build's images written down: configs, manifests, attestations, the index above.

What is packed lies in the blob store under the caller's lease until an image of the index
needs it; nothing is named here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from pierhead.build.cache.document import INLINE_FIELD
from pierhead.build.export import documents
from pierhead.build.export.attributes import Packing
from pierhead.build.export.documents import Attested, Written
from pierhead.build.export.layers import Layers, PackedLayer
from pierhead.build.export.model import Assembled
from pierhead.build.export.progress import Step
from pierhead.engine.images.clock import format_rfc3339, parse_rfc3339
from pierhead.engine.images.content import Lease
from pierhead.engine.images.index import ImageIndex
from pierhead.errors import InvalidParameter
from pierhead.oci.digest import ImageId, hex_of, sha256
from pierhead.oci.image_config import ImageConfig
from pierhead.oci.manifest import Descriptor
from pierhead.oci.reference import Reference
from pierhead.store.blobs import BlobStore


@dataclass(slots=True)
class Prepared:
    """One platform's image with its final config; not packed."""

    assembled: Assembled
    config: bytes
    statements: list[dict[str, Any]] = field(default_factory=list)
    """in-toto statements without subjects: those are known when the manifest is."""

    @property
    def id(self) -> ImageId:
        return ImageId(sha256(self.config))


@dataclass(slots=True)
class PackedImage:
    prepared: Prepared
    layers: list[PackedLayer]
    manifest: Written
    attested: Attested | None = None


@dataclass(slots=True)
class Packed:
    """All images and what stands for them."""

    images: list[PackedImage]
    index: Written | None

    @property
    def top(self) -> Written:
        return self.index or self.images[0].manifest


def prepare(
    assembled: Assembled,
    *,
    base: ImageConfig | None,
    epoch_s: int | None,
    inline_cache: Mapping[str, Any] | None = None,
    statements: Sequence[dict[str, Any]] = (),
) -> Prepared:
    """The final config: times clamped to ``epoch_s`` (but the base's), the inline cache in it."""
    config = assembled.config
    if epoch_s is not None:
        clamp(config, base, epoch_s)
    data = config.encode()
    if inline_cache:
        document = json.loads(data) | {INLINE_FIELD: inline_cache}
        data = json.dumps(
            document, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
    return Prepared(assembled, data, list(statements))


def clamp(config: ImageConfig, base: ImageConfig | None, epoch_s: int) -> None:
    """No time that this build made is later than ``epoch_s``."""
    limit = epoch_s * 1_000_000_000
    known = base.history if base is not None else []
    theirs = True
    for number, entry in enumerate(config.history):
        theirs = theirs and number < len(known) and entry == known[number]
        if not theirs and (not entry.created or parse_rfc3339(entry.created) > limit):
            entry.created = format_rfc3339(limit)
    if not config.created or parse_rfc3339(config.created) > limit:
        config.created = format_rfc3339(limit)


class Packer:
    """Packs images; one for the daemon."""

    def __init__(self, *, layers: Layers, blobs: BlobStore, index: ImageIndex) -> None:
        self._layers = layers
        self._blobs = blobs
        self._index = index

    async def pack(
        self,
        images: Sequence[Prepared],
        packing: Packing,
        *,
        names: Sequence[Reference],
        lease: Lease,
        step: Step,
    ) -> Packed:
        """Compress what must be and write the documents: an index where one is needed."""
        attested = any(image.statements for image in images)
        needs_index = attested or len(images) > 1
        is_oci = attested or (packing.oci if packing.oci is not None else packing.needs_oci)
        for where in ("index", "index-descriptor"):
            if packing.annotated(where) and not needs_index:
                raise InvalidParameter("index annotations not supported for single platform export")
        with step.part("exporting layers"):
            found = await asyncio.gather(
                *(self._pack_layers(image, packing, lease) for image in images)
            )
        done: list[PackedImage] = []
        for image, layers in zip(images, found, strict=True):
            platform = image.assembled.platform
            lease.add_blobs([image.id])
            self._blobs.put(image.config)
            manifest = documents.image_manifest(
                image.config,
                [layer.descriptor for layer in layers],
                platform,
                is_oci=is_oci,
                annotations=packing.annotated("manifest", platform),
                descriptor_annotations=packing.annotated("manifest-descriptor", platform),
            )
            self._keep(manifest, lease)
            step.said(f"exporting manifest {manifest.descriptor.digest}")
            step.said(f"exporting config {image.id}")
            packed = PackedImage(image, layers, manifest)
            if image.statements:
                packed.attested = self._attest(packed, packing, names, lease)
                digest = packed.attested.manifest.descriptor.digest
                step.said(f"exporting attestation manifest {digest}")
            done.append(packed)
        index = None
        if needs_index:
            index = documents.image_index(
                [
                    *(image.manifest.descriptor for image in done),
                    *(
                        image.attested.manifest.descriptor
                        for image in done
                        if image.attested is not None
                    ),
                ],
                is_oci=is_oci,
                annotations=packing.annotated("index"),
                descriptor_annotations=packing.annotated("index-descriptor"),
            )
            self._keep(index, lease)
            step.said(f"exporting manifest list {index.descriptor.digest}")
        return Packed(done, index)

    async def _pack_layers(
        self, image: Prepared, packing: Packing, lease: Lease
    ) -> list[PackedLayer]:
        base = self._index.images.get(image.assembled.base) if image.assembled.base else None
        below = len(base.chains) if base is not None else 0
        return list(
            await asyncio.gather(
                *(
                    self._layers.pack(chain_id, packing, lease, of_base=number < below)
                    for number, chain_id in enumerate(image.assembled.chains)
                )
            )
        )

    def _attest(
        self, packed: PackedImage, packing: Packing, names: Sequence[Reference], lease: Lease
    ) -> Attested:
        manifest = packed.manifest.descriptor
        platform = packed.prepared.assembled.platform
        subjects = [
            {"name": purl(name, str(platform)), "digest": {"sha256": hex_of(manifest.digest)}}
            for name in names
        ]
        statements = [
            {
                "_type": statement["_type"],
                "predicateType": statement["predicateType"],
                "subject": subjects,
                "predicate": statement["predicate"],
            }
            for statement in packed.prepared.statements
        ]
        attested = documents.attestation_manifest(manifest, statements, artifact=packing.artifact)
        for blob in attested.blobs:
            lease.add_blobs([sha256(blob)])
            self._blobs.put(blob)
        self._keep(attested.manifest, lease)
        return attested

    def _keep(self, document: Written, lease: Lease) -> None:
        lease.add_blobs([document.descriptor.digest])
        self._blobs.put(document.data)


def purl(name: Reference, platform: str) -> str:
    """``pkg:docker/busybox@latest?platform=linux%2Famd64`` (package-url specification)."""
    parts = [quote(part, safe="") for part in name.familiar_name.split("/")]
    text = f"pkg:docker/{'/'.join(parts)}@{quote(name.tag or 'latest', safe='')}"
    return f"{text}?platform={quote(platform, safe='')}" if platform else text


def layer_blobs(packed: PackedImage) -> dict[Any, Descriptor]:
    """Diff id → compressed blob, as ``ImageIndex.add`` takes it."""
    return {layer.diff_id: layer.descriptor for layer in packed.layers if not layer.is_plain}
