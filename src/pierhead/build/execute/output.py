"""What a step prints: two pipes into one log, bounded.

As BuildKit, everything up to ``LOG_LIMIT_BYTES`` is passed on as it comes and then a mark; but the
end is what tells why a step failed, so the last ``TAIL_BYTES`` are kept and passed on when
it has ended. There is no limit by speed: a step that prints faster than we read waits.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import Final

LOG_LIMIT_BYTES: Final = 2 << 20
TAIL_BYTES: Final = 256 << 10
_READ_BYTES: Final = 64 << 10

Log = Callable[[int, bytes], None]


class Bounded:
    """Passes a step's output on to ``log``, up to the limit. Pure."""

    def __init__(
        self, log: Log, *, limit_bytes: int = LOG_LIMIT_BYTES, tail_bytes: int = TAIL_BYTES
    ) -> None:
        self._log = log
        self._left = limit_bytes
        self._limit_bytes = limit_bytes
        self._tail_bytes = tail_bytes
        self._tail: deque[tuple[int, bytes]] = deque()
        self._held = 0
        self._dropped = 0
        self._clipped = False

    def write(self, stream: int, data: bytes) -> None:
        """The next bytes of stdout (1) or stderr (2)."""
        if not data:
            return
        if self._left >= len(data):
            self._left -= len(data)
            self._log(stream, data)
            return
        if not self._clipped:
            self._clipped = True
            now, data = data[: self._left], data[self._left :]
            self._left = 0
            limit = _size(self._limit_bytes)
            self._log(stream, now + f"\n[output clipped, log limit {limit} reached]\n".encode())
        self._tail.append((stream, data))
        self._held += len(data)
        while self._held > self._tail_bytes:
            first_stream, first = self._tail.popleft()
            excess = self._held - self._tail_bytes
            if excess < len(first):
                self._tail.appendleft((first_stream, first[excess:]))
            self._held -= min(excess, len(first))
            self._dropped += min(excess, len(first))

    def close(self) -> None:
        """The step has ended: the last of what was clipped follows."""
        if not self._tail:
            return
        if self._dropped:
            self._log(2, f"[{self._dropped} bytes are left out here]\n".encode())
        for stream, data in self._tail:
            self._log(stream, data)
        self._tail.clear()


def _size(count: int) -> str:
    """``2MiB`` as BuildKit writes it."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit and count % unit == 0:
            return f"{count // unit}{name}"
    return f"{count}B"


class Pipes:
    """Two pipes for a child's outputs, read on the loop into ``log``."""

    def __init__(self, log: Log) -> None:
        self._loop = asyncio.get_running_loop()
        self._log = log
        self._readers: dict[int, int] = {}
        self._writers: list[int] = []
        for stream in (1, 2):
            read_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            os.set_blocking(write_fd, True)
            self._readers[stream] = read_fd
            self._writers.append(write_fd)
            self._loop.add_reader(read_fd, self._read, stream)

    @property
    def stdout_fd(self) -> int:
        return self._writers[0]

    @property
    def stderr_fd(self) -> int:
        return self._writers[1]

    def started(self) -> None:
        """The child has its ends."""
        for fd in self._writers:
            os.close(fd)
        self._writers = []

    def _read(self, stream: int) -> bool:
        """Pass on what is there, one piece; False: there was none, or it was the end."""
        fd = self._readers.get(stream, -1)
        if fd < 0:
            return False
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._close(stream)
            return False
        self._log(stream, data)
        return True

    def drain(self) -> None:
        """Everything that has been written up to now."""
        for stream in (1, 2):
            while self._read(stream):
                pass

    def _close(self, stream: int) -> None:
        fd = self._readers.pop(stream, -1)
        if fd >= 0:
            self._loop.remove_reader(fd)
            os.close(fd)

    def close(self) -> None:
        self.started()
        for stream in (1, 2):
            self._close(stream)
