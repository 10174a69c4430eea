"""Chains as lists of layers."""

from __future__ import annotations

from typing import cast

import pytest

from pierhead.build.solve.layers import diff_ids, layers
from pierhead.errors import Internal
from pierhead.oci.digest import ChainId, DiffId
from pierhead.store.snapshots import Layer, Snapshotter


class Snapshots:
    def __init__(self) -> None:
        self.made: dict[str, Layer] = {}

    def add(self, name: str, parent: str | None) -> None:
        self.made[name] = Layer(
            ChainId(name), DiffId(f"diff-{name}"), cast(ChainId | None, parent), 1, 1
        )

    def layer(self, chain_id: ChainId) -> Layer | None:
        return self.made.get(chain_id)


def test_lowest_first() -> None:
    snapshots = Snapshots()
    snapshots.add("a", None)
    snapshots.add("b", "a")
    found = layers(cast(Snapshotter, snapshots), ChainId("b"))
    assert [layer.chain_id for layer in found] == ["a", "b"]
    assert diff_ids(cast(Snapshotter, snapshots), ChainId("b")) == ["diff-a", "diff-b"]
    assert layers(cast(Snapshotter, snapshots), None) == []


def test_a_missing_layer_is_a_fault() -> None:
    snapshots = Snapshots()
    snapshots.add("b", "a")
    with pytest.raises(Internal, match="layer a is not there"):
        layers(cast(Snapshotter, snapshots), ChainId("b"))
