"""pierd's side of ``worker_template``: one process that workers are forked from.

Started when the first worker is asked for, ended after ``IDLE_S`` without another, so that an
idle pierd has none. One for each event loop, since it is the loop that hears its answers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

import pierhead
from pierhead.linux import process

log = logging.getLogger(__name__)

IDLE_S: Final = 20.0
MOST_DESCRIPTORS: Final = 250
"""As in ``worker_template``: the kernel passes 253 at once, two are the memfds."""
_ANSWER_BYTES: Final = 64
_MAIN: Final = str(Path(__file__).with_name("worker_template.py"))


class Unavailable(Exception):
    """No child was forked and none will be: start one the slow way."""


class Template:
    """The process and the jobs that it has not answered yet."""

    def __init__(self) -> None:
        """Start it. Raises ``OSError``. Needs a running loop."""
        self._loop = asyncio.get_running_loop()
        self._jobs: dict[int, asyncio.Future[process.Child]] = {}
        self._silent: dict[int, process.Child] = {}
        self._last_job = 0
        self._idle: asyncio.TimerHandle | None = None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                ours.setblocking(False)
                self._child = process.spawn(
                    [
                        process.python(),
                        "-IS",
                        _MAIN,
                        str(theirs.fileno()),
                        os.path.dirname(os.path.dirname(pierhead.__file__)),
                    ],
                    stderr=2,
                    pass_fds=(theirs.fileno(),),
                )
            except BaseException:
                ours.close()
                raise
        self._socket: socket.socket | None = ours
        self._loop.add_reader(ours.fileno(), self._answers)

    @property
    def usable(self) -> bool:
        return self._socket is not None

    @property
    def pid(self) -> int:
        return self._child.pid

    async def fork(
        self, module: str, path: list[str], memfds: tuple[int, int], fds: dict[int, int]
    ) -> process.Child:
        """A child that does the request in ``memfds`` (request, result), our own child.

        ``fds``: number in the child -> descriptor of ours. ``module`` is imported before the
        fork. A cancelled caller's child is killed. Raises ``Unavailable``.
        """
        if self._socket is None or len(fds) > MOST_DESCRIPTORS:
            raise Unavailable
        self._last_job = job = self._last_job + 1
        order = {"job": job, "module": module, "path": path, "targets": list(fds)}
        answer: asyncio.Future[process.Child] = self._loop.create_future()
        try:
            socket.send_fds(self._socket, [json.dumps(order).encode()], [*memfds, *fds.values()])
        except OSError as error:  # busy with a queue of them, or dead
            raise Unavailable from error
        self._jobs[job] = answer
        self._wait_for_idleness()
        return await answer

    def _answers(self) -> None:
        while self._socket is not None:
            try:
                data = self._socket.recv(_ANSWER_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.end()
                return
            job, pid, by_child = map(int, data.split())
            # twice for each job, by the child and by the template: the first one counts
            child = None
            if (answer := self._jobs.pop(job, None)) is not None:
                child = _settle(answer, pid)
            if by_child:
                self._silent.pop(job, None)
            elif child is not None:
                self._silent[job] = child

    def _wait_for_idleness(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._loop.call_later(IDLE_S, self._idled)

    def _idled(self) -> None:
        self._idle = None
        # An import can take long on a busy machine; and a child that couldn't tell us that it
        # begins would not.
        if self._jobs or any(child.returncode is None for child in self._silent.values()):
            self._wait_for_idleness()
        else:
            self.end()

    def end(self) -> None:
        """No more jobs. Children that run go on; who has no answer yet gets ``Unavailable``."""
        if self._socket is None:
            return
        if self._loop.is_closed():
            self._socket.close()
            self._socket = None
            self._child.kill()
            with suppress(ChildProcessError):
                os.waitpid(self._child.pid, 0)
            return
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._socket = None
        if self._idle is not None:
            self._idle.cancel()
        jobs, self._jobs = self._jobs, {}
        for answer in jobs.values():
            if not answer.done():
                answer.set_exception(Unavailable())


def _settle(answer: asyncio.Future[process.Child], pid: int) -> process.Child | None:
    """Give the caller its child; kill the child of one that waits no more."""
    if not pid:
        if not answer.done():
            answer.set_exception(Unavailable())
        return None
    try:
        child = process.Child(pid)
    except OSError as error:
        if not answer.done():
            answer.set_exception(error)
        return None
    if answer.done():
        child.kill()
    else:
        answer.set_result(child)
    return child


_templates: dict[asyncio.AbstractEventLoop, Template] = {}


def template() -> Template:
    """This loop's; started when there is none. Raises ``Unavailable``."""
    loop = asyncio.get_running_loop()
    found = _templates.get(loop)
    if found is not None and found.usable:
        return found
    for other in [other for other in _templates if other.is_closed()]:
        _templates.pop(other).end()
    try:
        _templates[loop] = Template()
    except OSError as error:
        log.warning("no process to fork workers from: %s", error)
        raise Unavailable from error
    return _templates[loop]
