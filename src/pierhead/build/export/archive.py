"""``oci`` and ``docker``: an archive with the OCI image layout, given to the client.

::

    blobs/sha256/<hex>   layers, configs, manifests, attestations
    index.json           one entry for each name
    manifest.json        Docker's list (``docker`` only)
    oci-layout
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pierhead.build.export.attributes import ArchiveTarget
from pierhead.build.export.documents import descriptor_entry
from pierhead.build.export.images import report_packed
from pierhead.build.export.layers import Layers, PackedLayer
from pierhead.build.export.packing import Packed, PackedImage, Packer, Prepared
from pierhead.build.export.progress import Step
from pierhead.build.model import BuildResult, BuiltImage, Receiver
from pierhead.engine.images.content import Lease
from pierhead.errors import Internal, InvalidParameter
from pierhead.oci import manifest as oci
from pierhead.oci import tar
from pierhead.oci.digest import hex_of, sha256
from pierhead.oci.reference import Reference
from pierhead.oci.tar import Header

_BLOBS: Final = "blobs/sha256/"
_CREATED: Final = "org.opencontainers.image.created"


@dataclass(slots=True)
class ArchiveOutput:
    """Exports to archives."""

    packer: Packer
    layers: Layers

    async def run(
        self,
        prepared: Sequence[Prepared],
        target: ArchiveTarget,
        receiver: Receiver,
        lease: Lease,
        step: Step,
        result: BuildResult,
    ) -> None:
        """Pack and send. ``InvalidParameter``: several platforms in a docker archive."""
        if target.docker and len(prepared) > 1:
            raise InvalidParameter(
                "docker exporter does not currently support exporting manifest lists"
            )
        packing = target.packing
        if packing.oci is None:
            packing = replace(packing, oci=not target.docker)
        packed = await self.packer.pack(
            prepared, packing, names=target.names, lease=lease, step=step
        )
        report_packed(result, packed)
        if target.names:
            result.metadata["image.name"] = ",".join(str(name) for name in target.names)
        if not result.images:
            result.images = [
                BuiltImage(
                    platform=str(image.prepared.assembled.platform),
                    id=image.prepared.id,
                    config=image.prepared.config,
                    manifest=image.manifest.descriptor.digest,
                )
                for image in packed.images
            ]
        with step.part("sending tarball"):
            async for chunk in stream(packed, target.names, self.layers, docker=target.docker):
                await receiver.write(chunk)
            await receiver.close()


async def stream(
    packed: Packed, names: Sequence[Reference], layers: Layers, *, docker: bool
) -> AsyncIterator[bytes]:
    """The archive's bytes: the same for the same image."""
    writer = LayoutWriter(layers)
    yield writer.begin()
    for image in packed.images:
        for layer in image.layers:
            async for chunk in writer.layer(layer):
                yield chunk
        yield writer.blob(image.prepared.config)
        yield writer.blob(image.manifest.data)
        if image.attested is not None:
            for blob in image.attested.blobs:
                yield writer.blob(blob)
            yield writer.blob(image.attested.manifest.data)
    if packed.index is not None:
        yield writer.blob(packed.index.data)
    yield writer.file("index.json", _table(packed, names))
    if docker:
        yield writer.file("manifest.json", _docker_list(packed.images[0], names))
    yield writer.end()


@dataclass(slots=True)
class LayoutWriter:
    """Writes an OCI image layout as a tar, each blob once."""

    layers: Layers
    _written: set[str] = field(default_factory=set)

    def begin(self) -> bytes:
        return b"".join(
            tar.build_header(Header(name, tar.DIRECTORY, 0o755))
            for name in (b"blobs", b"blobs/sha256")
        )

    def end(self) -> bytes:
        return self.file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}') + bytes(2 * tar.BLOCK)

    def file(self, name: str, data: bytes) -> bytes:
        """A whole small file."""
        header = Header(name.encode(), tar.REGULAR, 0o644, size=len(data))
        return tar.build_header(header) + data + bytes(tar.padding(len(data)))

    def blob(self, data: bytes) -> bytes:
        """A small blob; nothing if it is in already."""
        digest = sha256(data)
        if digest in self._written:
            return b""
        self._written.add(digest)
        return self.file(_BLOBS + hex_of(digest), data)

    def layer(self, layer: PackedLayer) -> AsyncIterator[bytes]:
        """A layer's blob; nothing if it is in already."""
        descriptor = layer.descriptor
        return self.stream(str(descriptor.digest), descriptor.size, self.layers.source(layer)(0))

    async def stream(
        self, digest: str, size: int, chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """A blob of ``size`` bytes; ``Internal`` if another number comes."""
        if digest in self._written:
            return
        self._written.add(digest)
        yield tar.build_header(
            Header(f"{_BLOBS}{hex_of(digest)}".encode(), tar.REGULAR, 0o644, size=size)
        )
        sent = 0
        async for chunk in chunks:
            sent += len(chunk)
            yield chunk
        if sent != size:
            raise Internal(f"{digest} has {sent} bytes instead of {size}: its files are damaged")
        if fill := tar.padding(size):
            yield bytes(fill)


def _table(packed: Packed, names: Sequence[Reference]) -> bytes:
    """``index.json``."""
    entry = descriptor_entry(packed.top.descriptor)
    created = packed.images[0].prepared.assembled.config.created
    notes: dict[str, str] = dict(entry.get("annotations") or {})
    if created:
        notes[_CREATED] = created
    entries: list[dict[str, Any]] = []
    for name in names:
        named = notes | {
            oci.ANNOTATION_IMAGE_NAME: str(name),
            oci.ANNOTATION_REF_NAME: name.tag or "",
        }
        entries.append(entry | {"annotations": dict(sorted(named.items()))})
    if not entries:
        entries.append(entry | ({"annotations": notes} if notes else {}))
    return json.dumps(
        {"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": entries},
        separators=(",", ":"),
    ).encode()


def _docker_list(image: PackedImage, names: Sequence[Reference]) -> bytes:
    """``manifest.json``."""
    entry = {
        "Config": _BLOBS + hex_of(image.prepared.id),
        "RepoTags": [name.familiar for name in names] or None,
        "Layers": [_BLOBS + hex_of(layer.descriptor.digest) for layer in image.layers],
    }
    return json.dumps([entry], separators=(",", ":")).encode()
