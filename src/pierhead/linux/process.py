"""Every child process starts here: ``posix_spawn`` and a pidfd that the loop watches.

fork() of a process of 170 MB costs 7 ms, ``posix_spawn`` 0.75 (a vfork inside). asyncio's
child watchers are not used: with a child subreaper they'd fight over statuses.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Completed:
    """What became of a child. ``returncode`` is negative for a signal, as in ``subprocess``."""

    returncode: int
    stdout: bytes
    stderr: bytes


class Child:
    """A running child. The pidfd is closed once ``wait`` has the status."""

    pid: int
    pidfd: int

    async def wait(self) -> int:
        """The exit code, or minus the signal's number. May be called again."""
        raise NotImplementedError

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; nothing happens when the child is gone already."""
        raise NotImplementedError


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    pass_fds: Sequence[int] = (),
    new_session: bool = False,
) -> Child:
    """Start ``argv``. Streams not given are /dev/null; ``pass_fds`` keep their numbers.

    ``env`` None: a minimal one (PATH, HOME, LANG). ``argv[0]`` is looked up in PATH.
    Raises ``FileNotFoundError`` or ``PermissionError``.
    """
    raise NotImplementedError


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
    timeout_s: float | None = None,
    cwd: str | os.PathLike[str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Completed:
    """Run to completion, collecting both outputs.

    Raises ``TimeoutError`` after ``timeout_s`` (the child is killed first; so it is when the
    caller is cancelled).
    """
    raise NotImplementedError


def become_subreaper() -> None:
    """Orphans of our children (conmon, crun's init) become ours, so that we see them end."""
    raise NotImplementedError


async def wait_pidfd(pidfd: int) -> None:
    """Return when the process has ended. The caller keeps the descriptor and reaps."""
    raise NotImplementedError


def reap(pidfd: int) -> int | None:
    """Collect the status of an ended child by pidfd; None when it is not (or no more) ours."""
    raise NotImplementedError


def process_start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot: with the pid an identity.

    None when there is no such process (a zombie counts as one still).
    """
    raise NotImplementedError
