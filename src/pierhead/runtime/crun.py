"""The OCI runtime as a command: everything but create and exec, which conmon calls.

Called with ``--root <exec-root>/crun``. Raises ``RuntimeFailed`` with the runtime's own
message.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, Final

from pierhead.errors import Internal, Unavailable
from pierhead.linux import cgroups, mounts, process
from pierhead.linux.cgroup_warmup import CgroupWarmup
from pierhead.store.paths import Paths

_TIMEOUT_S: Final = 60.0
_BUSY_TRIES: Final = 25
_BUSY_PAUSE_S: Final = 0.002
_PREFIX: Final = re.compile(r"^(\d{4}-\d\d-\d\dT\S+Z?:? )?(\[\w+\] )?")
_MISSING: Final = re.compile(
    r"No such file or directory|does not exist|cannot open|error opening file", re.IGNORECASE
)


class RuntimeFailed(Internal):
    """crun (or runc) said no; ``message`` is its text, without timestamps and prefixes."""


def clean_message(text: str) -> str:
    """The runtime's last error line without the decoration of its log format."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if not lines:
        return "the OCI runtime failed without a message"
    return _PREFIX.sub("", "; ".join(dict.fromkeys(lines)), count=1)


def _is_running(status: dict[str, Any]) -> bool:
    ticks = process.process_start_ticks(int(status.get("pid", 0)))
    return ticks is not None and ticks == status.get("process-start-time")


class Runtime:
    """crun by default; ``binary`` may name runc or another with the same command line."""

    def __init__(self, paths: Paths, binary: str = "crun") -> None:
        self.paths = paths
        self.binary = binary
        self._path = binary
        self._layout: cgroups.Layout | None = None
        self._warmup: CgroupWarmup | None = None

    def prepare(self) -> None:
        """Find the binary and put it on a read-only bind mount below the exec root.

        crun copies itself into a memfd at every call unless it lies on a read-only mount
        (CVE-2019-5736's cure); that saves 1.5 ms a call. Raises ``Unavailable`` naming the
        package when there is none.
        """
        found = process.find_program(self.binary)
        if found is None:
            raise Unavailable(
                f"the OCI runtime {self.binary} is not installed: install the package "
                f"{os.path.basename(self.binary)}"
            )
        self._path = found
        directory = self.paths.exec_root / "bin"
        target = directory / os.path.basename(self.binary)
        with contextlib.suppress(OSError):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.path.ismount(target) or mounts.is_mountpoint(target):
                # may be an older version of the program
                if os.path.samefile(target, found):
                    self._path = str(target)
                    return
                mounts.unmount(target, lazy=True)
            target.touch(mode=0o755)
            mounts.bind(os.path.realpath(found), target, recursive=False, read_only=True)
            mounts.set_propagation(target, "private")
            self._path = str(target)

    def close(self) -> None:
        """Take the bind mount away again; containers that run do not need it."""
        target = self.paths.exec_root / "bin" / os.path.basename(self.binary)
        with contextlib.suppress(OSError):
            mounts.unmount(target, lazy=True)
        if self._warmup is not None:
            self._warmup.close()

    @property
    def path(self) -> str:
        """The binary to call."""
        return self._path

    @property
    def global_args(self) -> list[str]:
        """Options before the command, for us and for conmon."""
        return [f"--root={self.paths.runtime_root}"]

    @property
    def layout(self) -> cgroups.Layout:
        """The host's control groups, looked up once."""
        if self._layout is None:
            self._layout = cgroups.detect()
        return self._layout

    def warm_up(self) -> None:
        """A create or an exec is likely soon: spare it the wait for the cgroup lock (10 ms)."""
        if self._warmup is None:
            self._warmup = CgroupWarmup(self.layout)
        self._warmup.warm()

    def state_dir(self, container_id: str) -> Path:
        return self.paths.runtime_root / container_id

    def knows(self, container_id: str, *, whole: bool = False) -> bool:
        """Whether the runtime keeps a state of this container (``whole``: a complete one)."""
        directory = self.state_dir(container_id)
        return os.path.lexists(directory / "status" if whole else directory)

    async def _run(self, *args: str, input: bytes | None = None) -> process.Completed:
        return await process.run(
            [self._path, *self.global_args, *args], input=input, timeout_s=_TIMEOUT_S
        )

    async def _must(self, *args: str, input: bytes | None = None) -> bytes:
        done = await self._run(*args, input=input)
        if done.returncode:
            raise RuntimeFailed(clean_message(done.stderr.decode(errors="replace")))
        return done.stdout

    async def version(self) -> str:
        """ "1.8.1"."""
        done = await self._run("--version")
        match = re.search(rb"version (\S+)", done.stdout)
        return match[1].decode() if match else "unknown"

    def _status(self, container_id: str) -> dict[str, Any] | None:
        """crun's own record; None when there is none we can read (also another runtime's)."""
        try:
            with open(self.state_dir(container_id) / "status", "rb") as file:
                status = json.load(file)
        except (OSError, ValueError):
            return None
        return status if isinstance(status, dict) and "cgroup-path" in status else None

    async def kill(self, container_id: str, signal: int, *, all: bool = False) -> None:
        """Signal the container's init, or everything in it.

        Raises ``RuntimeFailed`` when there is nothing to signal.
        """
        status = self._status(container_id)
        if status is None or status.get("systemd-cgroup"):
            options = ["--all"] if all else []
            await self._must("kill", *options, container_id, str(signal))
            return
        if all:
            pids = cgroups.pids(self.layout, status["cgroup-path"])
        else:
            pids = [status["pid"]] if _is_running(status) else []
        for pid in pids:
            try:
                os.kill(pid, signal)
            except ProcessLookupError:
                pids = [other for other in pids if other != pid]
        if not pids:
            raise RuntimeFailed("container not running")

    async def delete(self, container_id: str, *, force: bool = False) -> None:
        """Remove the runtime's state and cgroup; fine when there is none. ``force`` kills first.

        For a crun container that has ended this is done here, as ``crun delete`` would (0.5 ms
        against 4); in any other case the runtime is called.
        """
        if not self.knows(container_id):
            return
        status = self._status(container_id)
        if status is not None and not status.get("systemd-cgroup") and not _is_running(status):
            for _ in range(_BUSY_TRIES):
                # a process that has just ended may still be counted for a moment
                # (in a thread: it is a dozen system calls that wait for locks of the kernel)
                if await asyncio.to_thread(self._remove_ended, container_id, status):
                    return
                await asyncio.sleep(_BUSY_PAUSE_S)
        options = ["--force"] if force else []
        done = await self._run("delete", *options, container_id)
        if done.returncode == 0:
            return
        if not self.knows(container_id, whole=True):
            # a create that was killed half-way leaves a directory crun itself won't touch
            shutil.rmtree(self.state_dir(container_id), ignore_errors=True)
            return
        raise RuntimeFailed(clean_message(done.stderr.decode(errors="replace")))

    def _remove_ended(self, container_id: str, status: dict[str, Any]) -> bool:
        """The cgroup and the state of a container without processes; False: one is left."""
        if not cgroups.remove(self.layout, status["cgroup-path"], kill=False):
            return False
        shutil.rmtree(self.state_dir(container_id), ignore_errors=True)
        return True

    async def start(self, container_id: str) -> None:
        """The runtime's own ``start``; ``Conmon.start`` is quicker with crun."""
        await self._must("start", container_id)

    async def pause(self, container_id: str) -> None:
        await self._must("pause", container_id)

    async def resume(self, container_id: str) -> None:
        await self._must("resume", container_id)

    async def update(self, container_id: str, resources: dict[str, Any]) -> None:
        """Apply ``linux.resources`` of the runtime spec (``runtime_spec.build_resources``)."""
        await self._must(
            "update", "--resources", "-", container_id, input=json.dumps(resources).encode()
        )

    async def state(self, container_id: str) -> dict[str, Any] | None:
        """The OCI state ({"status": "created"|"running"|"stopped", "pid": ...}).

        None: the runtime does not know it.
        """
        if not self.knows(container_id):
            return None
        done = await self._run("state", container_id)
        if done.returncode:
            text = done.stderr.decode(errors="replace")
            if _MISSING.search(text):
                return None
            raise RuntimeFailed(clean_message(text))
        state: dict[str, Any] = json.loads(done.stdout)
        return state

    async def ps(self, container_id: str) -> list[int]:
        """Process ids inside, host's view."""
        return [int(pid) for pid in json.loads(await self._must("ps", "-f", "json", container_id))]

    async def list_ids(self) -> list[str]:
        """Every container the runtime keeps state of (for recovery)."""
        try:
            return sorted(
                entry.name for entry in os.scandir(self.paths.runtime_root) if entry.is_dir()
            )
        except FileNotFoundError:
            return []
