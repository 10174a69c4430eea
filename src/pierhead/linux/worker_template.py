"""A process that workers are forked from: ``python -IS worker_template.py CONTROL ROOT``.

It imports the modules that jobs ask for and forks one child for each job: a millisecond
instead of an interpreter's start and its imports. ``linux/template.py`` is the side in pierd.

CONTROL is a SOCK_SEQPACKET socket. A datagram asks for one job: JSON ``{"job", "module",
"path", "targets"}``; with it come descriptors: the request and the result memfd of
``worker_main`` and one for each number in ``targets``, where the child shall find it. The
child is pierd's child, not ours (CLONE_PARENT): pierd waits for it, and it ends with pierd
only. Both the child (before it begins) and this process tell its pid, ``"JOB PID 1"`` and
``"JOB PID 0"``, so that pierd learns it whichever of them dies; a job whose pid nobody told has
not begun. ``"JOB 0 0"``: there is no child. The process ends with the socket's other end.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any, Final, NoReturn

_MESSAGE_BYTES: Final = 256 << 10
MOST_DESCRIPTORS: Final = 250
"""The kernel passes 253 at once."""


def serve(control: socket.socket) -> None:
    """Fork a child for each datagram until the other side closes."""
    import gc

    from pierhead.linux import syscalls as sc

    gc.disable()
    while True:
        data, fds, flags, _ = socket.recv_fds(control, _MESSAGE_BYTES, MOST_DESCRIPTORS + 3)
        if not data:
            return
        try:
            order: dict[str, Any] = json.loads(data)
            job = order["job"]
            if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
                _send(control, f"{job} 0 0")
                continue
            if _prepare(order["module"], order["path"]):
                gc.collect()
                gc.freeze()  # the collector in a child would copy all these pages
            try:
                pid = sc.fork_sibling()
            except OSError:
                _send(control, f"{job} 0 0")
                continue
            if pid == 0:
                _become(control, job, fds, order["targets"])
            _send(control, f"{job} {pid} 0")
        finally:
            for fd in fds:
                os.close(fd)


def _prepare(module: str, path: list[str]) -> bool:
    """Import what the job needs, once for all; whether there was anything to import."""
    sys.path += [entry for entry in path if entry not in sys.path]
    name = f"pierhead.{module}"
    if name in sys.modules:
        return False
    import importlib

    try:
        importlib.import_module(name)
    except BaseException:  # the child fails again, where its error can be told
        return False
    return True


def _send(control: socket.socket, message: str) -> None:
    try:
        control.send(message.encode())
    except OSError:  # pierd has no more use for us: the next recv says so
        return


def _become(control: socket.socket, job: int, fds: list[int], targets: list[int]) -> NoReturn:
    """The child: put everything in its place, say that we are there, work."""
    code = 1
    try:
        import gc

        from pierhead.linux import worker_main

        gc.enable()
        worker_main.die_with_parent()
        request_fd, result_fd, control_fd = place(fds, targets, control.fileno())
        os.write(control_fd, f"{job} {os.getpid()} 1".encode())
        os.close(control_fd)
        code = worker_main.run(request_fd, result_fd)
    finally:
        os._exit(code)


def place(fds: list[int], targets: list[int], control_fd: int) -> tuple[int, int, int]:
    """Move descriptors to their numbers and close all others from 3 up.

    ``fds`` are the request, the result and one for each target. Returns where the request,
    the result and ``control_fd`` are then: above every target.
    """
    import fcntl

    floor = max([*targets, 2]) + 1
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, floor) for fd in [*fds, control_fd]]
    for fd, target in zip(high[2:-1], targets, strict=True):
        os.dup2(fd, target)
    kept = [high[0], high[1], high[-1]]
    low = 3
    for fd in sorted({*targets, *kept}):
        if fd >= 3:
            os.closerange(low, fd)
            low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
    return kept[0], kept[1], kept[2]


def main() -> int:
    control_fd, root = int(sys.argv[1]), sys.argv[2]
    sys.path[0] = root  # instead of this script's directory, which shadows nothing it should
    # fcntl, resource and traceback are for the children, which would each import them
    import fcntl  # noqa: F401
    import resource  # noqa: F401
    import signal
    import traceback  # noqa: F401

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pierhead.linux import worker_main

    worker_main.die_with_parent()
    with socket.socket(fileno=control_fd) as control:
        serve(control)
    return 0


if __name__ == "__main__":
    sys.exit(main())
