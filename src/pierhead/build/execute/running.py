"""A step's process: crun without conmon, for its end is this process's business alone.

``crun run --detach`` returns once the program runs; as a child subreaper we are then the
parent of it and get its status. The runtime's state lies in the step's own directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path
from typing import Final

from pierhead.errors import Internal
from pierhead.linux import cgroups, process
from pierhead.runtime.crun import Runtime, RuntimeFailed, clean_message
from pierhead.store.snapshots.trash import remove_few

log = logging.getLogger(__name__)

_START_S: Final = 60.0
_NO_STATUS: Final = 255
_FEW: Final = 256


class Running:
    """A process that runs; ``wait`` for it, once."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        process.awaited(pid)
        self._pidfd = os.pidfd_open(pid)

    async def wait(self) -> int:
        """The exit code, or minus a signal's number. All that ran with it has ended, too."""
        await process.wait_pidfd(self._pidfd)
        status = process.reap(self._pidfd)
        return _NO_STATUS if status is None else status

    def kill(self) -> None:
        """End it, and with the first process of its namespace all others."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Let go of it; one that was killed and not waited for is reaped."""
        if self._pidfd >= 0:
            process.reap(self._pidfd)
            process.awaited(self.pid, False)
            os.close(self._pidfd)
            self._pidfd = -1


async def start(
    runtime: Runtime, step_id: str, bundle: Path, state: Path, *,
    stdout: int, stderr: int, stdin: int | None = None, console: Path | None = None,
) -> Running:  # fmt: skip
    """Run ``bundle``/config.json; the runtime keeps its state in ``state``.

    With ``console`` the process gets a terminal, whose other end the runtime sends to that
    socket. Raises ``RuntimeFailed`` with its message. When this is cancelled, which takes
    until the runtime has come to its end, the caller has to ``end`` what was started.
    """
    pid_file, log_file = state / "pid", state / "log"
    os.makedirs(state, mode=0o700, exist_ok=True)
    argv = [
        runtime.path, f"--root={state}", f"--log={log_file}",
        "run", "--detach", f"--bundle={bundle}", f"--pid-file={pid_file}",
    ]  # fmt: skip
    if console is not None:
        argv.append(f"--console-socket={console}")
    child = process.spawn([*argv, step_id], stdin=stdin, stdout=stdout, stderr=stderr, cwd=bundle)
    code = await _finish(child)
    if code:
        raise RuntimeFailed(_message(log_file))
    try:
        started = Running(int(_read(pid_file)))
    except (OSError, ValueError) as error:
        raise Internal(f"the OCI runtime did not tell the step's process: {error}") from error
    try:
        await _inherit(started.pid)
    except BaseException:
        started.kill()
        started.close()
        raise
    return started


async def _finish(child: process.Child) -> int:
    """The runtime's exit code. Cancelled, it still lets the runtime come to its end.

    crun does its work in a process that has left its session: killed now, the one would
    go on without the other, and start the step after everything else was taken down.
    """
    try:
        async with asyncio.timeout(_START_S):
            return await child.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_S):
                await child.wait()
        raise
    finally:
        child.kill()


async def _inherit(pid: int) -> None:
    """Wait until ``pid`` is our child.

    crun returns when its helper, the parent, says that the step runs; that may be about to
    exit, and is another child of ours then.
    """
    parent = _parent(pid)
    if parent in (os.getpid(), 0):
        return
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(parent)
        try:
            await process.wait_pidfd(pidfd)
        finally:
            os.close(pidfd)


def _parent(pid: int) -> int:
    """Whose child it is; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _read(path: Path) -> str:
    return path.read_text()


def _message(log_file: Path) -> str:
    try:
        return clean_message(log_file.read_text(errors="replace"))
    except OSError:
        return "the OCI runtime failed without a message"


async def delete_tree(directory: Path) -> None:
    """Delete a step's files; never what is mounted there, should something still be."""
    try:
        if await asyncio.to_thread(remove_few, os.fspath(directory), _FEW):
            return
    except OSError:
        pass  # rm says why; somebody else may have been deleting there as well
    done = await process.run(["rm", "-rf", "--one-file-system", "--", os.fspath(directory)])
    if done.returncode:
        log.warning("a step's files were not deleted: %s", done.stderr.decode(errors="replace"))


def reap_helpers(runtime: Runtime) -> None:
    """Collect the helpers that crun left to us, see ``_inherit``."""
    process.reap_orphans(os.path.basename(runtime.path))


async def end(layout: cgroups.Layout, cgroup: str) -> None:
    """Nothing may be left of the step: what still runs is killed, its group removed."""
    await asyncio.to_thread(cgroups.remove, layout, cgroup)


def used(layout: cgroups.Layout, cgroup: str) -> tuple[int, int]:
    """(most memory in bytes, CPU time in ns) of the group; 0 where the kernel doesn't say."""
    if layout.version == "v2":
        memory = _number(layout.directory("memory", cgroup), "memory.peak")
        directory = layout.directory("cpu", cgroup)
        usage = 0
        if directory is not None:
            with contextlib.suppress(OSError, ValueError):
                for line in (directory / "cpu.stat").read_text().splitlines():
                    if line.startswith("usage_usec "):
                        usage = int(line.split()[1]) * 1000
        return memory, usage
    return (
        _number(layout.directory("memory", cgroup), "memory.max_usage_in_bytes"),
        _number(layout.directory("cpuacct", cgroup), "cpuacct.usage"),
    )


def _number(directory: Path | None, name: str) -> int:
    if directory is None:
        return 0
    try:
        return int((directory / name).read_text())
    except (OSError, ValueError):
        return 0
