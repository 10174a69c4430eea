"""Conflicts and their wording as observed with dockerd 20.10."""

from __future__ import annotations

import pytest

from pierhead.engine.filters import Filters
from pierhead.engine.images.remove import short
from pierhead.errors import Conflict, InvalidParameter, NotFound

from .conftest import World

DIGEST = "sha256:" + "a" * 64


def deleted(records: list[dict[str, str]]) -> list[str]:
    return [record["Deleted"] for record in records if "Deleted" in record]


async def test_one_of_several_names_is_only_untagged(world: World) -> None:
    image_id = world.image("a", "b")
    assert await world.images.remove("a") == [{"Untagged": "a:latest"}]
    assert world.events.seen == [("untag", image_id, image_id)]
    assert world.images.resolve(image_id).refs == {"docker.io/library/b:latest"}


async def test_the_last_name_takes_image_and_layers_along(world: World) -> None:
    image_id = world.image("a", layers=(b"1", b"2"))
    chains = world.images.resolve("a").chains
    assert await world.images.remove("a") == [
        {"Untagged": "a:latest"},
        {"Deleted": image_id},
        {"Deleted": chains[1]},
        {"Deleted": chains[0]},
    ]
    assert [event[0] for event in world.events.seen] == ["untag", "delete"]
    assert world.snapshots.layers() == []
    assert not world.blobs.exists(image_id)
    with pytest.raises(NotFound):
        world.images.resolve(image_id)
    world.start()
    assert world.images.list(all=True) == []


async def test_shared_layers_stay(world: World) -> None:
    world.image("a", layers=(b"1", b"2"))
    world.image("b", layers=(b"1", b"3"))
    records = await world.images.remove("a")
    assert len(deleted(records)) == 2
    assert len(world.snapshots.layers()) == 2


async def test_by_id_with_names_in_several_repositories(world: World) -> None:
    image_id = world.image("a", "b")
    with pytest.raises(Conflict) as error:
        await world.images.remove(short(image_id))
    assert error.value.message == (
        f"conflict: unable to delete {short(image_id)} (must be forced) - "
        "image is referenced in multiple repositories"
    )
    records = await world.images.remove(short(image_id), force=True)
    assert records[:3] == [
        {"Untagged": "a:latest"},
        {"Untagged": "b:latest"},
        {"Deleted": image_id},
    ]


async def test_by_id_with_a_tag_and_a_digest_of_one_repository(world: World) -> None:
    image_id = world.image("a:1", f"a@{DIGEST}")
    records = await world.images.remove(image_id)
    assert {record["Untagged"] for record in records if "Untagged" in record} == {
        "a:1",
        f"a@{DIGEST}",
    }
    assert deleted(records)[0] == image_id


async def test_the_last_tag_takes_its_digests_along(world: World) -> None:
    world.image("a:1", f"a@{DIGEST}", "b")
    records = await world.images.remove("a:1")
    assert records == [{"Untagged": "a:1"}, {"Untagged": f"a@{DIGEST}"}]


async def test_a_name_in_use(world: World) -> None:
    image_id = world.image("busybox")
    world.use(image_id, running=False)
    with pytest.raises(Conflict) as error:
        await world.images.remove("busybox")
    assert error.value.message == (
        'conflict: unable to remove repository reference "busybox" (must force) - container '
        f"cccccccccccc is using its referenced image {short(image_id)}"
    )
    assert await world.images.remove("busybox", force=True) == [
        {"Untagged": "busybox:latest"},
        {"Deleted": image_id},
        {"Deleted": next(iter(world.snapshots.tars))},
    ]


@pytest.mark.parametrize(("running", "force"), [(True, False), (True, True), (False, False)])
async def test_an_id_in_use(world: World, running: bool, force: bool) -> None:
    image_id = world.image("busybox")
    world.use(image_id, running=running)
    with pytest.raises(Conflict) as error:
        await world.images.remove(image_id, force=force)
    how = "cannot be forced" if running else "must be forced"
    state = "running" if running else "stopped"
    assert error.value.message == (
        f"conflict: unable to delete {short(image_id)} ({how}) - "
        f"image is being used by {state} container cccccccccccc"
    )
    assert world.images.resolve("busybox")


async def test_children_protect_their_parent(world: World) -> None:
    parent = world.image(layers=(b"1",))
    world.image("child", layers=(b"1", b"2"), parent=parent)
    with pytest.raises(Conflict) as error:
        await world.images.remove(parent, force=True)
    assert error.value.message == (
        f"conflict: unable to delete {short(parent)} (cannot be forced) - "
        "image has dependent child images"
    )
    world.images.tag(parent, "named")
    assert await world.images.remove("named") == [{"Untagged": "named:latest"}]


async def test_nameless_parents_go_with_the_last_child(world: World) -> None:
    grand = world.image("keep", layers=(b"0",))
    parent = world.image(layers=(b"0", b"1"), parent=grand)
    child = world.image("child", layers=(b"0", b"1", b"2"), parent=parent)
    records = await world.images.remove("child")
    assert [item for item in deleted(records) if item in (grand, parent, child)] == [child, parent]
    assert world.images.resolve("keep").id == grand


async def test_noprune_keeps_the_parents(world: World) -> None:
    parent = world.image(layers=(b"1",))
    world.image("child", layers=(b"1", b"2"), parent=parent)
    await world.images.remove("child", noprune=True)
    assert world.images.resolve(parent)


async def test_layers_of_a_living_container_go_when_it_goes(world: World) -> None:
    import asyncio

    image_id = world.image("a")
    chain_id = world.images.resolve("a").chain_id
    await world.snapshots.prepare("container", chain_id)
    world.use(image_id, running=False)
    records = await world.images.remove("a", force=True)
    assert deleted(records) == [image_id]
    assert world.snapshots.layers() != []
    await world.snapshots.remove("container")
    await asyncio.sleep(0.05)
    assert world.snapshots.layers() == []


async def test_prune_takes_only_dangling_images_by_default(world: World) -> None:
    world.image("named")
    dangling = world.image(layers=(b"12345",))
    used = world.image(layers=(b"used",))
    world.use(used, running=False)
    report = await world.images.prune()
    assert deleted(report["ImagesDeleted"])[0] == dangling
    assert report["SpaceReclaimed"] == 5
    assert world.events.seen[-1] == ("prune", "", "")
    assert len(world.images) == 2
    assert await world.images.prune() == {"ImagesDeleted": None, "SpaceReclaimed": 0}


async def test_prune_all_and_its_filters(world: World) -> None:
    world.image("old", created="2020-01-01T00:00:00Z", layers=(b"1",), labels={"keep": "yes"})
    world.image("new", created="2030-01-01T00:00:00Z", layers=(b"2",))
    world.image("a", "b", created="2021-01-01T00:00:00Z", layers=(b"3",))
    filters = {"dangling": ["false"], "until": ["2025-01-01"], "label!": ["keep"]}
    report = await world.images.prune(Filters(filters))
    untagged = [item["Untagged"] for item in report["ImagesDeleted"] if "Untagged" in item]
    assert untagged == ["a:latest", "b:latest"]
    assert sorted(item["RepoTags"][0] for item in world.images.list()) == [
        "new:latest",
        "old:latest",
    ]


@pytest.mark.parametrize(
    "filters", [{"x": ["y"]}, {"dangling": ["maybe"]}, {"until": ["soon"]}, {"until": ["1", "2"]}]
)
async def test_bad_prune_filters(world: World, filters: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidParameter):
        await world.images.prune(Filters(filters))
