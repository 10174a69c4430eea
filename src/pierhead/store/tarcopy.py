"""Workers: give back a kept layer tar uncompressed, whole or as its digest."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from pierhead.errors import InvalidParameter
from pierhead.oci.digest import PREFIX
from pierhead.store.compression import CHUNK, FdReader, open_reader
from pierhead.store.tarsource import write_all

_STEP = 1 << 20


def expand() -> dict[str, Any]:
    """Decompress fd 0 to fd 1. Returns ``tar_bytes``."""
    reader = open_reader(FdReader(0))
    total = 0
    while chunk := reader.read(CHUNK):
        write_all(1, chunk)
        total += len(chunk)
    return {"tar_bytes": total}


def cut(*, offset: int, length: int) -> dict[str, Any]:
    """Copy ``length`` bytes from ``offset`` of the file fd 0 to fd 1. Returns ``tar_bytes``."""
    left = length
    while left:
        chunk = os.pread(0, min(_STEP, left), offset)
        if not chunk:
            raise InvalidParameter("the layer's file is too short")
        write_all(1, chunk)
        offset += len(chunk)
        left -= len(chunk)
    return {"tar_bytes": length}


def digest() -> dict[str, Any]:
    """Decompress fd 0 and hash it. Returns ``diff_id``."""
    reader = open_reader(FdReader(0))
    hasher = hashlib.sha256()
    while chunk := reader.read(CHUNK):
        hasher.update(chunk)
    return {"diff_id": PREFIX + hasher.hexdigest()}
