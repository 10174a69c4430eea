"""A person at a terminal: a child on a pseudo terminal, typed at and read by pattern."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self


class Terminal:
    """Everything the child prints is kept in ``text``; ``expect`` moves on through it."""

    def __init__(
        self, argv: Sequence[str], *, env: Mapping[str, str], rows: int = 24, cols: int = 80
    ) -> None:
        self.text = ""
        self._seen = 0
        self._status: int | None = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
                os.execvpe(argv[0], list(argv), dict(env))
            finally:
                os._exit(127)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, text: str | bytes) -> None:
        os.write(self.fd, text.encode() if isinstance(text, str) else text)

    def line(self, text: str) -> None:
        self.send(text + "\r")

    def resize(self, rows: int, cols: int) -> None:
        """As a window manager does: new size, and the kernel raises SIGWINCH."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def expect(self, pattern: str, *, timeout_s: float = 15) -> re.Match[str]:
        """Wait for ``pattern`` in what has not been matched yet."""
        deadline = time.monotonic() + timeout_s
        while True:
            if match := re.compile(pattern, re.M).search(self.text, self._seen):
                self._seen = match.end()
                return match
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"no {pattern!r} within {timeout_s} s in:\n{self.text}")
            if not self._read(left):
                if match := re.compile(pattern, re.M).search(self.text, self._seen):
                    self._seen = match.end()
                    return match
                raise AssertionError(f"ended without {pattern!r}:\n{self.text}")

    def wait(self, *, timeout_s: float = 15) -> int:
        """Read to the end; the exit status (128 + signal if killed)."""
        deadline = time.monotonic() + timeout_s
        while self._status is None:
            self._read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._status = code if code >= 0 else 128 - code
            elif time.monotonic() > deadline:
                raise AssertionError(f"still running after {timeout_s} s:\n{self.text}")
        while self._read(0.05):
            pass
        return self._status

    def close(self) -> None:
        if self._status is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
            self._status = 137
        try:
            os.close(self.fd)
        except OSError:
            pass

    def _read(self, timeout_s: float) -> bool:
        """One read into ``text``; False at the end of the stream or when nothing came."""
        try:
            ready, _, _ = select.select([self.fd], [], [], max(0, timeout_s))
            if not ready:
                return False
            data = os.read(self.fd, 65536)
        except (OSError, ValueError):  # EIO: the other side is closed
            return False
        self.text += data.decode(errors="replace")
        return bool(data)
