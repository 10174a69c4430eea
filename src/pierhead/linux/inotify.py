"""inotify(7) on the event loop: one descriptor for the process, callbacks per watch.

Several watches of the same inode share the kernel's watch descriptor; its mask is the union
of theirs, and each callback sees only what it asked for.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from typing import Final

_libc = ctypes.CDLL(None, use_errno=True)
_init = _libc.inotify_init1
_init.argtypes = [ctypes.c_int]
_add = _libc.inotify_add_watch
_add.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]
_remove = _libc.inotify_rm_watch
_remove.argtypes = [ctypes.c_int, ctypes.c_int]

IN_MODIFY: Final = 0x00000002
IN_MOVED_TO: Final = 0x00000080
IN_CREATE: Final = 0x00000100
IN_DELETE_SELF: Final = 0x00000400
IN_MOVE_SELF: Final = 0x00000800
IN_IGNORED: Final = 0x00008000
_EVENT: Final = struct.Struct("iIII")

Callback = Callable[[int, str], None]
"""Called with the event's mask and the name in a watched directory (``""`` for a file)."""


def _checked(result: int, path: str | os.PathLike[str] | None = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), None if path is None else os.fspath(path))
    return result


class Watch:
    """One registered interest; ``close`` ends it."""

    __slots__ = ("_owner", "callback", "descriptor", "mask")

    def __init__(self, owner: Inotify, descriptor: int, mask: int, callback: Callback) -> None:
        self._owner = owner
        self.descriptor = descriptor
        self.mask = mask
        self.callback = callback

    def close(self) -> None:
        self._owner._drop(self)


class Inotify:
    """Make it inside a running loop; ``close`` at the end."""

    def __init__(self) -> None:
        self._fd = _checked(_init(os.O_NONBLOCK | os.O_CLOEXEC))
        self._watches: dict[int, list[Watch]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._ready)

    def watch(self, path: str | os.PathLike[str], mask: int, callback: Callback) -> Watch:
        """Raises ``OSError`` (ENOENT; ENOSPC when the user's limit of watches is reached)."""
        descriptor = _checked(_add(self._fd, os.fsencode(path), mask), path)
        watches = self._watches.setdefault(descriptor, [])
        watch = Watch(self, descriptor, mask, callback)
        watches.append(watch)
        union = 0
        for each in watches:
            union |= each.mask
        if union != mask:
            _add(self._fd, os.fsencode(path), union)
        return watch

    def _drop(self, watch: Watch) -> None:
        watches = self._watches.get(watch.descriptor)
        if watches is None or watch not in watches:
            return
        watches.remove(watch)
        if not watches:
            del self._watches[watch.descriptor]
            _remove(self._fd, watch.descriptor)  # fails when it has gone by itself

    def _ready(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(data):
            descriptor, mask, _, length = _EVENT.unpack_from(data, offset)
            start = offset + _EVENT.size
            name = data[start : start + length].rstrip(b"\0").decode("utf-8", "surrogateescape")
            offset = start + length
            for watch in list(self._watches.get(descriptor, ())):
                if mask & watch.mask:
                    watch.callback(mask, name)
            if mask & IN_IGNORED:
                self._watches.pop(descriptor, None)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._watches.clear()
