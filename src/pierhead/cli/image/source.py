"""Tar archives from files and stdin, as bodies of requests."""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1 << 18


def open_archive(path: str) -> int:
    """A descriptor to read ``path``. Raises ``CliError`` with Go's text."""
    try:
        return posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CliError(f"open {path}: {reason}") from error


def blocks(fd: int) -> Iterator[bytes]:
    """What the descriptor has, in blocks."""
    while data := posix.read(fd, _BLOCK):
        yield data
