"""The overlay snapshotter: layers unpacked into directories, stacked by overlayfs.

::

    snapshots/overlay2/layers/<32 hex digits>/
      diff/                the layer's content, whiteouts in overlayfs's form
      tar                  the layer's tar: as it came if compressed, else zstd

The rest of the tree is drawn in ``stacked.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pierhead.errors import InvalidParameter
from pierhead.linux import worker
from pierhead.oci.digest import ChainId, DiffId, Digest
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Incoming, Layer, LayerFile, LayerSource
from pierhead.store.snapshots.incoming import check_blob, discarding, open_blob
from pierhead.store.snapshots.stacked import (
    EMPTY_DIFF_ID,
    EMPTY_TAR_BYTES,
    WORKER_MEMORY_BYTES,
    StackedSnapshotter,
    chain_id_on,
    check_diff_id,
)


class OverlaySnapshotter(StackedSnapshotter):
    """Implements ``Snapshotter``."""

    driver = "overlay2"

    def __init__(self, paths: Paths, db: Database) -> None:
        super().__init__(paths, db)
        self._stacks: dict[ChainId, list[Path]] = {}

    def _stack(self, chain_id: ChainId | None) -> list[Path]:
        """The content directories of the layers down from ``chain_id``, topmost first."""
        if chain_id is None:
            return []
        stack = self._stacks.get(chain_id)
        if stack is None:
            stack = [self._shown(below) for below in self._chain(chain_id)]
            self._stacks[chain_id] = stack
        return stack

    @contextlib.contextmanager
    def _view(self, chain_id: ChainId | None) -> Iterator[Sequence[Path]]:
        yield self._stack(chain_id)

    def _shown(self, chain_id: ChainId) -> Path:
        return self._layer_dir(chain_id) / "diff"

    def _forgotten(self, chain_id: ChainId) -> None:
        self._stacks.pop(chain_id, None)

    def _mounted(self, chain_id: ChainId | None, target: Path) -> None:
        """Directories need nothing to be seen."""

    def _unmounted(self, target: Path) -> None:
        """As above."""

    async def stage(self, incoming: Incoming) -> OverlayStaged:
        directory = self._new_directory()
        fd = -1
        try:
            blob_fd, held = open_blob(incoming, directory / "tar")
            assert blob_fd is not None
            fd = blob_fd
            with discarding(incoming):
                result = await worker.call(
                    "store.receive:receive",
                    {
                        "blob_fd": fd,
                        "held_bytes": held,
                        "blob_bytes": incoming.blob_bytes,
                        "limit_bytes": held + self._room(),
                    },
                    stdin=incoming.fd,
                    jail=directory,
                    pass_fds=(fd,),
                    site_packages=True,
                )
                check_blob(incoming, result)
        except BaseException:
            if fd >= 0:
                os.close(fd)
            self._trash.throw(directory)
            raise
        return OverlayStaged(
            self, incoming, directory, fd,
            Digest(result["blob_digest"]), result["blob_bytes"], result["compression"],
        )  # fmt: skip

    async def apply(
        self, source: LayerSource, parent: ChainId | None, diff_id: DiffId | None
    ) -> Layer:
        """Here in one pass: unpacked while it arrives."""
        self._chain(parent)
        existing = self._existing(parent, diff_id)
        if existing is not None:
            return existing
        directory = self._new_directory()
        try:
            return await self._unpack(directory, source.fd, parent, diff_id, keep=True)
        except BaseException:
            self._trash.throw(directory)
            raise

    async def adopt(self, diff_id: DiffId, parent: ChainId | None) -> Layer | None:
        """The existing one, or the layer that changes nothing, which needs no worker."""
        existing = self._existing(parent, diff_id)
        if existing is not None or diff_id != EMPTY_DIFF_ID:
            return existing
        self._chain(parent)
        directory = self._new_directory()
        content = directory / "diff"
        content.mkdir(mode=0o755)
        os.chmod(content, 0o755)
        (directory / "tar").write_bytes(bytes(EMPTY_TAR_BYTES))
        layer = Layer(chain_id_on(parent, diff_id), diff_id, parent, 0, EMPTY_TAR_BYTES)
        return self._adopt(directory, layer, {})

    async def _unpack(
        self, directory: Path, fd: int, parent: ChainId | None, diff_id: DiffId | None,
        *, keep: bool,
    ) -> Layer:  # fmt: skip
        """Make the layer of the tar in ``fd``; ``keep`` the tar, else it is there already."""
        keep_fd: int | None = None
        if keep:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            keep_fd = os.open(directory / "tar", flags, 0o400)
        try:
            result = await self._fill(directory, fd, parent, keep_fd=keep_fd)
        finally:
            if keep_fd is not None:
                os.close(keep_fd)
        found = check_diff_id(diff_id, result["diff_id"])
        layer = Layer(
            chain_id_on(parent, found), found, parent, result["size_bytes"], result["tar_bytes"]
        )
        return self._adopt(directory, layer, {})

    async def _fill(
        self, directory: Path, fd: int, parent: ChainId | None, *, keep_fd: int | None
    ) -> dict[str, Any]:
        """Unpack the tar in ``fd`` into the new layer; what ``store.unpack:unpack`` returns."""
        content = directory / "diff"
        content.mkdir(mode=0o755)
        os.chmod(content, 0o755)
        lower_fds: list[int] = []
        try:
            for path in self._stack(parent):
                lower_fds.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            result: dict[str, Any] = await worker.call(
                "store.unpack:unpack",
                {"lower_fds": lower_fds, "keep_fd": keep_fd, "limit_bytes": self._room()},
                stdin=fd,
                jail=content,
                pass_fds=(*lower_fds, *(() if keep_fd is None else (keep_fd,))),
                site_packages=True,
                memory_limit_bytes=WORKER_MEMORY_BYTES,
            )
        finally:
            for opened in lower_fds:
                os.close(opened)
        return result

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

    def layer_file(self, chain_id: ChainId) -> LayerFile:
        self._known(chain_id)
        return LayerFile(self._layer_dir(chain_id) / "tar", 0, None, "")

    async def verify(self, chain_id: ChainId) -> list[str]:
        """Only the kept tar: what is unpacked can't be told from what somebody changed."""
        layer = self._known(chain_id)
        if not self._shown(chain_id).is_dir():
            return ["its directory is missing"]
        try:
            fd = os.open(self._layer_dir(chain_id) / "tar", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return ["its tar is missing"]
        try:
            found = await worker.call("store.tarcopy:digest", {}, stdin=fd, site_packages=True)
        except InvalidParameter as error:
            return [f"its tar is damaged: {error}"]
        finally:
            os.close(fd)
        if found["diff_id"] != layer.diff_id:
            return [f"its tar is damaged: its digest is {found['diff_id']}"]
        return []

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


def _copy(source: int, target: Path) -> None:
    with open(target, "xb") as file:
        offset = 0
        while chunk := os.pread(source, 1 << 20, offset):
            file.write(chunk)
            offset += len(chunk)


class OverlayStaged:
    """A blob that is in; unpacked by ``commit``."""

    diff_id: Final = None

    def __init__(
        self, owner: OverlaySnapshotter, incoming: Incoming, directory: Path, fd: int,
        blob_digest: Digest, blob_bytes: int, compression: str,
    ) -> None:  # fmt: skip
        self._owner = owner
        self._incoming = incoming
        self._directory = directory
        self._fd = fd
        self.blob_digest = blob_digest
        self.blob_bytes = blob_bytes
        self.compression = compression

    async def commit(self, parent: ChainId | None) -> Layer:
        """Unpack it on ``parent``; the blob becomes the layer's kept tar."""
        owner = self._owner
        diff_id = self._incoming.diff_id
        try:
            owner._chain(parent)
            existing = owner._existing(parent, diff_id)
            if existing is not None:
                return existing
            keep = not self._keep_blob()
            os.lseek(self._fd, 0, os.SEEK_SET)
            with discarding(self._incoming):
                return await owner._unpack(self._directory, self._fd, parent, diff_id, keep=keep)
        finally:
            await self.discard()

    def _keep_blob(self) -> bool:
        """Let the blob be the layer's ``tar``; False if the tar is to be packed anew."""
        ours = self._directory / "tar"
        if self._incoming.partial is None:
            if self.compression != "none":
                return True
            ours.unlink()
            return False
        try:
            # By descriptor: it may have become a blob under its final name meanwhile. Python
            # follows the link (linkat with AT_SYMLINK_FOLLOW) only if a directory is given.
            os.link(f"/proc/self/fd/{self._fd}", ours, src_dir_fd=self._fd)
        except OSError:
            return False  # another file system, or the blob was deleted
        return True

    async def replace(self, chain_id: ChainId) -> Layer:
        """Its tar; its directory only if that is gone, for containers may be on it."""
        owner = self._owner
        try:
            layer = owner._known(chain_id)
            os.lseek(self._fd, 0, os.SEEK_SET)
            found = await worker.call(
                "store.tarcopy:digest", {}, stdin=self._fd, site_packages=True
            )
            check_diff_id(layer.diff_id, found["diff_id"])
            final = owner._layer_dir(chain_id)
            ours = self._directory / "tar"
            if self._incoming.partial is not None and not self._keep_blob():
                await asyncio.to_thread(_copy, self._fd, ours)
            if not (final / "diff").is_dir():
                os.lseek(self._fd, 0, os.SEEK_SET)
                await owner._fill(self._directory, self._fd, layer.parent, keep_fd=None)
                owner._trash.throw(final)
                os.rename(self._directory, final)
            else:
                os.rename(ours, final / "tar")
            return layer
        finally:
            await self.discard()

    async def discard(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._owner._trash.throw(self._directory)
