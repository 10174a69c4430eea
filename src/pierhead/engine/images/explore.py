"""What is in an image: its layers, their files, and the bytes that nobody sees.

The document of ``GET /pierhead/images/{name}/explore``::

    Id, RepoTags, Platform, Created
    Size            bytes of files in all layers
    VisibleSize     bytes of the files that a container sees
    WastedSize      bytes that a layer above replaces or removes
    Efficiency      (Size - WastedSize) / Size, 0 to 1
    Files, Directories   what a container sees
    Layers          lowest first: Index, ChainId, DiffId, Created, CreatedBy, Comment, Size,
                    Files, Added, Changed, Removed (files, not directories), HiddenSize
                    (bytes below that it hides), WastedSize (its own bytes hidden above),
                    Entries if asked for: see below, with Change: added, changed or removed
    WastedPaths     how many paths waste something
    Wasted          the worst: Path, Reason (removed, replaced, or metadata: replaced by
                    a file of the same size and time), Size, Files, Layers, HiddenBy
    Largest         the largest files seen: Path, Size, Layer
    Tree            if asked for, depth first: an entry each, with Layer; directories have
                    the Size and number of Files of all below

An entry: Path, Type (file, directory, symlink, char, block, fifo), Mode (octal), Uid, Gid,
Size, Modified (seconds since the epoch), Link, Device, Xattrs.

A worker makes it; its bytes pass through us unread, whatever their number.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pierhead.engine.images import listing
from pierhead.engine.images.clock import GO_ZERO
from pierhead.engine.images.feed import out_of_pipe
from pierhead.engine.images.model import Image
from pierhead.errors import InvalidParameter, NotFound
from pierhead.linux import worker
from pierhead.oci import platform
from pierhead.oci.digest import ChainId, hex_of
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter

WORKER_MEMORY_BYTES: Final = 3 << 30
"""Address space of a worker: enough for ``ENTRIES_LIMIT`` files."""
LIMIT: Final = 20
"""How many wasted paths and large files are named unless asked for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to tell beyond the sums."""

    files: bool = False
    tree: bool = False
    layer: int | None = None
    """Entries of this layer only."""
    path: str = ""
    """Entries and tree from here on."""
    depth: int | None = None
    """Levels of the tree below ``path``."""
    limit: int = LIMIT


class Layers:
    """The tars of layers, open: for a worker to read while the images may go."""

    def __init__(self, snapshots: Snapshotter, paths: Paths) -> None:
        self._snapshots = snapshots
        self._root = paths.snapshots / snapshots.driver / "layers"
        self._stack = ExitStack()
        self._known: dict[ChainId, list[Any]] = {}

    def __enter__(self) -> Layers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def fds(self) -> tuple[int, ...]:
        return tuple(fields[0] for fields in self._known.values())

    def open(self, chains: Sequence[ChainId]) -> list[list[Any]]:
        """LayerFile's fields for each chain id, lowest first. Raises ``NotFound``."""
        return [self._open(chain_id) for chain_id in chains]

    def _open(self, chain_id: ChainId) -> list[Any]:
        if chain_id in self._known:
            return self._known[chain_id]
        path: Path
        found = self._snapshots.layer_tar_range(chain_id)
        if found is None:  # compressed, beside the layer's directory
            path, offset, length = self._root / hex_of(chain_id)[:32] / "tar", 0, 0
        else:
            path, offset, length = found
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound(f"layer {chain_id} has lost its content: {path}") from error
        self._stack.callback(os.close, fd)
        self._known[chain_id] = [fd, offset, length, found is None]
        return self._known[chain_id]


def explore(
    image: Image, wanted: Wanted, snapshots: Snapshotter, paths: Paths
) -> AsyncGenerator[bytes, None]:
    """The document, in pieces. Raises ``InvalidParameter`` before it returns."""
    if wanted.layer is not None and not 0 <= wanted.layer < len(image.chains):
        raise InvalidParameter(
            f"the image has {len(image.chains)} layers, there is no layer {wanted.layer}"
        )
    return _explore(image, wanted, snapshots, paths)


async def _explore(
    image: Image, wanted: Wanted, snapshots: Snapshotter, paths: Paths
) -> AsyncGenerator[bytes, None]:
    with Layers(snapshots, paths) as layers:
        arguments = {
            "layers": layers.open(image.chains),
            "head": head(image),
            "steps": steps(image),
            "files": wanted.files,
            "tree": wanted.tree,
            "only_layer": wanted.layer,
            "path": wanted.path,
            "depth": wanted.depth,
            "limit": wanted.limit,
        }
        async for chunk in document("engine.images.explore_worker:explore", arguments, layers.fds):
            yield chunk


def document(
    function: str, arguments: dict[str, Any], fds: tuple[int, ...]
) -> AsyncGenerator[bytes, None]:
    """What a worker writes to its fd 1."""

    async def produce(fd: int) -> None:
        await worker.call(
            function,
            arguments,
            stdout=fd,
            pass_fds=fds,
            site_packages=True,
            memory_limit_bytes=WORKER_MEMORY_BYTES,
        )

    return out_of_pipe(produce)


def head(image: Image) -> dict[str, Any]:
    """The image itself."""
    config = image.config
    tags, digests = listing.names(image)
    return {
        "Id": image.id,
        "RepoTags": tags,
        "RepoDigests": digests,
        "Platform": str(
            platform.normalise(config.os or "linux", config.architecture, config.variant)
        ),
        "Created": config.created or GO_ZERO,
    }


def steps(image: Image) -> list[dict[str, Any]]:
    """What made each layer, lowest first; images without a history have empty steps."""
    made = [step for step in image.config.history if not step.empty_layer]
    found = []
    for number, chain_id in enumerate(image.chains):
        step = made[number] if number < len(made) else None
        found.append(
            {
                "ChainId": chain_id,
                "DiffId": image.config.rootfs.diff_ids[number],
                "Created": step.created or GO_ZERO if step is not None else GO_ZERO,
                "CreatedBy": step.created_by if step is not None else "",
                "Comment": step.comment if step is not None else "",
            }
        )
    return found
