"""Worker: give back a kept layer tar, uncompressed."""

from __future__ import annotations

from typing import Any

from pierhead.store.compression import CHUNK, FdReader, open_reader
from pierhead.store.tarsource import write_all


def expand() -> dict[str, Any]:
    """Decompress fd 0 to fd 1. Returns ``tar_bytes``."""
    reader = open_reader(FdReader(0))
    total = 0
    while chunk := reader.read(CHUNK):
        write_all(1, chunk)
        total += len(chunk)
    return {"tar_bytes": total}
