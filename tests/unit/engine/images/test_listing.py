from __future__ import annotations

from typing import Any

import pytest

from pierhead.engine.filters import Filters
from pierhead.errors import InvalidParameter, NotFound

from .conftest import World

DIGEST = "sha256:" + "b" * 64


def names(world: World, all: bool = False, **filters: Any) -> list[str]:
    found = world.images.list(
        Filters({key.replace("_", "!"): value for key, value in filters.items()}), all=all
    )
    return [(item["RepoTags"] or item["RepoDigests"] or ["<none>"])[0] for item in found]


@pytest.fixture
def some(world: World) -> World:
    """Three images of different ages, one nameless, one nameless parent."""
    world.image(
        "app:1", "x/y:v2", created="2021-01-01T00:00:00Z", layers=(b"1",), labels={"a": "1"}
    )
    world.image("app:2", created="2022-01-01T00:00:00Z", layers=(b"2",), labels={"a": "2", "b": ""})
    world.image(f"only@{DIGEST}", created="2023-01-01T00:00:00Z", layers=(b"3",))
    parent = world.image(created="2024-01-01T00:00:00Z", layers=(b"4",))
    world.image("child", created="2025-01-01T00:00:00Z", layers=(b"4", b"5"), parent=parent)
    world.image(created="2026-01-01T00:00:00Z", layers=(b"6",))
    return world


def test_newest_first_and_no_intermediates(some: World) -> None:
    assert names(some) == ["<none>", "child:latest", f"only@{DIGEST}", "app:2", "app:1"]
    assert len(names(some, all=True)) == 6


def test_the_whole_summary(some: World) -> None:
    item = some.images.list(Filters({"reference": ["app:1"]}))[0]
    assert item == {
        "Containers": -1,
        "Created": 1609459200,
        "Id": some.images.resolve("app:1").id,
        "Labels": {"a": "1"},
        "ParentId": "",
        "RepoDigests": [],
        "RepoTags": ["app:1"],
        "SharedSize": -1,
        "Size": 1,
        "VirtualSize": 1,
    }


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"dangling": ["true"]}, ["<none>", f"only@{DIGEST}"]),
        ({"dangling": ["false"]}, ["child:latest", f"only@{DIGEST}", "app:2", "app:1"]),
        ({"label": ["a"]}, ["app:2", "app:1"]),
        ({"label": ["a=2"]}, ["app:2"]),
        ({"label": ["a", "b"]}, ["app:2"]),
        ({"before": ["app:2"]}, ["app:1"]),
        ({"since": ["app:2"], "before": ["child"]}, [f"only@{DIGEST}"]),
        ({"until": ["2022-06-01"]}, ["app:2", "app:1"]),
        ({"until": ["1640995199"]}, ["app:1"]),
        ({"reference": ["app"]}, ["app:2", "app:1"]),
        ({"reference": ["app:*"]}, ["app:2", "app:1"]),
        ({"reference": ["x/*"]}, ["x/y:v2"]),
        ({"reference": ["*"]}, ["child:latest", f"only@{DIGEST}", "app:2", "app:1"]),
        ({"reference": ["*/*:v[0-9]"]}, ["x/y:v2"]),
        ({"reference": ["child", "app:2"]}, ["child:latest", "app:2"]),
        ({"reference": ["nothing"]}, []),
    ],
)
def test_filters(some: World, filters: dict[str, list[str]], expected: list[str]) -> None:
    assert names(some, **filters) == expected


@pytest.mark.parametrize(
    ("filters", "error"),
    [
        ({"nonsense": ["x"]}, InvalidParameter),
        ({"dangling": ["perhaps"]}, InvalidParameter),
        ({"before": ["nope"]}, NotFound),
        ({"since": ["UPPER"]}, InvalidParameter),
        ({"reference": ["a["]}, InvalidParameter),
        ({"until": ["x"]}, InvalidParameter),
    ],
)
def test_bad_filters(some: World, filters: dict[str, list[str]], error: type[Exception]) -> None:
    with pytest.raises(error):
        names(some, **filters)


def test_inspect_has_all_of_dockers_fields(some: World) -> None:
    details = some.images.inspect("child")
    assert set(details) == {
        "Id", "RepoTags", "RepoDigests", "Parent", "Comment", "Created", "Container",
        "ContainerConfig", "DockerVersion", "Author", "Config", "Architecture", "Os", "Size",
        "VirtualSize", "GraphDriver", "RootFS", "Metadata",
    }  # fmt: skip
    assert details["Created"] == "2025-01-01T00:00:00Z"
    assert details["Parent"].startswith("sha256:")
    assert details["GraphDriver"] == {"Data": {"UpperDir": "/upper"}, "Name": "fake"}
    assert len(details["RootFS"]["Layers"]) == 2
    assert details["Metadata"]["LastTagTime"] > "2026"
    assert details["Config"]["Cmd"] == ["sh"]
    nameless = some.images.inspect(some.images.list()[0]["Id"])
    assert nameless["Metadata"]["LastTagTime"] == "0001-01-01T00:00:00Z"


def test_history_knows_the_images_along_the_parents(some: World) -> None:
    steps = some.images.history("child")
    assert [step["CreatedBy"] for step in steps] == ["step 1", "step 0"]
    assert steps[0]["Id"] == some.images.resolve("child").id
    assert steps[0]["Tags"] == ["child:latest"]
    assert steps[1]["Id"] == some.images.resolve("child").parent
    assert (steps[1]["Size"], steps[1]["Tags"]) == (1, None)
    alone = some.images.history("app:1")
    assert alone[0]["Tags"] == ["app:1", "x/y:v2"]


def test_empty_steps_have_no_size(world: World) -> None:
    from pierhead.oci.image_config import History, ImageConfig, RootFs

    layer = world.snapshots.add(b"data", size=7)
    config = ImageConfig(
        os="linux",
        rootfs=RootFs(diff_ids=[layer.diff_id]),
        history=[
            History(created_by="add"),
            History(created_by="ENV", empty_layer=True),
        ],
    )
    image = world.images.index.add(config.encode())
    steps = world.images.history(image.id)
    assert [(step["CreatedBy"], step["Size"]) for step in steps] == [("ENV", 0), ("add", 7)]
    assert steps[1]["Id"] == "<missing>"
