"""Jailed helper processes: heavy or hostile work off the event loop.

A worker is a process of its own that calls one function::

    result = await worker.call(
        "store.unpack:unpack", {"whiteouts": "overlay"}, stdin=fd, jail=directory, timeout_s=600
    )

In the worker, ``pierhead.store.unpack.unpack(**args)`` runs with fd 0 and 1 as given
(/dev/null otherwise), in its own mount namespace, chrooted into ``jail`` (the function
sees it as ``/``) with no_new_privs and only the capabilities that unpacking needs. It
returns something JSON can carry, or raises: a ``PierError`` is raised again in the
caller with the same kind and message, ``OSError`` with the same errno, anything else as
``Internal``. Import everything needed at module level: inside the jail there is no
Python installation any more. A worker dies with us (PR_SET_PDEATHSIG).

It is forked from a small process that has imported the function's module already
(``template.py``: about 5 ms), or, where that can't be, a fresh ``python -IS`` (50 to 90 ms).
A module must bear that: no threads and no descriptors at import.

Arguments and result travel in memfds, so neither side can block the other.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pierhead
from pierhead import errors
from pierhead.linux import process
from pierhead.linux.template import Unavailable, template

log = logging.getLogger(__name__)

_MAX_RESULT_BYTES: Final = 256 << 20
_MAIN: Final = str(Path(__file__).with_name("worker_main.py"))
_ROOT: Final = os.path.dirname(os.path.dirname(pierhead.__file__))


class Worker:
    """A running worker; ``stdin_fd``/``stdout_fd`` are our ends of pipes (None: not asked).

    They are close-on-exec, blocking, and the caller's to close (``result`` does not).
    """

    def __init__(
        self,
        child: process.Child,
        result_fd: int,
        function: str,
        stdin_fd: int | None,
        stdout_fd: int | None,
    ) -> None:
        self._child = child
        self._result_fd = result_fd
        self._function = function
        self.pid = child.pid
        self.stdin_fd = stdin_fd
        self.stdout_fd = stdout_fd

    async def result(self) -> Any:
        """Wait for the end and return what the function returned, or raise what it raised.

        Cancelled, it kills the worker. To be awaited once.
        """
        try:
            status = await self._child.wait()
            size = os.fstat(self._result_fd).st_size
            raw = os.pread(self._result_fd, min(size, _MAX_RESULT_BYTES), 0)
        finally:
            self.kill()
            os.close(self._result_fd)
        return _unpack(self._function, status, raw)

    def kill(self) -> None:
        self._child.kill()


def _unpack(function: str, status: int, raw: bytes) -> Any:
    reply: dict[str, Any] = {}
    if raw:
        with suppress(ValueError):
            reply = json.loads(raw)
    if "result" in reply and status == 0:
        return reply["result"]
    message = str(reply.get("message", ""))
    kind = reply.get("kind")
    if kind == "os":
        raise OSError(reply["errno"], message, *filter(None, [reply.get("filename")]))
    for error in errors.PierError.__subclasses__():
        if error.kind == kind:
            if trace := reply.get("trace"):
                log.error("worker failed", extra={"function": function, "trace": trace})
            raise error(message)
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
        raise errors.Internal(f"the helper process {function} was ended by {name}")
    raise errors.Internal(f"the helper process {function} failed with exit status {status}")


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
    memory_limit_bytes: int = 0,
) -> Worker:
    """As ``call``, for streaming: the caller feeds or drains the pipes, then ``result()``."""
    path = [_ROOT, *(sys.path if site_packages else [])]
    request = {
        "function": function,
        "args": args,
        "path": path,
        "jail": None if jail is None else str(jail),
        "memory_limit_bytes": memory_limit_bytes,
        "parent": os.getpid(),
    }
    stdin_fd = stdout_fd = None
    ours: list[int] = []
    request_fd = process.memory_file("request", json.dumps(request).encode())
    result_fd = os.memfd_create("result", os.MFD_CLOEXEC)
    try:
        if pipe_stdin:
            stdin, stdin_fd = os.pipe2(os.O_CLOEXEC)
            ours.append(stdin)
        if pipe_stdout:
            stdout_fd, stdout = os.pipe2(os.O_CLOEXEC)
            ours.append(stdout)
        try:
            fds = {fd: fd for fd in pass_fds}
            fds |= {n: fd for n, fd in ((0, stdin), (1, stdout)) if fd is not None}
            module = function.partition(":")[0]
            child = await template().fork(module, path, (request_fd, result_fd), fds)
        except Unavailable:
            child = process.spawn(
                [process.python(), "-IS", _MAIN, str(request_fd), str(result_fd)],
                stdin=stdin,
                stdout=stdout,
                stderr=2,
                pass_fds=(request_fd, result_fd, *pass_fds),
            )
    except BaseException:
        for fd in (result_fd, stdin_fd, stdout_fd):
            if fd is not None:
                os.close(fd)
        raise
    finally:
        os.close(request_fd)
        for fd in ours:
            os.close(fd)
    return Worker(child, result_fd, function, stdin_fd, stdout_fd)


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
    memory_limit_bytes: int = 0,
) -> Any:
    """Run ``"module:function"`` (module relative to ``pierhead``) in a worker.

    The fds stay the caller's. ``site_packages`` puts our dependencies (isal, zstandard) on
    the path. ``memory_limit_bytes`` bounds the worker's address space. Raises
    ``TimeoutError`` after killing a worker that took longer than ``timeout_s``; kills it when
    the caller is cancelled.
    """
    worker = await start(
        function,
        args,
        stdin=stdin,
        stdout=stdout,
        jail=jail,
        pass_fds=pass_fds,
        site_packages=site_packages,
        memory_limit_bytes=memory_limit_bytes,
    )
    async with asyncio.timeout(timeout_s):
        return await worker.result()
