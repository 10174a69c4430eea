"""Jailed helper processes: heavy or hostile work off the event loop.

A worker is a fresh ``python -IS`` that imports one function and calls it::

    result = await worker.call(
        "store.unpack:unpack", {"whiteouts": "overlay"}, stdin=fd, jail=directory, timeout_s=600
    )

In the worker, ``pierhead.store.unpack.unpack(**args)`` runs with fd 0 and 1 as given
(/dev/null otherwise), in its own mount namespace, chrooted into ``jail`` (the function
sees it as ``/``) with no_new_privs and only the capabilities that unpacking needs. It
returns something JSON can carry, or raises: a ``PierError`` is raised again in the
caller with the same kind and message, ``OSError`` with the same errno, anything else as
``Internal``. Import everything needed at module level: inside the jail there is no
Python installation any more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Worker:
    """A running worker; ``stdin_fd``/``stdout_fd`` are our ends of pipes (None: not asked)."""

    pid: int
    stdin_fd: int | None
    stdout_fd: int | None

    async def result(self) -> Any:
        """Wait for the end and return what the function returned, or raise what it raised."""
        raise NotImplementedError

    def kill(self) -> None:
        raise NotImplementedError


async def call(
    function: str,
    args: dict[str, Any],
    *,
    stdin: int | None = None,
    stdout: int | None = None,
    jail: Path | None = None,
    timeout_s: float | None = None,
    pass_fds: tuple[int, ...] = (),
    site_packages: bool = False,
) -> Any:
    """Run ``"module:function"`` (module relative to ``pierhead``) in a worker.

    The fds stay the caller's. ``site_packages`` puts our dependencies (isal, zstandard) on
    the path. Raises ``TimeoutError`` after killing a worker that took longer than
    ``timeout_s``; kills it when the caller is cancelled.
    """
    raise NotImplementedError


async def start(
    function: str,
    args: dict[str, Any],
    *,
    stdin: int | None = None,
    stdout: int | None = None,
    pipe_stdin: bool = False,
    pipe_stdout: bool = False,
    jail: Path | None = None,
    pass_fds: tuple[int, ...] = (),
    site_packages: bool = False,
) -> Worker:
    """As ``call``, for streaming: the caller feeds or drains the pipes, then ``result()``."""
    raise NotImplementedError
