"""Files of a container from outside: the archive calls (``docker cp``), export, changes.

Reading and writing happens in a worker that sees what the container sees, see
``files_worker``. A running container is left alone; a stopped one is locked while its
snapshot is mounted for us, so that it can't start or go away meanwhile.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from pierhead.engine.containers import file_paths
from pierhead.engine.containers.model import ContainerRecord, ContainerStatus
from pierhead.engine.images.feed import out_of_pipe, through_pipe
from pierhead.engine.volumes.service import VolumeService
from pierhead.errors import Internal, InvalidParameter, Unavailable
from pierhead.linux import worker
from pierhead.store.paths import Paths

_WORKER: Final = "engine.containers.files_worker:"
_MEMORY_BYTES: Final = 1 << 30  # of a worker that reads somebody's tar
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class FilesSnapshotter(Protocol):
    """The part of the snapshotter this module uses."""

    def mount(self, key: str, target: Path) -> None: ...

    def unmount(self, target: Path) -> None: ...

    async def changes(self, key: str) -> list[Any]: ...


class ContainerWithFiles(Protocol):
    """What this module sees of a container."""

    record: ContainerRecord
    status: ContainerStatus
    lock: asyncio.Lock

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


@dataclass(kw_only=True)
class View:
    """Where a container's files are to be found: arguments for a worker."""

    root: str
    mounts: list[dict[str, Any]] = field(default_factory=list)
    pass_fds: tuple[int, ...] = ()

    def arguments(self) -> dict[str, Any]:
        return {"root": self.root, "mounts": self.mounts}


class ContainerFiles:
    """``docker cp`` in both directions, ``docker export``, ``docker diff``."""

    def __init__(
        self, *, paths: Paths, snapshots: FilesSnapshotter, volumes: VolumeService
    ) -> None:
        self._paths = paths
        self._snapshots = snapshots
        self._volumes = volumes
        self._views = paths.exec_root / "views"
        self._unmount_strays()

    def _unmount_strays(self) -> None:
        """A pierd that was killed may have left snapshots mounted for us."""
        if not self._views.is_dir():
            return
        for stray in self._views.iterdir():
            self._snapshots.unmount(stray)
            with suppress(OSError):
                stray.rmdir()

    async def stat(
        self, container: ContainerWithFiles, path: str, *, ref: str = ""
    ) -> dict[str, Any]:
        """``HEAD /archive``: name, size, mode (Go's os.FileMode), mtime, linkTarget.

        ``ref``: what the client calls the container, for messages. Raises
        ``NotFound("Could not find the file x in container y")``, ``InvalidParameter``.
        """
        name = ref or container.name
        path = _checked(path)
        async with self._view(container) as view:
            if view.pass_fds:  # running: one look, resolved within its root, needs no worker
                try:
                    return await asyncio.to_thread(file_paths.stat_path, view.pass_fds[0], path)
                except OSError as error:
                    raise file_paths.not_found(error, path, name) from error
            found: dict[str, Any] = await self._call("stat_only", view, path=path, name=name)
            return found

    async def archive(
        self, container: ContainerWithFiles, path: str, *, ref: str = ""
    ) -> tuple[dict[str, Any], AsyncIterator[bytes]]:
        """``GET /archive``: the stat of ``path`` and a tar stream of it.

        Close the stream (``aclose``) when it isn't read to its end. Raises ``NotFound``.
        """
        stream = self._archive(container, _checked(path), ref or container.name)
        try:
            found = await anext(stream)
        except BaseException:
            await stream.aclose()
            raise
        return json.loads(found), stream

    async def _archive(
        self, container: ContainerWithFiles, path: str, name: str
    ) -> AsyncGenerator[bytes, None]:
        """The stat as JSON first, then the tar."""
        async with self._view(container) as view:

            async def produce(fd: int) -> None:
                await self._call("archive", view, stdout=fd, path=path, name=name)

            head, length = b"", None
            chunks = out_of_pipe(produce)
            try:
                async for chunk in chunks:
                    if length == 0:
                        yield chunk
                        continue
                    head += chunk
                    size = file_paths.STAT_HEAD_BYTES
                    if length is None and len(head) >= size:
                        length = size + int.from_bytes(head[:size], "big")
                    if length and len(head) >= length:
                        yield head[size:length]
                        if rest := head[length:]:
                            yield rest
                        length = 0
            finally:
                await chunks.aclose()

    async def extract(
        self,
        container: ContainerWithFiles,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
        ref: str = "",
    ) -> None:
        """``PUT /archive``: unpack a tar (plain or compressed) into the directory ``path``.

        ``copy_uid_gid``: everything gets the container's user instead of the tar's owners.
        Raises ``NotFound``, ``InvalidParameter``, ``Forbidden`` where it is read-only.
        """
        path = _checked(path)
        user = container.record.config.user
        async with self._view(container) as view:

            async def consume(fd: int) -> None:
                await self._call(
                    "extract",
                    view,
                    stdin=fd,
                    path=path,
                    name=ref or container.name,
                    read_only_rootfs=container.record.host_config.readonly_rootfs,
                    no_overwrite_dir_non_dir=no_overwrite_dir_non_dir,
                    owner=user if copy_uid_gid and user else None,
                )

            await through_pipe(chunks, consume)

    async def export(self, container: ContainerWithFiles) -> AsyncIterator[bytes]:
        """``GET /export``: the whole root file system as tar, volumes left out."""
        return self._export(container)

    async def _export(self, container: ContainerWithFiles) -> AsyncIterator[bytes]:
        async with self._mounted(container) as rootfs:

            async def produce(fd: int) -> None:
                with _translated():
                    await worker.call(
                        _WORKER + "export", {}, stdout=fd, jail=rootfs, site_packages=True
                    )

            chunks = out_of_pipe(produce)
            try:
                async for chunk in chunks:
                    yield chunk
            finally:
                await chunks.aclose()

    async def changes(self, container: ContainerWithFiles) -> list[dict[str, Any]]:
        """``GET /changes``: ``[{"Path", "Kind"}]`` sorted by path."""
        return [
            {"Path": change.path, "Kind": int(change.kind)}
            for change in await self._snapshots.changes(container.id)
        ]

    # -- views ------------------------------------------------------------------------

    async def _call(
        self,
        function: str,
        view: View,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        **arguments: Any,
    ) -> Any:
        with _translated():
            return await worker.call(
                _WORKER + function,
                view.arguments() | arguments,
                stdin=stdin,
                stdout=stdout,
                pass_fds=view.pass_fds,
                site_packages=True,
                memory_limit_bytes=_MEMORY_BYTES,
            )

    @asynccontextmanager
    async def _view(self, container: ContainerWithFiles) -> AsyncIterator[View]:
        """What the container sees, for as long as the context lasts."""
        if (fd := _root_of(container)) is not None:
            try:
                yield View(root=f"/proc/self/fd/{fd}", pass_fds=(fd,))
            finally:
                os.close(fd)
            return
        async with self._mounted(container) as rootfs:
            mounts = container.record.mounts
            if self._volumes.needs_mount(mounts):
                await self._volumes.mount(f"files {container.id}", mounts)
            try:
                seen = self._volumes.view(mounts)
                yield View(root=str(rootfs), mounts=[*self._managed(container, seen), *seen])
            finally:
                await self._volumes.stopped(f"files {container.id}", mounts)

    def _managed(
        self, container: ContainerWithFiles, mounts: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """The files about names, as a container that has run once has them."""
        directory = self._paths.container(container.id)
        taken = {mount["target"] for mount in mounts}
        return [
            {
                "source": str(directory / name),
                "target": f"/etc/{name}",
                "read_only": False,
                "recursive": False,
            }
            for name in ("hosts", "hostname", "resolv.conf")
            if f"/etc/{name}" not in taken and (directory / name).is_file()
        ]

    @asynccontextmanager
    async def _mounted(self, container: ContainerWithFiles) -> AsyncIterator[Path]:
        """The root file system without what is mounted into it."""
        rootfs = self._paths.rootfs(container.id)
        if container.status.pid:
            yield rootfs
            return
        async with container.lock:
            if container.status.pid:  # started while we waited
                yield rootfs
                return
            # Not in the bundle: that may just be going away after the container's end.
            ours = self._views / container.id
            ours.mkdir(parents=True, exist_ok=True)
            self._snapshots.mount(container.id, ours)
            try:
                yield ours
            finally:
                self._snapshots.unmount(ours)
                with suppress(OSError):
                    ours.rmdir()


def _checked(path: str) -> str:
    if "\0" in path:
        raise InvalidParameter("bad parameter: path must not contain a NUL")
    return file_paths.absolute(path)


def _root_of(container: ContainerWithFiles) -> int | None:
    """A descriptor of a running container's root; None when it doesn't run."""
    pid = container.status.pid
    if not pid:
        return None
    try:
        return os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # ended a moment ago
        return None


class _translated:
    """Operating system errors of a worker in words for the client."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno in _FULL:
            raise Unavailable("no space left on device") from error
        if error.errno == errno.EPIPE:  # the client went away
            return
        raise Internal(f"the container's files: {error}") from error
