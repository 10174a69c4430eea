from __future__ import annotations

from pierhead.build.export.attributes import Packing
from pierhead.build.export.layers import Layers
from pierhead.build.export.progress import Step
from pierhead.build.export.pushing import push_name, send, send_layer
from pierhead.oci import reference
from pierhead.oci.digest import sha256
from unit.build.export.conftest import Build


async def test_what_is_there_isn_t_sent_again(build: Build) -> None:
    world = build.world
    packer = Layers(
        blobs=world.blobs,
        snapshots=world.snapshots,  # type: ignore[arg-type]
        content=world.images.index.content,
    )
    chain = world.snapshots.add(b"layer").chain_id
    with world.images.index.lease() as lease:
        packed = await packer.pack(chain, Packing(), lease)
        for _ in range(2):
            await send_layer(build.registry, "app", packed, packer)  # type: ignore[arg-type]
            await send(build.registry, "app", b"config")  # type: ignore[arg-type]
    assert build.registry.uploads == 2
    assert build.registry.blobs[sha256(b"config")] == b"config"


async def test_no_digest_where_the_registry_says_none(build: Build, step: Step) -> None:
    name = reference.parse("example.org/app").with_default_tag()
    assert await push_name(name, build.client, build.registries, step) is None  # type: ignore[arg-type]
    assert build.pushed == [("example.org/app:latest", None)]
