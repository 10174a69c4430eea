"""Signals to a container's first process, without a helper process.

A pidfd is opened for the recorded pid and trusted only if that process is still the child
of our conmon, so a reused pid is never hit.
"""

from __future__ import annotations

import os
import signal
from typing import Final

from pierhead.engine.containers.container import Container

_STATE: Final = 0  # within what ``_stat`` gives
_PARENT: Final = 1
_FLAGS: Final = 6
_PF_EXITING: Final = 0x4  # include/linux/sched.h


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
    """Whether the first process has ended, even if its exit has not been handled yet.

    One that is on its way out counts as well: it has no files and namespaces any more.
    """
    pid = container.status.pid
    if not container.running or not pid:
        return True
    fields = _stat(pid)
    return (
        fields is None or fields[_STATE] in (b"Z", b"X") or bool(int(fields[_FLAGS]) & _PF_EXITING)
    )


def parent_of(pid: int) -> int | None:
    """The parent's pid, None when there is no such process."""
    fields = _stat(pid)
    return None if fields is None else int(fields[_PARENT])


def _stat(pid: int) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the state on (proc(5)), None without such a process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            data = file.read()
    except OSError:
        return None
    # The command in parentheses may hold anything: the fields follow the last one.
    return data[data.rindex(b")") + 2 :].split()
