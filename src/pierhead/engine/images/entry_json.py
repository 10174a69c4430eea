"""JSON of reports about files, written piece by piece: a worker's memory stays small.

Names are bytes: what is not UTF-8 in them comes out as lone surrogates U+DC80 to U+DCFF
(Python's ``surrogateescape``), so that nothing is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from json.encoder import encode_basestring_ascii as quote
from typing import Any, Final

from pierhead.engine.images.layer_entries import SYMLINK, Entry
from pierhead.store.tarsource import write_all

_FLUSH_BYTES: Final = 256 << 10


def text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def absolute(path: bytes) -> str:
    return "/" + path.decode("utf-8", "surrogateescape")


class Writer:
    """Collects text and writes it to a descriptor in large pieces."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._parts: list[str] = []
        self._size = 0

    def put(self, part: str) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size > _FLUSH_BYTES:
            self.flush()

    def members(self, values: dict[str, Any]) -> None:
        """The members of an object without its braces: ``"a":1,"b":2``."""
        self.put(json.dumps(values, separators=(",", ":"))[1:-1])

    def array(self, items: Iterable[str]) -> None:
        """``[...]`` of texts that are JSON already."""
        before = "["
        for item in items:
            self.put(before + item)
            before = ","
        self.put("]" if before == "," else "[]")

    def flush(self) -> None:
        data = "".join(self._parts).encode()
        self._parts.clear()
        self._size = 0
        write_all(self._fd, data)


def entry_json(path: bytes, entry: Entry, size: int, more: str = "") -> str:
    """One file as an object; ``more`` is further members, each with a comma before it."""
    link = ""
    if entry.type == SYMLINK:
        link = f',"Link":{quote(text(entry.link))}'
    elif entry.device != (0, 0):
        link = f',"Device":"{entry.device[0]}:{entry.device[1]}"'
    if entry.xattrs:
        pairs = {text(key): text(value) for key, value in entry.xattrs}
        link += f',"Xattrs":{json.dumps(pairs, separators=(",", ":"))}'
    return (
        f'{{"Path":{quote(absolute(path))},"Type":"{entry.type}","Mode":"{entry.mode:04o}",'
        f'"Uid":{entry.uid},"Gid":{entry.gid},"Size":{size},"Modified":{entry.mtime}{link}{more}}}'
    )
