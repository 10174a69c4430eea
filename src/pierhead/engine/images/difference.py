"""What two images don't share: configuration, layers, packages, files.

The document of ``GET /pierhead/images/diff?a=&b=``::

    A, B        each: Id, RepoTags, RepoDigests, Platform, Created, Size, Layers (how many)
    Config      Field (``Env.PATH``, ``Cmd``, ``Labels.x``), A, B; null where it is not set
    Layers      Shared (lowest layers that both have), SharedSize, and A and B: the layers
                above those, each ChainId, DiffId, Created, CreatedBy, Comment, Size
    Packages    by system (dpkg, apk, pip, npm): Added and Removed (Name, Versions), Changed
                (Name, A, B: versions)
    Files       Added, AddedSize, Removed, RemovedSize, Changed, ChangedSizeA, ChangedSizeB
                (files, not directories) and Entries, sorted by path: Path, Change (added,
                removed or changed) and what the file is; for changed: What (content, size,
                mode, owner, link, type, device, xattrs, time) and A and B

Files are compared as a container would see them, by content where the layers differ. A new
modification time alone is no difference unless asked for.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pierhead.engine.images.explore import Layers, document, head, steps
from pierhead.engine.images.model import Image
from pierhead.oci.digest import ChainId
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter

_KEYED: Final = frozenset({"Labels", "ExposedPorts", "Volumes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to compare."""

    files: bool = True
    packages: bool = True
    path: str = ""
    """Files from here on only."""
    times: bool = False
    """Whether a new modification time is a change."""
    content: bool = True
    """Read files of equal size and equal time too; without, those count as equal."""


async def difference(
    a: Image, b: Image, wanted: Wanted, snapshots: Snapshotter, paths: Paths
) -> AsyncGenerator[bytes, None]:
    """The document, in pieces."""
    with Layers(snapshots, paths) as layers:
        # The same tar on another parent is the same file list: number by diff id.
        numbers: dict[str, int] = {}
        fields: list[list[Any]] = []
        sides: list[list[int]] = []
        for image in (a, b):
            opened = layers.open(image.chains)
            side = []
            for diff_id, layer in zip(image.config.rootfs.diff_ids, opened, strict=True):
                if diff_id not in numbers:
                    numbers[diff_id] = len(fields)
                    fields.append(layer)
                side.append(numbers[diff_id])
            sides.append(side)
        arguments = {
            "layers": fields,
            "a": sides[0],
            "b": sides[1],
            "head": facts(a, b, snapshots),
            "path": wanted.path,
            "times": wanted.times,
            "content": wanted.content,
            "files": wanted.files,
            "with_packages": wanted.packages,
        }
        async for chunk in document(
            "engine.images.difference_worker:difference", arguments, layers.fds
        ):
            yield chunk


def facts(a: Image, b: Image, snapshots: Snapshotter) -> dict[str, Any]:
    """What is known without reading a layer: ``A``, ``B``, ``Config`` and ``Layers``."""
    shared = 0
    for ours, theirs in zip(a.chains, b.chains, strict=False):
        if ours != theirs:
            break
        shared += 1
    return {
        "A": _side(a),
        "B": _side(b),
        "Config": compare_configs(_config(a), _config(b)),
        "Layers": {
            "Shared": shared,
            "SharedSize": sum(_size(chain, snapshots) for chain in a.chains[:shared]),
            "A": _above(a, shared, snapshots),
            "B": _above(b, shared, snapshots),
        },
    }


def _side(image: Image) -> dict[str, Any]:
    return head(image) | {"Size": image.size_bytes, "Layers": len(image.chains)}


def _size(chain_id: ChainId, snapshots: Snapshotter) -> int:
    layer = snapshots.layer(chain_id)
    return layer.size_bytes if layer is not None else 0


def _above(image: Image, shared: int, snapshots: Snapshotter) -> list[dict[str, Any]]:
    return [
        step | {"Size": _size(chain, snapshots)}
        for step, chain in zip(steps(image)[shared:], image.chains[shared:], strict=True)
    ]


def _config(image: Image) -> dict[str, Any]:
    """The run configuration by field, with what else a pull chooses an image by."""
    config: dict[str, Any] = msgspec.to_builtins(image.config.config)
    config.pop("Image", None)  # the id of the image below: differs always, says nothing
    config.pop("Hostname", None)  # of the container that was committed
    plain = head(image)
    return {"Platform": plain["Platform"], "Author": image.config.author or None, **config}


def compare_configs(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    """The fields that differ, with dictionaries and the environment taken apart."""
    ours, theirs = _flat(a), _flat(b)
    return [
        {"Field": field, "A": ours.get(field), "B": theirs.get(field)}
        for field in sorted(ours.keys() | theirs.keys())
        if ours.get(field) != theirs.get(field)
    ]


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for field, value in config.items():
        if field == "Env":
            for item in value or ():
                name, _, text = item.partition("=")
                flat[f"Env.{name}"] = text
        elif field in _KEYED:
            for name, text in (value or {}).items():
                flat[f"{field}.{name}"] = text if field == "Labels" else True
        elif isinstance(value, dict):
            for name, text in value.items():
                flat[f"{field}.{name}"] = text
        elif value is not None:
            flat[field] = value
    return flat
