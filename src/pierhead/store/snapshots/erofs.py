"""The EROFS snapshotter: layers mounted as they came, stacked by overlayfs.

::

    snapshots/erofs/layers/<32 hex digits>/
      layer.erofs          the layer's tar with an index: see ``store/erofs``

The rest of the tree is drawn in ``stacked.py``. Most layers say nothing of the layers below:
their file is complete once staged, and one file (hard-linked) serves on every parent. The
others are indexed again on each parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from pierhead.errors import InvalidParameter
from pierhead.linux import mounts, worker
from pierhead.oci.digest import ChainId, DiffId, Digest
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Incoming, Layer, LayerFile, LayerSource
from pierhead.store.snapshots.incoming import check_blob, discarding, open_blob
from pierhead.store.snapshots.layer_mounts import LayerMount, LayerMounts, clear
from pierhead.store.snapshots.mode import ErofsMode
from pierhead.store.snapshots.stacked import (
    WORKER_MEMORY_BYTES,
    StackedSnapshotter,
    chain_id_on,
    check_diff_id,
)

TAR_OFFSET: Final = 4096
_FILE: Final = "layer.erofs"
_RECORDED: Final = ("size_bytes", "needs_lower", "index_digest", "file_bytes")
"""What ``store/stage.py`` says of a layer and we keep."""
_COPY_STEP: Final = 64 << 20


class ErofsSnapshotter(StackedSnapshotter):
    """Implements ``Snapshotter``."""

    driver = "erofs"

    def __init__(self, paths: Paths, db: Database, mode: ErofsMode) -> None:
        super().__init__(paths, db)
        self.mode = mode
        self._attach_at = None if mode.detached else paths.layer_mounts
        self._empty = paths.snapshots / self.driver / "empty"
        self._empty.mkdir(mode=0o555, exist_ok=True)
        self._mounts = LayerMounts(loop=mode.loop, attach_at=self._attach_at, close=self._later)
        self._syncer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sync")
        self._used: dict[Path, list[LayerMount]] = {}
        """Mount points of ours to what they stand on."""
        self._stacks: dict[ChainId, list[Path]] = {}
        self._same: dict[DiffId, set[ChainId]] = {}
        for layer in self._layers.values():
            self._same.setdefault(layer.diff_id, set()).add(layer.chain_id)

    # What layers look like

    def _file(self, chain_id: ChainId) -> Path:
        return self._layer_dir(chain_id) / _FILE

    def _shown(self, chain_id: ChainId) -> Path:
        return self._file(chain_id)

    def _pin(self, chain_id: ChainId | None) -> list[LayerMount]:
        if chain_id is None:
            return []
        files = self._stacks.get(chain_id)
        if files is None:
            files = [self._file(below) for below in self._chain(chain_id)]
            self._stacks[chain_id] = files
        return self._mounts.pin(files)

    @contextlib.contextmanager
    def _view(self, chain_id: ChainId | None) -> Iterator[Sequence[Path]]:
        pinned = self._pin(chain_id)
        try:
            yield [mount.path for mount in pinned]
        finally:
            self._mounts.unpin(pinned)

    def _mounted(self, chain_id: ChainId | None, target: Path) -> None:
        self._unmounted(target)
        self._used[target] = self._pin(chain_id)

    def _unmounted(self, target: Path) -> None:
        self._mounts.unpin(self._used.pop(target, ()))

    def _forgotten(self, chain_id: ChainId) -> None:
        layer = self._layers[chain_id]
        same = self._same.get(layer.diff_id, set())
        same.discard(chain_id)
        if not same:
            self._same.pop(layer.diff_id, None)
        self._stacks.pop(chain_id, None)
        self._mounts.forget(self._file(chain_id))

    def mount_readonly(self, chain_id: ChainId | None, target: Path) -> None:
        if chain_id is None:
            mounts.bind(self._empty, target, recursive=False, read_only=True)
            return
        with self._view(chain_id) as stack:
            # An overlay wants two lower directories, and hides what is overlayfs's own.
            mounts.mount_overlay(target, [*stack, self._empty], None, None, read_only=True)
            self._mounted(chain_id, target)

    def layer_graph_data(self, chain_id: ChainId | None) -> dict[str, str]:
        """The layers' files: there are no directories to show."""
        files = [str(self._file(below)) for below in self._chain(chain_id)]
        if not files:
            return {}
        data = {"UpperDir": files[0]}
        if files[1:]:
            data["LowerDir"] = ":".join(files[1:])
        return data

    def layer_file(self, chain_id: ChainId) -> LayerFile:
        layer = self._known(chain_id)
        return LayerFile(self._file(chain_id), TAR_OFFSET, layer.tar_bytes, "none")

    async def layer_tar(self, chain_id: ChainId, out_fd: int) -> int:
        layer = self._known(chain_id)
        fd = os.open(self._file(chain_id), os.O_RDONLY | os.O_CLOEXEC)
        try:
            await worker.call(
                "store.tarcopy:cut",
                {"offset": TAR_OFFSET, "length": layer.tar_bytes},
                stdin=fd,
                stdout=out_fd,
                site_packages=True,
            )
        finally:
            os.close(fd)
        return layer.tar_bytes

    async def verify(self, chain_id: ChainId) -> list[str]:
        layer = self._known(chain_id)
        record = self._records[chain_id]
        try:
            fd = os.open(self._file(chain_id), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return ["its file is missing"]
        try:
            size = os.fstat(fd).st_size
            if size != record["file_bytes"]:
                return [f"its file has {size} bytes, not {record['file_bytes']}"]
            found = await worker.call(
                "store.stage:verify", {"tar_bytes": layer.tar_bytes}, stdin=fd, site_packages=True
            )
        finally:
            os.close(fd)
        faults = []
        if found["diff_id"] != layer.diff_id:
            faults.append(f"its tar is damaged: its digest is {found['diff_id']}")
        if found["index_digest"] != record["index_digest"]:
            faults.append("its index is damaged")
        return faults

    # How they come in

    async def stage(self, incoming: Incoming) -> ErofsStaged:
        return await self._stage(incoming, lowest=False)

    async def apply(
        self, source: LayerSource, parent: ChainId | None, diff_id: DiffId | None
    ) -> Layer:
        self._chain(parent)
        if diff_id is not None:
            adopted = await self.adopt(diff_id, parent)
            if adopted is not None:
                return adopted
        staged = await self._stage(Incoming(source.fd, diff_id), lowest=parent is None)
        try:
            return await staged.commit(parent)
        finally:
            await staged.discard()

    async def _stage(self, incoming: Incoming, *, lowest: bool) -> ErofsStaged:
        directory = self._new_directory()
        fds: list[int] = []
        try:
            tar_fd = os.open(
                directory / _FILE, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400
            )
            fds.append(tar_fd)
            blob_fd, held = open_blob(incoming, None)
            if blob_fd is not None:
                fds.append(blob_fd)
            with discarding(incoming):
                result = await worker.call(
                    "store.stage:stage",
                    {
                        "tar_fd": tar_fd,
                        "blob_fd": blob_fd,
                        "held_bytes": held,
                        "blob_bytes": incoming.blob_bytes,
                        "limit_bytes": self._room(),
                        "lowest": lowest,
                    },
                    stdin=incoming.fd,
                    jail=directory,
                    pass_fds=tuple(fds),
                    site_packages=True,
                    memory_limit_bytes=WORKER_MEMORY_BYTES,
                )
                check_blob(incoming, result)
                check_diff_id(incoming.diff_id, result["diff_id"])
        except BaseException:
            for fd in fds:
                os.close(fd)
            self._trash.throw(directory)
            raise
        if blob_fd is not None:
            os.close(blob_fd)
        return ErofsStaged(self, directory, tar_fd, result)

    async def adopt(self, diff_id: DiffId, parent: ChainId | None) -> Layer | None:
        existing = self._existing(parent, diff_id)
        if existing is not None:
            return existing
        same = self._same.get(diff_id)
        if not same:
            return None
        self._chain(parent)
        other = next((c for c in same if not self._records[c]["needs_lower"]), None)
        directory = self._new_directory()
        try:
            if other is not None:
                return self._link(directory, other, parent)
            return await self._copy(directory, next(iter(same)), parent)
        except FileNotFoundError:
            return None  # damaged, or removed meanwhile
        finally:
            self._trash.throw(directory)

    def _link(self, directory: Path, other: ChainId, parent: ChainId | None) -> Layer:
        """The layer is the file of ``other``, under another name."""
        os.link(self._file(other), directory / _FILE)
        layer = self._layers[other]
        return self._add(directory, layer.diff_id, parent, layer.tar_bytes, self._records[other])

    async def _copy(self, directory: Path, other: ChainId, parent: ChainId | None) -> Layer:
        """The layer has the tar of ``other``, but an index of its own."""
        layer = self._layers[other]
        source = os.open(self._file(other), os.O_RDONLY | os.O_CLOEXEC)
        try:
            fd = os.open(
                directory / _FILE, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400
            )
            try:
                await _copy_head(source, fd, TAR_OFFSET + layer.tar_bytes)
                found = await self._index(fd, layer.tar_bytes, layer.diff_id, parent)
            finally:
                os.close(fd)
        finally:
            os.close(source)
        return self._add(directory, layer.diff_id, parent, layer.tar_bytes, found)

    async def _index(
        self, tar_fd: int, tar_bytes: int, diff_id: DiffId, parent: ChainId | None
    ) -> dict[str, Any]:
        """Index the layer file ``tar_fd`` on ``parent``; what ``store.stage:index`` returns."""
        with self._view(parent) as stack, contextlib.ExitStack() as fds:
            lower = [_directory(fds, path) for path in self._merged(fds, stack)]
            result: dict[str, Any] = await worker.call(
                "store.stage:index",
                {
                    "tar_fd": tar_fd,
                    "tar_bytes": tar_bytes,
                    "diff_id": diff_id,
                    "lower_fds": lower,
                    "limit_bytes": self._room(),
                },
                jail=self._empty,
                pass_fds=(tar_fd, *lower),
                site_packages=True,
                memory_limit_bytes=WORKER_MEMORY_BYTES,
            )
        return result

    def _merged(self, fds: contextlib.ExitStack, stack: Sequence[Path]) -> Sequence[Path]:
        """The stack as one tree, where the kernel can: asking sixty layers for a name is slow."""
        if len(stack) < 2:
            return stack
        merged = mounts.detached_overlay(stack)
        if merged is None:
            return stack
        fds.callback(self._later, os.close, merged)
        return [Path(f"/proc/self/fd/{merged}")]

    def _add(
        self, directory: Path, diff_id: DiffId, parent: ChainId | None, tar_bytes: int,
        found: dict[str, Any],
    ) -> Layer:  # fmt: skip
        """Make ``directory`` the layer that it holds; the existing one if there is one."""
        record = {name: found[name] for name in _RECORDED}
        layer = Layer(
            chain_id_on(parent, diff_id), diff_id, parent, record["size_bytes"], tar_bytes
        )
        layer = self._adopt(directory, layer, record)
        self._sync_soon(layer.chain_id)
        self._same.setdefault(diff_id, set()).add(layer.chain_id)
        return layer

    def _sync_soon(self, chain_id: ChainId) -> None:
        """Write the layer through to the disk, which may take seconds; nobody waits for it.

        Its record reaches the disk soon as well (``store/database.py``), and a power cut
        must not leave the one without the other for long.
        """
        with contextlib.suppress(RuntimeError):  # we are closed
            self._syncer.submit(_sync, self._file(chain_id))

    def _replace(self, directory: Path, layer: Layer, found: dict[str, Any]) -> Layer:
        """Exchange the layer's file; what is mounted keeps the old one."""
        chain_id = layer.chain_id
        file = self._file(chain_id)
        file.parent.mkdir(mode=0o710, exist_ok=True)
        self._mounts.forget(file)
        os.rename(directory / _FILE, file)
        self._records[chain_id] = {name: found[name] for name in _RECORDED}
        self._db.execute(
            "UPDATE layers SET record = ? WHERE chain_id = ?",
            (
                json.dumps({"tar_bytes": layer.tar_bytes, **self._records[chain_id]}),
                chain_id,
            ),
        )
        self._sync_soon(chain_id)
        return layer

    # Start and end

    async def recover(self, live_keys: set[str]) -> None:
        if self._attach_at is not None:
            clear(self._attach_at)
        await super().recover(live_keys)

    async def close(self) -> None:
        self._mounts.close()
        self._syncer.shutdown(wait=False, cancel_futures=True)
        await super().close()


def _sync(file: Path) -> None:
    with contextlib.suppress(OSError):  # removed already, or the next reader is told
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _directory(fds: contextlib.ExitStack, path: Path) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fds.callback(os.close, fd)
    return fd


async def _copy_head(source: int, target: int, length: int) -> None:
    """Copy the first ``length`` bytes; file systems that can share them do."""
    done = 0
    while done < length:
        step = min(_COPY_STEP, length - done)
        copied = await asyncio.to_thread(os.copy_file_range, source, target, step, done, done)
        if not copied:
            raise InvalidParameter("the layer's file is too short")
        done += copied


class ErofsStaged:
    """A layer's file, complete or wanting an index on its parent."""

    def __init__(
        self, owner: ErofsSnapshotter, directory: Path, tar_fd: int, result: dict[str, Any]
    ) -> None:
        self._owner = owner
        self._directory = directory
        self._fd = tar_fd
        self._result = result
        self.diff_id = DiffId(result["diff_id"])
        self.blob_digest = Digest(result["blob_digest"])
        self.blob_bytes: int = result["blob_bytes"]
        self.compression: str = result["compression"]

    async def commit(self, parent: ChainId | None) -> Layer:
        """Index it on ``parent`` if it speaks of the layers below, and record it."""
        owner, result = self._owner, self._result
        try:
            owner._chain(parent)
            existing = owner._existing(parent, self.diff_id)
            if existing is not None:
                return existing
            if result["needs_lower"] and not (result["indexed"] and parent is None):
                result = await owner._index(self._fd, result["tar_bytes"], self.diff_id, parent)
                result["tar_bytes"] = self._result["tar_bytes"]
            else:
                self._share(result)
            return owner._add(self._directory, self.diff_id, parent, result["tar_bytes"], result)
        finally:
            await self.discard()

    async def replace(self, chain_id: ChainId) -> Layer:
        owner, result = self._owner, self._result
        try:
            layer = owner._known(chain_id)
            check_diff_id(layer.diff_id, self.diff_id)
            if result["needs_lower"] and not (result["indexed"] and layer.parent is None):
                result = await owner._index(
                    self._fd, result["tar_bytes"], self.diff_id, layer.parent
                )
            return owner._replace(self._directory, layer, result)
        finally:
            await self.discard()

    def _share(self, result: dict[str, Any]) -> None:
        """If the same file is here already, below another parent, then use that one."""
        owner = self._owner
        for other in owner._same.get(self.diff_id, ()):
            if owner._records[other]["index_digest"] == result["index_digest"]:
                ours = self._directory / _FILE
                spare = self._directory / "spare"
                with contextlib.suppress(FileNotFoundError):
                    os.link(owner._file(other), spare)
                    os.rename(spare, ours)
                return

    async def discard(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._owner._trash.throw(self._directory)
