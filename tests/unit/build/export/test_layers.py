from __future__ import annotations

import asyncio
import gzip

import zstandard

from pierhead.build.export.attributes import Packing
from pierhead.build.export.layers import Layers
from unit.build.export.conftest import Build

DATA = b"a tar of many words " * 1000


def layers(build: Build) -> Layers:
    world = build.world
    return Layers(
        blobs=world.blobs,
        snapshots=world.snapshots,  # type: ignore[arg-type]
        content=world.images.index.content,
    )


async def read(packer: Layers, packed: object, offset: int = 0) -> bytes:
    return b"".join([chunk async for chunk in packer.source(packed)(offset)])  # type: ignore[arg-type]


async def test_a_layer_is_compressed_once(build: Build) -> None:
    chain = build.world.snapshots.add(DATA).chain_id
    packer = layers(build)
    with build.world.images.index.lease() as lease:
        one, two = await asyncio.gather(
            packer.pack(chain, Packing(), lease), packer.pack(chain, Packing(), lease)
        )
        assert one == two and not one.is_plain
        assert gzip.decompress(await read(packer, one)) == DATA
        assert len(build.world.blobs.digests()) == 1


async def test_other_forms(build: Build) -> None:
    chain = build.world.snapshots.add(DATA).chain_id
    packer = layers(build)
    with build.world.images.index.lease() as lease:
        plain = await packer.pack(chain, Packing(compression="uncompressed"), lease)
        assert plain.is_plain and await read(packer, plain) == DATA
        assert await read(packer, plain, 100) == DATA[100:]
        zstd = await packer.pack(chain, Packing(compression="zstd", level=5), lease)
        assert zstd.descriptor.media_type.endswith("+zstd")
        packed = await read(packer, zstd)
        assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == DATA
        slow = await packer.pack(chain, Packing(level=9), lease)
        assert gzip.decompress(await read(packer, slow)) == DATA


async def test_a_base_s_layer_stays_as_it_came(build: Build) -> None:
    chain = build.world.snapshots.add(DATA).chain_id
    packer = layers(build)
    with build.world.images.index.lease() as lease:
        first = await packer.pack(chain, Packing(), lease)
        zstd = Packing(compression="zstd")
        assert await packer.pack(chain, zstd, lease, of_base=True) == first
        forced = await packer.pack(
            chain, Packing(compression="zstd", force=True), lease, of_base=True
        )
        assert forced.descriptor.media_type.endswith("+zstd")


async def test_blobs_go_with_the_lease_if_no_image_needs_them(build: Build) -> None:
    chain = build.world.snapshots.add(DATA).chain_id
    with build.world.images.index.lease() as lease:
        await layers(build).pack(chain, Packing(), lease)
        await build.world.images.collect()
        assert build.world.blobs.digests()
    await build.world.images.collect()
    assert not build.world.blobs.digests()
