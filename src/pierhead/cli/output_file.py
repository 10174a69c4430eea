"""Writing an archive to a file that appears only when it is complete."""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError
from pierhead.cli.main import write_all


def check_output(path: str, prefix: str) -> None:
    """Refuse a path that can't become a file. Raises ``CliError`` in the docker CLI's words."""
    directory = path.rpartition("/")[0] if "/" in path else "."
    try:
        posix.stat(directory or "/")
    except OSError as error:
        raise CliError(
            f"{prefix}invalid output path: stat {directory}: {(error.strerror or '').lower()}"
        ) from None
    try:
        mode = posix.stat(path).st_mode & 0o170000
    except OSError:
        return
    if mode == 0o040000:
        raise CliError(f"{prefix}cannot write to a directory")
    if mode in (0o020000, 0o060000) and path not in ("/dev/null", "/dev/stdout"):
        raise CliError(f"{prefix}cannot write to a device: got a device")


class OutputFile:
    """A file that takes its name when the ``with`` ends well, and vanishes otherwise.

    What is no regular file (``/dev/stdout``, a pipe) is written directly.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.temporary = ""
        self.fd = -1

    def __enter__(self) -> OutputFile:
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_CLOEXEC
        try:
            try:
                special = posix.stat(self.path).st_mode & 0o170000 != 0o100000
            except OSError:
                special = False
            if special:
                self.fd = posix.open(self.path, flags)
            else:
                self.temporary = f"{self.path}.{posix.getpid()}.tmp"
                self.fd = posix.open(self.temporary, flags | posix.O_EXCL, 0o600)
        except OSError as error:
            raise CliError(f"open {self.path}: {(error.strerror or '').lower()}") from None
        return self

    def write(self, data: bytes) -> None:
        """Append."""
        write_all(self.fd, data)

    def __exit__(self, kind: object, *_: object) -> None:
        posix.close(self.fd)
        if not self.temporary:
            return
        if kind is None:
            posix.rename(self.temporary, self.path)
        else:
            posix.unlink(self.temporary)
