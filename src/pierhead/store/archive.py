"""Worker: take an image archive apart into numbered files in its jail.

Names in the archive never become names on disk, so nothing in them can do harm.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Final

from pierhead.errors import InvalidParameter
from pierhead.oci import layer, tar
from pierhead.oci.digest import PREFIX
from pierhead.store.compression import FdReader, open_reader
from pierhead.store.tarsource import write_all
from pierhead.store.tarstream import TarReader

MEMBERS_LIMIT: Final = 100_000
_SMALL_BYTES: Final = 8 << 20


def split(*, limit_bytes: int | None = None, fd: int = 0, directory: str = "/") -> dict[str, Any]:
    """Read the archive on ``fd``, compressed or not; write regular members to ``/<number>``.

    Returns ``files``: name → [number, size in bytes, digest (small files only, else "")],
    and ``links``: name → name, for symlinks and hard links. A name that comes twice means
    the last one. Raises ``InvalidParameter`` for a broken archive or one beyond the limits.
    """
    reader = TarReader(open_reader(FdReader(fd)))
    files: dict[str, list[Any]] = {}
    links: dict[str, str] = {}
    total = 0
    for number, header in enumerate(reader):
        if number >= MEMBERS_LIMIT:
            raise InvalidParameter(f"invalid archive: more than {MEMBERS_LIMIT} members")
        name = os.fsdecode(layer.clean_name(header.name))
        if header.type == tar.SYMLINK:
            above = os.path.dirname(name)
            target = os.fsencode(os.path.join(above, os.fsdecode(header.linkname)))
            links[name] = os.fsdecode(layer.clean_name(target))
        elif header.type == tar.HARDLINK:
            links[name] = os.fsdecode(layer.clean_name(header.linkname))
        elif header.type == tar.REGULAR and header.sparse is None:
            total += header.size
            if limit_bytes is not None and total > limit_bytes:
                raise InvalidParameter(
                    f"invalid archive: larger than the {limit_bytes} bytes that there is room for"
                )
            files[name] = [
                number,
                header.size,
                _write(os.path.join(directory, str(number)), header.size, reader),
            ]
            links.pop(name, None)
    return {"files": files, "links": links}


def _write(path: str, size: int, reader: TarReader) -> str:
    hasher = hashlib.sha256() if size <= _SMALL_BYTES else None
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for chunk in reader.data():
            write_all(fd, chunk)
            if hasher is not None:
                hasher.update(chunk)
    finally:
        os.close(fd)
    return PREFIX + hasher.hexdigest() if hasher is not None else ""
