"""conmon: one small process a container that outlives us and keeps its streams and exit code.

Life of a start::

    started = await conmon.create(...)      # conmon daemonised, crun created, process waits
    attach = await conmon.attach(bundle)    # as many as there are clients, before any output
    conmon.start(container_id)              # opens the exec fifo: the process runs
    status = await conmon.wait_exit(...)    # conmon has ended: exit file written

Files of conmon in the bundle (or the exec's directory): ``attach`` (SOCK_SEQPACKET; a
packet is one byte of stream, 2 stdout or 3 stderr, and data), ``ctl`` (fifo: window
sizes, "reopen logs"), ``winsz``, ``pidfile``, ``conmon.pid``, ``oom``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pierhead.runtime.crun import Runtime
from pierhead.store.paths import Paths


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


class ConmonAttach:
    """One connection to an attach socket."""

    async def read(self) -> tuple[int, bytes] | None:
        """The next packet as (``STDOUT`` or ``STDERR``, data); None at the end."""
        raise NotImplementedError

    async def write(self, data: bytes) -> None:
        """Bytes for the process's stdin. Raises ``ConnectionError`` when it is closed."""
        raise NotImplementedError

    async def close_stdin(self) -> None:
        """Half-close: conmon closes the process's stdin (unless ``leave_stdin_open``)."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class Conmon:
    def __init__(self, paths: Paths, runtime: Runtime, binary: str = "conmon") -> None:
        self.paths = paths
        self.runtime = runtime
        self.binary = binary

    def prepare(self) -> None:
        """Raises ``Unavailable`` naming the package when conmon is missing."""
        raise NotImplementedError

    async def create(
        self,
        *,
        id: str,
        bundle: Path,
        log_path: Path | None,
        terminal: bool = False,
        stdin: bool = False,
        leave_stdin_open: bool = False,
        pass_fds: tuple[int, ...] = (),
    ) -> Started:
        """Create the container of ``bundle``/config.json under a new conmon.

        Everything that failed is cleaned up; raises ``RuntimeFailed`` with crun's message.
        ``log_path`` None: no log.
        """
        raise NotImplementedError

    async def start(self, id: str) -> None:
        """Let the created process run. Raises ``RuntimeFailed`` (e.g. executable not found)."""
        raise NotImplementedError

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
        nothing is lost. Raises ``RuntimeFailed``.
        """
        raise NotImplementedError

    async def attach(self, directory: Path) -> ConmonAttach:
        """Connect to the bundle's or exec directory's socket. ``Conflict`` when it is gone."""
        raise NotImplementedError

    async def resize(self, directory: Path, rows: int, cols: int) -> None:
        raise NotImplementedError

    async def reopen_logs(self, directory: Path) -> None:
        """Make conmon open the log path anew, after it was renamed."""
        raise NotImplementedError

    async def wait_exit(
        self, conmon_pid: int, start_ticks: int, exit_file: Path, *, directory: Path | None = None
    ) -> ExitStatus:
        """Wait for a conmon's end, also of one that an earlier pierd started, and read the code.

        ``directory`` (bundle): where an ``oom`` mark may lie.
        """
        raise NotImplementedError

    def is_alive(self, conmon_pid: int, start_ticks: int) -> bool:
        raise NotImplementedError
