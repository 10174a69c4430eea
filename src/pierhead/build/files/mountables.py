"""Sources as mounted trees, for ``RUN --mount=type=bind``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from pierhead.build.files import copying
from pierhead.build.files.held import Held
from pierhead.build.files.layers import Layers
from pierhead.build.files.tree import find
from pierhead.engine.images.content import Lease
from pierhead.errors import NotFound
from pierhead.linux.paths import real_path
from pierhead.oci.digest import ChainId


class MountedTree:
    """Implements ``Mounted``."""

    def __init__(self, layers: Layers, root: Path, path: Path) -> None:
        self._layers = layers
        self._root: Path | None = root
        self.path = path

    async def release(self) -> None:
        root, self._root = self._root, None
        if root is not None:
            self._layers.unmount(root)


def mount(layers: Layers, chain_id: ChainId | None, path: str) -> MountedTree:
    """``path`` of a chain; symlinks are followed inside. ``NotFound``."""
    root = layers.mount(chain_id)
    try:
        inside = real_path(root, path or "/")
    except OSError as error:
        layers.unmount(root)
        raise NotFound(f'"/{path.strip("/")}": not found') from error
    return MountedTree(layers, root, Path(f"{root}{inside}" if inside != "/" else root))


class Staged:
    """Subtrees of held sources that were made layers to mount; they last as long as those."""

    def __init__(self, layers: Layers, new_lease: Callable[[], Lease]) -> None:
        self._layers = layers
        self._new_lease = new_lease

    async def chain(self, held: Held, path: str) -> tuple[ChainId, str]:
        """The layer that has ``path``, and where in it that is."""
        key = find(held.tree, os.fsencode(path)).path
        lock = held.locks.setdefault(key, asyncio.Lock())
        async with lock:
            chain_id = held.chains.get(key)
            if chain_id is None:
                chain_id = (await copying.subtree(self._layers, held, key)).chain_id
                lease = self._new_lease()
                lease.add_chains([chain_id])
                held.chains[key] = chain_id
                held.when_closed.append(lease.release)
        return chain_id, "/" + os.fsdecode(key)
