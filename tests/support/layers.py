"""Layer tars and the ``LayerFile`` that a worker gets for them."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from typing import Any

from pierhead.engine.images.layer_entries import LayerFile

MTIME = 1_700_000_000
_KINDS = {
    "dir": tarfile.DIRTYPE,
    "file": tarfile.REGTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "char": tarfile.CHRTYPE,
    "fifo": tarfile.FIFOTYPE,
}


def item(name: str, kind: str = "file", data: bytes | str = b"", **fields: Any) -> tuple[Any, ...]:
    """A member: ``item("etc/x", data="1", mode=0o600)``, ``item("l", "symlink", link="x")``."""
    return name, kind, data.encode() if isinstance(data, str) else data, fields


def directory(name: str, **fields: Any) -> tuple[Any, ...]:
    return item(name, "dir", **fields)


def layer_tar(*members: tuple[Any, ...], format: int = tarfile.GNU_FORMAT) -> bytes:
    """The tar of these members in this order."""
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=format, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for name, kind, data, fields in members:
            info = tarfile.TarInfo(name)
            info.type = _KINDS[kind]
            info.size = len(data)
            info.mtime = fields.get("mtime", MTIME)
            info.mode = fields.get("mode", 0o755 if kind == "dir" else 0o644)
            info.uid, info.gid = fields.get("owner", (0, 0))
            info.linkname = fields.get("link", "")
            info.devmajor, info.devminor = fields.get("device", (0, 0))
            info.pax_headers = fields.get("pax", {})
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def memory_file(data: bytes) -> int:
    fd = os.memfd_create("layer")
    os.write(fd, data)
    return fd


def plain(data: bytes, offset: int = 0) -> LayerFile:
    """As the EROFS driver keeps a layer: the plain tar somewhere in a file."""
    return LayerFile(memory_file(b"x" * offset + data + b"behind it"), offset, len(data), False)


def packed(data: bytes) -> LayerFile:
    """As overlay2 keeps it: compressed."""
    return LayerFile(memory_file(gzip.compress(data)), 0, 0, True)
