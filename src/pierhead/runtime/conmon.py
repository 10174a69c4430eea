"""conmon: one small process a container that outlives us and keeps its streams and exit code.

Life of a start::

    started = await conmon.create(...)      # conmon runs, crun created, the process waits
    attach = await conmon.attach(bundle)    # as many as there are clients, before any output
    await conmon.start(container_id)        # opens the exec fifo: the process runs
    status = await conmon.wait_exit(...)    # conmon has ended: exit file written

Files of conmon in the bundle (or the exec's directory): ``attach`` (SOCK_SEQPACKET, see
``runtime/attach.py``), ``ctl`` (fifo: window sizes, "reopen logs"), ``winsz``,
``pidfile``, ``oom`` (in its working directory). The exit code is in ``exits/<id>``; of an
exec in ``<exec directory>/<container id>`` (``exec_exit_file``), because conmon names the
file after the container.

conmon 2.1 talks on descriptors named in its environment: ``_OCI_SYNCPIPE`` (JSON lines:
the pid, or -1 and the runtime's message; for an exec then the exit code),
``_OCI_STARTPIPE`` (it reads before it does anything; an attached exec reads again before
it runs) and ``_OCI_ATTACHPIPE`` (an exec's attach socket is there). It is started with
``--sync``: not daemonised by a second fork, so it is our child and its pid known at once;
it makes a session of its own and survives us all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pierhead.errors import Unavailable
from pierhead.linux import process
from pierhead.linux.process import Child
from pierhead.runtime.attach import ConmonAttach, connect
from pierhead.runtime.crun import Runtime, RuntimeFailed, clean_message
from pierhead.store.paths import Paths

__all__ = ["Conmon", "ConmonAttach", "ExecLaunch", "ExitStatus", "Launch", "Started"]

log = logging.getLogger(__name__)

_CREATE_TIMEOUT_S: Final = 120.0
_RESIZE_EVENT: Final = 1
_REOPEN_LOGS_EVENT: Final = 2


@dataclass(frozen=True, slots=True)
class Started:
    pid: int  # of the container's or exec's first process, host's view
    conmon_pid: int
    conmon_start_ticks: int


@dataclass(frozen=True, slots=True)
class ExitStatus:
    exit_code: int  # 0-255; 137 for SIGKILL
    oom_killed: bool
    finished_ns: int
    known: bool = True  # False: conmon died without leaving a code; 255 is made up


class _SyncPipe:
    """conmon's JSON lines, read on the loop."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.write_fd, True)
        self._buffer = b""

    def started(self) -> None:
        os.close(self.write_fd)
        self.write_fd = -1

    async def message(self) -> tuple[int, str] | None:
        """The next (data, message); None at the end."""
        while b"\n" not in self._buffer:
            try:
                data = os.read(self.read_fd, 1 << 16)
            except BlockingIOError:
                await process.wait_readable(self.read_fd)
                continue
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            # conmon passes the runtime's bytes through, control characters included
            found = json.loads(line.decode(errors="replace"), strict=False)
        except ValueError:
            return -1, line.decode(errors="replace")
        return int(found.get("data", -1)), str(found.get("message", ""))

    def close(self) -> None:
        for fd in (self.read_fd, self.write_fd):
            if fd >= 0:
                os.close(fd)
        self.read_fd = self.write_fd = -1


class Launch:
    """A conmon that has started and waits."""

    def __init__(
        self,
        conmon: Conmon,
        container_id: str,
        child: Child,
        sync: _SyncPipe,
        start_fd: int,
        runtime: Runtime,
    ) -> None:
        self._conmon = conmon
        self._container_id = container_id
        self._runtime = runtime
        self._child = child
        self._sync = sync
        self._start_fd = start_fd

    async def create(self) -> Started:
        """Let it create the container of its bundle, now complete.

        Everything that failed is cleaned up; raises ``RuntimeFailed`` with crun's message.
        """
        try:
            with contextlib.suppress(BrokenPipeError):  # it has ended: the other pipe tells
                os.write(self._start_fd, b"1")
            async with asyncio.timeout(_CREATE_TIMEOUT_S):
                answer = await self._sync.message()
            pid = _started_pid(answer)
        except BaseException:
            await asyncio.shield(self.abandon())
            raise
        self._close()
        return Started(pid, self._child.pid, _start_ticks(self._child.pid))

    async def abandon(self) -> None:
        """End it, and whatever it has created. Idempotent."""
        # first the process, then its pipe: at the pipe's end it would go ahead
        self._child.kill()
        self._close()
        await self._conmon.abandon(self._container_id, self._child, self._runtime)

    def _close(self) -> None:
        self._sync.close()
        if self._start_fd >= 0:
            os.close(self._start_fd)
            self._start_fd = -1


class ExecLaunch:
    """A conmon of an exec that has started and waits."""

    def __init__(
        self,
        conmon: Conmon,
        child: Child,
        directory: Path,
        sync: _SyncPipe,
        ready: _SyncPipe | None,
        start_fd: int,
    ) -> None:
        self._conmon = conmon
        self._child = child
        self._directory = directory
        self._sync = sync
        self._ready = ready
        self._start_fd = start_fd

    async def run(self, process: dict[str, Any]) -> tuple[Started, ConmonAttach | None]:
        """Let it run ``process``; see ``Conmon.exec``."""
        connection: ConmonAttach | None = None
        try:
            _write_process(self._directory, process)
            async with asyncio.timeout(_CREATE_TIMEOUT_S):
                self._go_on()
                if self._ready is not None and await self._ready.message() is not None:
                    connection = connect(self._directory)
                    self._go_on()
                answer = await self._sync.message()
            pid = _started_pid(answer)
        except BaseException:
            if connection is not None:
                connection.close()
            self.abandon()
            raise
        ticks = _start_ticks(self._child.pid)
        self._close()
        return Started(pid, self._child.pid, ticks), connection

    def _go_on(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended: the other pipe tells
            os.write(self._start_fd, b"1")

    def abandon(self) -> None:
        """End it. Idempotent; the process is reaped when it has gone."""
        # first the process, then its pipe: at the pipe's end it would go ahead
        self._child.kill()
        self._close()
        self._conmon.forget(self._child)

    def _close(self) -> None:
        self._sync.close()
        if self._ready is not None:
            self._ready.close()
        if self._start_fd >= 0:
            os.close(self._start_fd)
            self._start_fd = -1


class Conmon:
    def __init__(self, paths: Paths, runtime: Runtime, binary: str = "conmon") -> None:
        self.paths = paths
        self.runtime = runtime
        self.binary = binary
        self._children: dict[int, Child] = {}

    def prepare(self) -> None:
        """Raises ``Unavailable`` naming the package when conmon is missing."""
        found = process.find_program(self.binary)
        if found is None:
            raise Unavailable("conmon is not installed: install the package conmon")
        self.binary = found

    def _argv(
        self, runtime: Runtime, cid: str, uuid: str, directory: Path, options: Sequence[str]
    ) -> list[str]:
        argv = [self.binary, "--api-version=1", "--sync", "--full-attach", "--no-sync-log"]
        argv += ["-c", cid, "-u", uuid, "-n", uuid, "-b", str(directory)]
        argv += ["-p", str(directory / "pidfile"), "-r", runtime.path]
        for argument in runtime.global_args:
            argv += ["--runtime-arg", argument]
        return [*argv, *options]

    def _spawn(
        self,
        argv: Sequence[str],
        directory: Path,
        environment: dict[str, int],
        extra_fds: Sequence[int],
    ) -> Child:
        env = {**process.DEFAULT_ENV, **{name: str(fd) for name, fd in environment.items()}}
        # its working directory, where the oom mark goes
        child = process.spawn(
            argv, env=env, pass_fds=(*environment.values(), *extra_fds), cwd=directory
        )
        self._children[child.pid] = child
        return child

    def launch(
        self,
        *,
        id: str,
        bundle: Path,
        log_path: Path | None,
        terminal: bool = False,
        stdin: bool = False,
        leave_stdin_open: bool = False,
        log_size_max_bytes: int = 0,
        pass_fds: tuple[int, ...] = (),
        runtime: Runtime | None = None,
    ) -> Launch:
        """Start a conmon that waits for ``Launch.create``: its 2.5 ms of start-up pass meanwhile.

        ``bundle`` must exist, its contents not yet. Then either ``create`` or ``abandon``
        must be awaited. ``log_path`` None: no log. ``leave_stdin_open``: stdin stays open when
        the client that wrote to it leaves (not StdinOnce). ``runtime`` None: the default.
        """
        runtime = runtime or self.runtime
        options = ["--exit-dir", str(self.paths.exits)]
        options += ["-l", "none" if log_path is None else f"k8s-file:{log_path}"]
        if log_path is not None and log_size_max_bytes > 0:
            # conmon renames an empty file over the log then; see engine/containers/logfiles.py
            options += ["--log-size-max", str(log_size_max_bytes)]
        options += _stream_options(terminal, stdin, leave_stdin_open)
        for name in ("pidfile", "oom"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(bundle / name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.paths.exits / id)
        sync = _SyncPipe()
        start_read, start_write = os.pipe2(os.O_CLOEXEC)
        try:
            child = self._spawn(
                self._argv(runtime, id, id, bundle, options),
                bundle,
                {"_OCI_SYNCPIPE": sync.write_fd, "_OCI_STARTPIPE": start_read},
                pass_fds,
            )
        except BaseException:
            sync.close()
            os.close(start_write)
            raise
        finally:
            os.close(start_read)
        sync.started()
        return Launch(self, id, child, sync, start_write, runtime)

    async def create(
        self,
        *,
        id: str,
        bundle: Path,
        log_path: Path | None,
        terminal: bool = False,
        stdin: bool = False,
        leave_stdin_open: bool = False,
        log_size_max_bytes: int = 0,
        pass_fds: tuple[int, ...] = (),
    ) -> Started:
        """Create the container of ``bundle``/config.json under a new conmon: launch and create.

        Everything that failed is cleaned up; raises ``RuntimeFailed`` with crun's message.
        """
        launch = self.launch(
            id=id,
            bundle=bundle,
            log_path=log_path,
            terminal=terminal,
            stdin=stdin,
            leave_stdin_open=leave_stdin_open,
            log_size_max_bytes=log_size_max_bytes,
            pass_fds=pass_fds,
        )
        return await launch.create()

    async def abandon(self, container_id: str, child: Child, runtime: Runtime) -> None:
        """A create that failed or was cancelled: nothing of it may stay."""
        child.kill()
        await child.wait()
        self._children.pop(child.pid, None)
        try:
            await runtime.delete(container_id, force=True)
        except RuntimeFailed as error:
            log.warning(
                "cleaning up after a failed create: %s", error, extra={"container": container_id}
            )

    async def start(self, id: str, runtime: Runtime | None = None) -> None:
        """Let the created process run. Raises ``RuntimeFailed``.

        What ``crun start`` does for a container without hooks: one byte into the fifo that
        the waiting process holds open. Another runtime's ``start`` is called.
        """
        runtime = runtime or self.runtime
        fifo = runtime.state_dir(id) / "exec.fifo"
        try:
            fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            await runtime.start(id)
            return
        try:
            os.unlink(fifo)  # how crun knows "created" from "running"
            os.write(fd, b"\0")
        except OSError as error:
            raise RuntimeFailed(f"starting {id[:12]}: {error.strerror}") from error
        finally:
            os.close(fd)

    def launch_exec(
        self,
        *,
        id: str,
        exec_id: str,
        terminal: bool,
        stdin: bool,
        directory: Path,
        attach: bool = True,
        runtime: Runtime | None = None,
    ) -> ExecLaunch:
        """Start a conmon that waits for ``ExecLaunch.run``: its 2.5 ms of start-up pass meanwhile.

        ``directory`` is made if needed; the caller removes it. Then either ``run`` must be
        awaited or ``abandon`` called.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        spec = directory / "process.json"
        options = ["-e", "--exec-process-spec", str(spec), "--exit-dir", str(directory)]
        options += ["-l", "none", *_stream_options(terminal, stdin, False)]
        sync = _SyncPipe()
        ready = _SyncPipe()
        start_read, start_write = os.pipe2(os.O_CLOEXEC)
        environment = {"_OCI_SYNCPIPE": sync.write_fd, "_OCI_STARTPIPE": start_read}
        if attach:
            options.append("--exec-attach")
            environment["_OCI_ATTACHPIPE"] = ready.write_fd
        try:
            child = self._spawn(
                self._argv(runtime or self.runtime, id, exec_id, directory, options),
                directory,
                environment,
                (),
            )
        except BaseException:
            sync.close()
            ready.close()
            os.close(start_write)
            raise
        finally:
            os.close(start_read)
        sync.started()
        ready.started()
        return ExecLaunch(self, child, directory, sync, ready if attach else None, start_write)

    async def exec(
        self,
        *,
        id: str,
        exec_id: str,
        process: dict[str, Any],
        terminal: bool,
        stdin: bool,
        directory: Path,
        attach: bool = True,
    ) -> tuple[Started, ConmonAttach | None]:
        """Run ``process`` (runtime spec's process object) in the container.

        With ``attach`` the returned connection was made before the process started, so
        nothing is lost. Its exit: ``wait_exit(..., exec_exit_file(directory, id))``. Raises
        ``RuntimeFailed``. ``directory`` is made if needed; the caller removes it.
        """
        launch = self.launch_exec(
            id=id,
            exec_id=exec_id,
            terminal=terminal,
            stdin=stdin,
            directory=directory,
            attach=attach,
        )
        return await launch.run(process)

    def forget(self, child: Child) -> None:
        """Nobody will wait for this one's exit code."""
        self._children.pop(child.pid, None)

    def exec_exit_file(self, directory: Path, id: str) -> Path:
        """Where the exit code of an exec in container ``id`` is written."""
        return directory / id

    async def attach(self, directory: Path) -> ConmonAttach:
        """Connect to the bundle's or exec directory's socket. ``Conflict`` when it is gone."""
        return connect(directory)

    async def resize(self, directory: Path, rows: int, cols: int) -> None:
        """Set the terminal's size. Nothing happens when the process has ended."""
        # conmon refuses anything above
        self._control(directory, f"{_RESIZE_EVENT} {min(rows, 1000)} {min(cols, 1000)}\n")

    async def reopen_logs(self, directory: Path) -> None:
        """Make conmon open the log path anew, after it was renamed."""
        self._control(directory, f"{_REOPEN_LOGS_EVENT} 0 0\n")

    def _control(self, directory: Path, line: str) -> None:
        try:
            fd = os.open(directory / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return  # no reader any more: the process has ended
        try:
            os.write(fd, line.encode())
        except OSError as error:
            log.warning("conmon's control fifo: %s", error, extra={"directory": str(directory)})
        finally:
            os.close(fd)

    async def wait_exit(
        self, conmon_pid: int, start_ticks: int, exit_file: Path, *, directory: Path | None = None
    ) -> ExitStatus:
        """Wait for a conmon's end, also of one that an earlier pierd started, and read the code.

        ``directory`` (the bundle): where an ``oom`` mark may lie. May be called by several
        waiters and again later.
        """
        child = self._children.get(conmon_pid)
        if child is not None:
            await child.wait()
            self._children.pop(conmon_pid, None)
            seen_ns = time.time_ns()
        else:
            seen_ns = time.time_ns() if await _wait_foreign(conmon_pid, start_ticks) else 0
        return _read_exit(exit_file, directory, seen_ns)

    def is_alive(self, conmon_pid: int, start_ticks: int) -> bool:
        """Whether this very process still runs (not another with its number)."""
        return _start_ticks(conmon_pid) == start_ticks != 0


def _start_ticks(pid: int) -> int:
    return process.process_start_ticks(pid) or 0


def _write_process(directory: Path, process: dict[str, Any]) -> None:
    (directory / "process.json").write_bytes(json.dumps(process).encode())


def _stream_options(terminal: bool, stdin: bool, leave_stdin_open: bool) -> list[str]:
    options = []
    if terminal:
        options.append("-t")
    if stdin:
        options.append("-i")
    if leave_stdin_open:
        options.append("--leave-stdin-open")
    return options


def _started_pid(answer: tuple[int, str] | None) -> int:
    """The pid out of conmon's first message, or ``RuntimeFailed`` with the runtime's."""
    if answer is None:
        raise RuntimeFailed("conmon ended before the container was created")
    pid, message = answer
    if pid <= 0:
        raise RuntimeFailed(clean_message(message))
    return pid


async def _wait_foreign(pid: int, start_ticks: int) -> bool:
    """Wait for a process that is not (known as) our child; False: it had ended before."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if _start_ticks(pid) != start_ticks:
            return False
        await process.wait_pidfd(pidfd)
        process.reap(pidfd)
        return True
    finally:
        os.close(pidfd)


def _read_exit(exit_file: Path, directory: Path | None, seen_ns: int) -> ExitStatus:
    """``seen_ns``: when the end was noticed, if it was; the file's time is as coarse as a tick."""
    oom_killed = directory is not None and os.path.exists(directory / "oom")
    try:
        with open(exit_file, "rb") as file:
            code = int(file.read())
            finished_ns = seen_ns or os.fstat(file.fileno()).st_mtime_ns
    except (FileNotFoundError, ValueError):
        return ExitStatus(255, oom_killed, seen_ns or time.time_ns(), known=False)
    return ExitStatus(code if code >= 0 else 255, oom_killed, finished_ns)
