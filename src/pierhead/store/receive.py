"""Worker: take a layer's bytes in as they are, for the driver that unpacks them later."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import PREFIX
from pierhead.store.compression import CHUNK, detect
from pierhead.store.tarsource import write_all

_HEAD = 8


def receive(
    *,
    blob_fd: int,
    held_bytes: int = 0,
    blob_bytes: int | None = None,
    limit_bytes: int | None = None,
) -> dict[str, Any]:
    """Append fd 0 to the first ``held_bytes`` of ``blob_fd`` and hash the whole.

    Returns ``blob_digest``, ``blob_bytes``, ``compression`` and ``truncated``: whether fd 0
    ended before the blob was ``blob_bytes`` long. ``InvalidParameter`` beyond ``blob_bytes``
    or ``limit_bytes``.
    """
    hasher = hashlib.sha256()
    total = 0
    head = b""
    while total < held_bytes:
        chunk = os.pread(blob_fd, min(CHUNK, held_bytes - total), total)
        if not chunk:
            break
        head = head or chunk[:_HEAD]
        hasher.update(chunk)
        total += len(chunk)
    os.lseek(blob_fd, total, os.SEEK_SET)
    os.ftruncate(blob_fd, total)
    while chunk := os.read(0, CHUNK):
        if len(head) < _HEAD:
            head += chunk[: _HEAD - len(head)]
        total += len(chunk)
        if blob_bytes is not None and total > blob_bytes:
            raise InvalidParameter(f"invalid layer: more than the {blob_bytes} bytes announced")
        if limit_bytes is not None and total > limit_bytes:
            raise InvalidParameter(
                f"invalid layer: larger than the {limit_bytes} bytes that there is room for"
            )
        write_all(blob_fd, chunk)
        hasher.update(chunk)
    return {
        "blob_digest": PREFIX + hasher.hexdigest(),
        "blob_bytes": total,
        "compression": detect(head),
        "truncated": blob_bytes is not None and total < blob_bytes,
    }
