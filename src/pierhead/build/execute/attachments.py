"""What ``RUN --mount`` puts into a step: made before it starts, gone after it.

Secrets and sockets lie on a small tmpfs of the step's own that nothing but this process
and the step can enter; a secret that becomes a variable makes the step's configuration as
secret, so then that lies there, too (``private``).
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import stat
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from pierhead.build.execute.agents import AgentSocket
from pierhead.build.execute.model import MountKind, Sharing, StepFile, StepMount
from pierhead.build.execute.mountpoints import MountPoints
from pierhead.build.execute.mounts import CacheMounts, cache_id
from pierhead.build.execute.spec import bind
from pierhead.build.model import SshAgent
from pierhead.errors import InvalidParameter, NotFound
from pierhead.linux import mounts, worker

if TYPE_CHECKING:
    from pierhead.build.files.service import FileService

log = logging.getLogger(__name__)

SECRET_MODE: Final = 0o400
SSH_MODE: Final = 0o600
SECRET_LIMIT_BYTES: Final = 500 << 10  # as BuildKit's MaxSecretSize
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILES: Final = (MountKind.SECRET, MountKind.SSH)
_PRIVATE_FLAGS: Final = 2 | 4 | 8  # MS_NOSUID | MS_NODEV | MS_NOEXEC
_HIDDEN: Final = ["nosuid", "nodev", "noexec"]


class Holder(Protocol):
    """What a step may ask of its client: a part of ``Client``."""

    async def secret(self, secret_id: str) -> bytes | None: ...

    async def ssh(self, agent_id: str) -> SshAgent | None: ...


class Attachments:
    """Of one step. ``attach``, then ``oci_mounts`` and ``env`` are for its specification."""

    def __init__(
        self, directory: Path, scratch: Path, files: FileService, caches: CacheMounts
    ) -> None:
        """``directory``: the step's below the exec root; ``scratch``: below the data root."""
        self._directory = directory
        self._scratch = scratch
        self._files = files
        self._caches = caches
        self._undo = AsyncExitStack()
        self.oci_mounts: list[dict[str, Any]] = []
        self.env: dict[str, str] = {}
        self.private: Path | None = None
        """The tmpfs, if one was needed."""

    async def attach(
        self,
        asked: Sequence[StepMount],
        files: Sequence[StepFile],
        client: Holder,
        points: MountPoints,
    ) -> None:
        """Make it all. Raises ``InvalidParameter``, ``NotFound``; then ``release`` as well."""
        held = await self._hold_caches(asked)
        targets: list[str] = []
        for number, mount in enumerate(asked):
            match mount.kind:
                case MountKind.BIND:
                    source = await self._bind(mount, number, asked)
                case MountKind.CACHE:
                    source = held[cache_id(mount)]
                case MountKind.TMPFS:
                    self._tmpfs(mount, points, targets)
                    continue
                case MountKind.SECRET:
                    await self._secret(mount, number, client, points, targets)
                    continue
                case MountKind.SSH:
                    await self._ssh(mount, number, client, points, targets)
                    continue
            options = ["rw"] if mount.read_write else ["ro"]
            self._mount(source, mount.target, options, points, targets)
        for number, file in enumerate(files):
            path = self._directory / f"file-{number}"
            path.write_bytes(file.data)
            os.chmod(path, file.mode)
            self._mount(path, file.path, ["ro"], points, targets)

    def _mount(
        self, source: Path, target: str, options: list[str], points: MountPoints,
        targets: list[str],
    ) -> None:  # fmt: skip
        self.oci_mounts.append(
            bind(
                os.fspath(source),
                self._point(target, points, targets, directory=source.is_dir()),
                *options,
            )
        )

    def _point(
        self, target: str, points: MountPoints, targets: list[str], *, directory: bool
    ) -> str:
        """Where to mount; what lies below another mount is made there by the runtime."""
        if not target.startswith("/") or target == "/":
            raise InvalidParameter(
                f"invalid mount target {target!r}: an absolute path but / itself"
            )
        if any(target.startswith(other.rstrip("/") + "/") for other in targets):
            return target
        try:
            resolved = points.make(target, directory=directory)
        except OSError as error:
            raise InvalidParameter(f"can't mount at {target}: {error.strerror}") from error
        targets += {target, resolved}
        return resolved

    # Each kind

    async def _bind(self, mount: StepMount, number: int, asked: Sequence[StepMount]) -> Path:
        if mount.source is None:
            raise InvalidParameter(f"the mount at {mount.target} has no source")
        mounted = await self._files.mountable(mount.source, mount.source_path)
        self._undo.push_async_callback(mounted.release)
        missing = _missing_within(mounted.path, mount.target, asked)
        if not mount.read_write and not missing:
            return mounted.path
        view = await self._writable(mounted.path, number)
        for path, is_directory in missing:
            # BuildKit fails here: the runtime can't make it in a read-only mount
            MountPoints(view).make(path, directory=is_directory)
        return view

    async def _writable(self, source: Path, number: int) -> Path:
        """A copy on write, thrown away afterwards: nothing of it is the step's result."""
        scratch = self._scratch / f"mount-{number}"
        scratch.mkdir(mode=0o700, parents=True)
        info = os.stat(source)
        if not stat.S_ISDIR(info.st_mode):
            return await asyncio.to_thread(_copy_file, source, scratch / "file")
        upper, work, view = scratch / "upper", scratch / "work", self._directory / f"view-{number}"
        for directory in (upper, work, view):
            directory.mkdir(mode=0o755)
        os.chmod(upper, stat.S_IMODE(info.st_mode))
        os.chown(upper, info.st_uid, info.st_gid)
        mounts.mount_overlay(view, [source], upper, work, volatile=True)
        self._undo.callback(mounts.unmount, view, lazy=True)
        return view

    async def _hold_caches(self, asked: Sequence[StepMount]) -> dict[str, Path]:
        """All cache mounts, in one order for all steps: so none waits for another in a ring."""
        wanted: dict[str, StepMount] = {}
        for mount in asked:
            if mount.kind is MountKind.CACHE:
                known = wanted.get(cache_id(mount))
                if known is None or known.sharing is Sharing.SHARED:
                    wanted[cache_id(mount)] = mount
        paths = {}
        for key in sorted(wanted):
            mount = wanted[key]
            fill = None
            if mount.source is not None:

                async def fill(path: Path, mount: StepMount = mount) -> None:
                    await self._fill(mount, path)

            held = await self._caches.acquire(mount, fill)
            self._undo.callback(held.release)
            paths[key] = held.path
        return paths

    async def _fill(self, mount: StepMount, path: Path) -> None:
        assert mount.source is not None
        mounted = await self._files.mountable(mount.source, mount.source_path)
        try:
            if mounted.path.is_dir():
                await _copy_tree(mounted.path, path, self._directory)
        finally:
            await mounted.release()

    def _tmpfs(self, mount: StepMount, points: MountPoints, targets: list[str]) -> None:
        options = ["nosuid"]
        if mount.size_bytes:
            options.append(f"size={mount.size_bytes}")
        if mount.mode is not None:
            options.append(f"mode={mount.mode:o}")
        self.oci_mounts.append(
            {
                "destination": self._point(mount.target, points, targets, directory=True),
                "type": "tmpfs",
                "source": "tmpfs",
                "options": options,
            }
        )

    async def _secret(
        self, mount: StepMount, number: int, client: Holder, points: MountPoints,
        targets: list[str],
    ) -> None:  # fmt: skip
        data = await client.secret(mount.id)
        if data is None:
            if mount.required:
                raise NotFound(f"secret {mount.id}: not found")
            return
        if len(data) > SECRET_LIMIT_BYTES:
            raise InvalidParameter(f"secret {mount.id} is bigger than {SECRET_LIMIT_BYTES} bytes")
        private = self._make_private()
        if mount.env:
            if b"\0" in data:
                raise InvalidParameter(f"secret {mount.id} has a NUL byte: it can't be a variable")
            self.env[mount.env] = data.decode("utf-8", "surrogateescape")
        if mount.target:
            mode = SECRET_MODE if mount.mode is None else mount.mode
            path = private / f"secret-{number}"
            _write_secret(path, data, mode=mode, uid=mount.uid, gid=mount.gid)
            hidden = [name for name in _HIDDEN if name != "noexec" or not mode & 0o111]
            self._mount(path, mount.target, ["ro", *hidden], points, targets)

    async def _ssh(
        self, mount: StepMount, number: int, client: Holder, points: MountPoints,
        targets: list[str],
    ) -> None:  # fmt: skip
        agent_id = mount.id or "default"
        agent = await client.ssh(agent_id)
        if agent is None:
            if mount.required:
                raise NotFound(f'no SSH key "{agent_id}" forwarded from the client')
            return
        listener = AgentSocket(agent, self._make_private() / f"agent-{number}")
        await listener.listen(
            mode=SSH_MODE if mount.mode is None else mount.mode, uid=mount.uid, gid=mount.gid
        )
        self._undo.push_async_callback(listener.close)
        target = mount.target or f"/run/buildkit/ssh_agent.{number}"
        self._mount(listener.path, target, ["rw"], points, targets)
        self.env.setdefault("SSH_AUTH_SOCK", target)

    def _make_private(self) -> Path:
        if self.private is None:
            path = self._directory / "private"
            path.mkdir(mode=0o700)
            mounts.mount_tmpfs(path, options="mode=700,size=16m", flags=_PRIVATE_FLAGS)
            self._undo.callback(mounts.unmount, path, lazy=True)
            self.private = path
        return self.private

    async def release(self) -> None:
        """Take it all away. Goes on where one part fails; idempotent."""
        try:
            await self._undo.aclose()
        except Exception:
            log.exception("a step's mounts were not taken away whole")


async def _copy_tree(source: Path, target: Path, jail: Path) -> None:
    """Copy what is in one directory to another, in a worker."""
    source_fd = os.open(source, _DIRECTORY)
    try:
        target_fd = os.open(target, _DIRECTORY)
        try:
            await worker.call(
                "store.trees:copy_tree",
                {"source_fd": source_fd, "target_fd": target_fd},
                jail=jail,
                pass_fds=(source_fd, target_fd),
            )
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)


def _missing_within(
    source: Path, target: str, asked: Sequence[StepMount]
) -> list[tuple[str, bool]]:
    """Mounts below ``target`` that have no place in ``source``: (path there, a directory?)."""
    top = target.rstrip("/")
    inner = [other for other in asked if other.target.startswith(f"{top}/")]
    return [
        (other.target.removeprefix(top), other.kind not in _FILES)
        for other in inner
        if not os.path.lexists(f"{source}{other.target.removeprefix(top)}")
    ]


def _copy_file(source: Path, target: Path) -> Path:
    shutil.copyfile(source, target)
    info = os.stat(source)
    os.chown(target, info.st_uid, info.st_gid)
    os.chmod(target, stat.S_IMODE(info.st_mode))
    return target


def _write_secret(path: Path, data: bytes, *, mode: int, uid: int, gid: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fchown(fd, uid, gid)
        os.fchmod(fd, mode)
