"""One pierd per data root: a lock that dies with its holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pierhead.errors import Unavailable


class Lock:
    """A file locked with flock(2) as long as this process lives; it names its holder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def acquire(self) -> None:
        """Raises ``Unavailable`` naming the other process if somebody has it."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise Unavailable(
                f"{self._path.parent} is in use by another pierd (pid {holder}): stop it, or give "
                "this one its own --data-root and --exec-root"
            ) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


class PidFile:
    """A file with our process id, refused while another living pierd owns it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self) -> None:
        """Raises ``Unavailable`` if the file names a living process that isn't us."""
        try:
            other = int(self._path.read_text().strip() or "0")
        except (FileNotFoundError, ValueError):
            other = 0
        if other and other != os.getpid() and _is_pierd(other):
            raise Unavailable(
                f"process with PID {other} is still running: it owns {self._path}. Stop it, or "
                "give another --pidfile"
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        temporary.write_text(f"{os.getpid()}\n")
        temporary.rename(self._path)

    def remove(self) -> None:
        """Remove it if it is still ours."""
        try:
            if self._path.read_text().strip() == str(os.getpid()):
                self._path.unlink()
        except OSError:
            pass


def _is_pierd(pid: int) -> bool:
    """The process lives and looks like us; a reused pid doesn't stand in the way."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"pierd" in command or b"pierhead" in command
