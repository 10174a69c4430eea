from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pierhead.engine.images.explore import Layers, Wanted, explore, head, steps
from pierhead.errors import InvalidParameter, NotFound
from pierhead.oci.digest import ChainId, hex_of


def image(world: Any, **fields: Any) -> Any:
    return world.images.index.images[world.image("a:1", layers=(b"a", b"b"), **fields)]


def test_head_and_steps(world: Any) -> None:
    found = head(image(world))
    assert found["RepoTags"] == ["a:1"]
    assert found["Platform"] == "linux/amd64"
    one, two = steps(image(world))
    assert (one["CreatedBy"], two["CreatedBy"]) == ("step 0", "step 1")
    assert one["ChainId"] == image(world).chains[0]


def test_a_layer_that_is_not_there(world: Any) -> None:
    with pytest.raises(InvalidParameter, match="has 2 layers, there is no layer 2"):
        explore(image(world), Wanted(layer=2), world.snapshots, world.paths)


def test_open_layers(world: Any, tmp_path: Path) -> None:
    chains = image(world).chains
    plain = tmp_path / "plain"
    plain.write_bytes(b"x" * 10)
    world.snapshots.layer_tar_range = lambda chain: (plain, 4, 6) if chain == chains[0] else None
    kept = world.paths.snapshots / "fake" / "layers" / hex_of(chains[1])[:32] / "tar"
    with Layers(world.snapshots, world.paths) as layers:
        with pytest.raises(NotFound, match="has lost its content"):
            layers.open(chains)
        kept.parent.mkdir(parents=True)
        kept.write_bytes(b"y")
        one, two = layers.open(chains)
        assert one[1:] == [4, 6, False]
        assert two[1:] == [0, 0, True]
        assert layers.open([ChainId(chains[0])]) == [one]
        assert os.pread(two[0], 9, 0) == b"y"
        assert layers.fds == (one[0], two[0])
    with pytest.raises(OSError):
        os.fstat(one[0])
