"""Sending an image on: by its names through ``distribution``, or by digest only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pierhead.build.export.layers import Layers, PackedLayer
from pierhead.build.export.packing import Packed
from pierhead.build.export.progress import Step
from pierhead.build.model import Client
from pierhead.build.registries import Registries, RegistryClient, auth_for
from pierhead.errors import Unavailable
from pierhead.oci.digest import Digest, is_digest, sha256
from pierhead.oci.reference import Reference


async def push_name(
    name: Reference, client: Client, registries: Registries, step: Step
) -> Digest | None:
    """``docker push`` of one local name; the digest that the registry has it by."""
    auth = await auth_for(client, name)
    digest: Digest | None = None
    what = f"pushing {name}"
    began = step.progress(what)
    async for message in registries.push(str(name), auth):
        if words := message.get("error"):
            raise Unavailable(f"failed to push {name.familiar}: {words}")
        _tell(message, step)
        told = (message.get("aux") or {}).get("Digest", "")
        if is_digest(told):
            digest = Digest(told)
    step.progress(what, started_ns=began, done=True)
    return digest


def _tell(message: dict[str, Any], step: Step) -> None:
    layer, status = message.get("id", ""), message.get("status", "")
    detail = message.get("progressDetail") or {}
    if layer and status == "Pushing":
        step.progress(
            f"pushing layer {layer}",
            current=int(detail.get("current", 0)),
            total=int(detail.get("total", 0)),
        )
    elif layer and status in ("Pushed", "Layer already exists"):
        step.progress(f"pushing layer {layer}", done=True)


async def push_digest(
    name: Reference,
    packed: Packed,
    client: Client,
    registries: Registries,
    layers: Layers,
    step: Step,
) -> None:
    """Send all of ``packed`` to ``name``'s repository; no tag points at it."""
    auth = await auth_for(client, name)
    async with registries.open(name.domain, auth, True) as registry:
        with step.part("pushing layers"):
            for image in packed.images:
                for layer in image.layers:
                    await send_layer(registry, name.path, layer, layers)
                await send(registry, name.path, image.prepared.config)
                for blob in image.attested.blobs if image.attested else ():
                    await send(registry, name.path, blob)
        top = packed.top
        with step.part(f"pushing manifest for {name.name}@{top.descriptor.digest}"):
            below = [image.manifest for image in packed.images]
            below += [image.attested.manifest for image in packed.images if image.attested]
            for document in [*below, *([packed.index] if packed.index else [])]:
                descriptor = document.descriptor
                await registry.put_manifest(
                    name.path, descriptor.digest, document.data, descriptor.media_type
                )


async def send_layer(
    registry: RegistryClient, path: str, layer: PackedLayer, layers: Layers
) -> None:
    """Upload a layer unless the repository has it."""
    descriptor = layer.descriptor
    if await registry.blob_exists(path, descriptor.digest) is None:
        await registry.upload(path, descriptor.digest, descriptor.size, layers.source(layer))


async def send(registry: RegistryClient, path: str, data: bytes) -> Digest:
    """Upload a small blob unless the repository has it."""
    digest = sha256(data)
    if await registry.blob_exists(path, digest) is None:

        async def source(offset: int) -> AsyncIterator[bytes]:
            yield data[offset:]

        await registry.upload(path, digest, len(data), source)
    return digest
