"""A layer's blob on its way in: where it is collected, and what is checked at its end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pierhead.errors import InvalidParameter
from pierhead.store.snapshots import Incoming, Truncated


def open_blob(incoming: Incoming, otherwise: Path | None) -> tuple[int | None, int]:
    """A descriptor to write and read the blob with, and how many bytes of it are held.

    That is the partial's file, else a new one at ``otherwise``, else none.
    """
    partial = incoming.partial
    if partial is None:
        if otherwise is None:
            return None, 0
        return os.open(otherwise, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400), 0
    fd = os.open(partial.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    held = os.fstat(fd).st_size
    if incoming.blob_bytes is not None and held > incoming.blob_bytes:
        os.ftruncate(fd, 0)
        held = 0
    return fd, held


def check_blob(incoming: Incoming, result: dict[str, Any]) -> None:
    """Raise what is wrong with what a worker took in: ``Truncated`` or ``InvalidParameter``."""
    if result["truncated"]:
        raise Truncated(
            f"the layer ended after {result['blob_bytes']} of {incoming.blob_bytes} bytes"
        )
    if incoming.partial is not None and result["blob_digest"] != incoming.partial.digest:
        raise InvalidParameter(
            f"invalid layer: its digest is {result['blob_digest']}, not {incoming.partial.digest}"
        )


@contextlib.contextmanager
def discarding(incoming: Incoming) -> Iterator[None]:
    """Whatever is refused is not kept to go on from."""
    try:
        yield
    except InvalidParameter:
        if incoming.partial is not None:
            incoming.partial.discard()
        raise
