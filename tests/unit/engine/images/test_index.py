from __future__ import annotations

import pytest

from pierhead.engine.images.index import display
from pierhead.errors import InvalidParameter
from pierhead.oci import reference
from pierhead.oci.digest import ChainId
from pierhead.oci.image_config import ImageConfig, RootFs

from .conftest import World


def test_an_image_without_its_layers_is_refused(world: World) -> None:
    config = ImageConfig(rootfs=RootFs(diff_ids=["sha256:" + "1" * 64]))  # type: ignore[list-item]
    with pytest.raises(InvalidParameter, match=r"layer .* is missing"):
        world.images.index.add(config.encode())
    assert world.db.rows("SELECT * FROM images") == []


def test_adding_again_gives_the_known_one_and_may_tell_its_parent(world: World) -> None:
    parent = world.image(layers=(b"1",))
    child = world.image("child", layers=(b"1", b"2"))
    again = world.image("other", layers=(b"1", b"2"), parent=parent)
    assert child == again
    assert world.images.resolve("child").parent == parent
    assert world.images.resolve("other").refs == {
        "docker.io/library/child:latest",
        "docker.io/library/other:latest",
    }
    world.start()
    assert world.images.resolve("child").parent == parent


def test_a_moved_tag_tells_whom_it_left(world: World) -> None:
    index = world.images.index
    first, second = world.image("a"), world.image(layers=(b"2",))
    ref = reference.parse("a:latest")
    assert index.tag(index.images[second], ref) == first
    assert index.tag(index.images[second], ref) is None


def test_layers_are_held(world: World) -> None:
    index = world.images.index
    chain_id = ChainId("sha256:" + "1" * 64)
    with index.hold([chain_id]), index.hold([chain_id]):
        assert index.needed(chain_id)
    assert not index.needed(chain_id)


def test_display() -> None:
    assert display("a") == "a:latest"
    assert display("A") == "A"
    assert display("f" * 64) == "sha256:" + "f" * 64
