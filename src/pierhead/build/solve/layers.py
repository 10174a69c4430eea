"""Chains as lists of layers."""

from __future__ import annotations

from pierhead.errors import Internal
from pierhead.oci.digest import ChainId, DiffId
from pierhead.store.snapshots import Layer, Snapshotter


def layers(snapshots: Snapshotter, chain_id: ChainId | None) -> list[Layer]:
    """The layers of a chain, lowest first. ``Internal`` if one isn't there."""
    found: list[Layer] = []
    while chain_id is not None:
        layer = snapshots.layer(chain_id)
        if layer is None:
            raise Internal(f"layer {chain_id} is not there")
        found.append(layer)
        chain_id = layer.parent
    return found[::-1]


def diff_ids(snapshots: Snapshotter, chain_id: ChainId | None) -> list[DiffId]:
    return [layer.diff_id for layer in layers(snapshots, chain_id)]
