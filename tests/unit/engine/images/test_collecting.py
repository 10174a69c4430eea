"""What the collector takes, and what it must not."""

from __future__ import annotations

import asyncio

import pytest

from pierhead.engine.images import collecting
from pierhead.engine.images.content import RawManifest
from pierhead.oci import reference
from pierhead.oci.digest import DiffId, ImageId, sha256
from pierhead.oci.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest, encode

from .conftest import World

LAYER = b"a layer"
BLOB = b"compressed"


def known(world: World, name: str = "a:1") -> tuple[ImageId, RawManifest]:
    """An image with a manifest and a compressed layer."""
    image_id = world.image(layers=(LAYER,))
    config = world.blobs.read(image_id)
    blob = Descriptor(media_type="gzip", digest=world.blobs.put(BLOB), size=len(BLOB))
    made = Manifest(
        media_type=OCI_MANIFEST,
        config=Descriptor(media_type=OCI_CONFIG, digest=sha256(config), size=len(config)),
        layers=[blob],
    )
    raw = RawManifest(encode(made), OCI_MANIFEST)
    world.images.index.add(
        config,
        refs=[reference.parse(name)],
        target=Descriptor(media_type=raw.media_type, digest=raw.digest, size=len(raw.data)),
        manifests=[raw],
        blobs={DiffId(sha256(LAYER)): blob},
        repository="docker.io/library/a",
    )
    return image_id, raw


async def test_what_an_image_needs_stays_and_the_rest_goes(world: World) -> None:
    _, raw = known(world)
    stray = world.blobs.put(b"stray")
    await world.images.collect()
    assert not world.blobs.exists(stray)
    assert world.blobs.exists(raw.digest) and world.blobs.exists(sha256(BLOB))
    assert world.images.index.content.sources(sha256(BLOB)) == ["docker.io/library/a"]


async def test_all_of_an_image_goes_with_it_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "DELAY_S", 0.0)
    known(world)
    await world.images.remove("a:1")
    async with asyncio.timeout(60):
        while world.blobs.digests() or list(world.paths.ingest.iterdir()):
            await asyncio.sleep(0.01)
    content = world.images.index.content
    assert content.manifests == {} and content.sources(sha256(BLOB)) == []
    assert content.layer_blobs(DiffId(sha256(LAYER))) == []


async def test_an_image_without_a_name_keeps_its_manifest(world: World) -> None:
    image_id, raw = known(world)
    world.image("a:1", layers=(b"another",))
    world.images.index.untag(f"docker.io/library/a@{raw.digest}")
    await world.images.collect()
    assert image_id in world.images.index.images
    assert world.blobs.exists(raw.digest), "tagged again it is pushed byte for byte"


async def test_a_layer_of_another_image_keeps_its_compressed_form(world: World) -> None:
    known(world)
    world.image("derived", layers=(LAYER, b"top"))
    await world.images.remove("a:1")
    await world.images.collect()
    assert world.blobs.exists(sha256(BLOB))


async def test_leased_blobs_and_layers_stay_until_the_lease_ends(world: World) -> None:
    known(world)
    chain = world.images.resolve("a:1").chains
    stray = sha256(b"stray")
    with world.images.index.lease() as lease:
        lease.add_blobs([stray])
        lease.add_chains(chain)
        world.blobs.put(b"stray")
        await world.images.remove("a:1")
        await world.images.collect()
        assert world.blobs.exists(stray)
        assert world.snapshots.layer(chain[0]) is not None
    await world.images.collect()
    assert world.blobs.digests() == [] and world.snapshots.layers() == []


async def test_recovery_takes_what_a_kill_left(world: World) -> None:
    known(world)
    stray = world.blobs.put(b"stray")
    world.snapshots.add(b"nobody's")
    (world.paths.ingest / "x.trash").touch()
    world.start()
    await world.images.recover()
    assert not world.blobs.exists(stray)
    assert len(world.snapshots.layers()) == 1
    assert list(world.paths.ingest.iterdir()) == []
