"""Building layer tars for tests, member by member, with names no tool would write."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pierhead.oci import tar
from pierhead.oci.tar import Header

MTIME_NS = 1_700_000_000 * 1_000_000_000


def member(name: str | bytes, kind: bytes = tar.REGULAR, data: bytes = b"", **fields: Any) -> bytes:
    """One member: its headers, its data, its padding."""
    raw = name.encode() if isinstance(name, str) else name
    fields.setdefault("mode", 0o755 if kind == tar.DIRECTORY else 0o644)
    fields.setdefault("mtime_ns", MTIME_NS)
    if isinstance(fields.get("linkname"), str):
        fields["linkname"] = fields["linkname"].encode()
    header = Header(raw, kind, size=len(data), **fields)
    return tar.build_header(header) + data + bytes(tar.padding(len(data)))


def directory(name: str | bytes, **fields: Any) -> bytes:
    return member(name, tar.DIRECTORY, **fields)


def symlink(name: str | bytes, target: str, **fields: Any) -> bytes:
    return member(name, tar.SYMLINK, linkname=target, mode=0o777, **fields)


def hardlink(name: str | bytes, target: str, **fields: Any) -> bytes:
    return member(name, tar.HARDLINK, linkname=target, **fields)


def archive(*members: bytes) -> bytes:
    """The members with the end mark."""
    return b"".join(members) + bytes(1024)


@contextmanager
def as_fd(data: bytes) -> Iterator[int]:
    """A descriptor that reads ``data``."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        yield file.fileno()
