"""Lists an image without mounting it: for explore, diff, tools and tests. Read-only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Entry(NamedTuple):
    """One name in a layer.

    ``path`` is relative, b"" for the root, in no encoding. ``type`` is as in tar:
    b"0" file, b"2" symlink, b"3"/b"4" character/block device, b"5" directory, b"6" FIFO.
    A whiteout is a character device with ``rdev`` 0. Names of one file share ``inode``.
    """

    path: bytes
    type: bytes
    mode: int
    """Permission bits, 12 of them."""
    uid: int
    gid: int
    size: int
    mtime_ns: int
    link: bytes
    """A symlink's target."""
    offset: int | None
    """Where a regular file's content starts in the image file; None if in several pieces."""
    inode: int
    nlink: int
    rdev: int
    opaque: bool
    """A directory that hides what layers below have at its path."""


def entries(fd: int) -> Iterator[Entry]:
    """All names of the image ``fd`` (a layer file), parents before their children.

    Raises ``InvalidParameter`` if it isn't such an image or is damaged.
    """
    raise NotImplementedError
    yield
