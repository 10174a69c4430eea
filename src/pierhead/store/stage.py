"""Worker functions that take a layer in: from a pipe of bytes to a file that can be mounted.

``stage`` runs while the bytes come, knowing nothing of the layers below; most layers are
complete after it. One that speaks of the layers below (a whiteout, a parent directory that
it doesn't list, a hard link to a file of theirs) needs ``index`` as well, once those are
there. ``verify`` reads a layer again.

All are functions for ``linux.worker``: they touch nothing but the descriptors given.
"""

from __future__ import annotations

from typing import Any, Final

ENTRIES_LIMIT: Final = 2_000_000
"""Names in one layer, directories that it only implies included."""

TAR_OFFSET: Final = 4096
"""Where the tar starts in a layer's file."""


def stage(
    *,
    tar_fd: int | None,
    blob_fd: int | None,
    held_bytes: int = 0,
    blob_bytes: int | None = None,
    limit_bytes: int | None = None,
    entries_limit: int = ENTRIES_LIMIT,
    lowest: bool = False,
) -> dict[str, Any]:
    """Take in the layer that comes on fd 0, compressed or not, to its end.

    ``tar_fd``     the layer's file, empty, readable and writable: gets the plain tar at
                   ``TAR_OFFSET`` and, if possible, the index. None: only digests.
    ``blob_fd``    where to keep the bytes as they come, readable and writable; the first
                   ``held_bytes`` are there already and are read from there first. None:
                   not kept.
    ``blob_bytes`` length of the whole blob, if known: less is ``truncated``, more an error.
    ``limit_bytes``  room on the disk for tar, index and blob together: more is refused.
    ``lowest``     the caller knows that no layer stands below.

    Returns ``truncated`` (the input ended too early; then only ``blob_bytes`` besides: what
    the blob holds now) or else:
    ``diff_id`` ``tar_bytes``; ``blob_digest`` ``blob_bytes`` ``compression`` (``none``,
    ``gzip``, ``zstd``, ``bzip2``, ``xz``); and with ``tar_fd``: ``entries``, ``size_bytes``
    (content, as Docker counts), ``needs_lower`` (it depends on the layers below: not to be
    shared with another parent), ``indexed`` (the file is mountable; False: run ``index``
    first), and if it is ``index_digest`` and ``file_bytes`` (length of the whole file).

    Raises ``InvalidParameter`` for whatever is wrong with the bytes, ``OSError`` ENOSPC.
    """
    raise NotImplementedError


def index(
    *,
    tar_fd: int,
    tar_bytes: int,
    diff_id: str,
    lower_fds: list[int],
    limit_bytes: int | None = None,
    entries_limit: int = ENTRIES_LIMIT,
) -> dict[str, Any]:
    """Write the index of the layer file ``tar_fd`` anew, on the layers below.

    ``lower_fds``: their root directories, topmost first (mounted EROFS layers, unpacked
    ones, or just one of a merged view); empty for the lowest layer. Returns ``entries``,
    ``size_bytes``, ``needs_lower``, ``index_digest``, ``file_bytes``. Errors as ``stage``.
    """
    raise NotImplementedError


def verify(*, tar_bytes: int) -> dict[str, Any]:
    """Hash the layer file on fd 0 again: returns ``diff_id`` and ``index_digest``."""
    raise NotImplementedError
