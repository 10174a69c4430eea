"""The overlay snapshotter: layers unpacked into directories, stacked by overlayfs.

::

    snapshots/overlay2/
      layers/<first 32 hex digits of the chain id>/
        diff/                the layer's content, whiteouts in overlayfs's form
        tar                  the layer's tar: as it came if compressed, else zstd
      layers/.new-<random>/  a layer on its way in
      containers/<key>/      diff (upper) and work
      init/diff/             the init layer
      trash/                 renamed here to vanish, deleted in the background
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from pierhead.errors import Conflict, InvalidParameter, NotFound, Unavailable
from pierhead.linux import mounts, worker
from pierhead.oci.digest import ChainId, DiffId, chain_ids, hex_of
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Change, Layer, LayerSource, Usage, overlay_changes
from pierhead.store.snapshots.trash import Trash

log = logging.getLogger(__name__)

RESERVE_BYTES: Final = 256 << 20
"""Unpacking stops while this much is still free on the disk."""

WORKER_MEMORY_BYTES: Final = 3 << 30
"""Address space of the unpacking worker; a usual layer takes a tenth of it."""

_INIT_DIRECTORIES: Final = ("dev/pts", "dev/shm", "proc", "sys", "etc")
_INIT_FILES: Final = (
    ".dockerenv", "dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf"
)  # fmt: skip


class OverlaySnapshotter:
    """Implements ``Snapshotter``. All its state is in the database and in memory."""

    driver: Final = "overlay2"

    def __init__(self, paths: Paths, db: Database) -> None:
        self._db = db
        self._paths = paths
        root = paths.snapshots / self.driver
        self._layers_dir = root / "layers"
        self._keys_dir = root / "containers"
        self._init = root / "init" / "diff"
        trash = root / "trash"
        for directory in (self._layers_dir, self._keys_dir, trash):
            directory.mkdir(mode=0o710, parents=True, exist_ok=True)
        self._trash_dir = trash
        self._trash = Trash(trash)
        self._make_init_layer()
        self._layers: dict[ChainId, Layer] = {}
        for chain_id, diff_id, parent, size_bytes, record in db.rows(
            "SELECT chain_id, diff_id, parent, size_bytes, record FROM layers WHERE driver = ?",
            (self.driver,),
        ):
            tar_bytes = json.loads(record)["tar_bytes"]
            self._layers[chain_id] = Layer(chain_id, diff_id, parent, size_bytes, tar_bytes)
        self._keys: dict[str, ChainId | None] = dict(
            db.rows("SELECT key, chain_id FROM snapshots WHERE driver = ?", (self.driver,))
        )
        self._stacks: dict[ChainId, list[Path]] = {}
        self._closer = ThreadPoolExecutor(max_workers=2, thread_name_prefix="unmount")
        self.on_removed: Callable[[ChainId], None] | None = None

    def _make_init_layer(self) -> None:
        self._init.mkdir(parents=True, exist_ok=True)
        for name in _INIT_DIRECTORIES:
            (self._init / name).mkdir(parents=True, exist_ok=True)
        for name in _INIT_FILES:
            (self._init / name).touch(exist_ok=True)
        for name in ("", *_INIT_DIRECTORIES, "dev", *_INIT_FILES):
            os.chmod(self._init / name, 0o755)  # whatever our umask is
        mtab = self._init / "etc/mtab"
        if not mtab.is_symlink():
            mtab.symlink_to("/proc/mounts")

    # Layers

    def _layer_dir(self, chain_id: ChainId) -> Path:
        return self._layers_dir / hex_of(chain_id)[:32]

    def _known(self, chain_id: ChainId) -> Layer:
        layer = self._layers.get(chain_id)
        if layer is None:
            raise NotFound(f"layer {chain_id} does not exist")
        return layer

    def _stack(self, chain_id: ChainId | None) -> list[Path]:
        """The content directories of the layers down from ``chain_id``, topmost first."""
        if chain_id is None:
            return []
        stack = self._stacks.get(chain_id)
        if stack is None:
            stack = []
            current: ChainId | None = chain_id
            while current is not None:
                layer = self._known(current)
                stack.append(self._layer_dir(current) / "diff")
                current = layer.parent
            self._stacks[chain_id] = stack
        return stack

    async def apply(
        self, source: LayerSource, parent: ChainId | None, diff_id: DiffId | None
    ) -> Layer:
        lower = self._stack(parent)
        if diff_id is not None:
            existing = self._layers.get(_chain_id(parent, diff_id))
            if existing is not None:
                return existing
        directory = self._layers_dir / f".new-{secrets.token_hex(8)}"
        content = directory / "diff"
        content.mkdir(mode=0o755, parents=True)
        os.chmod(content, 0o755)
        try:
            layer = await self._unpack(source, parent, diff_id, lower, directory)
            existing = self._layers.get(layer.chain_id)
            if existing is not None:
                self._trash.throw(directory)
                return existing
            final = self._layer_dir(layer.chain_id)
            self._trash.throw(final)  # of a chain id nobody knows: left by a kill
            os.rename(directory, final)
        except BaseException:
            self._trash.throw(directory)
            raise
        self._db.execute(
            "INSERT INTO layers (chain_id, diff_id, parent, size_bytes, driver, record) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                layer.chain_id, layer.diff_id, layer.parent, layer.size_bytes, self.driver,
                json.dumps({"tar_bytes": layer.tar_bytes}),
            ),
        )  # fmt: skip
        self._layers[layer.chain_id] = layer
        return layer

    async def _unpack(
        self, source: LayerSource, parent: ChainId | None, diff_id: DiffId | None,
        lower: Sequence[Path], directory: Path,
    ) -> Layer:  # fmt: skip
        fds: list[int] = []
        try:
            for path in lower:
                fds.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            keep_fd = os.open(
                directory / "tar", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400
            )
            fds.append(keep_fd)
            result = await worker.call(
                "store.unpack:unpack",
                {"lower_fds": fds[:-1], "keep_fd": keep_fd, "limit_bytes": self._room()},
                stdin=source.fd,
                jail=directory / "diff",
                pass_fds=tuple(fds),
                site_packages=True,
                memory_limit_bytes=WORKER_MEMORY_BYTES,
            )
        finally:
            for fd in fds:
                os.close(fd)
        if diff_id is not None and result["diff_id"] != diff_id:
            raise InvalidParameter(
                f"invalid diffID for layer: expected {diff_id!r}, got {result['diff_id']!r}"
            )
        found = DiffId(result["diff_id"])
        return Layer(
            _chain_id(parent, found), found, parent, result["size_bytes"], result["tar_bytes"]
        )

    def _room(self) -> int:
        free = os.statvfs(self._layers_dir)
        return max(0, free.f_bavail * free.f_frsize - RESERVE_BYTES)

    def layer(self, chain_id: ChainId) -> Layer | None:
        return self._layers.get(chain_id)

    def layers(self) -> list[Layer]:
        return list(self._layers.values())

    async def layer_tar(self, chain_id: ChainId, out_fd: int) -> int:
        self._known(chain_id)
        fd = os.open(self._layer_dir(chain_id) / "tar", os.O_RDONLY | os.O_CLOEXEC)
        try:
            result = await worker.call(
                "store.tarcopy:expand", {}, stdin=fd, stdout=out_fd, site_packages=True
            )
        finally:
            os.close(fd)
        return int(result["tar_bytes"])

    async def remove_layer(self, chain_id: ChainId) -> int:
        layer = self._known(chain_id)
        if chain_id in self._keys.values() or any(
            other.parent == chain_id for other in self._layers.values()
        ):
            raise Conflict(f"layer {chain_id} is in use")
        self._db.execute("DELETE FROM layers WHERE chain_id = ?", (chain_id,))
        del self._layers[chain_id]
        self._stacks.pop(chain_id, None)
        self._trash.throw(self._layer_dir(chain_id))
        return layer.size_bytes

    # Snapshots

    def _parent(self, key: str) -> ChainId | None:
        try:
            return self._keys[key]
        except KeyError:
            raise NotFound(f"snapshot {key} does not exist") from None

    def _lower(self, key: str) -> list[Path]:
        return [self._init, *self._stack(self._parent(key))]

    async def prepare(self, key: str, chain_id: ChainId | None) -> None:
        if key in self._keys:
            raise Conflict(f"snapshot {key} exists")
        stack = self._stack(chain_id)
        self._db.execute(
            "INSERT INTO snapshots (key, chain_id, driver, created_ns) VALUES (?, ?, ?, ?)",
            (key, chain_id, self.driver, time.time_ns()),
        )
        self._keys[key] = chain_id
        directory = self._keys_dir / key
        try:
            directory.mkdir(mode=0o710)
            (directory / "work").mkdir(mode=0o700)
            upper = directory / "diff"
            upper.mkdir(mode=0o755)
            # The merged root takes its attributes from the upper directory.
            root = os.stat(stack[0]) if stack else None
            os.chmod(upper, root.st_mode & 0o7777 if root else 0o755)
            if root and (root.st_uid or root.st_gid):
                os.chown(upper, root.st_uid, root.st_gid)
        except BaseException:
            await self.remove(key)
            raise

    def mount(self, key: str, target: Path) -> None:
        directory = self._keys_dir / key
        mounts.mount_overlay(target, self._lower(key), directory / "diff", directory / "work")

    def mount_readonly(self, chain_id: ChainId | None, target: Path) -> None:
        stack = self._stack(chain_id)
        if len(stack) == 1:
            mounts.bind(stack[0], target, recursive=False, read_only=True)
        else:
            mounts.mount_overlay(target, stack or [self._init], None, None, read_only=True)

    def unmount(self, target: Path) -> None:
        """Detach now, let a thread wait for the end.

        The last reference to an overlay writes back the whole file system that the upper
        directory is on, which takes seconds on a busy disk. So we hold a reference of our
        own across the unmount, and drop it elsewhere.
        """
        try:
            fd = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return
        detached = False
        try:
            detached = mounts.unmount(target, lazy=True)
        finally:
            if detached:
                self._closer.submit(os.close, fd)
            else:
                os.close(fd)

    async def remove(self, key: str) -> None:
        self._db.execute("DELETE FROM snapshots WHERE key = ?", (key,))
        chain_id = self._keys.pop(key, None)
        self._trash.throw(self._keys_dir / key)
        if chain_id is not None and self.on_removed is not None:
            self.on_removed(chain_id)

    async def usage(self, key: str) -> Usage:
        self._parent(key)
        return await asyncio.to_thread(overlay_changes.usage, self._keys_dir / key / "diff")

    async def changes(self, key: str) -> list[Change]:
        return await asyncio.to_thread(
            overlay_changes.changes, self._keys_dir / key / "diff", self._lower(key)
        )

    async def diff(self, key: str, out_fd: int) -> None:
        self._parent(key)
        await worker.call(
            "store.pack:pack_upper",
            {},
            stdout=out_fd,
            jail=self._keys_dir / key / "diff",
            site_packages=True,
        )

    def graph_data(self, key: str) -> dict[str, str]:
        directory = self._keys_dir / key
        return {
            "LowerDir": ":".join(map(str, self._lower(key))),
            "MergedDir": str(self._paths.rootfs(key)),
            "UpperDir": str(directory / "diff"),
            "WorkDir": str(directory / "work"),
        }

    def layer_graph_data(self, chain_id: ChainId | None) -> dict[str, str]:
        stack = self._stack(chain_id)
        if not stack:
            return {}
        data = {
            "MergedDir": str(stack[0].with_name("merged")),
            "UpperDir": str(stack[0]),
            "WorkDir": str(stack[0].with_name("work")),
        }
        if stack[1:]:
            data["LowerDir"] = ":".join(map(str, stack[1:]))
        return data

    # Start and end

    def _probe(self) -> None:
        """Raise ``Unavailable`` if the file system of the data root can't carry overlays."""
        directory = self._trash_dir / f"probe-{secrets.token_hex(4)}"
        for name in ("upper", "work", "view"):
            (directory / name).mkdir(parents=True)
        try:
            mounts.mount_overlay(
                directory / "view", [self._init], directory / "upper", directory / "work"
            )
            self.unmount(directory / "view")
        except OSError as error:
            raise Unavailable(
                f"the file system of {self._paths.data_root} can't hold containers "
                f"({error.strerror}): put --data-root on ext4, xfs or btrfs"
            ) from error
        finally:
            self._trash.sweep()

    async def recover(self, live_keys: set[str]) -> None:
        self._probe()
        for key in [key for key in self._keys if key not in live_keys]:
            await self.remove(key)
        for entry in os.listdir(self._keys_dir):
            if entry not in self._keys:
                self._trash.throw(self._keys_dir / entry)
        wanted = {self._layer_dir(chain_id).name for chain_id in self._layers}
        present = set(os.listdir(self._layers_dir))
        for name in present - wanted:
            self._trash.throw(self._layers_dir / name)
        for chain_id in [c for c in self._layers if self._layer_dir(c).name not in present]:
            log.error("a layer's files are missing", extra={"chain_id": chain_id})
        self._trash.sweep()

    async def close(self) -> None:
        await self._trash.close()
        self._closer.shutdown(wait=False)


def _chain_id(parent: ChainId | None, diff_id: DiffId) -> ChainId:
    return chain_ids([DiffId(parent), diff_id])[-1] if parent else ChainId(diff_id)
