"""All images as a tree of the layers that they share: ``GET /pierhead/images/tree``.

A list of nodes, each a layer that an image ends at or that images part at: ``ChainId``,
``Parent`` (the chain id of the node below, "" at the root), ``Layers`` (how many this
node stands for), ``Size`` (bytes of file content in them), ``TotalSize`` (with all below),
``CreatedBy`` (of the topmost) and ``Images`` (Id, RepoTags, Platform) that end here. Images
without layers are a node with ChainId "".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pierhead.engine.images import listing
from pierhead.engine.images.explore import head, steps
from pierhead.engine.images.model import Image
from pierhead.oci.digest import ChainId
from pierhead.store.snapshots import Snapshotter


def ancestry(images: Iterable[Image], snapshots: Snapshotter) -> list[dict[str, Any]]:
    """The nodes, parents before children. In memory: fast."""
    images = list(images)
    ends: dict[ChainId | str, list[Image]] = {}
    parents: dict[ChainId, ChainId | str] = {}
    children: dict[ChainId | str, set[ChainId]] = {}
    commands: dict[ChainId, str] = {}
    for image in images:
        below: ChainId | str = ""
        for chain_id in image.chains:
            parents[chain_id] = below
            children.setdefault(below, set()).add(chain_id)
            below = chain_id
        ends.setdefault(below, []).append(image)
        for chain_id, step in zip(image.chains, steps(image), strict=True):
            commands.setdefault(chain_id, step["CreatedBy"])
    nodes: list[dict[str, Any]] = []
    if "" in ends:
        nodes.append(_node("", "", 0, 0, 0, "", ends[""]))
    stack = [(first, "", 0) for first in _ordered(children.get("", ()), snapshots)]
    while stack:
        chain_id, parent, total = stack.pop()
        layers = size = 0
        while True:
            layer = snapshots.layer(chain_id)
            size += layer.size_bytes if layer is not None else 0
            layers += 1
            above = children.get(chain_id, set())
            if chain_id in ends or len(above) != 1:
                break
            (chain_id,) = above
        total += size
        nodes.append(
            _node(
                chain_id, parent, layers, size, total, commands.get(chain_id, ""),
                ends.get(chain_id, []),
            )
        )  # fmt: skip
        stack += [(child, chain_id, total) for child in _ordered(above, snapshots)]
    return nodes


def _ordered(chains: Iterable[ChainId], snapshots: Snapshotter) -> list[ChainId]:
    """Largest last: the stack gives it first."""

    def size(chain_id: ChainId) -> tuple[int, str]:
        layer = snapshots.layer(chain_id)
        return (layer.size_bytes if layer is not None else 0, chain_id)

    return sorted(chains, key=size)


def _node(
    chain_id: str, parent: str, layers: int, size: int, total: int, command: str,
    images: list[Image],
) -> dict[str, Any]:  # fmt: skip
    return {
        "ChainId": chain_id,
        "Parent": parent,
        "Layers": layers,
        "Size": size,
        "TotalSize": total,
        "CreatedBy": command,
        "Images": [
            {
                "Id": image.id,
                "RepoTags": listing.names(image)[0],
                "Platform": head(image)["Platform"],
                "Created": head(image)["Created"],
            }
            for image in images
        ],
    }
