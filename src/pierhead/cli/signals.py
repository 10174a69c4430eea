"""Signals as file events, and passing them on to a container.

Only ``_signal`` is used: ``import signal`` builds enums, which takes milliseconds.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pierhead.client.http import Client

SIGWINCH = 28

#: Not passed on: ours to handle, about our own pipes and children, or not catchable.
_NOT_FORWARDED = frozenset((9, 13, 17, 19, 23, 28, 32, 33))

NAMES = {
    1: "HUP",
    2: "INT",
    3: "QUIT",
    4: "ILL",
    5: "TRAP",
    6: "ABRT",
    7: "BUS",
    8: "FPE",
    10: "USR1",
    11: "SEGV",
    12: "USR2",
    14: "ALRM",
    15: "TERM",
    16: "STKFLT",
    18: "CONT",
    20: "TSTP",
    21: "TTIN",
    22: "TTOU",
    24: "XCPU",
    25: "XFSZ",
    26: "VTALRM",
    27: "PROF",
    29: "IO",
    30: "PWR",
    31: "SYS",
}

#: What is caught when everything is to be passed on. Faults of our own are left alone.
FORWARDED = (1, 2, 3, 10, 12, 14, 15, 16, 18, 20, 21, 22, 24, 25, 26, 27, 29, 30, 34, 35, 36, 37)


class Signals:
    """Catches signals; ``fileno`` becomes readable, ``read`` tells which came."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._read_fd, self._write_fd = posix.pipe2(posix.O_NONBLOCK | posix.O_CLOEXEC)
        self._old_fd = _signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        self._old: dict[int, object] = {}
        self.add(numbers)

    def add(self, numbers: Iterable[int]) -> None:
        """Catch these too."""
        for number in numbers:
            try:
                self._old[number] = _signal.signal(number, _nothing)
            except (OSError, ValueError):
                continue  # not to be caught on this machine

    def fileno(self) -> int:
        """The pipe's reading end."""
        return self._read_fd

    def read(self) -> list[int]:
        """The signals that arrived since the last call."""
        try:
            data = posix.read(self._read_fd, 4096)
        except BlockingIOError:
            return []
        return [number for number in data if number in self._old]


def _nothing(number: int, frame: object) -> None:
    """The wake-up pipe carries the news."""


def forward(client: Client, container: str, number: int) -> None:
    """Send the signal to the container; a container that is gone is no error."""
    if number in _NOT_FORWARDED:
        return
    from pierhead.client.errors import ClientError
    from pierhead.client.http import quote

    name = "SIG" + NAMES[number] if number in NAMES else str(number)
    try:
        client.request("POST", f"/containers/{quote(container)}/kill", {"signal": name}).close()
    except ClientError:
        pass
