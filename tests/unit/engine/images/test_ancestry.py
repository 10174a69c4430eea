from __future__ import annotations

from typing import Any

from pierhead.engine.images.ancestry import ancestry


def nodes(world: Any) -> list[dict[str, Any]]:
    return ancestry(world.images.index.images.values(), world.snapshots)


def test_shared_layers_are_one_node(world: Any) -> None:
    world.image("base:1", layers=(b"a", b"bb"))
    world.image("one:1", "one:2", layers=(b"a", b"bb", b"ccc"))
    world.image("two:1", layers=(b"a", b"bb", b"dddd", b"eeeee"))
    found = nodes(world)
    assert [
        (
            [image["RepoTags"] for image in node["Images"]],
            node["Layers"],
            node["Size"],
            node["TotalSize"],
        )
        for node in found
    ] == [
        ([["base:1"]], 2, 3, 3),
        ([["two:1"]], 2, 9, 12),
        ([["one:1", "one:2"]], 1, 3, 6),
    ]
    assert found[0]["Parent"] == ""
    assert {node["Parent"] for node in found[1:]} == {found[0]["ChainId"]}
    assert found[1]["CreatedBy"] == "step 3"


def test_where_images_part_is_a_node(world: Any) -> None:
    world.image("one:1", layers=(b"a", b"b"))
    world.image("two:1", layers=(b"a", b"c"))
    found = nodes(world)
    assert [len(node["Images"]) for node in found] == [0, 1, 1]


def test_no_layers_and_no_images(world: Any) -> None:
    assert nodes(world) == []
    world.image("empty:1", layers=())
    (node,) = nodes(world)
    assert (node["ChainId"], node["Layers"]) == ("", 0)
