"""Which images are saved, and in which form; the archives themselves: test_loading."""

from __future__ import annotations

from pierhead.engine.images import selection
from pierhead.oci import platform

from .conftest import World
from .test_loading import load, multi_platform


def plan(world: World, *refs: str, wanted: tuple[str, ...] = ()) -> selection.Plan:
    platforms = [platform.parse(text, "amd64") for text in wanted]
    return selection.plan(world.images.index, world.blobs, list(refs), platforms)


async def test_an_index_goes_out_whole(world: World) -> None:
    layout, index = multi_platform()
    await load(world, layout.files)
    (item,) = plan(world, "multi:1").items
    assert item.index is not None and item.index.digest == index.digest
    assert [each.image.config.architecture for each in item.variants] == ["amd64", "s390x"]
    assert all(each.kept is not None for each in item.variants)
    (one,) = plan(world, "multi:1", wanted=("linux/s390x",)).items
    assert one.index is None and one.variants[0].kept is not None


async def test_without_a_blob_the_index_is_taken_apart(world: World) -> None:
    layout, _ = multi_platform()
    await load(world, layout.files)
    image = world.images.resolve("multi:1", "linux/s390x")
    top = image.config.rootfs.diff_ids[1]
    world.blobs.delete(world.images.index.content.layer_blobs(top)[0].digest)
    (item,) = plan(world, "multi:1").items
    assert item.index is None
    assert [each.kept is not None for each in item.variants] == [True, False]


def test_images_made_here_have_no_manifest(world: World) -> None:
    image_id = world.image("a:1", "b:2")
    (item,) = plan(world, "a:1", image_id, "b").items
    assert item.names == ["a:1", "b:2"]
    assert item.index is None and item.variants[0].kept is None
    assert [image.id for image in plan(world, "a:1", "b:2").images] == [image_id]
