"""Mounted trees for workers to look at, and layers made of what a worker writes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from pierhead import tasks
from pierhead.engine.images.feed import make_pipe
from pierhead.linux import process, worker
from pierhead.oci.digest import ChainId
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Incoming, Layer, Snapshotter, Staged

MEMORY_BYTES: Final = 3 << 30
"""Address space of a worker: enough for two million files."""
_RESERVE: Final = 256 << 20
_RESERVE_SHARE: Final = 20

Write = Callable[[int], Coroutine[Any, Any, Any]]
"""Writes a layer's tar to the descriptor."""


class Layers:
    """What ``FileService`` does with the snapshotter."""

    def __init__(self, paths: Paths, snapshots: Snapshotter) -> None:
        self._views = paths.build_views
        self._snapshots = snapshots
        self._scratch = paths.builds / "tmp"
        self._numbers = itertools.count(1)

    def recover(self) -> None:
        """Undo mounts that a kill left."""
        if not self._views.is_dir():
            return
        for target in self._views.iterdir():
            if target.name.startswith("view-"):
                self.unmount(target)

    @asynccontextmanager
    async def view(self, chain_id: ChainId | None) -> AsyncIterator[Path]:
        """The merged tree, mounted read-only while it lasts."""
        target = self.mount(chain_id)
        try:
            yield target
        finally:
            self.unmount(target)

    def mount(self, chain_id: ChainId | None) -> Path:
        """As ``view``, until ``unmount``."""
        self._views.mkdir(mode=0o711, parents=True, exist_ok=True)
        target = self._views / f"view-{os.getpid()}-{next(self._numbers)}"
        target.mkdir(mode=0o700)
        try:
            self._snapshots.mount_readonly(chain_id, target)
        except BaseException:
            target.rmdir()
            raise
        return target

    def unmount(self, target: Path) -> None:
        """Undo ``mount``."""
        self._snapshots.unmount(target)
        with contextlib.suppress(OSError):
            target.rmdir()

    def room(self) -> int:
        """Bytes that may still be written to our disk."""
        disk = os.statvfs(self._scratch)
        total = disk.f_blocks * disk.f_frsize
        return max(disk.f_bavail * disk.f_frsize - min(_RESERVE, total // _RESERVE_SHARE), 0)

    def scratch_file(self) -> int:
        """A file without a name on our disk: the descriptor."""
        return os.open(self._scratch, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)

    async def call(
        self, chain_id: ChainId | None, function: str, args: dict[str, Any], **more: Any
    ) -> Any:
        """Call ``build.files.<function>`` in a worker whose "/" is the mounted tree."""
        async with self.view(chain_id) as root:
            return await worker.call(
                f"build.files.{function}",
                args,
                jail=root,
                site_packages=True,
                memory_limit_bytes=MEMORY_BYTES,
                **more,
            )

    async def look(
        self, chain_id: ChainId | None, function: str, args: dict[str, Any], **more: Any
    ) -> Any:
        """``call`` for the functions of ``looking``."""
        return await self.call(chain_id, f"looking:{function}", args, **more)

    async def look_bytes(
        self, chain_id: ChainId | None, function: str, args: dict[str, Any]
    ) -> bytes:
        """As ``look``, for functions that write to fd 1."""
        fd = process.memory_file("look", b"")
        try:
            await self.look(chain_id, function, args, stdout=fd)
            return os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)

    async def make(self, write: Write, parent: ChainId | None) -> Layer:
        """The layer of the tar that ``write`` writes, on ``parent``."""
        staged = await self._stage(write)
        try:
            return await staged.commit(parent)
        finally:
            await staged.discard()

    async def take(self, tar_fd: int, parent: ChainId | None) -> Layer:
        """The layer of the tar that is in the file ``tar_fd``, on ``parent``."""
        staged = await self._snapshots.stage(Incoming(tar_fd))
        try:
            return await staged.commit(parent)
        finally:
            await staged.discard()

    async def _stage(self, write: Write) -> Staged:
        """Both sides at a time; the first error counts, and nothing cut short is taken."""
        read_fd, write_fd = make_pipe()
        reading = tasks.spawn(
            tasks.outcome(self._snapshots.stage(Incoming(read_fd))), name="stage a built layer"
        )
        writing = tasks.spawn(tasks.outcome(write(write_fd)), name="write a built layer")
        staged: Staged | None = None
        try:
            await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                written = writing.result()
                if isinstance(written, Exception):
                    raise written
                os.close(write_fd)
                write_fd = -1
            result = await asyncio.shield(reading)
            if isinstance(result, Exception):
                raise result
            staged = result
            if write_fd >= 0:  # it was taken before its writer had ended: a cut tar
                written = await writing
                if isinstance(written, Exception):
                    await staged.discard()
                    raise written
            return staged
        finally:
            for task in (writing, reading):
                if not task.done():
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        late = await task
                        if task is reading and staged is None and not isinstance(late, Exception):
                            await late.discard()
            os.close(read_fd)
            if write_fd >= 0:
                os.close(write_fd)
