"""The manifests of an image, as the API tells of them."""

from __future__ import annotations

from pierhead.oci import manifest
from pierhead.oci.digest import hex_of
from pierhead.oci.manifest import Index

from .conftest import World
from .test_loading import load, multi_platform


async def test_each_manifest_of_an_index(world: World) -> None:
    layout, index = multi_platform()
    table = manifest.decode_manifest(layout.files[f"blobs/sha256/{hex_of(index.digest)}"])
    assert isinstance(table, Index)
    await load(world, layout.files, platforms=["linux/amd64"])
    image = world.images.resolve("multi:1")
    world.use(image.id, running=True)
    (entry,) = world.images.list(manifests=True)
    assert entry["Descriptor"]["digest"] == index.digest
    assert entry["Containers"] == 1
    here, other, *_ = entry["Manifests"]
    assert [each["ID"] for each in entry["Manifests"]] == [each.digest for each in table.manifests]
    assert here["Kind"] == "image" and here["Available"] is True
    assert here["ImageData"]["Platform"] == {"architecture": "amd64", "os": "linux"}
    assert here["ImageData"]["Size"]["Unpacked"] == image.size_bytes
    assert here["ImageData"]["Containers"] == ["c" * 64]
    assert here["Size"]["Total"] == here["Size"]["Content"] + image.size_bytes
    assert other["Available"] is False and other["Size"] == {"Content": 0, "Total": 0}
    assert other["ImageData"]["Platform"]["architecture"] == "s390x"
    assert "Manifests" not in world.images.list()[0]
    assert len(world.images.inspect("multi:1", manifests=True)["Manifests"]) == 3


async def test_one_entry_with_the_sizes_of_all_platforms(world: World) -> None:
    layout, _ = multi_platform()
    await load(world, layout.files)
    world.image("other", layers=(b"unrelated",))
    usage = world.images.disk_usage()
    assert len(usage["Images"]) == 2
    own = sum(item["Size"] - item["SharedSize"] for item in usage["Images"])
    assert usage["LayersSize"] == own, "nothing is shared between the two"
    assert usage["Reclaimable"] == usage["LayersSize"]


async def test_system_df_adds_up_with_shared_layers(world: World) -> None:
    base = b"b" * 1000
    used = world.image("a", layers=(base, b"one"))
    world.image("b", layers=(base, b"three"))
    world.use(used, running=False)
    usage = world.images.disk_usage()
    own = sum(item["Size"] - item["SharedSize"] for item in usage["Images"])
    assert {item["SharedSize"] for item in usage["Images"]} == {len(base)}
    assert usage["LayersSize"] == own + len(base)
    assert usage["Reclaimable"] == len(b"three"), "the base is in use"


def test_images_made_here_have_no_manifests(world: World) -> None:
    world.image("a")
    (entry,) = world.images.list(manifests=True)
    assert "Manifests" not in entry and "Descriptor" not in entry
