"""Files of a container from outside: the archive calls (``docker cp``), export, changes.

Everything runs in a jailed worker that sees what the container sees: for a running one
its own mount namespace, for a stopped one the snapshot with its volumes and binds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

from pierhead.engine.networks.model import ContainerLike
from pierhead.engine.volumes.service import VolumeService
from pierhead.store.paths import Paths


class FilesSnapshotter(Protocol):
    """The part of the snapshotter this module uses."""

    def mount(self, key: str, target: Path) -> None: ...

    def unmount(self, target: Path) -> None: ...

    async def changes(self, key: str) -> list[Any]: ...


class ContainerFiles:
    """``docker cp`` in both directions, ``docker export``, ``docker diff``."""

    def __init__(
        self, *, paths: Paths, snapshots: FilesSnapshotter, volumes: VolumeService
    ) -> None:
        self._paths = paths

    async def stat(self, container: ContainerLike, path: str) -> dict[str, Any]:
        """``HEAD /archive``: name, size, mode (Go's os.FileMode), mtime, linkTarget.

        Raises ``NotFound("Could not find the file x in container y")``.
        """
        raise NotImplementedError

    async def archive(
        self, container: ContainerLike, path: str
    ) -> tuple[dict[str, Any], AsyncIterator[bytes]]:
        """``GET /archive``: the stat of ``path`` and a tar stream of it."""
        raise NotImplementedError

    async def extract(
        self,
        container: ContainerLike,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
    ) -> None:
        """``PUT /archive``: unpack a tar (plain or compressed) into the directory ``path``."""
        raise NotImplementedError

    async def export(self, container: ContainerLike) -> AsyncIterator[bytes]:
        """``GET /export``: the whole root file system as tar, volumes left out."""
        raise NotImplementedError

    async def changes(self, container: ContainerLike) -> list[dict[str, Any]]:
        """``GET /changes``: ``[{"Path", "Kind"}]`` sorted by path."""
        raise NotImplementedError
