"""What both drivers share: layers' records, and containers' writable parts stacked on them.

::

    snapshots/<driver>/
      layers/<first 32 hex digits of the chain id>/   one layer, in the driver's own form
      layers/.new-<random>/  a layer on its way in
      containers/<key>/      diff (upper) and work
      init/diff/             the init layer
      trash/                 renamed here to vanish, deleted in the background

A driver says how a layer comes in (``stage``) and where its tree can be seen (``_view``).
"""

from __future__ import annotations

import abc
import asyncio
import json
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Final

from pierhead.errors import Conflict, InvalidParameter, NotFound, Unavailable
from pierhead.linux import mounts, worker
from pierhead.oci.digest import ChainId, DiffId, chain_ids, hex_of
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import (
    Change,
    Incoming,
    Layer,
    LayerFile,
    LayerSource,
    Staged,
    Usage,
    overlay_changes,
)
from pierhead.store.snapshots.trash import Trash

log = logging.getLogger(__name__)

EMPTY_TAR_BYTES: Final = 1024
EMPTY_DIFF_ID: Final = DiffId(
    "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
)
"""Of a tar that is nothing but its end mark: builds make many such layers."""

RESERVE_BYTES: Final = 256 << 20
"""Taking a layer in stops while this much is still free on the disk; less on a small one."""
_RESERVE_SHARE: Final = 20

WORKER_MEMORY_BYTES: Final = 3 << 30
"""Address space of the worker that takes a layer in; a usual one needs a tenth of it."""

_INIT_DIRECTORIES: Final = ("dev/pts", "dev/shm", "proc", "sys", "etc")
_INIT_FILES: Final = (
    ".dockerenv", "dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf"
)  # fmt: skip


class StackedSnapshotter(abc.ABC):
    """Implements ``Snapshotter`` but for the layers' form. State: the database and memory."""

    driver: ClassVar[str]

    def __init__(self, paths: Paths, db: Database) -> None:
        self._db = db
        self._paths = paths
        root = paths.snapshots / self.driver
        self._layers_dir = root / "layers"
        self._keys_dir = root / "containers"
        self._init = root / "init" / "diff"
        self._trash_dir = root / "trash"
        for directory in (self._layers_dir, self._keys_dir, self._trash_dir):
            directory.mkdir(mode=0o710, parents=True, exist_ok=True)
        self._trash = Trash(self._trash_dir)
        self._make_init_layer()
        self._layers: dict[ChainId, Layer] = {}
        self._records: dict[ChainId, dict[str, Any]] = {}
        self._needed: dict[ChainId, int] = {}
        """How many layers and snapshots stand on a layer."""
        self._roots: dict[ChainId, tuple[int, int, int]] = {}
        """Mode, owner and group of root directories, as far as asked for."""
        for chain_id, diff_id, parent, size_bytes, record in db.rows(
            "SELECT chain_id, diff_id, parent, size_bytes, record FROM layers WHERE driver = ?",
            (self.driver,),
        ):
            kept = json.loads(record)
            self._note(Layer(chain_id, diff_id, parent, size_bytes, kept.pop("tar_bytes")), kept)
        self._keys: dict[str, ChainId | None] = dict(
            db.rows("SELECT key, chain_id FROM snapshots WHERE driver = ?", (self.driver,))
        )
        for chain_id in self._keys.values():
            self._need(chain_id, 1)
        self._closer = ThreadPoolExecutor(max_workers=2, thread_name_prefix="unmount")
        self.on_removed: Callable[[ChainId], None] | None = None

    # What a driver does its own way

    @abc.abstractmethod
    async def stage(self, incoming: Incoming) -> Staged: ...

    @abc.abstractmethod
    async def layer_tar(self, chain_id: ChainId, out_fd: int) -> int: ...

    @abc.abstractmethod
    def layer_file(self, chain_id: ChainId) -> LayerFile: ...

    @abc.abstractmethod
    async def verify(self, chain_id: ChainId) -> list[str]: ...

    @abc.abstractmethod
    def layer_graph_data(self, chain_id: ChainId | None) -> dict[str, str]: ...

    @abc.abstractmethod
    def _view(self, chain_id: ChainId | None) -> AbstractContextManager[Sequence[Path]]:
        """The trees of the layers down from ``chain_id``, topmost first, while it lasts."""

    @abc.abstractmethod
    def _shown(self, chain_id: ChainId) -> Path:
        """Where one layer lies, for ``GraphDriver.Data``."""

    @abc.abstractmethod
    def _mounted(self, chain_id: ChainId | None, target: Path) -> None:
        """A mount on these layers was made at ``target``."""

    @abc.abstractmethod
    def _unmounted(self, target: Path) -> None:
        """What was mounted at ``target`` is gone."""

    @abc.abstractmethod
    def _forgotten(self, chain_id: ChainId) -> None:
        """The layer is about to be removed."""

    # Layers

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

    def _layer_dir(self, chain_id: ChainId) -> Path:
        return self._layers_dir / hex_of(chain_id)[:32]

    def _known(self, chain_id: ChainId) -> Layer:
        layer = self._layers.get(chain_id)
        if layer is None:
            raise NotFound(f"layer {chain_id} does not exist")
        return layer

    def _chain(self, chain_id: ChainId | None) -> list[ChainId]:
        """``chain_id`` and all below it, topmost first."""
        chain = []
        while chain_id is not None:
            chain.append(chain_id)
            chain_id = self._known(chain_id).parent
        return chain

    def _note(self, layer: Layer, record: dict[str, Any]) -> None:
        self._layers[layer.chain_id] = layer
        self._records[layer.chain_id] = record
        self._need(layer.parent, 1)

    def _need(self, chain_id: ChainId | None, by: int) -> None:
        if chain_id is not None:
            self._needed[chain_id] = self._needed.get(chain_id, 0) + by

    def _new_directory(self) -> Path:
        """For a layer on its way in; at the next start it is gone."""
        directory = self._layers_dir / f".new-{secrets.token_hex(8)}"
        directory.mkdir(mode=0o710)
        return directory

    def _existing(self, parent: ChainId | None, diff_id: DiffId | None) -> Layer | None:
        return None if diff_id is None else self._layers.get(chain_id_on(parent, diff_id))

    def _adopt(self, directory: Path, layer: Layer, record: dict[str, Any]) -> Layer:
        """Make ``directory`` the layer, and record it; the existing one if there is one."""
        existing = self._layers.get(layer.chain_id)
        if existing is not None:
            self._trash.throw(directory)
            return existing
        if layer.parent is not None:
            self._known(layer.parent)  # it may have gone meanwhile
        final = self._layer_dir(layer.chain_id)
        self._trash.throw(final)  # of a chain id nobody knows: left by a kill
        os.rename(directory, final)
        self._db.execute(
            "INSERT INTO layers (chain_id, diff_id, parent, size_bytes, driver, record) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                layer.chain_id, layer.diff_id, layer.parent, layer.size_bytes, self.driver,
                json.dumps({"tar_bytes": layer.tar_bytes, **record}),
            ),
        )  # fmt: skip
        self._note(layer, record)
        return layer

    async def apply(
        self, source: LayerSource, parent: ChainId | None, diff_id: DiffId | None
    ) -> Layer:
        self._chain(parent)
        existing = self._existing(parent, diff_id)
        if existing is not None:
            return existing
        staged = await self.stage(Incoming(source.fd, diff_id))
        try:
            return await staged.commit(parent)
        finally:
            await staged.discard()

    async def adopt(self, diff_id: DiffId, parent: ChainId | None) -> Layer | None:
        return self._existing(parent, diff_id)

    def layer_tar_range(self, chain_id: ChainId) -> tuple[Path, int, int] | None:
        file = self.layer_file(chain_id)
        if file.compression != "none" or file.length is None:
            return None
        return file.path, file.offset, file.length

    def _room(self) -> int:
        free = os.statvfs(self._layers_dir)
        reserve = min(RESERVE_BYTES, free.f_blocks * free.f_frsize // _RESERVE_SHARE)
        return max(0, free.f_bavail * free.f_frsize - reserve)

    def layer(self, chain_id: ChainId) -> Layer | None:
        return self._layers.get(chain_id)

    def layers(self) -> list[Layer]:
        return list(self._layers.values())

    async def remove_layer(self, chain_id: ChainId) -> int:
        layer = self._known(chain_id)
        if self._needed.get(chain_id):
            raise Conflict(f"layer {chain_id} is in use")
        self._forgotten(chain_id)
        self._db.execute("DELETE FROM layers WHERE chain_id = ?", (chain_id,))
        del self._layers[chain_id]
        self._records.pop(chain_id, None)
        self._needed.pop(chain_id, None)
        self._roots.pop(chain_id, None)
        self._need(layer.parent, -1)
        self._trash.throw(self._layer_dir(chain_id))
        return layer.size_bytes

    # Snapshots

    def _parent(self, key: str) -> ChainId | None:
        try:
            return self._keys[key]
        except KeyError:
            raise NotFound(f"snapshot {key} does not exist") from None

    async def prepare(self, key: str, chain_id: ChainId | None) -> None:
        if key in self._keys:
            raise Conflict(f"snapshot {key} exists")
        self._chain(chain_id)
        self._db.execute(
            "INSERT INTO snapshots (key, chain_id, driver, created_ns) VALUES (?, ?, ?, ?)",
            (key, chain_id, self.driver, time.time_ns()),
        )
        self._keys[key] = chain_id
        self._need(chain_id, 1)
        directory = self._keys_dir / key
        try:
            directory.mkdir(mode=0o710)
            (directory / "work").mkdir(mode=0o700)
            upper = directory / "diff"
            upper.mkdir(mode=0o755)
            # The merged root takes its attributes from the upper directory.
            mode, uid, gid = self._root_of(chain_id)
            os.chmod(upper, mode)
            if uid or gid:
                os.chown(upper, uid, gid)
        except BaseException:
            await self.remove(key)
            raise

    def _root_of(self, chain_id: ChainId | None) -> tuple[int, int, int]:
        """Mode, owner and group of the root directory that these layers show."""
        if chain_id is None:
            return 0o755, 0, 0
        root = self._roots.get(chain_id)
        if root is None:
            with self._view(chain_id) as stack:
                info = os.stat(stack[0])
            root = info.st_mode & 0o7777, info.st_uid, info.st_gid
            self._roots[chain_id] = root
        return root

    def mount(self, key: str, target: Path, *, init: bool = True, volatile: bool = False) -> None:
        directory = self._keys_dir / key
        chain_id = self._parent(key)
        with self._view(chain_id) as stack:
            lower = [self._init, *stack] if init or not stack else stack
            if volatile:
                mounts.forget_volatile(directory / "work")
            mounts.mount_overlay(
                target, lower, directory / "diff", directory / "work", volatile=volatile
            )
            self._mounted(chain_id, target)

    def mount_readonly(self, chain_id: ChainId | None, target: Path) -> None:
        with self._view(chain_id) as stack:
            if len(stack) == 1:
                mounts.bind(stack[0], target, recursive=False, read_only=True)
            else:
                mounts.mount_overlay(target, stack or [self._init], None, None, read_only=True)
            self._mounted(chain_id, target)

    def unmount(self, target: Path) -> None:
        """Detach now, let a thread wait for the end.

        The last reference to an overlay writes back the whole file system that the upper
        directory is on, which takes seconds on a busy disk. So we hold a reference of our
        own across the unmount, and drop it elsewhere.
        """
        try:
            fd = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            self._unmounted(target)
            return
        detached = False
        try:
            detached = mounts.unmount(target, lazy=True)
            self._unmounted(target)
        finally:
            if detached:
                self._later(os.close, fd)
            else:
                os.close(fd)

    async def remove(self, key: str) -> None:
        try:
            self._db.execute("DELETE FROM snapshots WHERE key = ?", (key,))
        except sqlite3.OperationalError as error:
            # on a full disk it may be this snapshot that leaves no room: its files must go
            log.warning("a snapshot's record goes at the next start: %s", error, extra={"key": key})
        chain_id = self._keys.pop(key, None)
        self._need(chain_id, -1)
        self._unmounted(self._paths.rootfs(key))  # should somebody else have unmounted it
        self._trash.throw(self._keys_dir / key)
        if chain_id is not None and self.on_removed is not None:
            self.on_removed(chain_id)

    async def usage(self, key: str) -> Usage:
        self._parent(key)
        return await asyncio.to_thread(overlay_changes.usage, self._keys_dir / key / "diff")

    async def changes(self, key: str) -> list[Change]:
        with self._view(self._parent(key)) as stack:
            return await asyncio.to_thread(
                overlay_changes.changes, self._keys_dir / key / "diff", [self._init, *stack]
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
        lower = [self._init, *map(self._shown, self._chain(self._parent(key)))]
        return {
            "LowerDir": ":".join(map(str, lower)),
            "MergedDir": str(self._paths.rootfs(key)),
            "UpperDir": str(directory / "diff"),
            "WorkDir": str(directory / "work"),
        }

    def _later(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do what may take a while in a thread."""
        try:
            self._closer.submit(work, *arguments)
        except RuntimeError:  # closed: now, then
            work(*arguments)

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


def chain_id_on(parent: ChainId | None, diff_id: DiffId) -> ChainId:
    """The chain id of a layer with ``diff_id`` on ``parent``."""
    return chain_ids([DiffId(parent), diff_id])[-1] if parent else ChainId(diff_id)


def check_diff_id(expected: DiffId | None, found: str) -> DiffId:
    """``found`` as a diff id. ``InvalidParameter``, in Docker's words, if it isn't ``expected``."""
    if expected is not None and found != expected:
        raise InvalidParameter(f"invalid diffID for layer: expected {expected!r}, got {found!r}")
    return DiffId(found)
