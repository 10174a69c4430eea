"""Signals to a container's first process, without a helper process.

A pidfd is opened for the recorded pid and trusted only if that process is still the child
of our conmon, so a reused pid is never hit.
"""

from __future__ import annotations

import os
import signal

from pierhead.engine.containers.container import Container


def send_signal(container: Container, number: int) -> bool:
    """Return False when the process is gone already (its exit is about to be seen)."""
    status = container.status
    if not status.pid:
        return False
    try:
        fd = os.pidfd_open(status.pid)
    except ProcessLookupError:
        return False
    try:
        if parent_of(status.pid) != status.conmon_pid:
            return False
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
    return True


def is_gone(container: Container) -> bool:
    """Whether the first process has ended, even if its exit has not been handled yet."""
    pid = container.status.pid
    if not container.running or not pid:
        return True
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            data = file.read()
    except OSError:
        return True
    return data[data.rindex(b")") + 2 :].split()[0] in (b"Z", b"X")


def parent_of(pid: int) -> int | None:
    """The parent's pid (proc(5), stat), None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            data = file.read()
    except OSError:
        return None
    # The command in parentheses may hold anything: the fields follow the last one.
    return int(data[data.rindex(b")") + 2 :].split()[1])
